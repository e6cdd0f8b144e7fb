import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.compare.measure.slope import Line, Mean, fit, mean

STEPS = st.lists(st.integers(0, 10_000), min_size=3, max_size=30).filter(lambda xs: len(set(xs)) > 1)


def test_a_line_by_hand() -> None:
    """Means 2 and 11/3; xx = 8, xy = 8, yy = 26/3; the line leaves 2/3 of it."""
    line = fit([(0, 2), (2, 3), (4, 6)])
    assert line.slope == pytest.approx(1.0)
    assert line.base == pytest.approx(11 / 3 - 2)
    assert line.r2 == pytest.approx(1 - (2 / 3) / (26 / 3))


@given(STEPS, st.integers(-100_000, 100_000), st.integers(0, 10**9))
def test_any_line_without_noise_is_found_again(xs: list[int], slope: int, base: int) -> None:
    line = fit([(x, base + slope * x) for x in xs])
    assert line.slope == pytest.approx(slope, rel=1e-6, abs=1e-3)
    assert line.base == pytest.approx(base, rel=1e-6, abs=1)
    assert line.r2 == pytest.approx(1.0, abs=1e-6)


@given(STEPS, st.data())
def test_the_line_is_that_of_the_standard_library(xs: list[int], data: st.DataObject) -> None:
    ys = data.draw(st.lists(st.integers(0, 10**6), min_size=len(xs), max_size=len(xs)))
    expected = statistics.linear_regression(xs, ys)
    line = fit(list(zip(xs, ys, strict=True)))
    assert line.slope == pytest.approx(expected.slope, rel=1e-6, abs=1e-6)
    assert line.base == pytest.approx(expected.intercept, rel=1e-6, abs=1e-2)
    assert 0 <= line.r2 <= 1


def test_nothing_varies_and_the_line_explains_that() -> None:
    assert fit([(0, 5), (1, 5), (2, 5)]) == Line(0.0, 5.0, 1.0)


def test_too_few_points_for_a_line() -> None:
    with pytest.raises(ValueError, match="2 points are too few"):
        fit([(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="same x"):
        fit([(1, 1), (1, 2), (1, 3)])


def test_the_interval_of_three_runs() -> None:
    """Deviation 1 and t = 9.925 at two degrees of freedom."""
    found = mean([9.0, 10.0, 11.0])
    assert found.value == pytest.approx(10)
    assert found.low == pytest.approx(10 - 9.925 / math.sqrt(3))
    assert found.high == pytest.approx(10 + 9.925 / math.sqrt(3))


def test_many_runs_use_the_last_t_value() -> None:
    found = mean([0.0, 2.0] * 50)
    deviation = statistics.stdev([0.0, 2.0] * 50)
    assert found.high == pytest.approx(1 + 2.845 * deviation / 10)


def test_one_run_has_no_interval() -> None:
    assert mean([3.0]) == Mean(3.0, None, None)
    with pytest.raises(ValueError, match="no runs"):
        mean([])
