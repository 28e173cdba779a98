"""Exact counts, whoever counts and whatever happens on the way."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from conftest import HERE, Server, python, until

import headway

if TYPE_CHECKING:
    from pathlib import Path


def client(server: Server, **options: Any) -> headway.Client:
    return headway.Client(url=server.url, interval=0.05, **options)


def test_a_tier_from_begin_to_end(server: Server) -> None:
    c = client(server)
    with c.batch("b", name="Films", pipeline="media", labels={"team": "search"}, total_tiers=1), c.tier("b", 0, total=5000) as t:
        assert c.flush()
        assert until(lambda: server.tier("b").get("status")) == "PROCESSING"
        for _ in range(98):
            with t.stage("embed", "gpu"):
                t.advance(50)
        t.count(fetched=5000, written=4900)
        t.error("runtime", "no such codec", documents=["d2", "d1"], component="decoder", suggestion="install it")
        t.error("network", "reset", affected=98)
        c.collection("b", "col_a", name="Films", tier_num=0, documents=4900, expected=5000)
    assert c.flush()
    answer = until(lambda: server.diagnostics("b"), lambda d: d["status"] == "COMPLETED")
    (tier,) = answer["tiers"]
    assert (tier["status"], tier["progress"]["processed_documents"], tier["progress"]["total_documents"]) == (
        "COMPLETED",
        4900,
        5000,
    )
    assert (tier["failed_documents"], tier["counts"]["fetched"], tier["counts"]["written"]) == (100, 5000, 4900)
    assert answer["batch_name"] == "Films"
    assert answer["collections"][0]["document_count"] == 4900
    (stage,) = answer["performance_summary"]["stages"]
    assert (stage["stage_name"], stage["component"], stage["execution_count"]) == ("embed", "gpu", 98)
    assert "98 by network" in str(answer["insights"])
    assert c.stats().waiting == c.stats().dropped == c.stats().refused == 0


def test_an_exception_is_told_and_raised_again(server: Server) -> None:
    c = client(server)
    with pytest.raises(ZeroDivisionError), c.batch("b"), c.tier("b", 0) as t:
        t.advance(7)
        t.advance(1 // 0)
    assert c.flush()
    until(lambda: server.diagnostics("b"), lambda d: d["status"] == "FAILED")
    answer = until(lambda: server.diagnostics("b"), lambda d: [t["progress"]["processed_documents"] for t in d["tiers"]] == [7])
    (tier,) = answer["tiers"]
    assert (tier["status"], tier["error_type"], tier["error"]) == (
        "FAILED",
        "ZeroDivisionError",
        "integer division or modulo by zero",
    )
    assert tier["progress"]["processed_documents"] == 7


def test_many_threads_on_one_handle(server: Server) -> None:
    c = client(server)
    t = c.tier("b", 0, total=200_000)

    def work() -> None:
        for _ in range(25_000):
            t.advance()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert c.flush()
    assert server.settled("b", 200_000) == 200_000


def test_headway_stops_and_starts_during_a_run(server: Server) -> None:
    c = client(server)
    with c.tier("b", 0, total=3000) as t:
        t.advance(1000)
        assert c.flush()
        server.stop()
        t.advance(1000)
        until(lambda: c.stats().last_problem)
        assert not c.flush()  # at once: it is known to be down
        t.advance(500)
        server.start()
        t.advance(500)
    until(lambda: c.stats().waiting == 0)
    assert server.settled("b", 3000) == 3000
    assert until(lambda: server.tier("b").get("status"), lambda s: s == "COMPLETED")
    assert c.stats().dropped == 0


def test_a_pickled_handle_is_a_worker(server: Server) -> None:
    c = client(server, token="s3cr3t-of-the-driver")  # noqa: S106
    t = c.tier("b", 0, total=100)
    sent = pickle.dumps(t)
    assert b"s3cr3t" not in sent
    with pickle.loads(sent) as same:  # noqa: S301 (in the same process, it is the same worker)
        same.advance(10)
    t.advance(5)
    assert c.flush()
    assert server.settled("b", 15) == 15
    assert server.tier("b")["status"] == "PROCESSING"  # leaving a worker's handle ends no tier


def test_a_named_piece_of_work_counts_once(server: Server) -> None:
    c = client(server)
    t = c.tier("b", 0)
    for got in (30, 50, 20):  # three tries
        with t.worker("shard-7") as w:
            w.advance(got)
            w.error("runtime", "odd", affected=got // 10)
    with t.worker("shard-8") as w:
        w.advance(1)
    assert server.settled("b", 51) == 51
    assert server.tier("b")["failed_documents"] == 5


def in_pool(arg: tuple[headway.Tier, int]) -> None:
    t, n = arg
    t.advance(n)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing(server: Server, method: str) -> None:
    script = """
import multiprocessing, sys, headway
sys.path.insert(0, sys.argv[2])
from test_counts import in_pool
if __name__ == "__main__":
    with headway.tier("b", 0, total=1010) as t:
        t.advance(5)
        pool = multiprocessing.get_context(sys.argv[1]).Pool(4)
        pool.map(in_pool, [(t, 10)] * 100, chunksize=1)
        pool.close(); pool.join()
        t.advance(5)
"""
    done = python(script, server.url, method, str(HERE))
    assert done.stdout == done.stderr == ""
    assert server.settled("b", 1010) == 1010


def test_a_bare_fork(server: Server) -> None:
    script = """
import os, sys, headway
with headway.tier("b", 0) as t:
    t.advance(100)
    child = os.fork()
    if child == 0:
        t.advance(20)
        sys.exit(0)
    os.waitpid(child, 0)
    t.advance(3)
"""
    python(script, server.url)
    assert server.settled("b", 123) == 123


@pytest.mark.parametrize(
    ("end", "status"), [("", "COMPLETED"), ("sys.exit(0)", "COMPLETED"), ("sys.exit(3)", "FAILED"), ("1/0", "FAILED")]
)
def test_what_is_counted_last_arrives(server: Server, end: str, status: str) -> None:
    script = f"""
import headway, sys
with headway.tier("b", 0, total=12345) as t:
    for i in range(12345):
        t.advance()
    {end}
"""
    python(script, server.url, check=False)
    assert server.settled("b", 12345) == 12345
    assert until(lambda: server.tier("b")["status"], lambda s: s != "PROCESSING") == status


def test_lost_at_the_end_is_counted(tmp_path: Path) -> None:
    script = """
import atexit, json, sys
def told():  # registered before headway's own, so called after it
    with open(sys.argv[1], "w") as f: json.dump(vars(headway.stats()), f)
atexit.register(told)
import headway
headway.configure(exit_seconds=0.2)
with headway.tier("b", 0) as t:
    t.advance(10)
"""
    out = tmp_path / "stats"
    done = python(script, "http://127.0.0.1:9", str(out))
    assert done.stdout == ""
    assert done.stderr.startswith("headway: 3 events of this process couldn't be sent to http://127.0.0.1:9: it never answered (")
    assert '"dropped": 3' in out.read_text()  # PROCESSING, COMPLETED and the count
