"""A real `headway run` on free ports, that tests may stop and start again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
HEADWAY = os.environ.get("HEADWAY_TEST_BINARY", str(HERE.parents[2] / "bin" / "headway"))
PATIENCE = 30.0  # seconds until a condition that never comes is a failure


def until(what: Callable[[], Any], condition: Callable[[Any], bool] = bool) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        got = what()
        if condition(got):
            return got
        assert time.monotonic() < deadline, f"still {got!r}"
        time.sleep(0.02)


class Server:
    def __init__(self, directory: Path, *flags: str) -> None:
        self._data, self._flags = directory, flags
        self.told = directory.with_suffix(".err")
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        where = ["--listen", self._listen, "--nats-listen", "127.0.0.1:0", "--data-dir", str(self._data)]
        with self.told.open("w") as told:
            self._process = subprocess.Popen(
                [HEADWAY, "run", *where, *self._flags], stdout=subprocess.PIPE, stderr=told, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        ready = re.match(r"ready api=(\S+) nats=(\S+)", line)
        assert ready, f"{HEADWAY} said {line!r}"
        self.url = ready[1]
        self._listen = self.url.removeprefix("http://")  # the same one again after a stop

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def diagnostics(self, batch: str) -> dict[str, Any] | None:
        url = f"{self.url}/v1/analytics/performance/batches/{batch}/diagnostics"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 (a server of ours)
                answer: dict[str, Any] = json.load(reply)
                return answer
        except urllib.error.HTTPError as e:
            if e.code not in {404, 503}:
                raise
            return None

    def tier(self, batch: str, number: int = 0) -> dict[str, Any]:
        tiers: list[dict[str, Any]] = (self.diagnostics(batch) or {}).get("tiers", [])
        return next((t for t in tiers if t["tier_num"] == number), {})

    def processed(self, batch: str, number: int = 0) -> int:
        tier = self.tier(batch, number)
        return int(tier["progress"]["processed_documents"]) if tier else 0

    def settled(self, batch: str, documents: int, number: int = 0) -> int:
        """What the tier shows once it shows so many documents, and everything that was sent has been folded."""
        until(lambda: self.processed(batch, number), lambda n: n >= documents)
        until(lambda: (self.diagnostics(batch) or {}).get("view", {}).get("lag_seconds", 9), lambda lag: lag < 5)
        return self.processed(batch, number)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    s = Server(tmp_path / "headway")
    yield s
    s.stop()


def python(script: str, server: str, *args: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process of its own, which reports to server."""
    env = {**os.environ, "HEADWAY_URL": server, "PYTHONPATH": str(HERE.parent), **environment}
    return subprocess.run(
        [sys.executable, "-c", script, *args], env=env, capture_output=True, text=True, timeout=120, check=check
    )
