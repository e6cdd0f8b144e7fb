"""The verdict's answers, case by case; test_error_rates.py has its error rates."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.analysis.significance import (
    GENERATOR_LIMIT,
    UNANSWERED,
    Answer,
    Sample,
    Significance,
    compare_runs,
)
from loadtest.compare.plan import MIN_RUNS

RUNS = st.lists(st.floats(1e-3, 1e6), min_size=MIN_RUNS, max_size=MIN_RUNS + 3).map(tuple)
ANY_RUNS = st.lists(st.floats(1e-3, 1e6), max_size=MIN_RUNS + 1).map(tuple)
FLAGS = st.booleans()


def about(middle: float, spread: float = 0.01, runs: int = MIN_RUNS) -> tuple[float, ...]:
    """Return runs around `middle` that reach `spread` of it up and down."""
    return tuple(middle * (1 + spread * (2 * run / (runs - 1) - 1)) for run in range(runs))


def bounded(values: tuple[float, ...], limit: str = GENERATOR_LIMIT) -> Sample:
    """Return runs that are all lower bounds."""
    return Sample(values, (True,) * len(values), limit)


@pytest.mark.parametrize(
    ("theirs", "spread", "answer"),
    [
        (100.0, 0.01, Answer.EQUIVALENT),
        (103.0, 0.01, Answer.EQUIVALENT),  # they differ, but who would choose by that
        (110.0, 0.01, Answer.DIFFERENT),
        (90.0, 0.01, Answer.DIFFERENT),
        (100.0, 0.10, Answer.CANNOT_TELL),
        (105.0, 0.03, Answer.DIFFERENT),
        (104.0, 0.05, Answer.CANNOT_TELL),
    ],
)
def test_the_three_answers(theirs: float, spread: float, answer: Answer) -> None:
    found = compare_runs(Sample(about(100.0, spread)), Sample(about(theirs, spread)))
    assert found.answer is answer
    assert found.ratio == pytest.approx(100.0 / theirs)
    assert (found.bound, found.runs) == ("", (10, 10))


def test_each_answer_says_why_it_is_limited() -> None:
    equal, near, far = (compare_runs(Sample(about(100.0)), Sample(about(other))) for other in (100.0, 103.0, 150.0))
    loose = compare_runs(Sample(about(100.0, 0.2)), Sample(about(100.0, 0.2)))
    assert (equal.why, far.why) == ("", "")
    assert near.why == "they differ, but by less than 5%"
    assert loose.why == "equal or more than 5% apart: the runs differ too much among themselves"


def test_the_distance_is_a_ratio_of_both() -> None:
    found = compare_runs(Sample((50.0,) * 10), Sample((100.0,) * 12))
    assert found == Significance(Answer.DIFFERENT, 0.5, 0.5, 0.5, (10, 12))


@pytest.mark.parametrize(("ours", "theirs"), [(9, 10), (10, 9), (3, 3), (1, 30)])
def test_too_few_runs_give_no_verdict_or_interval(ours: int, theirs: int) -> None:
    found = compare_runs(Sample((50.0,) * ours), Sample((100.0,) * theirs))
    why = f"{ours} and {theirs} valid runs, where a verdict takes 10 of each"
    assert found == Significance(Answer.INDICATIVE, 0.5, None, None, (ours, theirs), why)


def test_without_any_run_there_is_no_ratio() -> None:
    found = compare_runs(Sample(()), Sample((100.0,) * 10))
    why = "0 and 10 valid runs, where a verdict takes 10 of each"
    assert found == Significance(Answer.INDICATIVE, None, None, None, (0, 10), why)


def test_few_runs_of_a_bound_are_a_bound() -> None:
    found = compare_runs(bounded((50.0,) * 3), Sample((100.0,) * 3))
    assert (found.answer, found.ratio, found.bound) == (Answer.INDICATIVE, 0.5, ">=")


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        (150.0, 100.0, Answer.DIFFERENT),  # at least half as much again: more would be yet more
        (100.0, 100.0, Answer.CANNOT_TELL),
        (100.0, 150.0, Answer.CANNOT_TELL),  # it looks slower, and may be faster
    ],
)
def test_a_lower_bound_tells_upwards_only(ours: float, theirs: float, answer: Answer) -> None:
    low = compare_runs(Sample(about(ours)), Sample(about(theirs))).low
    found = compare_runs(bounded(about(ours)), Sample(about(theirs)))
    assert found == Significance(answer, found.ratio, low, None, (10, 10), GENERATOR_LIMIT, ">=")
    assert GENERATOR_LIMIT == "the generator, not the server, was at its limit"


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [(100.0, 150.0, Answer.DIFFERENT), (100.0, 100.0, Answer.CANNOT_TELL), (150.0, 100.0, Answer.CANNOT_TELL)],
)
def test_against_a_lower_bound_it_tells_downwards_only(ours: float, theirs: float, answer: Answer) -> None:
    high = compare_runs(Sample(about(ours)), Sample(about(theirs))).high
    found = compare_runs(Sample(about(ours)), bounded(about(theirs), UNANSWERED))
    assert found == Significance(answer, found.ratio, None, high, (10, 10), UNANSWERED, "<=")


def test_of_two_lower_bounds_there_is_no_ratio() -> None:
    both = compare_runs(bounded(about(150.0)), bounded(about(100.0)))
    assert both == Significance(Answer.CANNOT_TELL, None, None, None, (10, 10), f"on both sides: {GENERATOR_LIMIT}")
    mixed = compare_runs(bounded(about(150.0)), bounded(about(100.0), UNANSWERED))
    assert mixed.why == f"on both sides: {GENERATOR_LIMIT} and {UNANSWERED}"
    few = compare_runs(bounded((150.0,)), bounded((100.0,)))
    assert (few.answer, few.ratio) == (Answer.INDICATIVE, None)


SLOWED = (1.0, 0.8, 0.98, 0.82, 1.0, 0.85, 0.99, 0.81, 1.01, 0.8)
"""What the machine made of ten repeats."""


def in_turns(middle: float, repeats: Sequence[int] = range(1, 11)) -> Sample:
    """Return runs in these of the slowed repeats."""
    own = (0.004, -0.003, 0.001, 0.002, -0.004) * 2
    if middle > 100:
        own = own[::-1]
    every = [middle * (slowed + noise) for slowed, noise in zip(SLOWED, own, strict=True)]
    return Sample(tuple(every[each - 1] for each in repeats), repeats=tuple(repeats))


def test_what_slows_both_of_a_pair_cancels_out() -> None:
    ours, theirs = in_turns(100.0), in_turns(107.0)
    assert compare_runs(ours, theirs).answer is Answer.DIFFERENT
    apart = compare_runs(replace(ours, repeats=()), replace(theirs, repeats=()))
    assert apart.answer is Answer.CANNOT_TELL, "the same runs, as if of two sessions"


def test_a_missing_run_takes_its_pair_with_it() -> None:
    whole, theirs = in_turns(100.0), in_turns(107.0)
    lost = in_turns(100.0, [1, 3, 4, 5, 6, 7, 8, 9, 10])
    more = replace(lost, values=(*lost.values, 55.0), repeats=(*lost.repeats, 11))
    assert compare_runs(more, theirs).runs == (10, 10)
    assert compare_runs(more, theirs).ratio == pytest.approx(compare_runs(whole, theirs).ratio, rel=0.005)
    assert compare_runs(more, theirs).answer is Answer.DIFFERENT


def test_too_few_pairs_are_compared_as_two_sides() -> None:
    ours, theirs = in_turns(100.0), replace(in_turns(107.0), repeats=tuple(range(4, 14)))
    found = compare_runs(ours, theirs)
    assert found == compare_runs(replace(ours, repeats=()), replace(theirs, repeats=()))


@pytest.mark.parametrize("wrong", [0.0, -1.0, nan, inf])
def test_a_value_that_has_no_ratio_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="a ratio takes values above 0, not"):
        Sample((1.0, wrong))


@given(RUNS)
@settings(deadline=None)
def test_the_same_runs_are_never_different(values: tuple[float, ...]) -> None:
    found = compare_runs(Sample(values), Sample(values))
    assert found.answer in {Answer.EQUIVALENT, Answer.CANNOT_TELL}
    assert found.ratio == 1


@given(RUNS, RUNS)
@settings(deadline=None)
def test_who_is_named_first_changes_no_answer(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    one, other = compare_runs(Sample(ours), Sample(theirs)), compare_runs(Sample(theirs), Sample(ours))
    assert one.answer is other.answer
    assert one.ratio == pytest.approx(1 / (other.ratio or 0))


@st.composite
def samples(draw: st.DrawFn, values: st.SearchStrategy[tuple[float, ...]] = RUNS) -> Sample:
    """Draw runs of which any may be lower bounds, with or without repeats."""
    runs = draw(values)
    repeats = tuple(range(len(runs))) if draw(FLAGS) else ()
    return Sample(runs, tuple(draw(FLAGS) for _ in runs), repeats=repeats)


def near(middle: float) -> st.SearchStrategy[tuple[float, ...]]:
    """Draw runs as close to each other as real ones, so that there are answers to contradict."""
    return st.lists(st.floats(0.98 * middle, 1.02 * middle), min_size=MIN_RUNS, max_size=MIN_RUNS).map(tuple)


def in_truth(sample: Sample, factors: list[float]) -> Sample:
    """Return what the runs may have been: a bound is so many times as high."""
    raised = zip(sample.values, sample.bounds, factors, strict=False)
    values = tuple(value * factor if bound else value for value, bound, factor in raised)
    return Sample(values, repeats=sample.repeats)


FACTORS = st.lists(st.floats(1.0, 3.0) | st.just(1e6), min_size=13, max_size=13)


@given(samples(ANY_RUNS), samples(ANY_RUNS))
@settings(deadline=None)
def test_bounds_only_widen_the_interval(ours: Sample, theirs: Sample) -> None:
    exact, found = compare_runs(replace(ours, bounds=()), replace(theirs, bounds=())), compare_runs(ours, theirs)
    assert (found.answer is Answer.INDICATIVE) == (min(found.runs) < MIN_RUNS)
    if exact.low is not None and exact.high is not None:
        assert found.low is None or found.low <= exact.low
        assert found.high is None or found.high >= exact.high
    if found.answer is Answer.EQUIVALENT:
        assert exact.answer is Answer.EQUIVALENT


@given(samples() | samples(near(100)), samples() | samples(near(100)) | samples(near(120)), FACTORS, FACTORS)
@settings(deadline=None, max_examples=300)
def test_an_answer_holds_whatever_the_bounds_hide(
    ours: Sample, theirs: Sample, our_factors: list[float], their_factors: list[float]
) -> None:
    found = compare_runs(ours, theirs)
    true = compare_runs(in_truth(ours, our_factors), in_truth(theirs, their_factors))
    assert true.low is not None
    assert true.high is not None
    assert found.low is None or found.low <= true.low
    assert found.high is None or found.high >= true.high
    if found.answer is Answer.EQUIVALENT:
        assert true.answer is Answer.EQUIVALENT
    if found.answer is Answer.DIFFERENT:
        assert true.low > 1 if (found.low or 0) > 1 else true.high < 1


@given(samples(near(100)), samples(near(100)))
@settings(deadline=None)
def test_bounds_open_ours_upwards_and_theirs_downwards(ours: Sample, theirs: Sample) -> None:
    one, other = compare_runs(ours, theirs), compare_runs(theirs, ours)
    assert one.answer is other.answer
    if sum(ours.bounds) > MIN_RUNS / 2:
        assert one.high is None
        assert other.low is None
    assert one.high is not None or any(ours.bounds)
    assert one.low is not None or any(theirs.bounds)


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [(4, 0, Answer.CANNOT_TELL), (0, 4, Answer.CANNOT_TELL), (2, 2, Answer.CANNOT_TELL), (0, 0, Answer.EQUIVALENT)],
)
def test_a_few_bounds_of_ten_are_not_equivalent(ours: int, theirs: int, answer: Answer) -> None:
    values = about(100.0)
    flags = [tuple(place < count for place in range(10)) for count in (ours, theirs)]
    found = compare_runs(Sample(values, flags[0]), Sample(values, flags[1]))
    assert found.answer is answer
    assert (found.high is None, found.low is None) == (ours > 0, theirs > 0)


def test_one_bound_of_ten_opens_only_its_share() -> None:
    """Four resamples of a thousand have it in their middle: fewer than an interval leaves out."""
    values = about(100.0)
    found = compare_runs(Sample(values, (True, *([False] * 9))), Sample(values))
    exact = compare_runs(Sample(values), Sample(values))
    assert found.low == exact.low
    assert exact.high is not None
    assert found.high is not None
    assert exact.high <= found.high <= max(values) / min(values)


def test_bounds_are_as_many_as_the_values() -> None:
    with pytest.raises(ValueError, match="1 bounds of 2 values"):
        Sample((1.0, 2.0), (True,))
