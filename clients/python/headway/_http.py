"""POST requests to Headway, one at a time over a connection that is kept open."""

from __future__ import annotations

# Connecting imports this module. If the process forked while the sending thread imports it, the import lock would
# stay held in the child.
import encodings.idna  # noqa: F401
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ._settings import Settings

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0


class Refusal(NamedTuple):
    at: int  # index of the event in the request
    field: str
    reason: str


class Answer(NamedTuple):
    status: int  # 0: no answer
    why: str  # without address and credentials
    refused: tuple[Refusal, ...] = ()
    after: float | None = None  # seconds to wait, if the server gave them


class Poster:
    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path + "/v1/events"
        self._headers = {
            "Content-Type": "application/cloudevents-batch+json",
            "X-Namespace": settings.namespace,
            "User-Agent": "headway-python",
        }
        if settings.token:
            self._headers["Authorization"] = "Bearer " + settings.token
        self._open: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def forget(self) -> None:
        """Drops the connection without closing it: after a fork it belongs to the parent."""
        self._open = None

    def post(self, events: list[dict[str, Any]], seconds: float = REPLY_SECONDS) -> Answer:
        """Never raises."""
        try:
            body = json.dumps(events, separators=(",", ":")).encode()
            return self._post(body, seconds)
        except Exception as e:
            self.close()
            return Answer(0, f"{type(e).__name__}: {e}")

    def _post(self, body: bytes, seconds: float) -> Answer:
        for fresh in (self._open is None, True):
            connection = self._connection(min(seconds, CONNECT_SECONDS))
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(seconds)
                connection.request("POST", self._path, body, self._headers)
                reply = connection.getresponse()
                content = reply.read(1 << 20)
                if not reply.isclosed():
                    self.close()
                return _answer(reply.status, reply.getheader("Retry-After"), content)
            except (http.client.RemoteDisconnected, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError):
                self.close()  # an idle connection may have been closed; sending twice counts nothing twice
                if fresh:
                    raise
        raise AssertionError  # the second round returns or raises

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self._open is None:
            connection: http.client.HTTPConnection | http.client.HTTPSConnection
            if self._secure:
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
            connection.connect()
            self._open = connection
        return self._open


def _answer(status: int, after: str | None, content: bytes) -> Answer:
    seconds = float(after) if after and after.isdecimal() else None
    if status == 202:
        return Answer(status, "")
    error: dict[str, Any] = {}
    try:
        said = json.loads(content)["error"]
        error = said if isinstance(said, dict) else {}
    except (ValueError, TypeError, KeyError):
        pass  # for example a proxy's page
    refused = tuple(_refusals(error)) if status == 400 else ()
    return Answer(status, f"HTTP {status} {str(error.get('message', ''))[:200]}".rstrip(), refused, seconds)


def _refusals(error: dict[str, Any]) -> list[Refusal]:
    try:
        named = error["details"]["errors"]
        return [Refusal(int(e["index"]), str(e.get("field", "")), str(e.get("reason", ""))) for e in named]
    except (KeyError, TypeError, ValueError):
        return []
