"""The scorecard of servers with one fault each, and of correct ones in Python, C and Go."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loadtest.check import show
from loadtest.check.commands import COMMANDS
from loadtest.check.scorecard import FAILED, NOT_ASKED, ROWS, Scorecard, ask
from tests.loadtest.check.servers.faulty import FAULTS
from tests.support.check import asked, scorecard
from tests.support.needs import COMPILER, GO, provided
from tests.support.processes import ROOT

SERVERS = Path(__file__).parent / "servers"
FAULTY = (sys.executable, str(SERVERS / "faulty.py"), "{port}")


def unasked(card: Scorecard) -> set[str]:
    """Return the rows that were not asked, without those for which the server lacks a command."""
    return {result.name for result in card.of(NOT_ASKED) if not result.why.startswith("--commands does not name")}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits of rows that fail."""
    monkeypatch.setattr("loadtest.check.client.PATIENCE", 3.0)
    monkeypatch.setattr("loadtest.check.server.GRACE", 3.0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_by_its_row_alone(fault: str, tmp_path: Path) -> None:
    card = scorecard((*FAULTY, fault), tmp_path, serves=100)
    assert card.broken == ""
    assert [(result.name, result.came) for result in card.of(FAILED) if result.name != FAULTS[fault]] == []
    [failed] = card.of(FAILED)
    assert "" not in {failed.sent, failed.came, failed.expected}
    assert ("the server ended, exit status 1" in failed.came) == fault.startswith("dies")
    assert {show.line(result) for result in card.of(NOT_ASKED)} <= {f"not asked: {failed.name} failed"}


def test_a_row_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.check.server._ROW", 0.5)
    with asked((*FAULTY, "drips without an end"), tmp_path) as server:
        server.restart()
        [result] = [ask(row, server) for row in ROWS if row.name == "blanks"]
    assert (result.status, result.came) == (FAILED, "no end within 0.5 s")


def test_a_listener_may_be_missed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's table is no snapshot: sockets that close meanwhile can hide another."""
    usual, missed = psutil.Process.net_connections, [True]

    def net_connections(process: psutil.Process, kind: str) -> object:
        return [] if missed and missed.pop() else usual(process, kind)

    monkeypatch.setattr(psutil.Process, "net_connections", net_connections)
    with asked(FAULTY, tmp_path) as server:
        server.restart()
        assert server.listens()
        assert not missed


@pytest.mark.skipif(sys.platform != "linux", reason="it needs setsid")
def test_a_foreign_listener_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's process is no child of the command that starts it; here a server whose parent ends at once."""
    monkeypatch.setattr("loadtest.check.scorecard.ROWS", [row for row in ROWS if row.name == "sigterm"])
    escape = f"(setsid {' '.join(FAULTY[:2])} $0 & echo $! > {tmp_path}/pid); exec sleep 60"
    try:
        card = scorecard(("sh", "-c", escape, "{port}"), tmp_path)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert [result.why for result in card.results] == ["the process that listens was not started here"]


def test_every_row_has_a_fault() -> None:
    assert set(FAULTS.values()) == {row.name for row in ROWS}


def test_without_a_fault_all_rows_pass(tmp_path: Path) -> None:
    card = scorecard(FAULTY, tmp_path)
    assert [(result.name, result.came, result.why) for result in card.results if result.status != "passed"] == []
    assert [result.name for result in card.results] == [row.name for row in ROWS]


def of_the_readme(folder: Path) -> list[str]:
    """Write the example of README.md; return the command that starts it."""
    example = re.search(r"`mine\.py`:\n\n((?:    .*\n|\n)+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert example
    (folder / "mine.py").write_text(re.sub("^    ", "", example[1], flags=re.MULTILINE))
    return [sys.executable, str(folder / "mine.py"), "{port}"]


def in_c(folder: Path) -> list[str]:
    provided(COMPILER, "" if shutil.which("gcc") else "there is no gcc")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", folder / "server", SERVERS / "server.c"], check=True)
    return [str(folder / "server"), "{port}"]


def in_go(folder: Path) -> list[str]:
    provided(GO, "" if shutil.which("go") else "there is no go")
    here = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off", "GO111MODULE": "off", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", folder / "server", SERVERS / "server.go"], env=here, check=True)
    return [str(folder / "server"), "{port}"]


@pytest.mark.parametrize("build", [of_the_readme, in_c, in_go])
def test_a_correct_server_comes_out_clean(build: Callable[[Path], list[str]], tmp_path: Path) -> None:
    card = scorecard(build(tmp_path), tmp_path, commands=())
    assert [(result.name, result.came) for result in card.of(FAILED)] == []
    assert unasked(card) == set()
    assert {row.name for row in ROWS if not row.commands} == {result.name for result in card.of("passed")}
    assert {name for row in ROWS for name in row.commands} == set(COMMANDS)
