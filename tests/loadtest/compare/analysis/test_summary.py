"""From runs to medians: which runs are in them, and what their bounds are."""

from typing import Any

import pytest

from loadtest.compare.analysis.summary import Summary, by_scenario, summaries
from loadtest.compare.report.formatting import served
from tests.loadtest.compare.results import comparison, failed, one_run, several_runs, warning


def only(*some: dict[str, Any]) -> Summary:
    [summary] = summaries(comparison(*some))
    return summary


def rates(*values: int) -> list[int]:
    """Return the requests verified in a window of 10 s."""
    return [value * 10 for value in values]


def test_a_median_of_few_runs_has_their_range() -> None:
    found = only(*several_runs(3, "asyncio", verified=rates(900, 1100, 1000)))["requests_per_second"]
    assert (found.value, found.low, found.high) == (1000.0, 900.0, 1100.0)
    assert found.values == (900.0, 1100.0, 1000.0)
    assert not found.is_interval


def test_a_median_of_ten_runs_has_an_interval() -> None:
    runs = several_runs(10, "asyncio", verified=rates(*range(1000, 1100, 10)))
    found = only(*runs)["requests_per_second"]
    assert found.is_interval
    assert found.value == 1045.0
    assert (found.low, found.high) == (1010.0, 1080.0)


@pytest.mark.parametrize(
    "name",
    [
        "stolen-time",
        "corrupt",
        "disconnected",
        "worker-lost",
        "conservation",
        "local-limit",
        "conntrack",
        "nothing-answered",
        "stalled-clients",
        "timeouts",
    ],
)
def test_a_run_excluded_is_in_no_median(name: str) -> None:
    runs = several_runs(3, "asyncio", verified=rates(1000, 100, 1200), load_warnings=[[], [warning(name)], []])
    found = only(*runs)
    assert found["requests_per_second"].value == 1100.0
    assert found["requests_per_second"].values == (1000.0, 1200.0)
    assert [run.requests_per_second.value for run in found.excluded] == [100.0]
    assert (found.runs, len(found.shown), len(found.failed)) == (2, 3, 0)


@pytest.mark.parametrize("changes", [{"others_cpu": 3.0}, {"stolen": 2.0}])
def test_trouble_around_a_run_is_a_warning_too(changes: dict[str, Any]) -> None:
    assert [len(only(one_run("asyncio", **changes)).excluded), only(one_run("asyncio", **changes)).runs] == [1, 0]


@pytest.mark.parametrize("name", ["generator-cpu", "unserved", "unconnected", "rate", "loop-lag"])
def test_a_reading_warning_takes_no_run_out(name: str) -> None:
    found = only(one_run("asyncio", load_warnings=[warning(name)]))
    assert (found.runs, found.excluded) == (1, ())


def test_every_run_excluded_gives_no_measure() -> None:
    found = only(*several_runs(2, "asyncio", load_warnings=[[warning("busy-machine")], [warning("stolen-time")]]))
    estimate = found["cpu_us"]
    assert (estimate.value, estimate.values) == (None, ())
    assert estimate.why == "every run is excluded: busy-machine, stolen-time"


def test_every_run_failed_gives_no_measure() -> None:
    assert only(failed("asyncio", "no luck"))["cpu_us"].why == "failed: no luck"
    assert only(failed("asyncio", "no luck")).served == (0, 0)


def test_why_each_run_lacks_a_measure_is_told() -> None:
    found = only(*several_runs(2, "single", served=1))["requests_per_second"]
    assert found.value is None
    assert found.why.startswith("one client was served all the time")


@pytest.mark.parametrize(
    ("busy", "at_least"),
    [
        ([0.5, 0.5, 0.95], False),  # the bound is above the median, and may be raised without moving it
        ([0.5, 0.95, 0.5], True),  # it is the median
        ([0.95, 0.5, 0.5], True),  # it is below, and might be above in truth
    ],
)
def test_a_median_that_bounds_could_move_is_one(busy: list[float], at_least: bool) -> None:
    runs = several_runs(3, "asyncio", verified=rates(900, 1000, 1100), generator_busy=busy)
    assert only(*runs)["requests_per_second"].at_least == at_least


