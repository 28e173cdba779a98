"""Why there is no answer."""

from __future__ import annotations


class ReadError(Exception):
    """There is no answer. status is the HTTP status, or 0 without one; kind is the error's type, as in docs/api.md; retry_after
    is in seconds, if the server gave it. The message says what was asked for, and what can be done."""

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
