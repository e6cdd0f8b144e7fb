"""What `make check-lab` says and returns, without Docker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import check_lab
from tests.observability.queries import Query, queries
from tests.support.lab.docker import Lab
from tests.support.processes import ROOT

RATE = Query("compare.json", "Replies", "A", "sum by (variant) (rate(a[1m]))", instant=False)
MARK = Query("compare.json", "annotation Runs", "A", "changes(b[1m])", instant=False)

ALL = [({"variant": name}, 1.0) for name in sorted(check_lab.NAMES)]


class Answers:
    """Returns one answer after another, the last again and again."""

    def __init__(self, *answers: check_lab.Series | Exception) -> None:
        self._answers: Iterator[check_lab.Series | Exception] = iter(answers)
        self._last: check_lab.Series | Exception = []

    def __call__(self, _: str) -> check_lab.Series:
        self._last = next(self._answers, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return self._last


@pytest.mark.parametrize(
    ("query", "answer", "expected"),
    [
        (RATE, ALL, ""),
        (RATE, [], "no data"),
        (RATE, ALL[:-1], "no data of threaded"),
        (RATE, [*ALL, ({"variant": "single"}, float("nan"))], "not a number"),
        (RATE, OSError("refused"), "no answer: refused"),
        (MARK, [], ""),
        (MARK, OSError("refused"), "no answer: refused"),
    ],
)
def test_an_answer_lacks_what_is_said(query: Query, answer: check_lab.Series | Exception, expected: str) -> None:
    assert check_lab.why_wrong(query, Answers(answer)) == expected


def test_a_late_answer_is_waited_for() -> None:
    assert check_lab.wrong([RATE], Answers([], ALL[:1], ALL), seconds=5, pause=0.01) == {}


def test_what_never_answers_is_named() -> None:
    assert check_lab.wrong([RATE, MARK], Answers([]), seconds=0.1, pause=0.01) == {"compare: Replies A": "no data"}


def answering(monkeypatch: pytest.MonkeyPatch, answer: check_lab.Series) -> None:
    monkeypatch.setattr(Lab, "query", lambda *_: answer)


def test_what_was_not_asked_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, ALL)
    assert check_lab.check(Lab(ports={}, no_grafana="no such host"), seconds=0) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "NOT ASKED  Grafana, whose image can't be had: no such host",
        f"tcplab check-lab: {len(queries())} of {len(queries())} queries have an answer",
    ]


def test_a_silent_panel_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, [])
    assert check_lab.check(Lab(ports={}, no_grafana="no such host"), seconds=0) == 1
    assert "NO ANSWER  load: Would more workers help? A: no data" in capsys.readouterr().out


def test_without_docker_one_line_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.e2e.check_lab"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tcplab check-lab: there is no docker command; install Docker with Compose v2, and start it\n"
    )
