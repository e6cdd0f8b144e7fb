"""Whether figures have settled: series with a known course, and simulated queues."""

import math
import random
from collections.abc import Callable, Sequence

import pytest

from loadtest.recording.histogram import Histogram
from loadtest.recording.steady_state import FEW, LOOKED_AT, SLICES, Series, is_steady

RUNS = 100


def settles_at(values: Sequence[float]) -> int | None:
    """Return after how many values of a warm-up they are steady for the first time."""
    return next((end for end in range(LOOKED_AT, SLICES + 1) if is_steady(values[end - LOOKED_AT : end])), None)


def share_settled(course: Callable[[int], float], noise: float) -> float:
    """Return in which share of simulated warm-ups a course with relative noise is taken for steady."""
    chance = random.Random(16)
    runs = [[course(at) * (1 + chance.gauss(0, noise)) for at in range(SLICES)] for _ in range(RUNS)]
    return sum(settles_at(run) is not None for run in runs) / RUNS


@pytest.mark.parametrize(
    ("values", "at"),
    [
        ([100.0] * SLICES, LOOKED_AT),
        ([0.0] * SLICES, LOOKED_AT),
        ([212.0] * 7 + [213.0] * 13, LOOKED_AT),  # durations have three figures
        ([200.0] * 4 + [100.0] * 16, 13),  # with one of the ten before the step
        ([200.0] * 8 + [100.0] * 12, 17),
        ([100.0 + 10 * at for at in range(SLICES)], None),
        ([100.0, 140.0] * 10, LOOKED_AT),
    ],
    ids=["constant", "nothing", "rounding", "early step", "late step", "growth", "two modes"],
)
def test_a_known_course_settles_when_it_should(values: list[float], at: int | None) -> None:
    assert settles_at(values) == at


@pytest.mark.parametrize("noise", [0.005, 0.03, 0.1, 0.3])
def test_noise_without_trend_is_steady(noise: float) -> None:
    assert share_settled(lambda _: 100.0, noise) >= 0.98


@pytest.mark.parametrize(("slices", "noise", "at_most"), [(2, 0.03, 1.0), (10, 0.005, 0.0), (10, 0.03, 0.05)])
def test_a_slow_decay_is_not_steady(slices: int, noise: float, at_most: float) -> None:
    found = share_settled(lambda at: 100 * (1 + math.exp(-at / slices)), noise)
    assert found <= at_most
    if slices == 2:
        assert found >= 0.98, "this one is over"


def queue(load: float, chance: random.Random, rate: float = 10_000.0, seconds: float = 1.0) -> list[float]:
    """Return the median response time by slice at a server of one at a time (M/D/1) that begins without a queue."""
    slices: list[list[float]] = [[] for _ in range(SLICES)]
    due = free = 0.0
    while (due := due + chance.expovariate(rate)) < seconds:
        free = max(free, due) + load / rate
        if free < seconds:
            slices[int(free / seconds * SLICES)].append(free - due)
    return [sorted(some)[len(some) // 2] for some in slices]


@pytest.mark.parametrize(("load", "least", "most"), [(0.5, 0.97, 1), (0.9, 0.97, 1), (1.1, 0, 0.03), (1.5, 0, 0)])
def test_a_queue_settles_unless_overloaded(load: float, least: float, most: float) -> None:
    chance = random.Random(4)
    runs = 40
    found = sum(settles_at(queue(load, chance)) is not None for _ in range(runs)) / runs
    assert least <= found <= most


class Counted:
    """A series of counts that grow, of two variants."""

    def __init__(self) -> None:
        self.series = Series()
        self.seconds = 5.0
        self.totals: dict[str, Histogram] = {"asyncio": {}, "single": {}}
        self.look()

    def look(self) -> None:
        self.series.add(self.seconds, {name: dict(each) for name, each in self.totals.items()})

    def slices(self, number: int, replies: int = 100, microseconds: int = 500, variant: str = "asyncio") -> None:
        for _ in range(number):
            self.seconds += 0.1
            counts = self.totals[variant]
            counts[microseconds] = counts.get(microseconds, 0) + replies
            self.look()


def test_ten_alike_slices_are_needed() -> None:
    counted = Counted()
    counted.slices(LOOKED_AT - 1)
    assert not counted.series.has_settled
    assert counted.series.changing == {}
    counted.slices(1)
    assert counted.series.has_settled
    assert counted.series.changing == {}


def test_a_look_without_news_is_no_slice() -> None:
    counted = Counted()
    for _ in range(LOOKED_AT):
        counted.look()
    assert not counted.series.has_settled


@pytest.mark.parametrize(
    ("before", "after"),
    [((100, 500), (100, 400)), ((100, 500), (200, 500))],
    ids=["median", "replies"],
)
def test_both_median_and_replies_must_settle(before: tuple[int, int], after: tuple[int, int]) -> None:
    counted = Counted()
    counted.slices(5, *before)
    counted.slices(5, *after)
    assert not counted.series.has_settled
    [change] = counted.series.changing.values()
    assert change == pytest.approx((before[0] * 10, after[0] * 10, before[1], after[1]))


def test_slices_with_few_replies_say_nothing() -> None:
    counted = Counted()
    counted.slices(5, FEW - 1, 500)
    counted.slices(5, 100, 100)
    assert not counted.series.has_settled
    assert counted.series.changing == {}


def test_every_answered_variant_must_settle() -> None:
    counted = Counted()
    for _ in range(LOOKED_AT):
        counted.totals["single"][300] = counted.totals["single"].get(300, 0) + 50
        counted.slices(1, 100, 1000 - len(counted.totals["asyncio"]) * 50)
    assert not counted.series.has_settled
    assert list(counted.series.changing) == ["asyncio"]


def test_a_restart_forgets_the_slices() -> None:
    counted = Counted()
    counted.slices(LOOKED_AT)
    counted.series.restart()
    assert not counted.series.has_settled
    counted.look()
    counted.slices(LOOKED_AT - 1)
    assert not counted.series.has_settled
    counted.slices(1)
    assert counted.series.has_settled
