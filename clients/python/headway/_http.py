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

from ._read_error import CredentialError
from ._refusal import FOREIGN, refusal_of
from ._token import asking, current

if TYPE_CHECKING:
    from email.message import Message

    from ._settings import Settings

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0


class Rejected(NamedTuple):
    at: int  # index of the event in the request
    field: str
    reason: str


class Answer(NamedTuple):
    status: int  # 0: no answer
    why: str  # without credentials
    refused: tuple[Rejected, ...] = ()
    after: float | None = None  # seconds to wait, if the server gave them
    needs: bool = False  # the same request is refused until somebody changes the token, its rights, or the address


class Poster:
    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path + "/v1/events"
        self._settings = settings
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
            answer = self._post(body, seconds)
            again = answer.status == 401 and callable(self._settings.token)
            return self._post(body, seconds) if again else answer  # with a new token
        except CredentialError as e:
            return Answer(0, str(e), needs=True)
        except Exception as e:
            self.close()
            return Answer(0, f"{type(e).__name__}: {e}")

    def _post(self, body: bytes, seconds: float) -> Answer:
        headers = asking(self._settings.namespace, current(self._settings.token))
        headers["Content-Type"] = "application/cloudevents-batch+json"
        for fresh in (self._open is None, True):
            connection = self._connection(min(seconds, CONNECT_SECONDS))
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(seconds)
                connection.request("POST", self._path, body, headers)
                reply = connection.getresponse()
                content = reply.read(1 << 20)
                if not reply.isclosed():
                    self.close()
                return _answer(self._settings, reply.status, reply.headers, content)
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


def _answer(settings: Settings, status: int, headers: Message, content: bytes) -> Answer:
    if status == 202:
        return Answer(status, "")
    r = refusal_of(status, headers, content)
    why = r._replace(message=r.message[:200]).sentence(settings, FOREIGN)
    return Answer(status, why, tuple(_rejected(r.details)) if status == 400 else (), r.after, r.needs_somebody)


def _rejected(details: dict[str, Any]) -> list[Rejected]:
    try:
        return [Rejected(int(e["index"]), str(e.get("field", "")), str(e.get("reason", ""))) for e in details["errors"]]
    except (KeyError, TypeError, ValueError):
        return []
