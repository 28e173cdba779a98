"""What an answer that isn't the one that was asked for means, and what can be done about it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ._read_error import limit_of

if TYPE_CHECKING:
    from email.message import Message

    from ._settings import Settings

# What a 404 means where there is no batch in question.
FOREIGN = "the namespace isn't one of the token: set HEADWAY_NAMESPACE, or namespace"


class Refusal(NamedTuple):
    """What an answer says. What Headway itself didn't say is empty, for example in a proxy's page."""

    status: int
    kind: str
    message: str
    details: dict[str, Any]
    after: float | None  # seconds to wait
    location: str

    @property
    def needs_somebody(self) -> bool:
        """Whether the same request is refused until somebody changes the token, its rights, or the address."""
        return 300 <= self.status < 400 or self.status in {401, 403, 404, 410, 421} or self.kind == "token"

    def sentence(self, settings: Settings, absent: str) -> str:
        """The meaning in plain words, with what to do, and what the server said. absent is what a 404 means."""
        why = self._why(settings, absent)
        said = f"HTTP {self.status}" + (f", {self.message}" if self.message else "")
        return f"{why} ({said})" if why else said

    def _why(self, settings: Settings, absent: str) -> str:  # noqa: PLR0911 (a case each)
        url, status = settings.url, self.status
        if 300 <= status < 400:
            return f"{url} leads to {self.location or 'elsewhere'}: a proxy or a sign-in page stands before Headway"
        if status == 401:
            return self._unknown(settings)
        if status == 403:
            return self._forbidden(has_token=bool(settings.token))
        if status == 404:
            return absent if self.kind == "not_found" else f"{url} isn't the address of a Headway"
        if status == 421:
            return f"Headway doesn't answer under the host name of {url}: use another, or allow it with --allowed-host"
        again = f", try again in {self.after:g} s" if self.after else ""
        if status == 429:
            limit = limit_of(self.kind, self.details)
            return (f'the limit "{limit}" is reached' if limit else "too much at once") + again
        if status == 503:
            unsure = self.kind == "access_unavailable"
            return ("Headway can't check the token at the moment" if unsure else "Headway can't answer at the moment") + again
        return ""

    def _unknown(self, settings: Settings) -> str:
        if not settings.token:
            return f"{settings.url} wants a token: set HEADWAY_TOKEN, or token"
        return {
            "credential_invalid": f"{settings.url} doesn't know the token: revoked, or of another Headway. Get another one",
            "credential_expired": "the token has expired: get a new one",
            "credential_ended": "the token was revoked or changed: get the present one",
        }.get(self.kind, f"{settings.url} doesn't accept the token")

    def _forbidden(self, *, has_token: bool) -> str:
        if not has_token:
            return "it isn't allowed without a token: set HEADWAY_TOKEN, or token"
        return {
            "role_missing": "the token lacks a role: ask for one that has it",
            "namespaces_missing": "the token isn't for all namespaces: ask for one that is for *",
        }.get(self.kind, "the token doesn't allow it")


def refusal_of(status: int, headers: Message | None, body: bytes | str) -> Refusal:
    """Reads an answer. It never raises."""
    error: Any = {}
    with contextlib.suppress(ValueError, TypeError, KeyError):
        error = json.loads(body)["error"]
    if not isinstance(error, dict):
        error = {}
    details = error.get("details")
    after = "" if headers is None else headers.get("Retry-After", "")
    return Refusal(
        status,
        str(error.get("type", "")),
        str(error.get("message", "")),
        details if isinstance(details, dict) else {},
        float(after) if after.isdecimal() else None,
        "" if headers is None else headers.get("Location", ""),
    )
