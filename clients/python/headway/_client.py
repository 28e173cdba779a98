"""The client: where to send, and its life across forks and the end of the process."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING, cast

from . import _events, _senders, _settings
from ._tier import HANDLES, Batch, Tier, address, an_id
from ._tier import labels as _labels
from ._work import PROCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from ._sender import Stats
    from ._settings import Options, Place
    from ._token import Token

log = logging.getLogger("headway")
log.addHandler(logging.NullHandler())  # silent unless the application configures logging


class Client:
    """An explicit destination. The module's functions use a default one, which the environment describes."""

    def __init__(self, **options: Unpack[Options]) -> None:
        """Options: url, namespace, token, source; interval, exit_seconds, buffer. Raises ValueError with the name of
        the invalid one."""
        self._sender = _senders.sender_of(_settings.read(**options))

    def tier(
        self,
        batch: str,
        tier_num: int,
        *,
        total: int | None = None,
        attempt: int = 1,
        requires_gpu: bool | None = None,
        task_id: str | None = None,
    ) -> Tier:
        """Returns a handle on a tier. It never raises: invalid arguments are logged, and the handle then sends
        nothing."""
        try:
            at = address(batch, tier_num, attempt)
            plan = _events.given(
                total_documents=_events.optional(total, "total"),
                requires_gpu=None if requires_gpu is None else bool(requires_gpu),
                task_id=None if task_id is None else _events.text(task_id),
            )
            return Tier(self._sender, at, plan)
        except Exception as e:
            self._sender.refuse(f"tier: {e}")
            return Tier(self._sender, None)

    def batch(
        self,
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
        try:
            texts = {"name": name, "pipeline": pipeline, "owner": owner, "bucket_id": bucket_id}
            facts = _events.given(
                **{k: None if v is None else _events.text(v) for k, v in texts.items()},
                labels=_labels(labels),
                total_tiers=_events.optional(total_tiers, "total_tiers", 0, 10_000),
                total_objects=_events.optional(total_objects, "total_objects"),
                retry_of=None if retry_of is None else an_id(retry_of, "retry_of"),
            )
            return Batch(self._sender, an_id(batch, "batch"), _events.whole(attempt, "attempt", 1, 10_000), facts)
        except Exception as e:
            self._sender.refuse(f"batch: {e}")
            return Batch(self._sender, None, 1, {})

    def collection(
        self,
        batch: str,
        collection_id: str,
        *,
        name: str | None = None,
        tier_num: int | None = None,
        documents: int | None = None,
        expected: int | None = None,
    ) -> None:
        """Reports how many documents a collection has, and how many it should have."""
        try:
            facts = _events.given(
                collection_id=an_id(collection_id, "collection_id"),
                collection_name=None if name is None else _events.text(name),
                tier_num=_events.optional(tier_num, "tier_num", 0, 9_999),
                document_count=_events.optional(documents, "documents"),
                expected_documents=_events.optional(expected, "expected"),
            )
            self._sender.fact("collection", an_id(batch, "batch"), collection_id, facts)
        except Exception as e:
            self._sender.refuse(f"collection: {e}")

    def flush(self, seconds: float | None = None) -> bool:
        """Waits until Headway has stored everything reported so far. Returns False at once while Headway is known to
        be down."""
        return self._sender.flush(self._sender.settings.exit_seconds if seconds is None else seconds)

    def stats(self) -> Stats:
        return self._sender.stats()


class _Default:
    client: Client | None = None
    configured: Client | None = None


def configure(**options: Unpack[Options]) -> Client:
    """Sets where the module's functions send and read: url, namespace, token, source; interval, exit_seconds, buffer."""
    _Default.client = _Default.configured = Client(**options)
    return _Default.client


def reading() -> Place:
    """Where the module's functions read: where configure said, else where the environment says."""
    if _Default.configured is None:
        return {}
    settings = _Default.configured._sender.settings
    return {"url": settings.url, "namespace": settings.namespace, "token": cast("Token", settings.token)}


def default() -> Client:
    if _Default.client is None:
        try:
            _Default.client = Client()
        except ValueError as e:
            log.error("headway: nothing is reported, the environment is wrong: %s", e)  # noqa: TRY400 (nothing broke here)
            _Default.client = Client(url="", namespace="", source="headway-python", token="")
    return _Default.client


def _forked() -> None:
    """A forked child has none of our threads, and starts its own counts."""
    PROCESS.renew(forked=True)
    _senders.forked()
    for handle in list(HANDLES):
        handle._forget()


atexit.register(_senders.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
