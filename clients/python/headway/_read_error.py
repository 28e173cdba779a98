"""Why there is no answer."""

from __future__ import annotations

from typing import Any


class ReadError(Exception):
    """There is no answer. status is the HTTP status, or 0 without one; kind is the error's type, as in docs/api.md; retry_after
    is in seconds, if the server gave it; details are those of the problem document. The message says what was asked for, and
    what can be done."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after = status, kind, retry_after
        self.details = {} if details is None else details

    @property
    def not_found(self) -> bool:
        """Whether the batch doesn't exist, or the caller may not see it."""
        return self.status == 404 and self.kind == "not_found"

    @property
    def may_pass(self) -> bool:
        """Whether a retry may succeed soon."""
        return self.status in {0, 408, 429} or self.status >= 500


class CredentialError(ReadError):
    """The token is missing, or isn't accepted. kind is credential_missing, credential_invalid, credential_expired, or
    credential_ended: it was revoked while a stream was open. With kind token the function that should return it failed."""


class ForbiddenError(ReadError):
    """The token doesn't allow this. kind is role_missing or namespaces_missing."""


class NotFoundError(ReadError):
    """There is no such batch or namespace, or the caller may not see it."""


class HostError(ReadError):
    """The API doesn't answer under the host name of this address."""


class LimitError(ReadError):
    """A limit is reached. retry_after says when to try again."""

    @property
    def limit(self) -> str:
        """The name of the limit."""
        return limit_of(self.kind, self.details)


class UnavailableError(ReadError):
    """Headway can't answer at the moment."""


BY_STATUS = {401: CredentialError, 403: ForbiddenError, 421: HostError, 429: LimitError, 503: UnavailableError}


def limit_of(kind: str, details: dict[str, Any]) -> str:
    return str(details.get("limit") or kind.removeprefix("too_many_"))


def error_of(
    status: int, kind: str, message: str, retry_after: float | None = None, details: dict[str, Any] | None = None
) -> ReadError:
    """The error of an answer."""
    of: type[ReadError] = NotFoundError if (status, kind) == (404, "not_found") else BY_STATUS.get(status, ReadError)
    return of(status, kind, message, retry_after, details)
