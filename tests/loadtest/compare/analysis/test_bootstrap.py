from itertools import accumulate, product
from math import exp
from random import Random
from statistics import median as plain_median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.compare.analysis.bootstrap import Interval, median

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


def test_three_runs_give_hardly_more_than_their_range() -> None:
    assert median([3.0, 1.0, 2.0]) == Interval(2.0, 1.0, 3.0)


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
    found = [median([exp(chance.gauss(0, 0.05)) for _ in range(10)]) for _ in range(2_000)]
    assert 0.97 <= sum(each.low <= 1 <= each.high for each in found) / 2_000 <= 0.99


def test_no_run_has_no_median() -> None:
    with pytest.raises(ValueError, match="there is no run to take a median of"):
        median([])


@given(RUNS)
def test_an_interval_holds_the_median_within_the_runs(values: list[float]) -> None:
    found = median(values)
    assert found.value == plain_median(values)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)


@given(RUNS, st.floats(1e-3, 1e3))
def test_another_unit_is_another_unit_and_no_more(values: list[float], factor: float) -> None:
    found, scaled = median(values), median([factor * value for value in values])
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (factor * found.value, factor * found.low, factor * found.high), rel=1e-9
    )


@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_is_nothing(values: list[float], chance: Random) -> None:
    assert median(chance.sample(values, len(values))) == median(values)


@given(VALUES, st.integers(1, 13))
def test_runs_without_spread_have_an_interval_without_width(value: float, runs: int) -> None:
    assert median([value] * runs) == Interval(value, value, value)
