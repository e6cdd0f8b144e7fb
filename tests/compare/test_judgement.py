"""What the verdict answers, case by case; how often it errs is in test_error_rates.py."""

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.compare.judge.judgement import GENERATOR_LIMIT, MIN_RUNS, UNANSWERED, Answer, Judgement, Sample, judge

RUNS = st.lists(st.floats(1e-3, 1e6), min_size=MIN_RUNS, max_size=MIN_RUNS + 3).map(tuple)
ANY_RUNS = st.lists(st.floats(1e-3, 1e6), max_size=MIN_RUNS + 1).map(tuple)
FLAGS = st.booleans()


def about(middle: float, spread: float = 0.01, runs: int = MIN_RUNS) -> tuple[float, ...]:
    """Return runs around `middle` that reach `spread` of it up and down."""
    return tuple(middle * (1 + spread * (2 * run / (runs - 1) - 1)) for run in range(runs))


@pytest.mark.parametrize(
    ("theirs", "spread", "answer"),
    [
        (100.0, 0.01, Answer.EQUIVALENT),
        (103.0, 0.01, Answer.EQUIVALENT),  # they differ, but who would choose by that
        (110.0, 0.01, Answer.DIFFERENT),
        (90.0, 0.01, Answer.DIFFERENT),
        (100.0, 0.10, Answer.CANNOT_TELL),
        (105.0, 0.03, Answer.DIFFERENT),
        (104.0, 0.04, Answer.CANNOT_TELL),
    ],
)
def test_the_three_answers(theirs: float, spread: float, answer: Answer) -> None:
    found = judge(Sample(about(100.0, spread)), Sample(about(theirs, spread)))
    assert found.answer is answer
    assert found.ratio == pytest.approx(100.0 / theirs)
    assert (found.bound, found.runs) == ("", (10, 10))


def test_each_answer_says_why_there_is_no_more_to_it() -> None:
    equal, near, far = (judge(Sample(about(100.0)), Sample(about(other))) for other in (100.0, 103.0, 150.0))
    loose = judge(Sample(about(100.0, 0.2)), Sample(about(100.0, 0.2)))
    assert (equal.why, far.why) == ("", "")
    assert near.why == "they differ, but by less than 5%"
    assert loose.why == "equal or more than 5% apart: the runs differ too much among themselves"


def test_how_far_apart_it_is_is_said_as_a_ratio_of_ours_to_theirs() -> None:
    found = judge(Sample((50.0,) * 10), Sample((100.0,) * 12))
    assert found == Judgement(Answer.DIFFERENT, 0.5, 0.5, 0.5, (10, 12))


@pytest.mark.parametrize(("ours", "theirs"), [(9, 10), (10, 9), (3, 3), (1, 30)])
def test_too_few_runs_give_no_verdict_and_no_interval(ours: int, theirs: int) -> None:
    found = judge(Sample((50.0,) * ours), Sample((100.0,) * theirs))
    why = f"{ours} and {theirs} sound runs, where a verdict takes 10 of each"
    assert found == Judgement(Answer.INDICATIVE, 0.5, None, None, (ours, theirs), why)


def test_without_any_run_there_is_no_ratio() -> None:
    found = judge(Sample(()), Sample((100.0,) * 10))
    why = "0 and 10 sound runs, where a verdict takes 10 of each"
    assert found == Judgement(Answer.INDICATIVE, None, None, None, (0, 10), why)


def test_too_few_runs_of_a_lower_bound_are_a_bound_still() -> None:
    found = judge(Sample((50.0,) * 3, at_least=True), Sample((100.0,) * 3))
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
    low = judge(Sample(about(ours)), Sample(about(theirs))).low
    found = judge(Sample(about(ours), at_least=True), Sample(about(theirs)))
    assert found == Judgement(answer, found.ratio, low, None, (10, 10), GENERATOR_LIMIT, ">=")
    assert GENERATOR_LIMIT == "the generator, not the server, was at its limit"


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [(100.0, 150.0, Answer.DIFFERENT), (100.0, 100.0, Answer.CANNOT_TELL), (150.0, 100.0, Answer.CANNOT_TELL)],
)
def test_against_a_lower_bound_it_tells_downwards_only(ours: float, theirs: float, answer: Answer) -> None:
    high = judge(Sample(about(ours)), Sample(about(theirs))).high
    found = judge(Sample(about(ours)), Sample(about(theirs), at_least=True, limit=UNANSWERED))
    assert found == Judgement(answer, found.ratio, None, high, (10, 10), UNANSWERED, "<=")


def test_of_two_lower_bounds_there_is_no_ratio() -> None:
    both = judge(Sample(about(150.0), at_least=True), Sample(about(100.0), at_least=True))
    assert both == Judgement(Answer.CANNOT_TELL, None, None, None, (10, 10), f"on both sides: {GENERATOR_LIMIT}")
    mixed = judge(Sample(about(150.0), at_least=True), Sample(about(100.0), at_least=True, limit=UNANSWERED))
    assert mixed.why == f"on both sides: {GENERATOR_LIMIT} and {UNANSWERED}"
    few = judge(Sample((150.0,), at_least=True), Sample((100.0,), at_least=True))
    assert (few.answer, few.ratio) == (Answer.INDICATIVE, None)


@pytest.mark.parametrize("wrong", [0.0, -1.0, nan, inf])
def test_a_value_that_has_no_ratio_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="a ratio takes values above 0, not"):
        Sample((1.0, wrong))


@given(RUNS)
@settings(deadline=None)
def test_the_same_runs_are_never_different(values: tuple[float, ...]) -> None:
    found = judge(Sample(values), Sample(values))
    assert found.answer in {Answer.EQUIVALENT, Answer.CANNOT_TELL}
    assert found.ratio == 1


@given(RUNS, RUNS)
@settings(deadline=None)
def test_who_is_named_first_changes_no_answer(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    one, other = judge(Sample(ours), Sample(theirs)), judge(Sample(theirs), Sample(ours))
    assert one.answer is other.answer
    assert one.ratio == pytest.approx(1 / (other.ratio or 0))


@given(ANY_RUNS, ANY_RUNS, FLAGS, FLAGS)
@settings(deadline=None)
def test_a_bound_never_says_more_than_the_exact_figure(
    ours: tuple[float, ...], theirs: tuple[float, ...], our_bound: bool, their_bound: bool
) -> None:
    exact = judge(Sample(ours), Sample(theirs))
    found = judge(Sample(ours, at_least=our_bound), Sample(theirs, at_least=their_bound))
    if found.answer is Answer.DIFFERENT:  # small differences count as equivalent only where the interval is closed
        assert exact.answer is Answer.DIFFERENT or ((our_bound or their_bound) and exact.answer is Answer.EQUIVALENT)
    if our_bound or their_bound:
        assert found.answer is not Answer.EQUIVALENT
        assert found.low is None or found.high is None
    if min(found.runs) < MIN_RUNS:
        assert found.answer is Answer.INDICATIVE


@given(RUNS, RUNS, st.lists(st.floats(1.0, 3.0), min_size=13, max_size=13))
@settings(deadline=None)
def test_a_difference_found_with_a_bound_holds_however_much_more_it_was(
    ours: tuple[float, ...], theirs: tuple[float, ...], factors: list[float]
) -> None:
    if judge(Sample(ours, at_least=True), Sample(theirs)).answer is not Answer.DIFFERENT:
        return
    true = judge(Sample(tuple(value * factor for value, factor in zip(ours, factors, strict=False))), Sample(theirs))
    assert true.low is not None
    assert true.low > 1
