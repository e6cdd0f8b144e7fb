"""The highest rate that a server sustains within an SLO, from sweeps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.compare.analysis import slo_check
from loadtest.compare.analysis.slo_check import SloAnswer
from loadtest.compare.analysis.sustained import bracket, common_rate, is_missed, ratios, sustained
from tests.loadtest.compare.results import comparison, one_run, swept, warning

MET, MISSED, UNKNOWN = SloAnswer.MET, SloAnswer.MISSED, SloAnswer.CANNOT_TELL
QUICK, SLOW = 1_000, 60_000
"""Microseconds of every reply, within the SLO and beyond it."""


def compared(*runs: dict[str, Any], slo: str = "p99<20ms") -> dict[str, Any]:
    found = comparison(*runs)
    found["plan"]["slo"] = slo
    return found


@pytest.mark.parametrize(
    ("answers", "low", "high"),
    [
        ([MET, MET, MISSED, MISSED], 2, 3),
        ([MET, MET, MET, MET], 4, None),
        ([MISSED, MISSED, MISSED, MISSED], 0, 1),
        ([MET, UNKNOWN, MISSED, MISSED], 1, 3),
        ([MET, UNKNOWN, MET, MISSED], 3, 4),
        ([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN], 0, None),
        ([MET, MET, UNKNOWN, UNKNOWN], 2, None),
        # The two sides contradict each other: a disturbance, or luck.
        ([MET, MISSED, MET, MISSED], 1, 4),
        ([MET, MISSED, MET, MET], 1, None),
        ([MISSED, MET, MISSED, MISSED], 0, 3),
    ],
)
def test_a_sweep_leaves_a_bracket(answers: list[SloAnswer], low: float, high: float | None) -> None:
    found = bracket(list(enumerate(answers, 1)))
    assert (found.low, found.high) == (low, high)
    assert bracket(list(enumerate(answers, 1))[::-1]) == found, "whatever the order of the rates"


@given(st.lists(st.sampled_from([MET, MISSED, UNKNOWN]), min_size=1, max_size=9))
def test_nothing_within_a_bracket_is_certain(answers: list[SloAnswer]) -> None:
    rates = list(enumerate(answers, 1))
    found = bracket(rates)
    beneath = [answer for rate, answer in rates if rate <= found.low]
    beyond = [answer for rate, answer in rates if found.high is not None and rate >= found.high]
    assert MISSED not in beneath
    assert MET not in beyond
    assert found.low < (found.high or len(answers) + 1)


def test_the_rate_is_the_middle_sweeps() -> None:
    rates = (1000.0, 2000.0, 3000.0)
    sweeps = [{rate: QUICK if rate <= kept else SLOW for rate in rates} for kept in (2000, 1000, 2000)]
    found = compared(*(run for number, each in enumerate(sweeps, 1) for run in swept("asyncio", each, repeat=number)))
    [one] = sustained(found)
    assert (one.candidate.name, one.workload.clients, one.rates) == ("asyncio", 50, rates)
    assert [(each.repeat, each.low, each.high) for each in one.sweeps] == [
        (1, 2000, 3000),
        (2, 1000, 2000),
        (3, 2000, 3000),
    ]
    assert (one.rate.value, one.rate.low, one.rate.high, one.rate.at_least) == (2000, 1000, 2000, False)


def test_the_middle_of_two_was_tried() -> None:
    runs = [*swept("asyncio", {100: QUICK, 300: SLOW}), *swept("asyncio", {100: QUICK, 300: QUICK}, repeat=2)]
    [one] = sustained(compared(*runs))
    assert one.rate.value == 100


def test_a_rate_that_nothing_missed_is_a_bound() -> None:
    [one] = sustained(compared(*swept("asyncio", {1000: QUICK, 2000: QUICK})))
    assert (one.rate.value, one.rate.at_least, one.rate.high) == (2000, True, None)


def test_the_generators_own_delay_misses_nothing() -> None:
    spoilt = swept("asyncio", {1000: QUICK, 2000: SLOW}, load_warnings=[warning("stolen-time")])
    [one] = sustained(compared(*spoilt))
    [sweep] = one.sweeps
    assert (sweep.low, sweep.high) == (1000, None)


@pytest.mark.parametrize(
    ("verified", "stolen", "high"),
    [(15_000, 0.5, 2000), (17_500, 0.5, None), (15_000, 1.5, None), (15_000, 2.5, None)],
)
def test_a_server_that_fell_far_behind_missed_it(verified: int, stolen: float, high: float | None) -> None:
    """2,000/s were asked for during 10 s, of which the host kept back 5, 15 and 25 %."""
    quick = swept("asyncio", {1000: QUICK})
    slow = swept("asyncio", {2000: SLOW}, verified=verified, stolen=stolen, load_warnings=[warning("stolen-time")])
    [sweep] = [sweep for each in sustained(compared(*quick, *slow)) for sweep in each.sweeps]
    assert (sweep.low, sweep.high) == (1000, high)


def test_clients_left_out_miss_the_rate() -> None:
    [one] = sustained(compared(*swept("single", {1000: QUICK, 2000: QUICK}, served=1)))
    assert (one.rate.value, one.rate.at_least) == (0, False)


def test_ratios_are_paired_by_repeat() -> None:
    """A slow minute of the machine, here in the second repeat, is in both."""
    asyncio: list[dict[float, int]] = [{2000: QUICK, 4000: QUICK, 8000: SLOW}, {1000: QUICK, 2000: QUICK, 4000: SLOW}]
    threaded: list[dict[float, int]] = [{2000: QUICK, 4000: SLOW, 8000: SLOW}, {1000: QUICK, 2000: SLOW, 4000: SLOW}]
    runs = [
        run
        for name, every in (("threaded", threaded), ("asyncio", asyncio))
        for number, each in enumerate(every, 1)
        for run in swept(name, each, repeat=number)
    ]
    theirs, ours = sustained(compared(*runs))
    assert (ours.candidate.name, theirs.candidate.name) == ("asyncio", "threaded")
    assert [(each.value, each.at_least) for each in ratios(ours, theirs)] == [(2, False), (2, False)]


def test_a_ratio_of_bounds_is_open_or_unknown() -> None:
    runs = [*swept("threaded", {1000: QUICK, 2000: SLOW}), *swept("asyncio", {1000: QUICK, 2000: QUICK})]
    theirs, ours = sustained(compared(*runs))
    assert [(each.value, each.at_least) for each in ratios(ours, theirs)] == [(2, True)]
    assert ratios(theirs, ours) == []


def test_a_sweep_that_tells_nothing_counts_as_none() -> None:
    spoilt = swept("asyncio", {1000: SLOW, 2000: SLOW}, load_warnings=[warning("stolen-time")])
    [one] = sustained(compared(*spoilt))
    assert (one.rate.value, [each.tells for each in one.sweeps]) == (None, [False])
    [one] = sustained(compared(*spoilt, *swept("asyncio", {1000: QUICK, 2000: SLOW}, repeat=2)))
    assert (one.rate.value, one.rate.values) == (1000, (1000,))


def test_figures_are_compared_at_a_rate_all_sustain() -> None:
    runs = [*swept("threaded", {1000: QUICK, 2000: SLOW}), *swept("asyncio", {1000: QUICK, 2000: QUICK})]
    assert common_rate(sustained(compared(*runs))) == 1000
    assert common_rate(sustained(compared(*swept("asyncio", {700.0: SLOW, 900.0: SLOW})))) == 700
    assert common_rate([]) is None


def test_without_sweeps_or_slo_there_is_nothing() -> None:
    assert sustained(compared(*swept("asyncio", {1000: QUICK}))) == []
    assert sustained(compared(one_run("asyncio", "conversation"))) == []
    assert sustained(compared(*swept("asyncio", {1000: QUICK, 2000: SLOW}), slo="")) == []


def test_a_flooded_rate_is_no_missed_slo() -> None:
    flooded = compared(*swept("asyncio", {1000: QUICK, 2000: SLOW}))
    assert not slo_check.is_missed(flooded)
    assert not is_missed(flooded)
    assert is_missed(compared(*swept("asyncio", {1000.0: SLOW, 2000.0: SLOW})))


def test_a_rate_of_few_requests_says_nothing() -> None:
    """Of 9 requests a second in 10 s there is no p99, and clients may have had none."""
    [one] = sustained(compared(*swept("asyncio", {8.0: SLOW, 9.0: SLOW}, served=0)))
    assert one.rate.value is None


def test_a_rate_alone_is_judged_as_any_load() -> None:
    assert slo_check.is_missed(compared(*swept("asyncio", {1000.0: SLOW})))
    assert not slo_check.is_missed(compared(*swept("asyncio", {1000.0: QUICK})))
