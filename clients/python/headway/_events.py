"""CloudEvents in the form that Headway accepts, with ids derived from their content."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import datetime, timezone
from typing import Any

from ._redact import redact

MAX_COUNT = 2**53
TEXT = 4_000  # characters of a text that Headway keeps
KEY_TEXT = 500  # and of a text that distinguishes entries

Data = dict[str, Any]


def now() -> int:
    """The present time in nanoseconds since 1970."""
    return time.time_ns()


def rfc3339(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{rest:09d}Z"


def text(value: Any, most: int = TEXT) -> str:
    """Converts an object to text that can be encoded as JSON in UTF-8, which lone surrogates can't."""
    try:
        said = value if isinstance(value, str) else str(value)
    except Exception:
        said = f"<{type(value).__name__} without a text>"
    return said[:most].encode("utf-8", "replace").decode("utf-8")


def message(value: Any, most: int = TEXT) -> str:
    """Converts an exception, or what is said of one, to text without secrets. They are removed before the text is cut: one that
    is cut in two may not be recognized."""
    return redact(text(value, 2 * most))[:most]


def short(*parts: str) -> str:
    """Hashes the parts to twelve characters: 72 bits, so that collisions within a batch don't occur in practice."""
    h = hashlib.blake2b("\x00".join(parts).encode(), digest_size=9)
    return base64.urlsafe_b64encode(h.digest()).decode()


def event(kind: str, batch: str, at: int, data: Data, source: str) -> Data:
    """Builds an event. The same facts at the same time give the same event, whoever sends it again."""
    when = rfc3339(at)
    body = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return {
        "specversion": "1.0",
        "id": short(batch, kind, when, body),
        "source": source,
        "type": f"dev.headway.{kind}.v1",
        "subject": batch,
        "time": when,
        "data": data,
    }


def given(**fields: Any) -> Data:
    """Returns the fields that aren't None."""
    return {name: value for name, value in fields.items() if value is not None}


def whole(value: Any, name: str, least: int = 0, most: int = MAX_COUNT) -> int:
    """Checks that a value is an integer within bounds; NumPy's are accepted. Raises ValueError with the field's name."""
    try:
        n = value.__index__()
    except AttributeError:
        raise ValueError(f"{name}: must be an integer, not {type(value).__name__}") from None
    if not isinstance(n, int) or not least <= n <= most:
        raise ValueError(f"{name}: must be from {least} to {most}")
    return int(n)


def optional(value: Any | None, name: str, least: int = 0, most: int = MAX_COUNT) -> int | None:
    return None if value is None else whole(value, name, least, most)
