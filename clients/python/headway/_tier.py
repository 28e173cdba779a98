"""Handles on tiers and batches. None of their methods raises, blocks for long, or prints."""

from __future__ import annotations

import re
import time
from functools import wraps
from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast
from weakref import WeakSet

from . import _events
from ._senders import sender_of
from ._tally import Address, ErrorKey, StageTally, Tally
from ._work import PROCESS, Try, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from ._sender import Sender
    from ._settings import Settings

TIER_WORDS = {"PENDING", "QUEUED", "DRAFT", "PROCESSING", "IN_PROGRESS", "COMPLETED", "FAILED"}
BATCH_WORDS = TIER_WORDS | {"COMPLETED_WITH_ERRORS", "CANCELED", "SKIPPED"}
COUNTS = {"fetched", "after_filter", "missing_inputs", "submitted", "written"}
MAX_WORKER = 128
NOBODY = (None, 0, None)
MAX_DOCUMENT_IDS = 1_000  # of one call


F = TypeVar("F", bound=Callable[..., Any])


def harmless(method: F) -> F:
    """Makes a method log and count any error, so that none is raised into the pipeline."""

    @wraps(method)
    def call(self: Tier | Batch, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as e:
            self._sender.refuse(f"{method.__name__}: {_events.text(e, 200)}")
            return None

    return cast("F", call)


class Tier:
    """A tier of a batch. Pickled, or asked for a part, it is one of the workers on that tier."""

    def __init__(self, sender: Sender, address: Address | None, plan: _events.Data | None = None, key: str = "") -> None:
        self._sender = sender
        self._address = address  # None: the arguments were invalid, and nothing is sent
        self._plan = plan  # None: a worker's handle, which doesn't report the tier's status
        self._key = key
        self._tally: Tally | None = None  # the register shared by all callers; None in Ray workers, where each call has its own
        self._last: tuple[Try | None, int, Tally | None] = NOBODY
        self._piece = object()  # distinguishes the registers of two handles with one key, since each starts at 0
        HANDLES.add(self)
        self._current()
        if plan:
            self._say(plan)

    def advance(self, n: int = 1) -> None:
        """Counts n more processed documents."""
        tally = self._tally or self._current()
        if n.__class__ is not int or not 0 <= n <= _events.MAX_COUNT:
            n = self._whole(n, "advance")
        with tally.lock:
            tally.processed += n
        if not tally.registered:
            self._sender.watch(tally)

    @harmless
    def error(
        self,
        error_type: str,
        message: object,
        *,
        affected: int | None = None,
        documents: Iterable[object] = (),
        component: str = "",
        stage: str = "",
        suggestion: str | None = None,
    ) -> None:
        """Counts failed documents: affected if given, else the number of ids, else one."""
        ids = self._documents(documents)
        failed = max(1, len(ids)) if affected is None else self._whole(affected, "affected")
        kind, part, step = (_events.text(word, _events.KEY_TEXT) for word in (error_type or "runtime", component, stage))
        key = ErrorKey(kind, _events.message(message, _events.KEY_TEXT), part, step)
        tally = self._tally or self._current()
        help_ = None if suggestion is None else _events.message(suggestion)
        if not tally.error(key, failed, ids, help_):
            self._sender.refuse("error: more than 100 kinds of one worker; counted as failed, without details")
        if not tally.registered:
            self._sender.watch(tally)

    @harmless
    def count(self, **more: int) -> None:
        """Counts documents by step: fetched, after_filter, missing_inputs, submitted, written."""
        tally = self._tally or self._current()
        for name, n in more.items():
            if name not in COUNTS:
                self._sender.refuse(f"count: {_events.text(name, 50)} is none of {', '.join(sorted(COUNTS))}")
                continue
            with tally.lock:
                tally.counts[name] = tally.counts.get(name, 0) + self._whole(n, name)
        if not tally.registered:
            self._sender.watch(tally)

    def stage(self, name: str, component: str = "") -> Stage:
        """Measures the body of `with t.stage("embed"): …`."""
        return Stage(self, name, component)

    @harmless
    def took(self, stage: str, seconds: float, component: str = "") -> None:
        """Counts one execution of a stage that took so many seconds."""
        if self._address is None:
            return
        if not 0 <= seconds < 1e9:
            raise ValueError("seconds must be a number from 0")
        tally = self._stage(_events.text(stage, _events.KEY_TEXT), _events.text(component, _events.KEY_TEXT))
        tally.took(seconds * 1000)
        if not tally.registered:
            self._sender.watch(tally)

    @harmless
    def total(self, documents: int) -> None:
        """Reports how many documents the tier has."""
        self._say({"total_documents": _events.whole(documents, "total")})

    @harmless
    def status(self, word: str, *, error: str | None = None, error_type: str | None = None) -> None:
        """Reports a status: PENDING, PROCESSING, COMPLETED or FAILED."""
        if word not in TIER_WORDS:
            raise ValueError(f"{_events.text(word, 50)} is none of {', '.join(sorted(TIER_WORDS))}")
        self._say({"status": word, **_failure(error, error_type)})

    def worker(self, key: str) -> Tier:
        """A handle for one piece of work, named by what is done. Taken again for another try, it counts again from 0, and
        the tier gets the greater of the two. with t.worker("shard-7") as w: … sends what was counted when it is left."""
        name = _events.text(key, MAX_WORKER + 1)
        if not name or len(name) > MAX_WORKER:
            self._sender.refuse("worker: must have 1 to 128 characters")
            return Tier(self._sender, None)
        return Tier(self._sender, self._address, key=name)

    def flush(self, seconds: float | None = None) -> bool:
        """Waits until Headway has stored the counts so far. Returns False at once while Headway is known to be down."""
        return self._sender.flush(self._sender.settings.exit_seconds if seconds is None else seconds)

    def __enter__(self) -> Tier:
        if self._plan is None:
            return self._bound()
        self._say({**self._plan, "status": "PROCESSING", "started_at": _events.rfc3339(_events.now())})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._plan is None:
            self.flush()
        else:
            self._say(_ending(kind, error))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._sender.settings, self._address, self._key)

    @harmless
    def _say(self, data: _events.Data) -> None:
        if self._address is not None:
            key = (self._address, data.get("status"))
            self._sender.fact("tier", self._address.batch, key, {**self._address.data(), **data})

    def _whole(self, n: object, name: str) -> int:
        try:
            return _events.whole(n, name)
        except ValueError as e:
            self._sender.refuse(str(e))
            return 0

    def _documents(self, documents: Iterable[object]) -> list[str]:
        try:
            some = [documents] if isinstance(documents, (str, bytes)) else islice(documents, MAX_DOCUMENT_IDS)
            return [_events.text(d, _events.KEY_TEXT) for d in some]
        except TypeError:
            self._sender.refuse("documents: must be a list of ids")
            return []

    def _current(self) -> Tally:
        """Returns the register of the call that this thread executes, or outside of Ray that of the process, which is
        found once."""
        before, thread, tally = self._last
        if before is not None and get_ident() == thread:  # the usual case, kept fast
            try:
                if PROCESS.task_id().binary() == before[0] and PROCESS.try_number() == before[1] and tally is not None:
                    return tally
            except Exception:  # noqa: S110 (between two tasks, or at the end of the process)
                pass
        return self._find()

    def _find(self) -> Tally:
        if self._address is None:
            self._tally = Tally(Address("", 0, 1), "")
            self._tally.registered = True  # it isn't registered with any sender
            return self._tally
        if not PROCESS.is_ray_worker():
            of = self._piece if self._key else None
            self._tally = self._sender.tally(self._address, self._key or PROCESS.name, of)
            return self._tally
        try:
            call = PROCESS.current()
        except Exception:
            call = None  # between two tasks, or at the end of the process
        before, _, tally = self._last
        if tally is not None and (call is None or call == before):
            return tally  # the pipeline's own threads count for the call that used this handle last
        of = (self._piece, call) if self._key else call
        keep = PROCESS.keep(call) if call else None
        tally = self._sender.tally(self._address, self._key or (key_of(call) if call else PROCESS.name), of, keep)
        self._last = (call, get_ident() if call and call[1] >= 0 else 0, tally)
        return tally

    def _bound(self) -> Tier:
        """Returns a worker's handle bound to its register, which doesn't ask Ray again for the current call."""
        bound = Tier(self._sender, self._address, key=self._key)
        bound._tally = self._current()
        return bound

    def _stage(self, stage: str, component: str) -> StageTally:
        assert self._address is not None
        return self._sender.stage(self._address, stage, component, PROCESS.name)

    def _forget(self) -> None:
        """Resets the handle in a forked child, which counts for itself."""
        self._tally, self._last = None, NOBODY


