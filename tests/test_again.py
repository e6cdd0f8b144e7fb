"""What fails twice has failed, what failed once is named, and `make test-all` loses no failure."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import again

ROOT = Path(__file__).resolve().parents[1]

# Each run of a test leaves a line.
TESTS = """
import pytest
from pathlib import Path

def times(name):
    with Path(name).open("a") as file:
        file.write("run\\n")
    return len(Path(name).read_text().splitlines())

def test_good():
    times("good")

@pytest.mark.parametrize("number", range(int(Path("bad").read_text())))
def test_bad(number):
    times("bad-runs")
    assert False

@pytest.mark.parametrize("number", range(int(Path("flaky").read_text())))
def test_flaky(number):
    assert times(f"flaky-{number}") > 1

@pytest.mark.parametrize("number", range(int(Path("skips").read_text())))
def test_skips(number):
    if times(f"skips-{number}") > 1:
        pytest.skip("it can't be run any more")
    assert False
"""

STUB = """#!/bin/sh
# Stands in for Python: notes what it is to run, and ends with the next status.
echo "$*" >> said
read -r status < statuses
sed -i 1d statuses
exit "$status"
"""


def run(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    paths = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p tests.conftest"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder, env=paths | extra, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def judged(folder: Path, flaky: int = 0, bad: int = 0, skips: int = 0) -> tuple[int, list[str]]:
    """Run tests of which so many fail; return the status, and what was said after the second run."""
    (folder / "test_them.py").write_text(TESTS)
    for name, number in {"flaky": flaky, "bad": bad, "skips": skips}.items():
        (folder / name).write_text(str(number))
    first = run(folder, "pytest", "--rootdir", ".", TESTS_OUTCOMES=str(folder / "0.json"))
    said = run(folder, "tests.again", str(folder), str(first.returncode))
    assert said.stderr == ""
    return said.returncode, [line for line in said.stdout.splitlines() if line.startswith(("FAILED ONCE", "tcplab:"))]


def named(*tests: str) -> list[str]:
    why = "it passed when run again. Find out why (CONTRIBUTING.md)"
    return [f"FAILED ONCE: test_them.py::{test}: {why}" for test in tests]


@pytest.mark.parametrize("flaky", [1, 3])
def test_what_fails_once_is_named(tmp_path: Path, flaky: int) -> None:
    status, said = judged(tmp_path, flaky)
    assert (status, said[1:]) == (0, named(*(f"test_flaky[{number}]" for number in range(flaky))))
    assert (tmp_path / "good").read_text() == "run\n"


def test_what_fails_twice_has_failed(tmp_path: Path) -> None:
    status, said = judged(tmp_path, flaky=1, bad=1)
    assert (status, said[1:]) == (1, named("test_flaky[0]"))
    assert (tmp_path / "bad-runs").read_text() == "run\n" * 2


def test_what_is_skipped_then_has_failed(tmp_path: Path) -> None:
    status, said = judged(tmp_path, skips=1)
    assert (status, said[1:]) == (1, [])


def test_many_are_not_run_again(tmp_path: Path) -> None:
    assert judged(tmp_path, flaky=4) == (1, ["tcplab: 4 tests failed; up to 3 would be run again"])
    assert (tmp_path / "flaky-0").read_text() == "run\n"


def test_all_passed(tmp_path: Path) -> None:
    assert judged(tmp_path) == (0, [])


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([1, 0, 1], "tcplab: part 2 failed, and no test of it did\n"),
        ([0, 1, 0], "tcplab: part 1 failed, and no test of it did\n"),
        ([1, 2, 0], "tcplab: pytest itself failed, or was stopped (statuses 1, 2, 0)\n"),
        ([1, 0, 137], "tcplab: pytest itself failed, or was stopped (statuses 1, 0, 137)\n"),
    ],
)
def test_a_failure_without_a_test_counts(
    tmp_path: Path, statuses: list[int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Although the first part's failed test would pass now."""
    (tmp_path / "0.json").write_text(json.dumps({"failed": ["tests/test_again.py::test_all_passed"], "passed": []}))
    (tmp_path / "2.json").write_text(json.dumps({"failed": [], "passed": []}))
    assert again.main(tmp_path, statuses) == 1
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("statuses", [(0, 0, 0), (1, 0, 3), (137, 1, 0)])
@pytest.mark.parametrize("last", [0, 1])
def test_make_hands_on_every_status(tmp_path: Path, statuses: tuple[int, ...], last: int) -> None:
    if not shutil.which("make"):
        pytest.skip("there is no make")
    stub = tmp_path / ".venv-dev" / "bin" / "python"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB)
    stub.chmod(0o755)
    (tmp_path / "statuses").write_text("".join(f"{status}\n" for status in (*statuses, last)))
    made = subprocess.run(
        ["make", "--file", ROOT / "Makefile", "--old-file", ".venv-dev/ready", "test-all"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (made.returncode == 0) == (last == 0)
    *_, handed_on = (tmp_path / "said").read_text().splitlines()
    words = handed_on.split()
    assert words[:2] == ["-m", "tests.again"]
    assert words[3:] == [str(status) for status in statuses]
    assert not Path(words[2]).exists()
