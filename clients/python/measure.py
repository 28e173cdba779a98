"""What a call costs the thread that makes it. `make bench` runs this; it asserts nothing.

With `ray` as argument also inside of a Ray task, where each call asks Ray whose work it is.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Callable

import headway

CALLS = 1_000_000


def cost(calls: int, *, bound: bool = False) -> str:
    client = headway.Client(url="http://127.0.0.1:9", namespace="measure")  # nobody answers there: Headway is down
    tier = client.tier("measured", 0, total=calls)
    if bound:
        tier = tier.worker("bound").__enter__()
    advance = tier.advance

    def run() -> None:
        for _ in range(calls):
            advance(1)

    spent = timed(run)
    empty = timed(lambda: [None for _ in range(calls)])
    threads = [threading.Thread(target=run) for _ in range(4)]

    def side_by_side() -> None:
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    four = timed(side_by_side)
    return (
        f"advance: {spent / calls * 1e9:.0f} ns a call ({calls:,} calls, Headway down; "
        f"the bare loop {empty / calls * 1e9:.0f} ns), "
        f"{four / calls / 4 * 1e9:.0f} ns with 4 threads on one handle"
    )


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    print("in a process   ", cost(CALLS))
    if "ray" in sys.argv[1:]:
        import ray  # noqa: PLC0415 (only where it is asked for)

        ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
        task = ray.remote(cost)
        print("in a Ray task  ", ray.get(task.remote(CALLS)))
        print("there, in with ", ray.get(task.remote(CALLS, bound=True)))


if __name__ == "__main__":
    main()
