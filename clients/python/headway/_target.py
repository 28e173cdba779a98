"""What to ask the API for, and what its answers mean."""

from __future__ import annotations

import json
import ssl
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypedDict, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from . import _settings
from ._read_error import ReadError, error_of
from ._refusal import FOREIGN, refusal_of
from ._token import AsyncToken, asking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message
    from typing import Union
    from urllib.parse import SplitResult

    from ._settings import Settings

    Words = Union[str, Iterable[str]]

LARGEST = 64 << 20  # bytes of an answer
T = TypeVar("T", bound=AsyncToken)


class Target(NamedTuple):
    """A resource of the API."""

    settings: Settings
    path: str  # with the query
    what: str  # as messages name it
    absent: str = "there is no such batch, or you may not see it"  # what a 404 means

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.settings.url)

    def headers(self, token: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**asking(self.settings.namespace, token), "Accept": "application/json", **(more or {})}

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

    def refused(self, status: int, headers: Message | None, body: bytes | str) -> ReadError:
        """The error of an answer with an error status."""
        r = refusal_of(status, headers, body)
        return error_of(status, r.kind, f"{self.what}: {r.sentence(self.settings, self.absent)}", r.after, r.details)

    def unreachable(self, error: BaseException | str) -> ReadError:
        why = str(error) or type(error).__name__
        return ReadError(0, "unreachable", f"{self.what}: {self.settings.url} can't be read: {why}")

    def cut(self) -> ReadError:
        return ReadError(0, "cut", f"{self.what}: the connection was cut")

    def not_headway(self, status: int, headers: Message) -> ReadError:
        kind = headers.get("Content-Type", "without a type")
        return ReadError(status, "bad_answer", f"{self.what}: what {self.settings.url} answers ({kind}) isn't Headway's")


class Asks(Generic[T]):
    """What both Readers are made of. T is what each of them takes as token."""

    def __init__(
        self,
        *,
        url: str | None = None,
        namespace: str | None = None,
        token: T | None = None,
        seconds: float = 10.0,
    ) -> None:
        """token is a text, or a function that returns it: it is called for each request, and once more if the token isn't
        accepted. seconds limits how long each answer takes. Raises ValueError with the name of the invalid argument."""
        self._settings, self._seconds = _settings.read(url=url, namespace=namespace, token=token), seconds
        if not self._settings.url:
            raise ValueError("url: there is no API to read from")


def one(settings: Settings, batch: str, more: str = "", at: datetime | None = None) -> Target:
    path = f"/v1/analytics/performance/batches/{quote(batch, safe='')}/diagnostics{more}"
    if at:
        path += "?" + urlencode({"at": _moment(at)})
    return Target(settings, path, f'batch "{batch}"{_within(settings)}')


def _within(settings: Settings) -> str:
    return f' in namespace "{settings.namespace}"' if settings.namespace else ""


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
    return Target(settings, path, f"the batches{_within(settings)}", FOREIGN)


def _joined(words: Words) -> str:
    return words if isinstance(words, str) else ",".join(words)


def _moment(at: datetime | None) -> str:
    """A time without a zone is local."""
    return "" if at is None else at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
