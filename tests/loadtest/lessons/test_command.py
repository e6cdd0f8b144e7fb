"""The command as a learner runs it; the bench with imagined runs; and once everything for real."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest

from loadtest.__main__ import main
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure import cgroups
from loadtest.compare.measure.run import Measured, RunFailedError
from loadtest.compare.measure.sampler import Usage
from loadtest.compare.plan import Workload
from loadtest.lessons import command
from loadtest.lessons.bench import MOST, Bench, FreezingLaboratory
from loadtest.lessons.chapters.accept_queue import FIRST
from loadtest.lessons.lesson import lessons
from tests.loadtest.compare.results import one_run, warning
from tests.support.processes import ROOT, still_running

WAITS = {"single": {"900000": 90, "910000": 10}, "threaded": {"1000": 100}}
"""First replies, in microseconds."""


class Imagined(FreezingLaboratory):
    """Runs that take no time: 800 requests/s at single."""

    faults: dict[str, Any] = {}  # noqa: RUF012 - set by a test, and set back

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
        if self.faults.get("failed") == candidate.name:
            raise RunFailedError("the server\ndoes not serve")
        histograms = {"first_reply": WAITS[candidate.name], "response": {}, "service": {}, "connect": {}}
        changes = {name: value for name, value in self.faults.items() if name != "failed"}
        made = one_run(candidate.name, "conversation", 30, histograms=histograms, verified=800, **changes)
        return [Measured(made["load"], Usage(**{"turns": None, **made["usage"]}), 13.0) for _ in workloads]


@pytest.fixture(autouse=True)
def every_core() -> Iterator[None]:
    """Give the tests back the core that the command leaves to the servers."""
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(Imagined, "faults", found)
    return found


def learn(*arguments: str, results: Path) -> int:
    return command.lesson([*arguments, "--output", str(results), "--lang", "en"], Imagined)


def test_without_a_number_lessons_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson", "--lang", "ru"]) == 0
    said = capsys.readouterr().out
    assert re.findall(r"^(\d+)  ", said, re.MULTILINE) == [str(each) for each in lessons()]
    assert "1  Очередь соединений (accept queue)\n   Сервер обслуживает клиентов по одному. Клиентов 30:" in said
    assert said.endswith("Запустить урок: make lesson N=1 L=ru (in English: make lesson N=1)\n")
    assert main(["lesson", "--lang", "en"]) == 0
    assert "1  The accept queue\n   A server talks to one client at a time. 30 clients" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9999"], "invalid choice: 9999"),
        (["one"], "invalid int value: 'one'"),
        (["1", "--lang", "de"], "invalid choice: 'de'"),
        (["1", "--predict", "1,000"], "--predict: '1,000' is not a number: type one such as 12 or 0.5"),
        (["1", "--change", "many"], "--change: 'many' can't be chosen; give a whole number from 25 to 100"),
        (["1", "--change", "101"], "--change: '101' can't be chosen; give a whole number from 25 to 100"),
        (["1", "--predict", "x" * 5000], f"--predict: '{'x' * 40}…' is not a number"),
        (["1", "--change", "9" * 5000], f"--change: '{'9' * 40}…' can't be chosen"),
        (["--predict", "5"], "--predict is for one lesson: give its number too"),
        (["--change", ""], "--change is for one lesson: give its number too"),
        (["--output", ""], "argument --output: it is empty; name a folder, or omit it"),
        (["1", "--output", "/dev/full"], "results cannot be kept in /dev/full: it is not a folder; make that folder"),
        (["1", "--output", "/proc/none"], "results cannot be kept in /proc/none: No such file or directory; make"),
    ],
)
def test_a_bad_option_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = command.lesson([*arguments, *([] if "--lang" in arguments else ["--lang", "en"])])
    except SystemExit as error:
        status = int(error.code or 0)
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("tcplab: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_lesson_runs_without_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn("1", "--predict", "0,9", results=tmp_path) == 0
    said = capsys.readouterr().out
    order = ["Lesson 1. The accept queue", "def serve(", "single, run 3 of 3", "Your prediction: 0.9 s"]
    order += ["Measured: 0.9 s (range of 3 runs: 0.9 to 0.9)", "You were right", "  single", "Why:", "CHANGE=60"]
    places = [said.index(each) for each in order]
    assert places == sorted(places)
    assert "900 ms" not in said
    assert (tmp_path / "lesson-1.svg").read_text().startswith("<svg ")


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPLAB_RESULTS", str(tmp_path))
    assert command.lesson(["1", "--lang", "en"], Imagined) == 0
    assert (tmp_path / "lesson-1.svg").exists()


def test_an_environment_without_a_folder_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCPLAB_RESULTS", " ")
    with pytest.raises(SystemExit) as ended:
        command.lesson([])
    assert ended.value.code == 2
    assert "it is empty; name a folder, or omit it (and TCPLAB_RESULTS)" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["0.5", "0,5"])
def test_a_change_has_a_point_or_comma(typed: str) -> None:
    assert lessons()[6].change.parse(typed) == 0.5


def test_without_a_terminal_nothing_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("12\n"))
    assert learn("1", results=tmp_path) == 0
    said = capsys.readouterr().out
    assert "prediction" not in said
    assert "Measured: 0.9 s" in said


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "refused", "shown"),
    [
        ("much\n-1\n0,5\n", 2, "Your prediction: 0.5 s"),
        (f"{'x' * 5000}\n2\n", 1, f"'{'x' * 40}…' is not a number"),
        ("\n", 0, ""),
        ("", 0, ""),
    ],
)
def test_a_bad_prediction_is_asked_again(
    typed: str, refused: int, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert learn("1", results=tmp_path) == 0
    said = capsys.readouterr().out
    assert said.count("is not a number") == refused
    assert said.count("Your prediction, in seconds (Enter: none): ") == refused + 1
    assert shown in said
    assert ("Your prediction: " in said) == bool(shown)


def test_an_interruption_at_the_question_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", Mock(side_effect=KeyboardInterrupt))
    assert learn("1", results=tmp_path) == 130
    assert "Measuring" not in capsys.readouterr().out


def test_a_disturbed_figure_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], faults: dict[str, Any]) -> None:
    faults["load_warnings"] = [warning("starved")]
    assert learn("1", results=tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Warning (starved: single, threaded): " in said
    assert "In doubt (?): every run was disturbed, as the warnings say (single, threaded)." in said
    assert "0.9 ?" in said
    assert "What to do: end other programs, and run the lesson again." in said


def test_other_programs_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], faults: dict[str, Any]
) -> None:
    faults["others_cpu"] = 5.0
    assert learn("1", results=tmp_path) == 0
    assert "Warning (busy-machine: single, threaded)" in capsys.readouterr().out


def test_a_machine_of_one_core_is_admitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.compare.measure.machine.usable_cores", lambda: (0,))
    assert learn("1", results=tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Warning (not-pinned): server and generator were not pinned to cores of their own" in said
    assert "there is one core only" in said


def test_a_failed_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], faults: dict[str, Any]) -> None:
    faults["failed"] = "threaded"
    assert learn("1", results=tmp_path) == 1
    out, err = capsys.readouterr()
    assert err == "tcplab: the server does not serve\n"
    assert "Why" not in out


def test_a_disk_that_fills_up_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.atomic_write.write", Mock(side_effect=OSError(28, "No space left on device")))
    assert learn("1", results=tmp_path) == 1
    out, err = capsys.readouterr()
    assert "Why:" in out
    where = f"{tmp_path}/lesson-1.svg"
    assert err == (
        f"tcplab: The picture could not be kept in {where}: No space left on device; name a folder: --output"
        " (Docker: TCPLAB_UID)\n"
    )


def test_further_runs_end_after_a_minute(tmp_path: Path) -> None:
    seconds = iter([0.0, *(each * 20.0 for each in range(100))])
    begun: list[tuple[str, int, int, float]] = []
    laboratory = Imagined(tmp_path, *[None] * 3)  # type: ignore[arg-type]
    bench = Bench(laboratory, lambda *about: begun.append(about), lambda _: None, lambda: next(seconds))
    runs = bench.runs(FIRST, Candidate("single", "", "", "", variant="single"), Workload("conversation", 30, 5, 15), 9)
    assert len(runs) == len(begun) == 2
    assert begun[-1][-1] + 20 <= MOST


def test_an_interruption_leaves_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "lesson", "1", "--lang", "en", "--output", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    below: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 60
        while len(below) < 2 and time.monotonic() < deadline:  # a server and its load
            below = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert len(below) >= 2
    assert still_running(below) == []
    assert "interrupted: ending servers and load" in said
    assert "Measured" not in said


@pytest.mark.measures
@pytest.mark.parametrize(("number", "low", "high"), [("1", 0.6, 1.6), ("6", 0.1, 100.0)])
def test_a_lesson_for_real(
    number: str, low: float, high: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other work on the machine spoils a lesson, which then says so: one good one of three proves it."""
    seen = []
    for _ in range(3):
        began = time.monotonic()
        assert command.lesson([number, "--predict", "1", "--lang", "en", "--output", str(tmp_path)]) == 0
        assert time.monotonic() - began < MOST + 10
        seen.append(capsys.readouterr().out)
        [(bound, measured)] = re.findall(r"Measured: (≥ )?(\S+) \w+ \(", seen[-1])
        if not bound and low < float(measured) < high and "Why:" in seen[-1]:
            return
    raise AssertionError("\n".join(seen))


@pytest.mark.measures
def test_memory_without_root_has_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "make", Mock(side_effect=cgroups.NoGroupError("run as root")))
    assert command.lesson(["3", "--lang", "en", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    [(value, low, high)] = re.findall(r"Measured: (\S+) kB \(it is between (\S+) and (\S+)\)", said)
    assert 25 < float(low) < float(high) < 150
    assert value == high
    assert "Warning (kernel-by-system): " in said