class Stage:
    def __init__(self, tier: Tier, name: str, component: str) -> None:
        self._tier, self._name, self._component = tier, name, component
        self._began = time.perf_counter()

    def __enter__(self) -> Stage:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._tier.took(self._name, time.perf_counter() - self._began, self._component)


class Batch:
    """A batch. In a with block it is PROCESSING, then COMPLETED, or FAILED after an exception."""

    def __init__(self, sender: Sender, batch: str | None, attempt: int, facts: _events.Data) -> None:
        self._sender, self._batch, self._attempt, self._facts = sender, batch, attempt, facts
        if facts:
            self._say(facts)

    @harmless
    def status(self, word: str, *, error: str | None = None, error_type: str | None = None) -> None:
        if word not in BATCH_WORDS:
            raise ValueError(f"{_events.text(word, 50)} is none of {', '.join(sorted(BATCH_WORDS))}")
        self._say({"status": word, **_failure(error, error_type)})

    def __enter__(self) -> Batch:
        self._say({**self._facts, "status": "PROCESSING", "started_at": _events.rfc3339(_events.now())})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._say(_ending(kind, error))

    @harmless
    def _say(self, data: _events.Data) -> None:
        if self._batch is not None:
            attempt = {} if self._attempt == 1 else {"attempt": self._attempt}
            self._sender.fact("batch", self._batch, (self._attempt, data.get("status")), {**attempt, **data})


