"""A batch, live, over as many connections as it takes: what to ask next, and what to show. It neither connects nor waits:
read.py does, and aio.py in its own way.

    connecting ──404──▶ waiting ──first snapshot─▶ live ──end──▶ over
        │                  │                       ▲  │
        └───────────first snapshot─────────────────┘  │
                     disconnected ◀──lost─────────────┘ and back, after a pause

A stream whose token ends has a last event, problem, and counts as lost: the next connection has a new token. After a 401 it is
asked for once more. Only a function can give another token, so with a text both are raised at once.
"""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import _rows
from ._read_error import ReadError, error_of

if TYPE_CHECKING:
    from email.message import Message
    from typing import Callable

    from ._target import Target

State = Literal["connecting", "waiting", "live", "disconnected"]

SILENCE = 45.0  # seconds without a byte after which a connection counts as lost: the API sends a comment every 15 s
FIRST_RETRY, LAST_RETRY = 0.25, 15.0
SHOWN = {"snapshot", "update", "health", "end"}  # a later version may send others
ROWS = "-rows"  # ends the kind of an event that has only what changed


class Event(NamedTuple):
    kind: str
    data: str
    id: str


class View(NamedTuple):
    stream: str  # the identity within which revisions are comparable
    revision: int
    id: str
    as_of: tuple[str, str]


class Follow:
    def __init__(self, target: Target, timeout: float | None, on_state: Callable[[State], object] | None) -> None:
        self._target = target
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout  # of the first snapshot
        self._on_state = on_state
        self._state: State | None = None
        self._absent: ReadError | None = None  # there is no such batch: the next connection waits for it
        self._last_id = ""
        self._shown: View | None = None  # of what was yielded last
        self._first_retry = FIRST_RETRY
        self._in_rows = True  # only what changed is asked for, unless the server knows no such format
        self._base: dict[str, Any] | None = None  # the snapshot of the event before on this connection
        self._refused = False  # the token of the last attempt wasn't accepted
        self._opened = float("inf")  # when the connection was
        self._failures = 0
        self.over = False
        self._is("connecting")

    def next(self) -> Target:
        """What to connect to. Only a stream that doesn't wait can tell that there is no such batch: one that waits is silent."""
        self._base, self._opened = None, float("inf")
        query = "&".join(["wait=false"] * (self._absent is None) + ["format=rows"] * self._in_rows)
        return self._target._replace(path=f"{self._target.path}?{query}" if query else self._target.path)

    def headers(self, token: str) -> dict[str, str]:
        resume = {"Last-Event-ID": self._last_id} if self._last_id else {}
        return self._target.headers(token, {"Accept": "text/event-stream", "Cache-Control": "no-store", **resume})

    def patience(self) -> float:
        """How long to wait for the next byte, in seconds."""
        return max(0.001, min(SILENCE, self._left()))

    def opened(self, status: int, headers: Message) -> bool:
        """Takes the head of an answer. Returns False if it is refused."""
        if status in {200, 204}:
            self._opened = time.monotonic()
        if status == 204:
            self.over = True  # its end was shown already
        elif status != 200:
            return False
        elif headers.get_content_type() != "text/event-stream":
            raise self._target.not_headway(status, headers)
        elif self._last_id:
            self._is("live")  # who is up to date may hear nothing for a long time
        return True

    def heard(self, event: Event, retry: float | None) -> dict[str, Any] | None:
        """Returns the snapshot of an event if it is to be shown."""
        if retry is not None:
            self._first_retry = min(max(retry, FIRST_RETRY), LAST_RETRY)
        kind = event.kind.removesuffix(ROWS)
        if kind == "problem":
            raise self._problem(event)
        if kind not in SHOWN:
            return None
        snapshot, view = self._decode(event)
        self._base = snapshot
        self._failures = 0
        self.over = kind == "end"
        if not newer(view, self._shown):
            return None
        self._shown, self._last_id = view, event.id
        self._is("live")
        return {name: value.copy() if isinstance(value, list) else value for name, value in snapshot.items()}

    def lost(self, e: ReadError) -> float:
        """Returns after how many seconds to connect again. Raises what a retry can't change, and what came too late."""
        left = self._left()
        refused, self._refused = self._refused, e.status == 401
        if self._absent is not None and e.status == 0 and left <= 0:
            absent = self._absent
            raise error_of(absent.status, absent.kind, f"waited for {self._timeout:g} s in vain: {absent}") from None
        if self._absent is None and e.not_found and self._shown is None and left > 0:
            self._absent = e
            self._is("waiting")
            return 0.0
        if self._in_rows and e.status == 400 and e.details.get("field") == "format":
            self._in_rows = False  # an older server: whole events will do
            return 0.0
        if e.status == 401 and callable(self._target.settings.token) and not refused and left > 0:
            return 0.0
        if not e.may_pass or left <= 0 or (e.kind == "token" and self._shown is None):
            raise e
        self._absent = None
        self._is("disconnected")
        if time.monotonic() - self._opened > LAST_RETRY:
            self._failures = 0  # it was good, though nothing may have changed
        backoff = min(self._first_retry * 2.0 ** min(self._failures, 10), LAST_RETRY)
        backoff *= random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
        self._failures += 1
        return max(0.0, min(max(backoff, e.retry_after or 0.0), left))

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

    def _problem(self, event: Event) -> ReadError:
        """Why the stream ended."""
        try:
            e = self._target.refused(int(json.loads(event.data)["status"]), None, event.data)
        except (ValueError, KeyError, TypeError) as bad:
            return ReadError(0, "bad_answer", f"{self._target.what}: a problem can't be parsed: {bad}")
        if e.status == 401 and callable(self._target.settings.token):
            return ReadError(0, e.kind, str(e))  # the next connection has a new token
        return e

    def _decode(self, event: Event) -> tuple[dict[str, Any], View]:
        try:
            snapshot = json.loads(event.data)
            if event.kind.endswith(ROWS):
                snapshot = _rows.apply(self._base, snapshot)
            view = snapshot["view"]
            return snapshot, View(view["id"].partition("-")[0], int(view["revision"]), view["id"], moment(view["as_of"]))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            self._last_id = ""  # the next connection begins with a snapshot
            raise ReadError(0, "bad_answer", f"{self._target.what}: an event can't be parsed: {e}") from e


class Parser:
    """Puts the lines of a stream of server-sent events together."""

    def __init__(self) -> None:
        self._kind, self._id = "", ""
        self._data: list[str] = []
        self.retry: float | None = None  # seconds, as the server last said

    def line(self, line: bytes) -> Event | None:
        """Takes a whole line, and returns the event that it completes."""
        text = line.decode().rstrip("\r\n")
        if not text:
            event = Event(self._kind, "\n".join(self._data), self._id) if self._data else None
            self._kind, self._data = "", []
            return event
        field, _, value = text.partition(":")  # a comment has an empty field
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
        elif field == "id":
            self._id = value
        elif field == "retry" and value.isdecimal():
            self.retry = int(value) / 1000
        return None


def newer(view: View, shown: View | None) -> bool:
    """Within one stream identity only a newer revision may follow, or the same one of another fold version or a later moment."""
    if shown is None or view.stream != shown.stream:
        return True
    if view.revision != shown.revision:
        return view.revision > shown.revision
    return view.id != shown.id or view.as_of > shown.as_of


def moment(time: str) -> tuple[str, str]:
    """A time in UTC in a form that compares, whatever the number of its decimals."""
    seconds, _, decimals = time.removesuffix("Z").partition(".")
    return seconds, decimals.ljust(9, "0")
