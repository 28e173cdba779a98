"""What a stranger gets: the wheel, in an empty environment."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import headway
from headway import _settings

if TYPE_CHECKING:
    from conftest import Server

HERE = Path(__file__).parents[1]


def test_options_are_those_of_read() -> None:
    assert list(inspect.signature(_settings.read).parameters) == list(_settings.Options.__annotations__)


def imports(path: Path) -> set[str]:
    """The modules of the package that one of them imports anywhere, for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {name.name for name in node.names}
    return found


def test_imports_run_in_no_circle() -> None:
    graph = {p.stem: imports(p) for p in (HERE / "headway").glob("*.py")}
    while graph:
        leaves = {m for m, to in graph.items() if not to & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {m: to for m, to in graph.items() if m not in leaves}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", str(to), str(HERE)]
    subprocess.run(pip, check=True)
    return next(to.glob("headway-*.whl"))


def test_the_wheel_says_whose_it_is(wheel: Path) -> None:
    version = json.loads((HERE.parent / "js" / "package.json").read_text())["version"]
    assert version == headway.__version__
    assert wheel.name == f"headway-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as z:
        names = z.namelist()
        metadata = z.read(f"headway-{version}.dist-info/METADATA").decode()
    assert f"headway-{version}.dist-info/licenses/LICENSE" in names
    assert "headway/py.typed" in names
    assert not [n for n in names if n.startswith("tests")]
    for line in (
        "License-Expression: Apache-2.0",
        "Project-URL: Repository, https://github.com/headwayhq/headway",
        "Keywords: ",
        "pip install headway",
    ):
        assert line in metadata


def test_the_wheel_reports_from_an_empty_environment(wheel: Path, tmp_path: Path, server: Server) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)  # without an index: it needs nothing else
    program = f"""
import headway
headway.configure(url={server.url!r})
with headway.tier("packed", 0, total=3) as t:
    t.advance(3)
assert headway.flush(), headway.stats()
print(headway.__file__)
"""
    said = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout.startswith(str(tmp_path))
    assert server.settled("packed", 3) == 3
