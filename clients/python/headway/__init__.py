"""Reports the progress of a batch to Headway, in one line.

    with headway.tier("btch_1", 2, total=5000) as t:
        for page in pages:
            process(page)
            t.advance(len(page))

See README.md for Ray tasks and actors, for what a worker is, and for what happens while Headway is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client import Client, configure, default, reading
from ._read_error import (
    CredentialError,
    ForbiddenError,
    HostError,
    LimitError,
    NotFoundError,
    ReadError,
    UnavailableError,
)
from ._sender import Stats
from ._tier import Batch, Stage, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Callable

    from typing_extensions import Unpack

    from . import aio as aio
    from . import read as read
    from ._target import Filters
    from .answers import Explanation, Row, Snapshot
    from .read import Reader, State

__all__ = [
    "Batch",
    "Client",
    "CredentialError",
    "ForbiddenError",
    "HostError",
    "LimitError",
    "NotFoundError",
    "ReadError",
    "Stage",
    "Stats",
    "Tier",
    "UnavailableError",
    "batch",
    "collection",
    "configure",
    "explain",
    "flush",
    "get",
    "stats",
    "tier",
    "watch",
]  # and list, which a * shouldn't replace
__version__ = "0.2.0"


def tier(
    batch: str,
    tier_num: int,
    *,
    total: int | None = None,
    attempt: int = 1,
    requires_gpu: bool | None = None,
    task_id: str | None = None,
) -> Tier:
    """Returns a handle on a tier. In a with block the tier is PROCESSING, then COMPLETED, or FAILED after an
    exception."""
    return default().tier(batch, tier_num, total=total, attempt=attempt, requires_gpu=requires_gpu, task_id=task_id)


def batch(
    batch: str,
    *,
    attempt: int = 1,
    name: str | None = None,
    pipeline: str | None = None,
    owner: str | None = None,
    labels: Mapping[str, object] | None = None,
    total_tiers: int | None = None,
    total_objects: int | None = None,
    bucket_id: str | None = None,
    retry_of: str | None = None,
) -> Batch:
    """Returns a handle on a batch and reports its facts. In a with block it is PROCESSING, then COMPLETED, or FAILED
    after an exception."""
    return default().batch(
        batch,
        attempt=attempt,
        name=name,
        pipeline=pipeline,
        owner=owner,
        labels=labels,
        total_tiers=total_tiers,
        total_objects=total_objects,
        bucket_id=bucket_id,
        retry_of=retry_of,
    )


def collection(
    batch: str,
    collection_id: str,
    *,
    name: str | None = None,
    tier_num: int | None = None,
    documents: int | None = None,
    expected: int | None = None,
) -> None:
    """Reports how many documents a collection has, and how many it should have."""
    default().collection(batch, collection_id, name=name, tier_num=tier_num, documents=documents, expected=expected)


def flush(seconds: float | None = None) -> bool:
    """Waits until Headway has stored everything reported so far. Returns False at once while Headway is known to be
    down."""
    return default().flush(seconds)


def stats() -> Stats:
    """Returns how many events were sent, dropped and refused, and how many are waiting."""
    return default().stats()


def get(batch: str, *, at: datetime | None = None) -> Snapshot:
    """Returns the diagnosis of a batch; with at, as it was at that past moment. Raises ReadError."""
    return _reader().get(batch, at=at)


def explain(batch: str, *, at: datetime | None = None) -> Explanation:
    """Explains why a batch's health is what it is; with at, what it was at that past moment. Raises ReadError."""
    return _reader().explain(batch, at=at)


def list(**filters: Unpack[Filters]) -> Iterator[Row]:  # noqa: A001 (always written headway.list)
    """Yields the batches of the namespace. Filters: health, status (a word or several), pipeline, labels, text, created_after,
    created_before; sort is newest, or need: those first that need somebody. Raises ReadError."""
    return _reader().list(**filters)


def watch(
    batch: str,
    *,
    timeout: float | None = None,
    on_state: Callable[[State], object] | None = None,
) -> Iterator[Snapshot]:
    """Yields the diagnosis of a batch, and a newer one whenever it changes, until the batch has ended. One that nobody has heard
    of is waited for, timeout seconds at most. Raises ReadError."""
    return _reader().watch(batch, timeout=timeout, on_state=on_state)


def _reader() -> Reader:
    from .read import Reader  # noqa: PLC0415 (who only reports doesn't load it)

    return Reader(**reading())


def __getattr__(name: str) -> Any:
    """Loads headway.aio and headway.read when they are used."""
    if name in {"aio", "read"}:
        import importlib  # noqa: PLC0415

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
