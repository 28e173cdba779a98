"""How a process ends: by itself, by SIGTERM, and with a server that never answers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from conftest import HERE, Server, until
from test_faults import Wall, wall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event
    from pathlib import Path

    import headway

__all__ = ["wall"]  # a fixture

# Only SIGTERM or the end of the process can send more than the first count: the next send is in an hour.
COUNTED = """
import os, signal, sys, threading, time
{before}
import headway
headway.configure(interval=3600)
t = headway.tier("b", 0)
t.advance(1)
assert headway.flush(30), headway.stats()
t.advance(99)
{after}
print("ready", flush=True)
while True:
    time.sleep(3600)
"""


@contextlib.contextmanager
def started(script: str, url: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "HEADWAY_URL": url, "PYTHONPATH": str(HERE.parent)}
    p = subprocess.Popen(
        [sys.executable, "-c", script, *args],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield p
    finally:
        p.kill()
        p.communicate()


def terminated(script: str, url: str, *args: str) -> tuple[int, str, str]:
    """The exit code and what was printed after a SIGTERM that is sent once the script prints a line."""
    with started(script, url, *args) as p:
        assert p.stdout is not None
        assert p.stdout.readline() == "ready\n"
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=60)
        return p.returncode, out, err


def test_sigterm_sends_what_is_pending_and_ends_the_process(server: Server) -> None:
    assert terminated(COUNTED.format(before="", after=""), server.url) == (-signal.SIGTERM, "", "")
    assert server.settled("b", 100) == 100


OWN = """
def own(number, frame):
    print("own", number, flush=True)
    os._exit(7)  # without atexit
"""
SET = "signal.signal(signal.SIGTERM, own)"
PASSED = """
before = signal.getsignal(signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda n, f: (print('later'), before(n, f)))
"""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (OWN + SET, "", "own 15\n"),
        (OWN, SET + "\nheadway.Client()", "own 15\n"),
        (OWN + SET, PASSED, "later\nown 15\n"),
    ],
    ids=["set before", "set later", "set later and passed on"],
)
def test_a_handler_of_the_user_is_called_after_the_flush(server: Server, before: str, after: str, said: str) -> None:
    assert terminated(COUNTED.format(before=before, after=after), server.url) == (7, said, "")
    assert server.settled("b", 100) == 100


def test_a_process_that_goes_on_after_sigterm_reports_on(server: Server) -> None:
    before = """
signal.signal(signal.SIGUSR1, lambda n, f: sys.exit())
signal.signal(signal.SIGTERM, lambda n, f: (t.advance(10), print('went on', flush=True)))
"""
    with started(COUNTED.format(before=before, after=""), server.url) as p:
        assert p.stdout is not None
        assert p.stdout.readline() == "ready\n"
        p.send_signal(signal.SIGTERM)
        assert p.stdout.readline() == "went on\n"
        assert server.settled("b", 100) == 100
        p.send_signal(signal.SIGUSR1)
        assert p.communicate(timeout=60) == ("", "")
    assert server.settled("b", 110) == 110


def test_sigterm_stays_ignored(server: Server) -> None:
    after = "assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN\nprint('checked')\nsys.exit()"
    with started(COUNTED.format(before="signal.signal(signal.SIGTERM, signal.SIG_IGN)", after=after), server.url) as p:
        assert p.communicate(timeout=60) == ("checked\n", "")


def test_outside_of_the_main_thread_nothing_is_handled_and_nothing_said(server: Server) -> None:
    script = """
import signal, sys, threading
import headway
def work():
    with headway.tier("b", 0) as t:
        t.advance(100)
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    with started(script, server.url) as p:
        assert p.communicate(timeout=60) == ("", "")
        assert p.returncode == 0
    assert server.settled("b", 100) == 100


def test_sigterm_in_the_middle_of_a_call_loses_nothing(server: Server) -> None:
    """The main thread does nothing but count, so most signals come while it holds a lock."""
    script = """
import os, signal, sys, time
n = 0
signal.signal(signal.SIGTERM, lambda *_: (print(n, flush=True), os._exit(0)))
import headway
headway.configure(interval=3600)
t = headway.tier(sys.argv[1], 0)
t.advance(1)
assert headway.flush(30), headway.stats()
print("ready", flush=True)
while True:
    t.advance(1)
    n += 1
"""
    for i in range(10):
        code, out, err = terminated(script, server.url, f"b{i}")
        assert (code, err) == (0, "")
        counted = int(out)
        assert server.settled(f"b{i}", counted + 1) - (counted + 1) in {0, 1}  # 1 where it came between the two statements


