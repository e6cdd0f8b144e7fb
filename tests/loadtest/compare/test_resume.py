"""An interrupted comparison goes on: real servers, a stub for Locust."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare import plan as plans
from loadtest.compare import resume
from loadtest.compare.candidates import TEXTBOOK
from loadtest.compare.measure import machine
from loadtest.compare.plan import indicative, not_run, thorough
from loadtest.compare.resume import resumed
from loadtest.compare.schema import check
from tests.loadtest.compare.results import MACHINE, comparison, one_run
from tests.loadtest.compare.test_compare import Running, command
from tests.support.processes import ROOT

NOW = datetime(2026, 11, 28, tzinfo=UTC)
REPEATS = ("--variants", "threaded", "asyncio", "--repeats", "3", "--seed", "1", "--warmup", "1")


def go_on(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.load.compare", "--resume", str(folder), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "compare.json").read_text())
    return found


@pytest.mark.measures  # beside other tests a run failed, twice in six times
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_comparison_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """It was stopped in the fourth of six runs: the second repeat is measured again, the first is not."""
    running = Running(command(tmp_path, *REPEATS))
    running.until("[ 4/6")
    os.killpg(running.process.pid, number)
    said = running.rest()
    folder = (tmp_path / "latest").resolve()
    if number is signal.SIGINT:
        assert f"python -m loadtest compare --resume {folder}" in said
    before = kept(folder)
    done = go_on(folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    after = kept(folder)
    check(after)
    assert [each["status"] for each in before["runs"]][:3] == ["done"] * 3
    assert [each["status"] for each in after["runs"]] == ["done"] * 6
    assert after["runs"][:2] == before["runs"][:2]
    assert after["runs"][2]["load"]["window"] != before["runs"][2]["load"]["window"]
    assert [each["candidate"] for each in after["runs"]] == [each["candidate"] for each in before["runs"]]
    assert (after["started"], len(after["resumed"])) == (before["started"], 1)
    assert after["complete"]
    assert "in 2 sessions" in (folder / "compare.html").read_text()
    assert not (folder / ".work").exists()
    again = go_on(folder)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.endswith(
        "compare.json: nothing is left to measure: only an interrupted comparison can be resumed\n"
    )


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make a comparison of which one run is there, as if measured here."""
    for name in [name for name in os.environ if name.startswith("TCPLAB_")]:
        monkeypatch.delenv(name)
    found = comparison(one_run("threaded"), one_run("asyncio"))
    found["runs"][1] = {**found["runs"][1], "status": "interrupted"}
    usual = {**found, "complete": False, "interrupted": True, "ended": found["started"]}
    return {**usual, "machine": machine.describe(), "commit": machine.commit(ROOT), "settings": {}}


def change(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def made(found: dict[str, Any]) -> None:
        for name in path[:-1]:
            found = found[name]
        found[path[-1]] = to

    return made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (change("machine", to=MACHINE), "it was measured on another machine (cpu: Imagined CPU there, "),
        (change("commit", to="0123456789ab"), "it was measured at commit 0123456789ab, and this is "),
        (change("settings", to={"TCPLAB_LOOP": "asyncio"}), "TCPLAB_LOOP was asyncio then: set it so again"),
        (change("complete", to=True), "nothing is left to measure"),
        (lambda found: found["plan"]["candidates"][0].update(folder="/tmp/old"), "with an earlier revision"),
    ],
)
def test_another_situation_is_refused(half: dict[str, Any], made: Callable[[dict[str, Any]], None], said: str) -> None:
    resume.check(half, ROOT)
    made(half)
    with pytest.raises(ValueError, match=r".") as refused:
        resume.check(half, ROOT)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--resume", "{}", "--repeats", "3"), "--resume goes on with what was planned: omit the other options"),
        (("--seed=3", "--resume={}"), "--resume goes on with what was planned: omit the other options"),
        (("--resume={}/",), "compare.json: it can't be read: No such file or directory"),
        (("--resume", "{}"), "compare.json: it can't be read: No such file or directory"),
    ],
)
def test_what_cannot_be_resumed_is_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    (tmp_path / "empty").mkdir()
    given = [each.format(tmp_path / "empty") for each in options]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "compare", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert said in done.stderr


@pytest.mark.parametrize("planned", [indicative(3), thorough(3), thorough(3).at(4000)])
def test_a_plan_survives_json(planned: plans.Plan) -> None:
    assert plans.from_json(json.loads(json.dumps(planned.as_json()))) == planned
    assert plans.runs_of(list(map(not_run, planned.runs()))) == planned.runs()


def test_rates_once_found_stay(half: dict[str, Any]) -> None:
    """Interrupted before they were found, they are searched anew; after that they are those of the first session."""
    planned = indicative(3).at(4000)
    found = {"plan": planned.as_json(), "reached": [{"candidate": "asyncio", "requests_per_second": 4000.0}]}
    records = [{**not_run(run), "status": "done" if run.repeat == 1 else "not run"} for run in planned.runs()]
    then = resumed({**half, **found, "runs": records}, NOW)
    assert then["reached"] == found["reached"]
    assert then["runs"] == records
    waiting = indicative(3)
    then = resumed({**half, "plan": waiting.as_json(), "reached": [{"candidate": "x"}], "runs": []}, NOW)
    assert (then["reached"], {each["repeat"] for each in then["runs"]}) == ([], set())
    assert len({run.candidate for run in planned.runs()}) == len(TEXTBOOK)


def test_further_runs_and_memory_are_kept(half: dict[str, Any]) -> None:
    """Runs that a verdict needed beyond the plan stay if they are done; memory that was being measured goes."""
    planned = plans.from_json({**indicative(3).at(4000).as_json()})
    done = [{**not_run(run), "status": "done"} for run in planned.runs()]
    further = [{**done[-1], "number": len(done) + 1}, {**done[-1], "number": len(done) + 2, "status": "interrupted"}]
    memory: list[dict[str, Any]] = [
        {"candidate": "single", "problem": "", "silent": {}},
        {"candidate": "threaded", "problem": "", "runs": []},
    ]
    memory[0]["silent"] = {"value": 1}
    found = {**half, "plan": planned.as_json(), "reached": [], "runs": done + further, "memory": memory}
    then = resumed(found, NOW)
    assert then["runs"] == [*done, further[0]]
    assert then["memory"] == memory[:1]
