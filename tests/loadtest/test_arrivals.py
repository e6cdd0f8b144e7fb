"""Poisson arrivals: how many fall due in a time, how far apart, and what is owed by a client that is behind."""

import math
import os
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.pacing import SPREAD_FROM, Gaps, Periodic, Poisson, Schedule
from tests.support.queueing import Due, exact_quantile, md1_quantile, replay

SECOND = 10**9
SEEDS = st.integers(0, 2**32)


def due(schedule: Schedule, until: int) -> list[int]:
    """Take every request that falls due until then."""
    taken = []
    while schedule.upcoming <= until:
        taken.append(schedule.take())
    return taken


def dispersion(moments: list[int], since: int, until: int, slices: int) -> float:
    """Return the variance of the counts in equal slices of a time over their mean: 1 for a Poisson process."""
    counts = Counter((moment - since) * slices // (until - since) for moment in moments)
    mean = len(moments) / slices
    return sum((counts[number] - mean) ** 2 for number in range(slices)) / (slices - 1) / mean


def assert_poisson(moments: list[int], since: int, until: int, rate: float) -> None:
    """Assert the mean, the dispersion and the gaps of a Poisson process of this rate, each within five deviations."""
    expected = rate * (until - since) / SECOND
    assert abs(len(moments) - expected) <= 5 * math.sqrt(expected), (len(moments), expected)
    slices = max(20, len(moments) // 5)
    assert abs(dispersion(moments, since, until, slices) - 1) <= 5 * math.sqrt(2 / slices)
    gaps = [(later - earlier) * rate / SECOND for earlier, later in pairwise(sorted(moments))]
    for length in (0.1, 0.5, 1.0, 3.0):
        share = math.exp(-length)
        found = sum(gap > length for gap in gaps) / len(gaps)
        assert abs(found - share) <= 5 * math.sqrt(share * (1 - share) / len(gaps)) + 1e-6, length


@given(SEEDS, st.sampled_from([1, 7, 50]), st.sampled_from([200.0, 5_000.0]))
def test_clients_together_are_a_poisson_process(seed: int, clients: int, rate: float) -> None:
    gaps, until = Gaps(seed), int(2_000 / rate * SECOND)
    schedules = [Poisson(0, int(clients / rate * SECOND), gaps.draw) for _ in range(clients)]
    assert_poisson([moment for each in schedules for moment in due(each, until)], 0, until, rate)


def test_periodic_clients_are_no_poisson_process() -> None:
    """The figures above tell them apart."""
    moments = [moment for each in range(50) for moment in due(Periodic(each * SECOND // 50, SECOND), 40 * SECOND)]
    assert dispersion(moments, 0, 40 * SECOND, 400) < 0.2


@pytest.mark.parametrize("load", [0.5, 0.8])
@pytest.mark.parametrize("clients", [50, 1_000])
def test_a_queue_of_arrivals_is_md1(clients: int, load: float) -> None:
    """p50 and p99 of 100,000 requests that a server answers one by one, each in 400 us, are within 10 %."""
    gaps, service = Gaps(1), 400_000
    interval = int(clients * service / load)
    until = int(100_000 * service / load)
    schedules = [Poisson(0, interval, gaps.draw) for _ in range(clients)]
    arrivals = sorted((moment, number) for number, each in enumerate(schedules) for moment in due(each, until))
    dues = [Due(f"{client}.{serial}", moment) for serial, (moment, client) in enumerate(arrivals)]
    found = replay(dues, ((each.text, service) for each in dues))
    for fraction in (0.5, 0.99):
        expected = md1_quantile(load, service / 1000, fraction)
        assert exact_quantile(found, fraction) == pytest.approx(expected, rel=0.1)


@given(SEEDS, st.lists(st.integers(1, 60), min_size=2, max_size=6))
def test_arrivals_ignore_users_coming_and_going(seed: int, numbers: list[int]) -> None:
    """The rate is spread anew over another number of users, of whom some are behind; then all of them catch up."""
    gaps, rate, stretch = Gaps(seed), 1_000.0, SECOND // 2
    schedules: list[Poisson] = []
    moments: list[int] = []
    for turn, number in enumerate(numbers):
        now, interval = turn * stretch, int(number / rate * SECOND)
        for gone in schedules[number:]:
            moments += due(gone, now)
        del schedules[number:]
        for each in schedules:
            each.retune(interval, now)
        schedules += [Poisson(now, interval, gaps.draw) for _ in range(number - len(schedules))]
        for each in schedules[::2]:  # the others are held up, and take theirs later
            moments += due(each, now + stretch)
    end = len(numbers) * stretch
    moments += [moment for each in schedules for moment in due(each, end)]
    assert_poisson(moments, 0, end, rate)


@given(SEEDS, st.integers(0, 3 * SECOND))
def test_a_held_up_client_drops_nothing(seed: int, now: int) -> None:
    one, other = Poisson(0, SECOND // 10, Gaps(seed).draw), Poisson(0, SECOND // 10, Gaps(seed).draw)
    prompt = []
    while one.upcoming <= now:
        prompt.append(one.take())
    assert due(other, now) == prompt
    assert prompt == sorted(prompt)
    assert one.upcoming == other.upcoming > now


@given(SEEDS)
def test_what_a_client_owes_is_poisson_too(seed: int) -> None:
    """Its due times are drawn when they are asked for: as many as they would have been, and of the same ages."""
    gaps, now = Gaps(seed), SECOND
    ages = []
    owed = 0
    for _ in range(200):
        schedule = Poisson(0, SECOND // 10, gaps.draw)
        owed += schedule.owed(now)
        ages += [age for age, _, number in schedule.overdue(now) for _ in range(number)]
    assert abs(len(ages) - 2_000) <= 5 * math.sqrt(2_000)
    assert abs(owed - 2_000) <= 0.1 * 2_000
    assert_poisson([now - age for age in ages], 0, now, 2_000.0)


def test_a_client_that_keeps_up_owes_nothing() -> None:
    schedule = Poisson(0, SECOND // 10, Gaps(1).draw)
    due(schedule, SECOND)
    assert (schedule.owed(SECOND), schedule.overdue(SECOND)) == (0, [])
    assert schedule.owed(schedule.upcoming) == 1
    assert schedule.overdue(schedule.upcoming)[0].youngest == 0


def test_millions_that_are_owed_are_one_stretch() -> None:
    schedule = Poisson(0, 1_000, lambda: 1.0)
    assert schedule.overdue(60 * SECOND) == [(60 * SECOND - 1_000, 1_000, 1), (0, 1_000, 60_000_000 - 1)]
    assert schedule.owed(60 * SECOND) == 60_000_000
    assert len(schedule.overdue(1_000 * SPREAD_FROM)) == SPREAD_FROM
    assert len(schedule.overdue(1_000 * (SPREAD_FROM + 1))) == 2


def gapped(*gaps: float) -> Poisson:
    """Return a schedule with these gaps, of 100 nanoseconds each, from 1,000 on."""
    return Poisson(1_000, 100, iter(gaps).__next__)


def test_due_requests_survive_another_rate() -> None:
    schedule = gapped(0.5, 0.1, 0.5, 2.0, 1.0, 1.0)
    schedule.retune(10, 1_100)  # the first is due; what follows it by the old rate is not drawn yet
    assert schedule.owed(1_100) == 1
    assert [schedule.take() for _ in range(4)] == [1_050, 1_060, 1_120, 1_130], "1,110 is none of the old rate's"


def test_what_is_left_of_a_gap_is_rescaled() -> None:
    schedule = gapped(5.0, 1.0)
    schedule.retune(50, 1_100)
    assert schedule.upcoming == 1_300
    schedule.retune(1, 1_299)
    assert schedule.upcoming == 1_300


@given(SEEDS, st.integers(0, 10), st.integers(1, 5 * SECOND))
def test_a_clients_own_pause_delays_all(seed: int, changes: int, length: int) -> None:
    one, other = (Poisson(0, SECOND // 10, Gaps(seed).draw) for _ in range(2))
    now = 0
    for change in range(changes):
        now = change * SECOND // 5
        for schedule in (one, other):
            schedule.retune(SECOND // (change + 2), now)
    one.put_off(length, now)
    assert [one.take() - length for _ in range(20)] == [other.take() for _ in range(20)]


def test_a_rate_changed_while_paused_holds_afterwards() -> None:
    schedule = gapped(0.5, 4.0, 9.0)
    schedule.put_off(1_000, 1_010)
    schedule.retune(200, 1_500)  # 40 are left of the pause's end until it is due
    assert schedule.owed(2_009) == 0
    assert schedule.upcoming == 2_010 + 2 * 40


def test_forked_processes_draw_their_own_gaps() -> None:
    """Though the parent has drawn some, of which the rest waits."""
    gaps = Gaps()
    gaps.draw()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, repr([gaps.draw() for _ in range(5)]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(told, 1000).decode() != repr([gaps.draw() for _ in range(5)])
    os.close(told)
    os.close(tell)


@pytest.mark.parametrize("seed", range(3))
def test_gaps_have_the_exponentials_moments(seed: int) -> None:
    draw = Gaps(seed).draw
    found = [draw() for _ in range(100_000)]
    assert min(found) >= 0
    assert sum(found) / len(found) == pytest.approx(1, abs=0.02)
    assert sum(gap**2 for gap in found) / len(found) == pytest.approx(2, abs=0.1)