def _failure(error: object | None, error_type: object | None) -> _events.Data:
    return {k: _events.message(v) for k, v in (("error", error), ("error_type", error_type)) if v is not None}


def _ending(kind: type[BaseException] | None, error: BaseException | None) -> _events.Data:
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        kind = None
    word = "COMPLETED" if kind is None else "FAILED"
    failure = {} if kind is None else _failure(error, kind.__name__)
    return {"status": word, "completed_at": _events.rfc3339(_events.now()), **failure}


def address(batch: object, tier: object, attempt: object) -> Address:
    """Checks the arguments. Raises ValueError with the field's name."""
    number = _events.whole(tier, "tier_num", 0, 9_999)
    return Address(an_id(batch, "batch"), number, _events.whole(attempt, "attempt", 1, 10_000))


CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def an_id(value: object, name: str) -> str:
    """An id of any system, as that system writes it: Headway writes it its own way where it has to."""
    if not isinstance(value, str) or CONTROL.search(value) or not 1 <= len(value.encode()) <= 128:
        raise ValueError(f"{name}: must have 1 to 128 bytes and no control characters, not {_events.text(repr(value), 50)}")
    return value


def labels(given: Mapping[str, object] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if len(given) > 32:
        raise ValueError("labels: must be at most 32")
    return {_events.text(k): _events.text(v) for k, v in given.items()}


def _unpickled(settings: Settings, at: Address | None, key: str) -> Tier:
    return Tier(sender_of(settings), at, key=key)


HANDLES: WeakSet[Tier] = WeakSet()