def test_a_bound_next_above_the_middle_moves_it() -> None:
    runs = several_runs(4, "asyncio", verified=rates(900, 1000, 1100, 1200), generator_busy=[0.5, 0.5, 0.95, 0.5])
    assert only(*runs)["requests_per_second"].at_least


@pytest.mark.parametrize(
    ("busy", "at_least", "is_open"),
    [
        ([0.5] * 10, False, False),
        ([0.95] * 4 + [0.5] * 6, True, True),
        ([0.5] * 6 + [0.95] * 4, False, True),  # above the median, and the interval goes up there
        ([0.5] * 9 + [0.95], False, False),  # one of ten is hardly ever in the middle of a resample
        ([0.95] * 10, True, True),
    ],
)
def test_bounds_leave_the_interval_of_a_median_open(busy: list[float], at_least: bool, is_open: bool) -> None:
    found = only(*several_runs(10, "asyncio", verified=rates(*range(1000, 1100, 10)), generator_busy=busy))
    rate = found["requests_per_second"]
    assert (rate.low, rate.is_open) == (1010.0, is_open)
    assert rate.at_least == at_least
    assert rate.bounds == tuple(each == 0.95 for each in busy)


@pytest.mark.parametrize(
    ("busy", "high"), [([0.5, 0.5, 0.5], 1100.0), ([0.95, 0.5, 0.5], None), ([0.5, 0.5, 0.95], None)]
)
def test_bounds_leave_a_range_open(busy: list[float], high: float | None) -> None:
    found = only(*several_runs(3, "asyncio", verified=rates(900, 1000, 1100), generator_busy=busy))[
        "requests_per_second"
    ]
    assert (found.low, found.high) == (900.0, high)


def test_a_run_without_connections_stands_alone() -> None:
    verified = rates(0, 14_000, 14_100)
    found = only(*several_runs(3, "asyncio", connected=[0, 50, 50], served=[0, 50, 49], verified=verified))
    assert found.served == (49, 50)
    assert only(*several_runs(1, "asyncio", connected=0, served=0, verified=0)).served == (0, 50)


def test_replies_that_no_client_had_make_no_speed() -> None:
    found = only(*several_runs(1, "asyncio", connected=0, served=0, generator_busy=0.95))
    assert found["requests_per_second"].value is None
    assert found["response_p99_us"].value is None
    assert "no client is known to have been served" in found["cpu_us"].why


def test_a_run_that_served_nobody_has_no_speed() -> None:
    runs = several_runs(2, "threaded")
    gone = one_run("threaded", repeat=3, load_warnings=[warning("nothing-answered")], served=0, connected=0, verified=0)
    found = only(*runs, gone)
    assert (found["requests_per_second"].value, found.served) == (10_000.0, (50, 50))
    assert [served(each) for each in found.excluded] == ["0 of 50"]
    assert only(gone).served == (0, 50)


def test_the_run_that_served_least_is_told() -> None:
    found = only(*several_runs(3, "threaded", served=[50, 31, 49], load_warnings=[[], [warning("stolen-time")], []]))
    assert found.served == (31, 50)


def test_summaries_are_sorted_for_reading() -> None:
    result = comparison(
        one_run("asyncio", "churn"),
        one_run("asyncio", clients=50),
        one_run("single", clients=50),
        one_run("threaded", clients=1),
        one_run("single", clients=50, repeat=2),
    )
    every = summaries(result)
    assert [each.who for each in every] == [
        "threaded, saturate, 1 client",
        "single, saturate, 50 clients",
        "asyncio on uvloop, saturate, 50 clients",
        "asyncio on uvloop, churn, 50 clients",
    ]
    assert [each.runs for each in every] == [1, 2, 1, 1]
    assert [(scenario.name, len(some)) for scenario, some in by_scenario(every)] == [("saturate", 3), ("churn", 1)]
