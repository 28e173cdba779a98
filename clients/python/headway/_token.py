"""The token that a request is sent with: a text, or what a function returns."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any, Callable, Union

from ._read_error import CredentialError
from ._redact import redact

Token = Union[str, Callable[[], str]]
AsyncToken = Union[Token, Callable[[], Awaitable[str]]]


def sendable(token: str) -> bool:
    """Whether a text can be sent in a header."""
    return token.isascii() and (token == "" or token.isprintable())


def current(token: AsyncToken) -> str:
    """The token for the next request. Raises CredentialError."""
    if isinstance(token, str):
        return token
    try:
        value: Any = token()
    except Exception as e:
        raise _failed(e) from e
    if inspect.iscoroutine(value):
        value.close()
        raise CredentialError(0, "token", "token: only headway.aio takes an async function")
    return _checked(value)


def asking(namespace: str, token: str) -> dict[str, str]:
    """The headers that say who asks, and about which namespace."""
    headers = {"User-Agent": "headway-python"}
    if namespace:
        headers["X-Namespace"] = namespace
    if token:
        headers["Authorization"] = "Bearer " + token
    return headers


async def awaited(token: AsyncToken) -> str:
    """The same in asyncio."""
    if isinstance(token, str):
        return token
    try:
        value: Any = token()
        if inspect.isawaitable(value):
            value = await value
    except Exception as e:
        raise _failed(e) from e
    return _checked(value)


def _failed(e: Exception) -> CredentialError:
    return CredentialError(0, "token", f"token: the function raised {redact(f'{type(e).__name__}: {e}')[:300]}")


def _checked(value: Any) -> str:
    """Says of a wrong value only its type, because it may be a secret."""
    if not isinstance(value, str) or not sendable(value):
        what = "a text that isn't printable ASCII" if isinstance(value, str) else f"a value of type {type(value).__name__}"
        raise CredentialError(0, "token", f"token: the function returned {what}")
    return value
