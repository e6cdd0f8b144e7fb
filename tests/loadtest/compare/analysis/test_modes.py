"""Runs that fall into two groups, and those that don't."""

from math import exp, log
from random import Random

import pytest

from loadtest.compare.analysis.modes import groups
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.report import markdown, table
from loadtest.compare.report.html import page
from tests.loadtest.compare.results import comparison, several_runs

MODES = [8.9, 10.6, 8.95, 8.85, 10.65, 8.92, 10.55, 8.88, 10.58, 8.9]
COSTS = [each / 10 for each in MODES]  # seconds, of 100,000 requests


def test_two_modes_are_told_apart() -> None:
    found = groups(MODES)
    assert found is not None
    assert (round(found.low, 2), round(found.high, 2), found.runs) == (8.9, 10.59, (6, 4))


@pytest.mark.parametrize(
    "values",
    [
        MODES[:7],  # too few runs
        [10.0] * 10,
        [10.0 + step / 10 for step in range(10)],
        [*([10.0] * 9), 14.0],  # an outlier is no group
        [*([10.0] * 5), *([10.4] * 5)],  # apart by less than a choice needs
    ],
)
def test_one_group_is_none(values: list[float]) -> None:
    assert groups(values) is None


@pytest.mark.parametrize("runs", [8, 10, 13, 16, 20])
def test_one_mode_hardly_ever_looks_like_two(runs: int) -> None:
    chance = Random(runs)
    found = [groups([exp(chance.gauss(0, 0.04)) for _ in range(runs)]) for _ in range(3_000)]
    assert sum(each is not None for each in found) <= 0.015 * 3_000


def test_modes_a_fifth_apart_are_mostly_found() -> None:
    chance, apart = Random(1), log(10.6 / 8.9)
    found = [
        groups([exp(chance.gauss(0, 0.02) + apart * (chance.random() < 0.4)) for _ in range(10)]) for _ in range(500)
    ]
    assert sum(each is not None for each in found) >= 0.75 * 500


def test_every_report_tells_two_modes() -> None:
    result = comparison(*several_runs(10, "asyncio", server_cpu=COSTS))
    said = "asyncio on uvloop, saturate, 50 clients, CPU us per request 8.90 and 10.6 in 6 and 4 runs"
    terminal = table.text(result)
    assert terminal.isascii()
    assert f"by chance: {said}." in " ".join(terminal.split())
    for shown in (page.html(result), markdown.text(result)):
        assert said in shown
        assert "10.6; 8.90 and 10.6 in 6 and 4 runs" in shown, "beside the figure"


def test_lower_bounds_are_no_groups() -> None:
    rates = [10_000 * round(each, 2) for each in MODES]
    bounded = several_runs(10, "asyncio", verified=[round(each) for each in rates], generator_busy=0.95)
    [summary] = summaries(comparison(*bounded))
    assert summary["requests_per_second"].groups is None
