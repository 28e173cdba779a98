"""The settings: destination, identity, and how much to buffer while sending fails."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

from ._token import AsyncToken, Token, sendable

DEFAULT_URL = "http://127.0.0.1:8080"
NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class Settings:
    url: str  # "" disables reporting
    namespace: str  # "": the only one of the token, else the API's default
    source: str
    token: AsyncToken = ""
    interval: float = 1.0  # seconds between two sends while counts change
    exit_seconds: float = 5.0  # upper limit of the wait at the end of the process
    buffer: int = 10_000  # events and changed counters kept while nothing can be sent

    def __repr__(self) -> str:  # never the token
        return f"Settings(url={self.url!r}, namespace={self.namespace!r}, source={self.source!r})"

    def __getstate__(self) -> dict[str, object]:
        """Leaves out the token: Ray stores pickled handles. Where a handle is unpickled, the token is taken from the
        environment."""
        return {k: v for k, v in self.__dict__.items() if k != "token"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.__dict__["token"] = os.environ.get("HEADWAY_TOKEN", "")


class Place(TypedDict, total=False):
    """Where to read."""

    url: str | None
    namespace: str | None
    token: Token | None


class Options(TypedDict, total=False):
    """What configure and Client take, as type checkers and editors see it. Those of read, which says what each defaults to."""

    url: str | None
    namespace: str | None
    token: Token | None
    source: str | None
    interval: float
    exit_seconds: float
    buffer: int


def read(
    *,
    url: str | None = None,
    namespace: str | None = None,
    token: AsyncToken | None = None,
    source: str | None = None,
    interval: float = 1.0,
    exit_seconds: float = 5.0,
    buffer: int = 10_000,
) -> Settings:
    """Reads the settings. Arguments take precedence over the environment. Raises ValueError with the name of the
    invalid one."""
    env = os.environ.get
    url = env("HEADWAY_URL", DEFAULT_URL) if url is None else url
    namespace = env("HEADWAY_NAMESPACE", "") if namespace is None else namespace
    token = env("HEADWAY_TOKEN", "") if token is None else token
    source = env("HEADWAY_SOURCE", "headway-python") if source is None else source
    if url in {"", "off"}:
        url = ""
    else:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("url: must be http://host[:port][/path] or https://…, without user, query and fragment")
    if namespace and not NAMESPACE.fullmatch(namespace):
        raise ValueError("namespace: must be 1 to 128 letters, digits, _ and -")
    if not 1 <= len(source) <= 512 or not source.isprintable():
        raise ValueError("source: must be 1 to 512 printable characters")
    if not (callable(token) or (isinstance(token, str) and sendable(token))):
        raise ValueError("token: must be printable ASCII, or a function that returns it")
    if not interval > 0 or not exit_seconds >= 0 or buffer < 1:
        raise ValueError("interval, exit_seconds and buffer: must be positive")
    return Settings(url.rstrip("/"), namespace, source, token, float(interval), float(exit_seconds), int(buffer))
