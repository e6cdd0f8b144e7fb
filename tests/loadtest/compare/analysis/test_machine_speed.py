"""Runs before or after which the machine was not as fast as usual."""

import random
from typing import Any

import pytest

from loadtest.compare.analysis.machine_speed import FEWEST, changes
from loadtest.compare.analysis.summary import summaries
from tests.loadtest.compare.results import comparison, one_run

QUIET = [[20.0, 21.0, 30.0, 31.0], [20.0, 21.0, 30.0, 31.0]]


def compared(calibrations: list[list[list[float]]]) -> dict[str, Any]:
    runs = [one_run("asyncio", repeat=place + 1) for place in range(len(calibrations))]
    return comparison(*({**run, "calibration": each} for run, each in zip(runs, calibrations, strict=True)))


def scaled(factor: float, spread: float = 0.0, chance: random.Random | None = None) -> list[list[float]]:
    """Return calibrations around the quiet ones."""
    draw = chance or random.Random(1)
    return [[took * factor * (1 + draw.gauss(0, spread)) for took in each] for each in QUIET]


@pytest.mark.parametrize(("factor", "said"), [(1.14, "+14%"), (0.9, "-10%"), (1.05, "+5%"), (1.02, None)])
def test_a_run_on_another_machine_is_left_out(factor: float, said: str | None) -> None:
    found = changes(compared([*[QUIET] * 12, scaled(factor)]))
    assert [*found] == ([] if said is None else [13])
    if said is not None:
        assert f"took {said} of its usual time" in found[13].detail
        [summary] = summaries(compared([*[QUIET] * 12, scaled(factor)]))
        assert (len(summary.valid), [run.number for run in summary.excluded]) == (12, [13])


def test_five_slow_runs_in_twenty_are_seen() -> None:
    """As in spread.json, where five runs of all servers sat at 0.86 of the others."""
    chance = random.Random(3)
    usual = [scaled(1, 0.01, chance) for _ in range(15)]
    slow = [scaled(1 / 0.86, 0.01, chance) for _ in range(5)]
    assert sorted(changes(compared([*usual, *slow]))) == [16, 17, 18, 19, 20]


def test_a_quiet_machine_hardly_ever_warns() -> None:
    """Of 40 runs whose calibrations spread by 2 %, over 100 comparisons."""
    chance = random.Random(4)
    every = [len(changes(compared([scaled(1, 0.02, chance) for _ in range(40)]))) for _ in range(100)]
    assert sum(every) / 4000 < 0.01


def test_of_few_runs_nothing_is_usual() -> None:
    assert changes(compared([*[scaled(1 + place / 1e6) for place in range(FEWEST - 2)], scaled(2)])) == {}
    assert changes(compared([[] for _ in range(12)])) == {}


def test_where_calibrations_are_missing_others_count() -> None:
    found = changes(compared([*[scaled(1 + place / 1e6) for place in range(12)], [], scaled(1.5)]))
    assert [*found] == [14]
