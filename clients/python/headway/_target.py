"""What to ask the API for, and what its answers mean."""

from __future__ import annotations

import contextlib
import json
import ssl
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from urllib.parse import quote, urlencode, urlsplit

from . import _settings
from ._read_error import ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from typing import Union
    from urllib.parse import SplitResult

    from ._settings import Settings

    Words = Union[str, Iterable[str]]

LARGEST = 64 << 20  # bytes of an answer


class Target(NamedTuple):
    """A resource of the API."""

    settings: Settings
    path: str  # with the query
    what: str  # as messages name it

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.settings.url)

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = {"X-Namespace": self.settings.namespace, "User-Agent": "headway-python", "Accept": "application/json"}
        if self.settings.token:
            headers["Authorization"] = "Bearer " + self.settings.token
        return {**headers, **(more or {})}

    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context() if self.url.scheme == "https" else None

    def decode(self, status: int, headers: Message, body: bytes) -> Any:
        """Returns what an answer says. Raises ReadError."""
        if status != 200:
            raise self.refused(status, headers, body)
        try:
            return json.loads(body)
        except ValueError:
            raise self.not_headway(status, headers) from None

    def refused(self, status: int, headers: Message, body: bytes) -> ReadError:
        """The error of an answer with an error status."""
        after = headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else None
        error: Any = {}
        with contextlib.suppress(ValueError, TypeError, KeyError):  # for example a proxy's page
            error = json.loads(body)["error"]
        if not isinstance(error, dict):
            error = {}
        kind = str(error.get("type", ""))
        why = self._why(status, kind, headers, seconds)
        said = f"HTTP {status}" + (f", {error['message']}" if error.get("message") else "")
        return ReadError(status, kind, f"{self.what}: {why} ({said})" if why else f"{self.what}: {said}", seconds)

    def unreachable(self, error: BaseException | str) -> ReadError:
        why = str(error) or type(error).__name__
        return ReadError(0, "unreachable", f"{self.what}: {self.settings.url} can't be read: {why}")

    def cut(self) -> ReadError:
        return ReadError(0, "cut", f"{self.what}: the connection was cut")

    def not_headway(self, status: int, headers: Message) -> ReadError:
        kind = headers.get("Content-Type", "without a type")
        return ReadError(status, "bad_answer", f"{self.what}: what {self.settings.url} answers ({kind}) isn't Headway's")

    def _why(self, status: int, kind: str, headers: Message, seconds: float | None) -> str:
        url, token = self.settings.url, self.settings.token
        if 300 <= status < 400:
            return f"{url} leads to {headers.get('Location', 'elsewhere')}: a proxy or a sign-in page stands before Headway"
        if status == 404 and kind != "not_found":
            return f"{url} isn't the address of a Headway"
        return {
            401: f"{url} doesn't accept the token" if token else f"{url} wants a token: set HEADWAY_TOKEN, or token",
            403: "the token doesn't allow it" if token else "it isn't allowed without a token",
            404: "there is no such batch, or you may not see it",
            429: "too much at once" + (f", try again in {seconds:g} s" if seconds else ""),
        }.get(status, "")


def settings_of(url: str | None, namespace: str | None, token: str | None) -> Settings:
    """Raises ValueError with the name of the invalid argument."""
    settings = _settings.read(url=url, namespace=namespace, token=token)
    if not settings.url:
        raise ValueError("url: there is no API to read from")
    return settings


def one(settings: Settings, batch: str, more: str = "") -> Target:
    path = f"/v1/analytics/performance/batches/{quote(batch, safe='')}/diagnostics{more}"
    return Target(settings, path, f'batch "{batch}" in namespace "{settings.namespace}"')


class Filters(TypedDict, total=False):
    """What a list is filtered and ordered by, as type checkers and editors see it. Those of many, which has the defaults."""

    health: Words
    status: Words
    pipeline: str
    labels: Mapping[str, str] | None
    text: str
    created_after: datetime | None
    created_before: datetime | None
    sort: str
    page: int


def many(
    settings: Settings,
    cursor: str | None = None,
    *,
    health: Words = (),
    status: Words = (),
    pipeline: str = "",
    labels: Mapping[str, str] | None = None,
    text: str = "",
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    sort: str = "newest",
    page: int = 200,
) -> Target:
    query = [
        ("health", _joined(health)),
        ("status", _joined(status)),
        ("pipeline", pipeline),
        *(("label", f"{key}:{value}") for key, value in (labels or {}).items()),
        ("q", text),
        ("created_after", _moment(created_after)),
        ("created_before", _moment(created_before)),
        ("sort", sort),
        ("limit", str(page)),
        ("cursor", cursor or ""),
    ]
    path = "/v1/batches?" + urlencode([(name, value) for name, value in query if value])
    return Target(settings, path, f'the batches of namespace "{settings.namespace}"')


def _joined(words: Words) -> str:
    return words if isinstance(words, str) else ",".join(words)


def _moment(at: datetime | None) -> str:
    """A time without a zone is local."""
    return "" if at is None else at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
