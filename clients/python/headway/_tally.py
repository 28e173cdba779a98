"""Registers of cumulative counts. They stay small, because the newest count replaces all older ones."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

from . import _events

MAX_ERRORS = 100  # kinds of errors of one worker
MAX_DOCUMENTS = 10  # document ids of one kind; the smallest are kept, as Headway does


class Address(NamedTuple):
    """Names what a count is a count of."""

    batch: str
    tier: int
    attempt: int

    def data(self) -> _events.Data:
        return {"tier_num": self.tier} if self.attempt == 1 else {"tier_num": self.tier, "attempt": self.attempt}


class ErrorKey(NamedTuple):
    error_type: str
    message: str
    component: str
    stage: str


class ErrorCount:
    __slots__ = ("affected", "documents", "said", "suggestion")

    def __init__(self) -> None:
        self.affected = 0
        self.documents: list[str] = []
        self.suggestion: str | None = None
        self.said: tuple[int, int] = (-1, 0)

    def state(self) -> tuple[int, int]:
        return self.affected, len(self.documents)

    def data(self, key: ErrorKey) -> _events.Data:
        data: _events.Data = {"error_type": key.error_type, "message": key.message, "affected_count": self.affected}
        for name, value in (("component", key.component), ("stage", key.stage), ("recovery_suggestion", self.suggestion)):
            if value:
                data[name] = value
        if self.documents:
            data["affected_document_ids"] = list(self.documents)
        return data


class Snapshot(NamedTuple):
    """The content of a register at one time, to be marked as sent once it is stored."""

    kind: str
    batch: str
    at: int
    data: _events.Data
    mark: object


class Tally:
    """What one worker has counted for an attempt at a tier."""

    __slots__ = ("address", "counts", "errors", "failed", "keep", "lock", "processed", "registered", "said", "worker")

    def __init__(self, address: Address, worker: str) -> None:
        self.address = address
        self.worker = worker
        self.lock = threading.Lock()
        self.processed = 0
        self.failed = 0
        self.counts: dict[str, int] = {}
        self.errors: dict[ErrorKey, ErrorCount] = {}
        self.said: object = (0, 0, (), ())
        self.registered = False  # with a sender, which checks it periodically while it changes
        self.keep: object = None

    def error(self, key: ErrorKey, affected: int, documents: list[str], suggestion: str | None) -> bool:
        """Adds to the counts. Returns False if there are too many kinds of errors to keep this one's details."""
        with self.lock:
            self.failed += affected
            entry = self.errors.get(key)
            if entry is None:
                if len(self.errors) >= MAX_ERRORS:
                    return False
                entry = self.errors[key] = ErrorCount()
            entry.affected += affected
            if documents:
                entry.documents = sorted({*entry.documents, *documents})[:MAX_DOCUMENTS]
            entry.suggestion = suggestion or entry.suggestion
            return True

    def _mark(self) -> tuple[object, ...]:
        errors = tuple((k, e.state()) for k, e in self.errors.items() if e.state() != e.said)
        return self.processed, self.failed, tuple(self.counts.items()), errors

    def snapshot(self) -> Snapshot | None:
        """Returns None if everything was sent."""
        with self.lock:
            mark = self._mark()
            if mark == self.said:
                return None
            data = self.address.data()
            data.update(worker=self.worker, processed_documents=self.processed)
            if self.failed:
                data["failed_documents"] = self.failed
            if self.counts:
                data["counts"] = dict(self.counts)
            errors = [e.data(k) for k, e in self.errors.items() if e.state() != e.said]
            if errors:
                data["errors"] = errors
            return Snapshot("tier", self.address.batch, _events.now(), data, mark)

    def kept(self, mark: object) -> None:
        """Marks the content as stored, or as impossible to store."""
        with self.lock:
            assert isinstance(mark, tuple)
            for key, state in mark[3]:
                self.errors[key].said = state
            self.said = (*mark[:3], ())


class StageTally:
    """The durations of a stage in this process."""

    __slots__ = ("address", "buckets", "component", "count", "lock", "most", "registered", "said", "stage", "total", "worker")

    def __init__(self, address: Address, stage: str, component: str, worker: str) -> None:
        self.address = address
        self.stage = stage
        self.component = component
        self.worker = worker
        self.lock = threading.Lock()
        self.count = 0
        self.total = 0.0
        self.most = 0.0
        self.buckets: dict[float, int] = {}
        self.said: object = 0
        self.registered = False

    def took(self, milliseconds: float) -> None:
        # There are four buckets to each doubling, so a quantile read from them is at most 19 % off.
        bound = round(2 ** (math.ceil(4 * math.log2(milliseconds)) / 4), 3) if milliseconds > 1 else 1.0
        with self.lock:
            self.count += 1
            self.total += milliseconds
            self.most = max(self.most, milliseconds)
            self.buckets[bound] = self.buckets.get(bound, 0) + 1

    def snapshot(self) -> Snapshot | None:
        with self.lock:
            if self.count == self.said:
                return None
            data = self.address.data()
            data.update(stage=self.stage, worker=self.worker, count=self.count, total_ms=round(self.total, 3))
            data.update(max_ms=round(self.most, 3), buckets=[[b, n] for b, n in sorted(self.buckets.items())])
            if self.component:
                data["component"] = self.component
            return Snapshot("stage", self.address.batch, _events.now(), data, self.count)

    def kept(self, mark: object) -> None:
        with self.lock:
            self.said = mark
