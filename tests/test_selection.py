"""Every test is in exactly one of the parts that `make test-all` runs, and `make test` is the first of them."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A plugin for pytest: it writes the markers of every test that there is.
PLUGIN = """
import json
import pathlib

def pytest_collection_finish(session):
    found = {item.nodeid: [mark.name for mark in item.iter_markers()] for item in session.items}
    pathlib.Path("%s").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the markers of every test, by node id."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "marker_plugin.py").write_text(PLUGIN % (folder / "found.json"))
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "marker_plugin", "-p", "no:cacheprovider"]
    paths = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=ROOT, env=paths, stdout=subprocess.DEVNULL, timeout=300, check=True)
    found = json.loads((folder / "found.json").read_text())
    return {test: set(names) for test, names in found.items()}


def parts(target: str) -> list[str]:
    """Return the expressions by which a target of the Makefile selects tests, one for each time that it runs pytest."""
    if not shutil.which("make"):
        pytest.skip("there is no make")
    environment = {"PATH": "/usr/bin:/bin"}  # without what a make that runs these tests hands down
    said = subprocess.run(
        ["make", "--dry-run", "--old-file", ".venv-dev/ready", target],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    runs = [line for line in said.splitlines() if "-m pytest" in line]
    found = [re.findall(r'-m "([^"]+)"', line) for line in runs]
    assert all(len(each) == 1 for each in found), runs
    return [each for [each] in found]


def selected(expression: str, markers: dict[str, set[str]]) -> set[str]:
    """Return the tests that pytest selects by an expression of markers, which is one of Python's."""
    return {
        test
        for test, names in markers.items()
        if eval(expression, {}, defaultdict(bool, dict.fromkeys(names, True)))
    }  # fmt: skip


def test_every_test_is_in_one_part(markers: dict[str, set[str]]) -> None:
    times = Counter(test for part in parts("test-all") for test in selected(part, markers))
    assert len(markers) > 5000
    assert [test for test in markers if times[test] != 1] == []


def test_the_quick_part_is_the_first(markers: dict[str, set[str]]) -> None:
    [quick] = parts("test")
    assert parts("test-all")[0] == quick
    left_out = {"measures", "slow", "other_loop", "free_threaded", "hosts", "docker"}
    assert selected(quick, markers) == {test for test, names in markers.items() if not names & left_out}


def test_servers_on_other_loops_are_marked(markers: dict[str, set[str]]) -> None:
    named = {
        test
        for test in markers
        if re.search(r"\[(\S+-)?(asyncio|protocol|prefork)-(stdlib|rloop)", test) and "/compare/" not in test
    }
    assert {end for test in named for end in ("stdlib", "rloop") if end in test} == {"stdlib", "rloop"}
    assert [test for test in named if "other_loop" not in markers[test]] == []


def test_servers_without_a_gil_are_marked(markers: dict[str, set[str]]) -> None:
    named = {test for test in markers if re.search(r"\[(\S+-)?(single|threaded|pool)-freethreaded", test)}
    assert named
    assert [test for test in named if "free_threaded" not in markers[test]] == []
