"""A batch, live: server-sent events over as many connections as it takes."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from ._read_error import ReadError, refused

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Callable

State = Literal["connecting", "waiting", "live", "disconnected"]

LARGEST = 64 << 20  # bytes of an answer
SILENCE = 45.0  # seconds without a byte after which a connection counts as lost: the API sends a comment every 15 s
FIRST_RETRY, LAST_RETRY = 0.25, 15.0
SHOWN = {"snapshot", "update", "health", "end"}  # a later version may send others


class Event(NamedTuple):
    kind: str
    data: str
    id: str


class View(NamedTuple):
    stream: str  # the identity within which revisions are comparable
    revision: int
    id: str
    as_of: tuple[str, str]


class Watch:
    def __init__(
        self,
        base: str,
        path: str,
        headers: dict[str, str],
        timeout: float | None,
        on_state: Callable[[State], object] | None,
    ) -> None:
        self._base, self._path = urlsplit(base), path
        self._headers = {**headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout  # of the first snapshot
        self._on_state = on_state
        self._state: State | None = None
        self._last_id = ""
        self._shown: View | None = None  # of what was yielded last
        self._first_retry = FIRST_RETRY
        self._failures = 0

    def snapshots(self) -> Iterator[dict[str, Any]]:
        self._is("connecting")
        absent: ReadError | None = None  # there is no such batch: the next connection waits for it
        while True:
            try:
                yield from self._connection(wait=absent is not None)
            except ReadError as e:
                if absent is not None and e.status == 0 and self._left() <= 0:
                    raise ReadError(absent.status, absent.kind, f"waited for {self._timeout:g} s in vain: {absent}") from None
                if absent is None and e.not_found and self._shown is None and self._left() > 0:
                    # Only an answer to a stream that doesn't wait can tell this: one that waits is silent.
                    absent = e
                    self._is("waiting")
                    continue
                if not e.may_pass or self._left() <= 0:
                    raise
                self._pause(e)
                absent = None
            else:
                return

    def _is(self, state: State) -> None:
        if state != self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(state)

    def _left(self) -> float:
        """The seconds in which the first snapshot has to come."""
        if self._deadline is None or self._shown is not None:
            return float("inf")
        return self._deadline - time.monotonic()

    def _pause(self, e: ReadError) -> None:
        self._is("disconnected")
        backoff = min(self._first_retry * 2**self._failures, LAST_RETRY) * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
        self._failures += 1
        time.sleep(max(0.0, min(max(backoff, e.retry_after or 0.0), self._left())))

    def _connection(self, *, wait: bool) -> Iterator[dict[str, Any]]:
        """Yields what one connection brings. Returns at the end of the batch; raises ReadError where it is lost."""
        connection = self._connect()
        try:
            for event in self._events(connection, wait=wait):
                if event.kind not in SHOWN:
                    continue
                snapshot, view = self._decode(event)
                self._last_id, self._failures = event.id, 0
                if _newer(view, self._shown):
                    self._shown = view
                    self._is("live")
                    yield snapshot
                if event.kind == "end":
                    return
        except (OSError, http.client.HTTPException) as e:
            raise ReadError(0, "unreachable", f"Headway can't be read: {e}") from e
        finally:
            connection.close()

    def _decode(self, event: Event) -> tuple[dict[str, Any], View]:
        try:
            snapshot = json.loads(event.data)
            view = snapshot["view"]
            return snapshot, View(view["id"].partition("-")[0], int(view["revision"]), view["id"], _moment(view["as_of"]))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            self._last_id = ""  # the next connection begins with a snapshot
            raise ReadError(0, "bad_answer", f"an event can't be parsed: {e}") from e

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "https":
            return http.client.HTTPSConnection(host, port, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port)

    def _events(self, connection: http.client.HTTPConnection, *, wait: bool) -> Iterator[Event]:
        """Ends where the server says that nothing follows."""
        connection.timeout = self._patience()
        connection.connect()
        sock: socket.socket = connection.sock
        headers = {**self._headers, "Last-Event-ID": self._last_id} if self._last_id else self._headers
        connection.request("GET", self._base.path + self._path + ("" if wait else "?wait=false"), headers=headers)
        with connection.getresponse() as reply:
            if reply.status == 204:
                return
            if reply.status != 200:
                raise refused(reply.status, reply.headers, reply.read)
            if self._last_id:
                self._is("live")  # who is up to date may hear nothing for a long time
            yield from self._parse(reply, sock)
        raise ReadError(0, "cut", "the connection was cut")

    def _patience(self) -> float:
        return max(0.001, min(SILENCE, self._left()))

    def _parse(self, reply: http.client.HTTPResponse, sock: socket.socket) -> Iterator[Event]:
        kind, last_id = "", ""
        data: list[str] = []
        while True:
            sock.settimeout(self._patience())
            line = reply.readline(LARGEST)
            if not line.endswith(b"\n"):
                return  # cut, or longer than any event
            text = line.decode().rstrip("\r\n")
            if not text:
                if data:
                    yield Event(kind, "\n".join(data), last_id)
                kind, data = "", []
            field, _, value = text.partition(":")  # a comment has an empty field
            value = value.removeprefix(" ")
            if field == "event":
                kind = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                last_id = value
            elif field == "retry" and value.isdecimal():
                self._first_retry = min(max(int(value) / 1000, FIRST_RETRY), LAST_RETRY)


def _newer(view: View, shown: View | None) -> bool:
    """Within one stream identity only a newer revision may follow, or the same one of another fold version or a later moment."""
    if shown is None or view.stream != shown.stream:
        return True
    if view.revision != shown.revision:
        return view.revision > shown.revision
    return view.id != shown.id or view.as_of > shown.as_of


def _moment(time: str) -> tuple[str, str]:
    """A time in UTC in a form that compares, whatever the number of its decimals."""
    seconds, _, decimals = time.removesuffix("Z").partition(".")
    return seconds, decimals.ljust(9, "0")