def counts_and_waits(t: headway.Tier, counted: Event) -> None:
    t.advance(1)
    assert t.flush()
    t.advance(99)
    counted.set()
    time.sleep(3600)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_sigterm_to_a_child_of_multiprocessing(server: Server, method: str) -> None:
    script = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
import headway
from test_end import counts_and_waits
if __name__ == "__main__":
    headway.configure(interval=3600)
    context = multiprocessing.get_context(sys.argv[2])
    counted = context.Event()
    child = context.Process(target=counts_and_waits, args=(headway.tier("b", 0), counted))
    child.start()
    counted.wait()
    child.terminate()
    child.join()
    print(child.exitcode)
"""
    with started(script, server.url, str(HERE), method) as p:
        assert p.communicate(timeout=60) == ("-15\n", "")
    assert server.settled("b", 100) == 100


# How long the end of the process takes: from the first function that is called then to the last one.
TIMED = """
import atexit, sys, time
def told():
    with open(sys.argv[1], "w") as f:
        f.write(str(time.monotonic() - began))
atexit.register(told)
import headway
{before}
with headway.batch("b"), headway.tier("b", 0) as t:
    t.advance(10)
def begin():
    global began
    began = time.monotonic()
atexit.register(begin)
"""
SLACK = 0.5  # seconds, since other tests run at the same time


def ends(before: str, url: str, file: Path) -> tuple[float, str]:
    with started(TIMED.format(before=before), url, str(file)) as p:
        out, err = p.communicate(timeout=60)
        assert (p.returncode, out) == (0, "")
    return float(file.read_text()), err


SLOW_NAMES = "import socket\nsocket.getaddrinfo = lambda *_, **__: time.sleep(60)"


@pytest.mark.parametrize(
    ("before", "url"),
    [
        ("", "http://127.0.0.1:9"),
        ("", ""),
        (SLOW_NAMES, "http://headway.example"),
        ("other = headway.Client(namespace='other').tier('b', 0); other.advance(1)", ""),
    ],
    ids=["refuses", "never answers", "has a name that is looked up for ever", "never answers in two namespaces"],
)
def test_a_server_that_never_comes_delays_the_end_by_a_second(before: str, url: str, wall: Wall, tmp_path: Path) -> None:
    took, err = ends(before, url or wall.url, tmp_path / "took")
    assert took < 1 + SLACK
    lines = err.splitlines()
    assert len(lines) == 1 + ("other" in before)
    assert lines[-1].startswith("headway: ")
    assert f"couldn't be sent to {url or wall.url}: it never answered" in lines[-1]


def test_a_server_that_was_there_is_waited_for(server: Server) -> None:
    """It comes back while the process ends."""
    script = """
import atexit, sys
atexit.register(lambda: print("ends", flush=True))
import headway
atexit.register(lambda: print("begins to end", flush=True))
headway.configure(exit_seconds=60)
t = headway.tier("b", 0)
t.advance(1)
assert headway.flush(30), headway.stats()
print("ready", flush=True)
sys.stdin.readline()
t.advance(99)
"""
    with started(script, server.url) as p:
        assert p.stdout is not None
        assert p.stdout.readline() == "ready\n"
        server.stop()
        assert p.stdin is not None
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline() == "begins to end\n"
        server.start()
        assert p.communicate(timeout=60) == ("ends\n", "")
    assert server.settled("b", 100) == 100


def test_sigterm_with_a_server_that_never_comes(wall: Wall) -> None:
    script = """
import headway, time
t = headway.tier("b", 0)
t.advance(1)
print("ready", flush=True)
time.sleep(3600)
"""
    code, out, err = terminated(script, wall.url)
    assert (code, out) == (-signal.SIGTERM, "")
    assert err.count("\n") == 1
    assert "never answered" in err
    until(lambda: wall.taken)


def test_workers_leave_it_to_the_process_that_people_started(wall: Wall) -> None:
    script = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
import headway
from test_counts import in_pool
if __name__ == "__main__":
    t = headway.tier("b", 0, total=40)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(in_pool, [(t, 10)] * 4, chunksize=1)
        pool.close()
        pool.join()
"""
    with started(script, wall.url, str(HERE)) as p:
        out, err = p.communicate(timeout=60)
    assert out == ""
    assert err.count("\n") == 1
