from collections import Counter
from itertools import accumulate, product
from math import exp, nextafter
from random import Random
from statistics import median as plain_median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.analysis.bootstrap import Interval, median, ratio

VALUES = st.floats(1e-6, 1e9)
RUNS = st.lists(VALUES, min_size=1, max_size=13)


def drawn_again(values: list[float]) -> list[float]:
    """Return the medians of all resamples there are, in order."""
    return sorted(plain_median(resample) for resample in product(values, repeat=len(values)))


def cut(ordered: list[float], shares: list[float]) -> tuple[float, float]:
    """Return where the first and the last half per cent end."""
    low = next(value for value, passed in zip(ordered, accumulate(shares), strict=True) if passed > 0.005)
    falling = zip(reversed(ordered), accumulate(reversed(shares)), strict=True)
    return low, next(value for value, passed in falling if passed > 0.005)


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 6, 7])
def test_the_median_equals_drawing_all_resamples(runs: int) -> None:
    values = [Random(runs).uniform(90, 110) for _ in range(runs)]
    every = drawn_again(values)
    low, high = cut(every, [1 / len(every)] * len(every))
    assert median(values) == Interval(plain_median(values), low, high)


@pytest.mark.parametrize(("ours", "theirs"), [(3, 3), (4, 4), (5, 4), (2, 6)])
def test_the_ratio_equals_drawing_all_pairs(ours: int, theirs: int) -> None:
    one = [Random(ours).uniform(90, 110) for _ in range(ours)]
    other = [Random(theirs + 10).uniform(60, 140) for _ in range(theirs)]
    above, below = Counter(drawn_again(one)), Counter(drawn_again(other))
    pairs = sorted((a / b, many * times) for a, many in above.items() for b, times in below.items())
    total = ours**ours * theirs**theirs
    low, high = cut([value for value, _ in pairs], [count / total for _, count in pairs])
    assert ratio(one, other) == Interval(plain_median(one) / plain_median(other), low, high)


def test_three_runs_give_hardly_more_than_their_range() -> None:
    assert median([3.0, 1.0, 2.0]) == Interval(2.0, 1.0, 3.0)
    assert ratio([3.0, 1.0, 2.0], [4.0]) == Interval(0.5, 0.25, 0.75)


def test_one_outlier_of_ten_moves_little() -> None:
    steady = [100.0 + step for step in range(10)]
    strayed = [1.0, *steady[1:]]
    assert median(steady) == Interval(104.5, 101.0, 108.0)
    assert median(strayed) == Interval(104.5, 101.0, 108.0)


def test_many_runs_count_as_exactly_as_few() -> None:
    """Omitting nearly impossible pairs must not move an end: forty runs, against random resamples."""
    chance = Random(5)
    values = [chance.gauss(100, 5) for _ in range(40)]
    draws = sorted(plain_median(chance.choices(values, k=40)) for _ in range(20_000))
    found = median(values)
    # The share of the draws below an end differs from a half per cent by four standard errors at most.
    below = sum(value < found.low for value in draws) / len(draws)
    above = sum(value > found.high for value in draws) / len(draws)
    assert below <= 0.007
    assert above <= 0.007
    assert sum(value <= found.low for value in draws) / len(draws) >= 0.003
    assert sum(value >= found.high for value in draws) / len(draws) >= 0.003


def test_intervals_of_ten_runs_cover_as_stated() -> None:
    chance = Random(11)
    held = Counter[str]()
    for _ in range(2_000):
        one, other = ([exp(chance.gauss(0, 0.05)) for _ in range(10)] for _ in range(2))
        alone, both = median(one), ratio(one, other)
        held["median"] += alone.low <= 1 <= alone.high
        held["ratio"] += both.low <= 1 <= both.high
    assert 0.97 <= held["median"] / 2_000 <= 0.99
    assert 0.985 <= held["ratio"] / 2_000 <= 0.997


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([], [])])
def test_no_run_has_no_median(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="there is no run to take a median of"):
        ratio(ours, theirs)


@given(RUNS)
def test_an_interval_holds_the_median_within_the_runs(values: list[float]) -> None:
    found = median(values)
    assert found.value == plain_median(values)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)


@given(RUNS, RUNS)
@settings(deadline=None)
def test_an_interval_holds_the_ratio_of_the_medians(ours: list[float], theirs: list[float]) -> None:
    found = ratio(ours, theirs)
    assert found.value == plain_median(ours) / plain_median(theirs)
    assert found.low <= found.value <= found.high


@given(RUNS, st.floats(1e-3, 1e3))
def test_another_unit_is_another_unit_and_no_more(values: list[float], factor: float) -> None:
    found, scaled = median(values), median([factor * value for value in values])
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (factor * found.value, factor * found.low, factor * found.high), rel=1e-9
    )


@given(RUNS, RUNS, st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_a_ratio_has_no_unit(ours: list[float], theirs: list[float], factor: float) -> None:
    found = ratio(ours, theirs)
    scaled = ratio([factor * value for value in ours], [factor * value for value in theirs])
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((found.value, found.low, found.high), rel=1e-9)


@given(RUNS, RUNS)
@settings(deadline=None)
def test_to_swap_the_sides_inverts_the_ratio(ours: list[float], theirs: list[float]) -> None:
    found, swapped = ratio(ours, theirs), ratio(theirs, ours)
    assert (1 / swapped.value, 1 / swapped.high, 1 / swapped.low) == pytest.approx(
        (found.value, found.low, found.high), rel=1e-9
    )


@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_is_nothing(values: list[float], chance: Random) -> None:
    assert median(chance.sample(values, len(values))) == median(values)


@given(VALUES, st.integers(1, 13), st.integers(1, 13))
def test_runs_without_spread_have_an_interval_without_width(value: float, ours: int, theirs: int) -> None:
    assert median([value] * ours) == Interval(value, value, value)
    more = nextafter(value, 2 * value)
    assert ratio([more] * ours, [value] * theirs) == Interval(more / value, more / value, more / value)
