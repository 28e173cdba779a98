"""Inside of real Ray tasks and actors: what is tried again counts once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import HERE, until

if TYPE_CHECKING:
    from conftest import Server

RAY = Path(os.environ.get("HEADWAY_TEST_RAY") or HERE.parents[2] / "bin" / "ray") / "bin" / "python"  # made by `make ray`

TIERS = {
    0: "tasks that raise and are tried again, some in the same process",
    1: "tasks whose worker is killed",
    2: "tasks that count in threads of their own",
    3: "tasks that share a handle which came with the function",
    4: "tasks that make a handle of their own",
    5: "tasks whose piece of work has a name",
    6: "methods of an actor that is killed and restarted",
    7: "methods of an async actor, which overlap",
    8: "methods of a threaded actor, which run side by side",
    10: "the driver, as results come back",
}


@pytest.mark.skipif(not RAY.exists(), reason=f"NOTE: no Ray at {RAY}: nothing was tried inside of Ray tasks")
def test_what_ray_tries_again_counts_once(server: Server, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    # Without a mode Ray leaves a token in the home directory, which from then on every Ray of this user asks for.
    ray = {"RAY_DEDUP_LOGS": "0", "RAY_AUTH_MODE": "disabled"}
    env = {**os.environ, **ray, "HEADWAY_URL": server.url, "PYTHONPATH": f"{HERE.parent}"}
    done = subprocess.run([RAY, HERE / "in_ray.py", marks], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: server.tier("ray", 10).get("status"), lambda s: s == "COMPLETED")
    got = {n: server.settled("ray", 2000, n) for n in TIERS}
    assert got == dict.fromkeys(TIERS, 2000), {TIERS[n]: c for n, c in got.items() if c != 2000}
    assert server.settled("ray", 1000, 9) == 1000
    assert server.settled("ray", 300, 11) == 300  # three workers that got SIGTERM with counts that weren't sent
    # Nothing of it means anything unless tries were really lost: 4 of each 20 pieces, all 20 of the threads.
    lost = sorted(m.name for m in marks.iterdir())
    assert len(lost) == 8 * 4 + 4 + 20 + 1, lost
