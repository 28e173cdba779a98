"""Reads diagnoses: how a batch is doing, why it waits, and what to do.

    reader = headway.read.Reader()
    cause = reader.diagnostics("btch_1")["cause"]

Unlike the functions that report progress, a reader raises if there is no answer.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from . import _settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .answers import Explanation, Row, Snapshot

LARGEST = 64 << 20  # bytes of an answer
SCHEMES = urllib.request.build_opener(urllib.request.HTTPHandler, urllib.request.HTTPSHandler)


class ReadError(Exception):
    """There is no answer. status is the HTTP status, or 0 without one; kind is the error's type, as in docs/api.md."""

    def __init__(self, status: int, kind: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after = status, kind, retry_after

    @property
    def not_found(self) -> bool:
        """Whether the batch doesn't exist, or the caller may not see it."""
        return self.status == 404 and self.kind == "not_found"


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
            raise _refused(e) from None
        except (OSError, ValueError) as e:
            raise ReadError(0, "unreachable", f"Headway can't be read: {getattr(e, 'reason', e)}") from e


def _path(batch: str) -> str:
    return f"/v1/analytics/performance/batches/{quote(batch, safe='')}/diagnostics"


def _refused(e: urllib.error.HTTPError) -> ReadError:
    after = e.headers.get("Retry-After", "")
    error: Any = {}
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # for example a proxy's page
        error = json.loads(e.read(1 << 20))["error"]
    if not isinstance(error, dict):
        error = {}
    message = str(error.get("message", "")) or f"HTTP {e.code}"
    return ReadError(e.code, str(error.get("type", "")), message, float(after) if after.isdecimal() else None)
