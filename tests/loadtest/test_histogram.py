"""Quantiles of what was answered and what was not, as bounds instead of guesses."""

import random

from loadtest.histogram import Bounds, Histogram, bounded_quantile, merge


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
