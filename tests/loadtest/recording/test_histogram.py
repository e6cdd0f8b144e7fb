"""Histograms: precision, exact merging, and quantiles of answered and unanswered requests."""

import random
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.recording.histogram import (
    Bounds,
    Histogram,
    Quantile,
    bounded_quantile,
    bucket,
    count_progression,
    merge,
    quantile,
)
from tests.support.load.recorders import histogram_of

DURATIONS = st.integers(0, 90_000_000)
FRACTIONS = st.sampled_from([0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def exact(durations: list[int], fraction: float) -> int:
    return sorted(durations)[max(1, ceil(fraction * len(durations) - 1e-9)) - 1]


@given(DURATIONS)
def test_a_bucket_is_within_half_a_percent(microseconds: int) -> None:
    assert abs(bucket(microseconds) - microseconds) <= microseconds * 0.005
    assert bucket(bucket(microseconds)) == bucket(microseconds)


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [(0, 0), (87, 87), (999, 999), (1000, 1000), (1004, 1000), (1005, 1010), (9996, 10_000), (123_456, 123_000),
     (999_499, 999_000), (999_500, 1_000_000), (30_049_999, 30_000_000), (30_050_000, 30_100_000)],
)  # fmt: skip
def test_three_significant_figures(microseconds: int, expected: int) -> None:
    assert bucket(microseconds) == expected


@given(st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_buckets_keep_the_order(one: int, other: int) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


class Turns(Histogram):
    """A histogram that counts its writes."""

    turns = 0

    def __setitem__(self, key: int, value: int) -> None:
        self.turns += 1
        super().__setitem__(key, value)


NANOSECONDS = st.integers(0, 3_000_000_000)


@given(NANOSECONDS, st.integers(1, 3_000) | st.integers(1, 200_000_000), st.integers(0, 1000))
def test_counting_a_progression_equals_counting_one_by_one(first: int, step: int, number: int) -> None:
    found = Turns()
    count_progression(found, first, step, number)
    assert found == histogram_of([(first + step * turn) // 1000 for turn in range(number)])
    assert found.turns == len(found)


@given(NANOSECONDS)
def test_a_progression_of_one_needs_no_step(first: int) -> None:
    found: Histogram = {}
    count_progression(found, first, 0, 1)
    assert found == {bucket(first // 1000): 1}


def test_a_progression_adds_to_what_is_there() -> None:
    found = {5: 1, 7: 2, 99: 3}
    count_progression(found, 5_000, 2_000, 2)
    assert found == {5: 2, 7: 3, 99: 3}


def test_a_progressions_steps_may_be_below_a_microsecond() -> None:
    found: Histogram = {}
    count_progression(found, 5_600, 700, 4)  # 5.6, 6.3, 7.0 and 7.7 us
    assert found == {5: 1, 6: 1, 7: 2}


def test_a_hundred_million_steps_take_few_turns() -> None:
    found = Turns()
    count_progression(found, 0, 1000, 10**8)
    assert sum(found.values()) == 10**8
    assert (found[999], found[1000], found[50_000_000], found[100_000_000]) == (1, 5, 100_000, 50_000)
    assert found.turns == len(found) == 1000 + 5 * 900 + 1


@given(st.lists(st.lists(DURATIONS, max_size=40), max_size=5))
def test_merging_workers_is_pooling_their_samples(workers: list[list[int]]) -> None:
    merged: Histogram = {}
    for worker in workers:
        merge(merged, histogram_of(worker))
    assert merged == histogram_of([duration for worker in workers for duration in worker])


@given(st.lists(DURATIONS, min_size=1, max_size=300), FRACTIONS)
def test_a_quantile_is_right_within_half_a_percent(durations: list[int], fraction: float) -> None:
    found = quantile(histogram_of(durations), fraction)
    truth = exact(durations, fraction)
    assert found is not None
    assert abs(found.microseconds - truth) <= truth * 0.005
    assert not found.at_least


@given(st.lists(DURATIONS, max_size=60), st.lists(DURATIONS, min_size=1, max_size=20), FRACTIONS)
def test_unanswered_requests_mark_what_they_could_move(durations: list[int], ages: list[int], fraction: float) -> None:
    found = quantile(histogram_of(durations), fraction, histogram_of(ages))
    assert found is not None
    assert found.microseconds == bucket(exact(durations + ages, fraction))
    for_ever = exact(durations + [10**9] * len(ages), fraction)
    assert found.at_least == (bucket(for_ever) != found.microseconds)


def test_no_samples_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({}, 0.5, {}) is None


def test_one_of_two_waiting_marks_upper_quantiles() -> None:
    assert quantile({100: 98}, 0.5, {50: 2}) == Quantile(100, at_least=False)
    assert quantile({100: 98}, 0.99, {50: 2}) == Quantile(100, at_least=True)


def test_nothing_gives_nothing() -> None:
    assert bounded_quantile({}, {}, 0.5) is None


def test_nearest_rank() -> None:
    hundred = dict.fromkeys(range(1, 101), 1)
    assert bounded_quantile(hundred, {}, 0.5) == Bounds(50, 50, 100)
    assert bounded_quantile(hundred, {}, 0.99) == Bounds(99, 99, 100)
    assert bounded_quantile(hundred, {}, 1.0) == Bounds(100, 100, 100)
    assert bounded_quantile({7: 1}, {}, 0.01) == Bounds(7, 7, 1)


def test_unanswered_requests_open_the_quantile_they_touch() -> None:
    found = bounded_quantile({1000: 90}, {500_000: 10}, 0.99)
    assert found == Bounds(500_000, None, 100)
    assert found.open


def test_the_unanswered_above_a_quantile_leave_it_alone() -> None:
    found = bounded_quantile({1000: 90}, {500_000: 10}, 0.5)
    assert found == Bounds(1000, 1000, 100)
    assert not found.open


def test_young_unanswered_requests_count_below() -> None:
    found = bounded_quantile({1000: 50, 2000: 50}, {10: 50}, 0.5)
    assert found == Bounds(1000, 2000, 150)
    assert found.open


def test_a_few_in_flight_move_nothing_that_matters() -> None:
    found = bounded_quantile({1000 + step: 100 for step in range(100)}, {400: 50}, 0.99)
    assert found is not None
    assert not found.open


def test_all_unanswered() -> None:
    found = bounded_quantile({}, {4_000_000: 49}, 0.99)
    assert found == Bounds(4_000_000, None, 49)


def test_merging_is_exact() -> None:
    chance = random.Random(3)
    parts = [[chance.randrange(1, 999) for _ in range(500)] for _ in range(4)]
    histograms = [{value: part.count(value) for value in set(part)} for part in parts]
    pooled = sorted(value for part in parts for value in part)
    total: Histogram = {}
    for each in histograms:
        merge(total, each)
    found = bounded_quantile(total, {}, 0.99)
    assert found is not None
    assert found.low == pooled[1980 - 1]
