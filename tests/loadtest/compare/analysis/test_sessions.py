"""The verdict over several sessions of each side: its alarms, its command, and its exit status."""

import json
from math import exp
from pathlib import Path
from random import Random
from typing import Any

import pytest

from loadtest.__main__ import main
from loadtest.compare.analysis.sessions import SPREAD, compare_sessions
from loadtest.compare.analysis.significance import Answer
from tests.loadtest.compare.analysis import simulation
from tests.loadtest.compare.results import comparison, one_run


@pytest.mark.parametrize("number", [3, 5, 10])
def test_a_thousand_equal_comparisons_hardly_alarm(number: int) -> None:
    """At 3 % between sessions, by any of the six measures of a comparison."""
    assert simulation.sides(number, SPREAD, 1_000, seed=11)["alarms"] <= 0.01


def test_sessions_twice_as_far_apart_alarm_rarely() -> None:
    assert simulation.sides(3, 2 * SPREAD, 1_000, seed=11)["alarms"] <= 0.015


def test_measures_that_move_together_alarm_no_more() -> None:
    chance = Random(5)
    alarms = 0
    for _ in range(1_000):
        ours, theirs = ([exp(chance.gauss(0, SPREAD)) for _ in range(3)] for _ in range(2))
        alarms += compare_sessions(ours, theirs, 6).answer is Answer.DIFFERENT
    assert alarms <= 10


def test_what_three_sessions_find_is_little() -> None:
    found = simulation.sides(3, SPREAD, 1_000, seed=12)["found"]
    assert found["10 %"] < 0.3
    assert found["20 %"] > 0.6
    assert found["30 %"] > 0.95


def test_the_interval_is_students() -> None:
    """3 and 3 values, 4 degrees and the prior's 2; t(6) for a tail of 0.0025 is 4.317."""
    found = compare_sessions([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], 1)
    reach = 4.3168 * (2 * SPREAD**2 / 6) ** 0.5 * (2 / 3) ** 0.5
    assert (found.low, found.high) == pytest.approx((exp(-reach), exp(reach)), rel=1e-4)
    assert compare_sessions([1.0] * 3, [1.0] * 3, 6).high > (found.high or 0)  # type: ignore[operator]


def test_too_few_sessions_are_no_verdict() -> None:
    found = compare_sessions([1.0, 1.1], [2.0] * 4, 1)
    assert (found.answer, found.low, found.runs) == (Answer.INDICATIVE, None, (2, 4))
    assert found.why == "2 and 4 sessions have it, where a verdict takes 3 of each"


def written(folder: Path, side: str, rates: list[int], day: int = 1) -> list[str]:
    """Write a result for each of these rates, a session a day."""
    files = []
    for number, rate in enumerate(rates):
        some = [one_run("asyncio", repeat=repeat, verified=10 * rate + repeat) for repeat in range(1, 4)]
        file = folder / f"{side}{number}.json"
        file.write_text(json.dumps(comparison(*some, started=f"2026-11-{day + number:02}T09:00:00+00:00")))
        files.append(str(file))
    return files


OLD = [10_000, 10_300, 9_800]


@pytest.mark.parametrize(
    ("new", "status", "said"),
    [
        ([5_000, 5_100, 4_900], 5, "worse: asyncio on uvloop, saturate, 50 clients: requests/s 0.50 times"),
        ([20_000, 20_600, 19_600], 0, "better: asyncio on uvloop, saturate, 50 clients: requests/s 2.00 times"),
        ([9_900, 10_200, 9_700], 6, "can't tell: asyncio on uvloop, saturate, 50 clients: requests/s 0.99 times"),
    ],
)
def test_three_sessions_a_side_give_a_status(
    new: list[int], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = written(tmp_path, "old", OLD), written(tmp_path, "new", new, day=11)
    assert main(["compare", *before, "--with", *after]) == status
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("A verdict over sessions, of which each is one value.")
    assert said in shown.out
    assert "all sessions of the second side are later" in shown.out
    assert shown.out.count("(interval ") == 2


def test_sessions_in_turns_are_not_called_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = written(tmp_path, "old", OLD), written(tmp_path, "new", OLD, day=2)
    for number, file in enumerate(after):
        result: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
        Path(file).write_text(json.dumps({**result, "started": f"2026-11-0{number + 1}T15:00:00+00:00"}))
    assert main(["compare", *before, "--with", *after]) == 6
    assert "later" not in capsys.readouterr().out


def test_what_a_session_lacks_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = written(tmp_path, "old", OLD), written(tmp_path, "new", OLD, day=11)
    more = json.loads(Path(before[0]).read_text(encoding="utf-8"))
    runs = [*more["runs"], one_run("threaded", clients=7)]
    Path(before[0]).write_text(json.dumps(comparison(*runs, started=more["started"])))
    main(["compare", *before, "--with", *after])
    assert "not in all results, but on the first side: threaded, saturate, 7 clients" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "b", "--with", "c", "d", "e"], "--with takes 3 or more results on each side, not 2 and 3: measure more"),
        (["a", "b", "c", "--with", "d"], "--with takes 3 or more results on each side, not 3 and 1: measure more"),
        (["--with", "a", "b", "c"], "--with takes 3 or more results on each side, not 0 and 3: measure more"),
        (["a", "b", "c"], "give two results to compare, or 3 or more of each side: OLD OLD OLD --with NEW NEW NEW"),
        (["a"], "give two results to compare, or 3 or more of each side: OLD OLD OLD --with NEW NEW NEW"),
    ],
)
def test_sides_of_a_wrong_size_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *arguments])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert said in shown.err


def test_one_session_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = written(tmp_path, "old", OLD), written(tmp_path, "new", OLD, day=11)
    assert main(["compare", *before, "--with", *after[:2], before[0]]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert f"{before[0]} and {before[0]} are of one session" in shown.err


def test_results_with_nothing_in_common_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = written(tmp_path, "old", OLD), []
    for number in range(3):
        file = tmp_path / f"other{number}.json"
        file.write_text(json.dumps(comparison(one_run("threaded"), started=f"2026-11-2{number}T09:00:00+00:00")))
        after.append(str(file))
    assert main(["compare", *before, "--with", *after]) == 2
    assert "no measurement is in all of these results" in capsys.readouterr().err
