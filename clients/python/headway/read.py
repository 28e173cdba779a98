"""Reads diagnoses: how a batch is doing, why it waits, and what to do.

    reader = headway.read.Reader()
    cause = reader.diagnostics("btch_1")["cause"]
    for snapshot in reader.watch("btch_1", timeout=600):
        print(snapshot["health"])

Unlike the functions that report progress, a reader raises if there is no answer.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from . import _settings
from ._read_error import ReadError, refused
from ._watch import LARGEST, State, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Callable

    from .answers import Explanation, Row, Snapshot

__all__ = ["ReadError", "Reader", "State"]

SCHEMES = urllib.request.build_opener(urllib.request.HTTPHandler, urllib.request.HTTPSHandler)


class Reader:
    """Reads from one API. url, namespace and token default to the environment. It may be used by several threads."""

    def __init__(
        self,
        *,
        url: str | None = None,
        namespace: str | None = None,
        token: str | None = None,
        seconds: float = 10.0,
    ) -> None:
        """timeout is in seconds, for each answer. Raises ValueError with the name of the invalid argument."""
        settings = _settings.read(url=url, namespace=namespace, token=token)
        if not settings.url:
            raise ValueError("url: there is no API to read from")
        self._base, self._seconds = settings.url, seconds
        self._headers = {"Accept": "application/json", "X-Namespace": settings.namespace, "User-Agent": "headway-python"}
        if settings.token:
            self._headers["Authorization"] = "Bearer " + settings.token

    def diagnostics(self, batch: str) -> Snapshot:
        """Returns the snapshot of a batch. Raises ReadError."""
        return cast("Snapshot", self._get(_path(batch)))

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
        for snapshot in Watch(self._base, _path(batch) + "/stream", self._headers, timeout, on_state).snapshots():
            yield cast("Snapshot", snapshot)

    def explain(self, batch: str) -> Explanation:
        """Explains why a batch's health is what it is. Raises ReadError."""
        return cast("Explanation", self._get(_path(batch) + "/explain"))

    def batches(
        self,
        *,
        health: Iterable[str] = (),
        status: Iterable[str] = (),
        text: str = "",
        sort: str = "newest",
        page: int = 200,
    ) -> Iterator[Row]:
        """Yields the batches of the namespace, page by page as they are consumed. Raises ReadError."""
        query = {"health": ",".join(health), "status": ",".join(status), "q": text, "sort": sort, "limit": str(page)}
        while True:
            answer = self._get("/v1/batches?" + urlencode({k: v for k, v in query.items() if v}))
            yield from answer["batches"]
            if answer["next_cursor"] is None:
                return
            query["cursor"] = answer["next_cursor"]

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self._base + path, headers=self._headers)  # noqa: S310 (http and https only: see SCHEMES)
        try:
            with SCHEMES.open(request, timeout=self._seconds) as reply:
                return json.loads(reply.read(LARGEST))
        except urllib.error.HTTPError as e:
            raise refused(e.code, e.headers, e.read) from None
        except (OSError, ValueError) as e:
            raise ReadError(0, "unreachable", f"Headway can't be read: {getattr(e, 'reason', e)}") from e


def _path(batch: str) -> str:
    return f"/v1/analytics/performance/batches/{quote(batch, safe='')}/diagnostics"
