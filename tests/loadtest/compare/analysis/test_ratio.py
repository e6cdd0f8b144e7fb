"""The ratio of two candidates' runs: against the tests' exact distributions, and as a ratio must behave."""

from itertools import accumulate, combinations, product
from math import exp, inf, nextafter, sqrt
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.analysis.bootstrap import Interval
from loadtest.compare.analysis.ratio import of_repeats, of_sides, paired, unpaired

VALUES = st.floats(1e-6, 1e9)
SIDES = st.integers(1, 13).flatmap(lambda runs: st.tuples(*[st.lists(VALUES, min_size=runs, max_size=runs)] * 2))


def outside(ways: list[int]) -> int:
    """Return how many of a test's smallest values have a share of half a per cent at most together."""
    return sum(passed <= 0.005 * sum(ways) for passed in accumulate(ways))


@pytest.mark.parametrize("pairs", [8, 9, 10, 11])
def test_the_paired_interval_is_the_signed_rank_tests(pairs: int) -> None:
    chance = Random(pairs)
    ours, theirs = ([exp(chance.gauss(0, 0.05)) for _ in range(pairs)] for _ in range(2))
    sums = [sum(signs[rank] * (rank + 1) for rank in range(pairs)) for signs in product((0, 1), repeat=pairs)]
    cut = outside([sums.count(each) for each in range(max(sums) + 1)])
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    means = sorted([*ratios, *(sqrt(one) * sqrt(other) for one, other in combinations(ratios, 2))])
    found = paired(ours, theirs)
    assert (found.low, found.high) == (means[cut - 1], means[-cut])
    assert found.value == pytest.approx(median(means), rel=1e-3)


@pytest.mark.parametrize(("ours", "theirs"), [(5, 6), (6, 6), (4, 9), (9, 4)])
def test_the_unpaired_interval_is_mann_and_whitneys(ours: int, theirs: int) -> None:
    chance = Random(ours)
    one, other = ([exp(chance.gauss(0, 0.05)) for _ in range(runs)] for runs in (ours, theirs))
    ranks = range(ours + theirs)
    above = [
        sum(sum(rank > low for low in set(ranks) - set(mine)) for rank in mine) for mine in combinations(ranks, ours)
    ]
    cut = outside([above.count(each) for each in range(ours * theirs + 1)])
    ratios = sorted(mine / its for mine in one for its in other)
    found = unpaired(one, other)
    assert (found.low, found.high) == (ratios[cut - 1], ratios[-cut])


def test_known_critical_values_of_ten_runs() -> None:
    """Three for the signed-rank test, sixteen for the rank sum, as tabled."""
    steps = [1.0 + step / 100 for step in range(10)]
    means = sorted(sqrt(one) * sqrt(other) for place, one in enumerate(steps) for other in steps[place:])
    assert paired(steps, [1.0] * 10).low == pytest.approx(means[3])
    ratios = sorted(one / other for one in steps for other in steps)
    assert unpaired(steps, steps).low == ratios[16]


def test_too_few_runs_leave_both_ends_open() -> None:
    assert paired([2.0] * 7, [1.0] * 7) == Interval(2.0, 0.0, inf)
    assert paired([2.0] * 8, [1.0] * 8) == Interval(2.0, 2.0, 2.0)
    assert of_sides([3.0, 1.0, 2.0], [4.0]) == Interval(0.5, 0.0, inf)


def test_the_narrower_of_both_is_taken() -> None:
    chance = Random(3)
    common = [chance.gauss(0, 0.1) for _ in range(10)]
    alike = [[exp(each + chance.gauss(0, 0.01)) for each in common] for _ in range(2)]
    assert of_repeats(alike[0], alike[1]) == paired(alike[0], alike[1])
    assert paired(alike[0], alike[1]).high < unpaired(alike[0], alike[1]).high
    apart = [[exp(chance.gauss(0, 0.05)) for _ in range(10)] for _ in range(2)]
    assert of_repeats(apart[0], apart[1]) == unpaired(apart[0], apart[1])


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([], [])])
def test_no_run_has_no_ratio(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="there is no run to take a ratio of"):
        of_sides(ours, theirs)


@given(SIDES)
@settings(deadline=None)
def test_an_interval_holds_its_ratio(sides: tuple[list[float], list[float]]) -> None:
    for found in (of_repeats(*sides), of_sides(*sides)):
        assert found.low <= found.value <= found.high


@given(SIDES, st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_a_ratio_has_no_unit(sides: tuple[list[float], list[float]], factor: float) -> None:
    other = [[factor * value for value in side] for side in sides]
    found, scaled = of_sides(*sides), of_sides(other[0], other[1])
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((found.value, found.low, found.high), rel=1e-9)


@given(SIDES)
@settings(deadline=None)
def test_to_swap_the_sides_inverts_the_ratio(sides: tuple[list[float], list[float]]) -> None:
    ours, theirs = sides
    for estimator in (paired, unpaired):
        found, swapped = estimator(ours, theirs), estimator(theirs, ours)
        assert 1 / swapped.value == pytest.approx(found.value, rel=1e-9)
        if swapped.low:
            assert (1 / swapped.high, 1 / swapped.low) == pytest.approx((found.low, found.high), rel=1e-9)


@given(SIDES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_repeats_is_nothing(sides: tuple[list[float], list[float]], chance: Random) -> None:
    pairs = list(zip(*sides, strict=True))
    ours, theirs = zip(*chance.sample(pairs, len(pairs)), strict=True)
    assert of_repeats(ours, theirs) == of_repeats(*sides)


@given(VALUES)
def test_runs_without_spread_have_an_interval_without_width(value: float) -> None:
    more = nextafter(value, 2 * value)
    assert of_repeats([more] * 10, [value] * 10) == Interval(more / value, more / value, more / value)
