"""Runs on a real Ray: tasks and actors that are tried again in every way, each counting one tier of the batch.

Every scenario loses a try only after Headway has what that try counted, and marks in a directory that it did: a count that
took both tries for two would be too high.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray

import headway

MARKS = Path(sys.argv[1])


def first(name: str) -> bool:
    """True on the first try of a piece of work, whichever process asks."""
    try:
        (MARKS / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # until the signal arrives


def work(t: headway.Tier, name: str, how: str) -> int:
    """100 documents; the first try of each fifth piece ends after 60 of them."""
    for i in range(10):
        if i == 6 and name.endswith(("0", "5")) and first(name):
            assert t.flush(), headway.stats()
            if how == "killed":
                die()
            raise RuntimeError(how)
        t.advance(10)
    assert t.flush(), headway.stats()
    return os.getpid()


# The total is higher than what there is to count: what is shown never passes the total, so it would hide too high a count.
captured = headway.tier("ray", 3, total=9999)  # pickled with a function, and then shared by all its calls in one process


@ray.remote(max_retries=3, retry_exceptions=True, num_cpus=1)
def raises(t: headway.Tier, name: str) -> int:
    return work(t, name, "raised")


@ray.remote(max_retries=3, num_cpus=1)
def killed(t: headway.Tier, name: str) -> int:
    with t as w:
        return work(w, name, "killed")


@ray.remote(max_retries=3, retry_exceptions=True, num_cpus=1)
def closure(name: str) -> int:
    return work(captured, name, "raised")


@ray.remote(max_retries=3, retry_exceptions=True, num_cpus=1)
def makes_its_own(name: str) -> int:
    return work(headway.tier("ray", 4), name, "raised")


@ray.remote(max_retries=3, retry_exceptions=True, num_cpus=1)
def in_threads(t: headway.Tier, name: str) -> int:
    def half() -> None:
        for _ in range(5):
            t.advance(10)

    def run() -> None:
        threads = [threading.Thread(target=half) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    if first(name):
        run()
        assert t.flush()
        raise RuntimeError("raised")
    run()
    assert t.flush()
    return os.getpid()


@ray.remote(max_retries=3, retry_exceptions=True, num_cpus=1)
def named(t: headway.Tier, name: str) -> int:
    with t.worker(name) as w:
        return work(w, name, "raised")


@ray.remote(max_restarts=5, max_task_retries=5, num_cpus=1)
class Plain:
    def __init__(self, t: headway.Tier) -> None:
        self.t = t

    def do(self, name: str) -> int:
        return work(self.t, name, "killed")

    def count(self) -> int:
        return counts(self.t)


@ray.remote(max_restarts=5, max_task_retries=5, num_cpus=1)
class Async:
    def __init__(self, t: headway.Tier) -> None:
        self.t = t

    @ray.method(retry_exceptions=True)
    async def do(self, name: str) -> int:
        import asyncio  # noqa: PLC0415

        for i in range(10):
            if i == 6 and name.endswith(("0", "5")) and first(name):
                assert self.t.flush()
                raise RuntimeError("raised")
            self.t.advance(10)
            await asyncio.sleep(0)  # others of this process count in between
        assert self.t.flush()
        return os.getpid()

    async def count(self) -> int:
        return counts(self.t)


@ray.remote(max_restarts=5, max_task_retries=5, max_concurrency=4, num_cpus=1)
class Threaded:
    def __init__(self, t: headway.Tier) -> None:
        self.t = t

    @ray.method(retry_exceptions=True)
    def do(self, name: str) -> int:
        return work(self.t, name, "raised")


def counts(t: headway.Tier) -> int:
    """100 documents, of which Headway has one: the next are sent in an hour, or when the process ends."""
    t.advance(1)
    assert t.flush(), headway.stats()
    t.advance(99)
    return os.getpid()


@ray.remote(max_retries=0, num_cpus=1)
def terminated(t: headway.Tier) -> None:
    os.kill(counts(t), signal.SIGTERM)
    time.sleep(60)  # until the signal arrives


def sigterm(t: headway.Tier) -> None:
    """A worker gets SIGTERM while it executes a task, and others while they are idle."""
    try:
        ray.get(terminated.remote(t))
    except ray.exceptions.WorkerCrashedError:
        pass
    else:
        raise AssertionError
    kinds: list[Any] = [Plain, Async]
    actors = [kind.remote(t) for kind in kinds]  # kept: Ray kills the process of an actor that nobody has
    pids = ray.get([actor.count.remote() for actor in actors])
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):  # Ray kills at once what a driver leaves behind
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rows(t: headway.Tier) -> Any:
    """Ray Data runs tasks of its own, and tries them again when a worker dies."""

    def count(rows: dict[str, Any]) -> dict[str, Any]:
        t.advance(len(rows["id"]))
        assert t.flush()
        if 0 in rows["id"] and first("dataset"):
            die()
        return rows

    return ray.data.range(1000, override_num_blocks=8).map_batches(count, batch_size=50).count


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    names = [f"{i:03d}" for i in range(20)]
    tiers = [headway.tier("ray", n, total=9999) if n != 3 else captured for n in range(11)]
    with tiers[0]:
        ray.get([raises.remote(tiers[0], "raises" + n) for n in names])
    with tiers[1]:
        ray.get([killed.remote(tiers[1], "killed" + n) for n in names])
    with tiers[2]:
        ray.get([in_threads.remote(tiers[2], "threads" + n) for n in names])
    with captured:
        pids = ray.get([closure.remote("closure" + n) for n in names])
        assert len(set(pids)) < len(pids), "each call had a process of its own: nothing was shared"
    with tiers[4]:
        ray.get([makes_its_own.remote("own" + n) for n in names])
    with tiers[5]:
        ray.get([named.remote(tiers[5], "named" + n) for n in names])
    kinds: list[tuple[int, Any]] = [(6, Plain), (7, Async), (8, Threaded)]
    for number, kind in kinds:
        with tiers[number] as t:
            actor = kind.remote(t)
            ray.get([actor.do.remote(f"{number}-{n}") for n in names])
            ray.kill(actor)
    with tiers[9] as t:
        assert rows(t)() == 1000
    with tiers[10] as t:  # the driver counts what comes back
        for _ in ray.get([raises.remote(headway.tier("elsewhere", 0), "back" + n) for n in names]):
            t.advance(100)
    sigterm(headway.Client(interval=3600, source="terminated").tier("ray", 11, total=9999))
    assert headway.flush(), headway.stats()
    ray.shutdown()


if __name__ == "__main__":
    main()
