"""Reads diagnoses: how a batch is doing, why it waits, and what to do.

    cause = headway.get("btch_1")["cause"]
    for snapshot in headway.watch("btch_1", timeout=600):
        print(snapshot["health"])

A Reader reads from another API than the environment's. Unlike the functions that report progress, all of these raise if there
is no answer. headway.aio has the same for asyncio.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from typing import TYPE_CHECKING, Any, cast

from ._follow import Follow, Parser, State
from ._read_error import ReadError
from ._target import LARGEST, Asks, Target, many, one
from ._token import Token, current

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Callable

    from typing_extensions import Unpack

    from ._target import Filters
    from .answers import BatchList, Explanation, Row, Snapshot

__all__ = ["ReadError", "Reader", "State"]


class Reader(Asks[Token]):
    """Reads from one API. url, namespace and token default to the environment. It may be used by several threads."""

    def get(self, batch: str, *, at: datetime | None = None) -> Snapshot:
        """Returns the snapshot of a batch; with at, as it was at that past moment. Raises ReadError."""
        return cast("Snapshot", self._answer(one(self._settings, batch, at=at)))

    def explain(self, batch: str, *, at: datetime | None = None) -> Explanation:
        """Explains why a batch's health is what it is; with at, what it was at that past moment. Raises ReadError."""
        return cast("Explanation", self._answer(one(self._settings, batch, "/explain", at)))

    def list(self, **filters: Unpack[Filters]) -> Iterator[Row]:
        """Yields the batches of the namespace, page by page as they are consumed. Filters: health, status (a word or several),
        pipeline, labels, text, created_after, created_before; sort is newest, or need: those first that need somebody; page is
        how many are read at a time. Raises ReadError."""
        return (row for answer in self.pages(**filters) for row in answer["batches"])

    def pages(self, **filters: Unpack[Filters]) -> Iterator[BatchList]:
        """Yields the pages of such a list, with the counts of the namespace, and with the reasons why batches may be missing."""
        target: Target | None = many(self._settings, **filters)
        while target is not None:
            answer: BatchList = self._answer(target)
            yield answer
            cursor = answer["next_cursor"]
            target = None if cursor is None else many(self._settings, cursor, **filters)

    def watch(
        self,
        batch: str,
        *,
        timeout: float | None = None,
        on_state: Callable[[State], object] | None = None,
    ) -> Iterator[Snapshot]:
        """Yields the snapshot of a batch, and a newer one whenever it changes, until the batch has ended.

        A batch that nobody has heard of is waited for. timeout limits how many seconds pass until the first snapshot; then
        the reason why there is none is raised, as a ReadError that is not_found where there is no such batch. Without it
        there is no limit. A lost connection is opened again. Raises ReadError for what a retry can't change.

        on_state is called with each state: connecting, waiting (there is no such batch yet), live, disconnected."""
        follow = Follow(one(self._settings, batch, "/stream"), timeout, on_state)
        while not follow.over:
            try:
                yield from _connection(follow)
            except ReadError as e:
                time.sleep(follow.lost(e))

    diagnostics, batches = get, list  # noqa: A003 (their names in 0.2.0)

    def _answer(self, target: Target) -> Any:
        for last in (not callable(self._settings.token), True):  # a second time with a new token
            with _Connection(target, target.headers(current(self._settings.token)), self._seconds) as c:
                if last or c.reply.status != 401:
                    return target.decode(c.reply.status, c.reply.headers, c.read())
        raise AssertionError  # the second round returns or raises


def _connection(follow: Follow) -> Iterator[Snapshot]:
    """Yields what one connection brings. Returns at the end of the batch; raises ReadError where it is lost."""
    target = follow.next()
    token = current(target.settings.token)
    with _Connection(target, follow.headers(token), follow.patience()) as c:
        if not follow.opened(c.reply.status, c.reply.headers):
            raise target.refused(c.reply.status, c.reply.headers, c.read())
        parser = Parser()
        while not follow.over:
            event = parser.line(c.line(follow.patience()))
            snapshot = follow.heard(event, parser.retry) if event else None
            if snapshot is not None:
                yield cast("Snapshot", snapshot)


class _Connection:
    """A connection for one answer. Its methods raise ReadError; what else is raised while it is open is none of its business."""

    def __init__(self, target: Target, headers: dict[str, str], seconds: float) -> None:
        url, tls = target.url, target.tls()
        self._target = target
        self._connection = (
            http.client.HTTPSConnection(url.hostname or "", url.port, timeout=seconds, context=tls)
            if tls
            else http.client.HTTPConnection(url.hostname or "", url.port, timeout=seconds)
        )
        try:
            with self._failures():
                self._connection.connect()
                self._socket = self._connection.sock
                self._connection.request("GET", url.path + target.path, headers=headers)
                self.reply = self._connection.getresponse()
        except ReadError:
            self._connection.close()
            raise

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.reply.close()
        self._connection.close()

    def read(self) -> bytes:
        with self._failures():
            body = self.reply.read(LARGEST)
        if self.reply.length:  # of what should have followed
            raise self._target.cut()
        return body

    def line(self, seconds: float) -> bytes:
        with self._failures():
            self._socket.settimeout(seconds)
            line = self.reply.readline(LARGEST)
        if not line.endswith(b"\n"):  # cut, or longer than any event
            raise self._target.cut()
        return line

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as e:
            raise self._target.unreachable(e) from e
