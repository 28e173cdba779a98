"""Why there is no answer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message
    from typing import Callable


class ReadError(Exception):
    """There is no answer. status is the HTTP status, or 0 without one; kind is the error's type, as in docs/api.md."""

    def __init__(self, status: int, kind: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after = status, kind, retry_after

    @property
    def not_found(self) -> bool:
        """Whether the batch doesn't exist, or the caller may not see it."""
        return self.status == 404 and self.kind == "not_found"

    @property
    def may_pass(self) -> bool:
        """Whether a retry may succeed soon."""
        return self.status in {0, 408, 429} or self.status >= 500


def refused(status: int, headers: Message, read: Callable[[int], bytes]) -> ReadError:
    """The error of an answer with an error status, of which read returns the body."""
    after = headers.get("Retry-After", "")
    error: Any = {}
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # for example a proxy's page
        error = json.loads(read(1 << 20))["error"]
    if not isinstance(error, dict):
        error = {}
    message = str(error.get("message", "")) or f"HTTP {status}"
    return ReadError(status, str(error.get("type", "")), message, float(after) if after.isdecimal() else None)
