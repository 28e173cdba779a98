"""Reads diagnoses in asyncio, as headway.get, list, watch and explain do elsewhere.

    from headway import aio

    cause = (await aio.get("btch_1"))["cause"]
    async for snapshot in aio.watch("btch_1", timeout=600):
        print(snapshot["health"])

Reporting needs nothing of its own in asyncio: those functions only add to counters.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from . import _client
from ._aio_http import Connection
from ._follow import Follow, Parser, State
from ._read_error import ReadError
from ._target import Asks, Target, many, one
from ._token import AsyncToken, awaited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from typing import Callable

    from typing_extensions import Unpack

    from ._target import Filters
    from .answers import BatchList, Explanation, Row, Snapshot

__all__ = ["ReadError", "Reader", "State", "explain", "get", "watch"]  # and list, which a * shouldn't replace


class Reader(Asks[AsyncToken]):
    """Reads from one API. url, namespace and token default to the environment; a function that returns the token may be async.
    A Reader may be used by several tasks and loops."""

    async def get(self, batch: str, *, at: datetime | None = None) -> Snapshot:
        """Returns the snapshot of a batch; with at, as it was at that past moment. Raises ReadError."""
        return cast("Snapshot", await self._answer(one(self._settings, batch, at=at)))

    async def explain(self, batch: str, *, at: datetime | None = None) -> Explanation:
        """Explains why a batch's health is what it is; with at, what it was at that past moment. Raises ReadError."""
        return cast("Explanation", await self._answer(one(self._settings, batch, "/explain", at)))

    async def list(self, **filters: Unpack[Filters]) -> AsyncIterator[Row]:
        """Yields the batches of the namespace, page by page as they are consumed. The filters are those of headway.list. Raises
        ReadError."""
        async for answer in self.pages(**filters):
            for row in answer["batches"]:
                yield row

    async def pages(self, **filters: Unpack[Filters]) -> AsyncIterator[BatchList]:
        """Yields the pages of such a list, with the counts of the namespace, and with the reasons why batches may be missing."""
        target: Target | None = many(self._settings, **filters)
        while target is not None:
            answer: BatchList = await self._answer(target)
            yield answer
            cursor = answer["next_cursor"]
            target = None if cursor is None else many(self._settings, cursor, **filters)

    async def watch(
        self,
        batch: str,
        *,
        timeout: float | None = None,
        on_state: Callable[[State], object] | None = None,
    ) -> AsyncIterator[Snapshot]:
        """Yields the snapshot of a batch, and a newer one whenever it changes, until the batch has ended. The arguments are those
        of headway.watch."""
        follow = Follow(one(self._settings, batch, "/stream"), timeout, on_state)
        while not follow.over:
            try:
                target, token = follow.next(), await awaited(self._settings.token)
                async with Connection(target, follow.headers(token), follow.patience()) as c:
                    if not follow.opened(c.status, c.headers):
                        raise target.refused(c.status, c.headers, await c.read(self._seconds))
                    parser = Parser()
                    while not follow.over:
                        event = parser.line(await c.line(follow.patience()))
                        snapshot = follow.heard(event, parser.retry) if event else None
                        if snapshot is not None:
                            yield cast("Snapshot", snapshot)
            except ReadError as e:
                await asyncio.sleep(follow.lost(e))

    async def _answer(self, target: Target) -> Any:
        for last in (not callable(self._settings.token), True):  # a second time with a new token
            headers = target.headers(await awaited(self._settings.token))
            async with Connection(target, headers, self._seconds) as c:
                if last or c.status != 401:
                    return target.decode(c.status, c.headers, await c.read(self._seconds))
        raise AssertionError  # the second round returns or raises


def _reader() -> Reader:
    return Reader(**_client.reading())


async def get(batch: str, *, at: datetime | None = None) -> Snapshot:
    """Returns the snapshot of a batch; with at, as it was at that past moment. Raises ReadError."""
    return await _reader().get(batch, at=at)


async def explain(batch: str, *, at: datetime | None = None) -> Explanation:
    """Explains why a batch's health is what it is; with at, what it was at that past moment. Raises ReadError."""
    return await _reader().explain(batch, at=at)


def list(**filters: Unpack[Filters]) -> AsyncIterator[Row]:  # noqa: A001 (always written aio.list)
    """Yields the batches of the namespace. The filters are those of headway.list. Raises ReadError."""
    return _reader().list(**filters)


def watch(
    batch: str,
    *,
    timeout: float | None = None,
    on_state: Callable[[State], object] | None = None,
) -> AsyncIterator[Snapshot]:
    """Yields the snapshot of a batch, and a newer one whenever it changes, until the batch has ended. The arguments are those of
    headway.watch."""
    return _reader().watch(batch, timeout=timeout, on_state=on_state)
