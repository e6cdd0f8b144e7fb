"""The schedule of the open model: due times that nothing holds up."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.pacing import Periodic, Poisson, Stretch

TIMES = st.integers(0, 5_000)
INTERVALS = st.integers(1, 300)


def ages(stretches: Iterable[Stretch]) -> list[int]:
    """Return the age of each request of some stretches, in their order."""
    return [youngest + interval * turn for youngest, interval, number in stretches for turn in range(number)]


@given(TIMES, INTERVALS, st.integers(1, 50))
def test_requests_fall_due_at_a_steady_interval(first: int, interval: int, number: int) -> None:
    schedule = Periodic(first, interval)
    assert [schedule.take() for _ in range(number)] == [first + turn * interval for turn in range(number)]
    assert schedule.upcoming == first + number * interval


def test_a_late_client_catches_up_and_drops_none() -> None:
    schedule = Periodic(100, 10)
    assert schedule.take() == 100
    now = 145  # held up since 100
    assert schedule.overdue(now) == [Stretch(youngest=5, interval=10, number=4)]
    taken = []
    while schedule.upcoming <= now:
        taken.append(schedule.take())
    assert taken == [110, 120, 130, 140]
    assert schedule.upcoming == 150
    assert schedule.overdue(now) == []


def test_a_request_is_due_at_its_exact_time() -> None:
    schedule = Periodic(100, 10)
    assert schedule.overdue(99) == []
    assert schedule.overdue(100) == [(0, 10, 1)]
    assert schedule.overdue(109) == [(9, 10, 1)]
    assert schedule.overdue(110) == [(0, 10, 2)]


@given(TIMES, INTERVALS, st.integers(0, 10), TIMES)
def test_overdue_requests_match_a_plain_search(first: int, interval: int, taken: int, now: int) -> None:
    schedule = Periodic(first, interval)
    for _ in range(taken):
        schedule.take()
    due = [now - due for due in range(first + taken * interval, now + 1, interval)]
    assert ages(schedule.overdue(now)) == due[::-1]
    assert len(schedule.overdue(now)) == bool(due)
    assert schedule.upcoming == first + taken * interval  # looking takes none


# Another interval


def rescaled(upcoming: int, now: int, old: int, new: int) -> int:
    """Return when a request falls due that is not due yet, after the interval has changed from `old` to `new`."""
    return now + max(1, (upcoming - now) * new // old)


def test_a_new_interval_holds_for_the_rest() -> None:
    schedule = Periodic(100, 10)
    schedule.take()
    schedule.retune(30, 105)
    assert schedule.overdue(119) == []
    assert [schedule.take() for _ in range(3)] == [120, 150, 180]
    schedule = Periodic(100, 10)
    schedule.take()
    schedule.retune(4, 105)
    assert schedule.overdue(106) == []
    assert [schedule.take() for _ in range(3)] == [107, 111, 115]


def test_a_distant_first_request_is_rescaled_too() -> None:
    schedule = Periodic(1_000, 10)
    schedule.retune(5, 200)
    assert [schedule.take() for _ in range(2)] == [600, 605]


def test_what_is_left_is_never_nothing() -> None:
    schedule = Periodic(101, 1_000)
    schedule.retune(1, 100)
    assert schedule.overdue(100) == []
    assert [schedule.take() for _ in range(3)] == [101, 102, 103]


@given(TIMES, INTERVALS, st.integers(0, 10), TIMES)
def test_the_same_interval_again_changes_nothing(first: int, interval: int, taken: int, now: int) -> None:
    schedule, other = Periodic(first, interval), Periodic(first, interval)
    for _ in range(taken):
        assert schedule.take() == other.take()
    schedule.retune(interval, now)
    assert ages(schedule.overdue(now)) == ages(other.overdue(now))
    assert [schedule.take() for _ in range(50)] == [other.take() for _ in range(50)]


@pytest.mark.parametrize("interval", [20, 500, 1_000, 1_230, 50_000])
@pytest.mark.parametrize("now", [2_000, 2_050, 2_999])
def test_clients_that_were_spread_evenly_stay_so(interval: int, now: int) -> None:
    """Ten clients share a rate: at any other there is neither a burst nor a pause."""
    schedules = [Periodic(place * 100, 1_000) for place in range(10)]
    for schedule in schedules:
        while schedule.upcoming <= now:
            schedule.take()
        schedule.retune(interval, now)
        assert schedule.overdue(now) == []
    dues = sorted(schedule.take() for schedule in schedules for _ in range(3))
    assert dues[0] - now <= interval / 10 + 1
    assert all(abs(later - due - interval / 10) <= 1 for due, later in pairwise(dues))


def test_a_new_interval_keeps_requests_already_due() -> None:
    for interval in (50, 1):
        schedule = Periodic(0, 10)
        before = ages(schedule.overdue(100))
        assert len(before) == 11
        schedule.retune(interval, 100)
        assert ages(schedule.overdue(100)) == before
        assert [schedule.take() for _ in range(13)] == [*range(0, 101, 10), 100 + interval, 100 + 2 * interval]


def test_requests_kept_from_two_changes_come_last() -> None:
    schedule = Periodic(0, 10)
    schedule.retune(3, 25)
    assert schedule.overdue(25) == [(5, 10, 3)]
    schedule.retune(50, 35)  # due by 3 since: 26, 29, 32 and 35; 3 are left of 3
    assert schedule.overdue(140) == [(5, 50, 2), (105, 3, 4), (120, 10, 3)]
    assert schedule.upcoming == 0
    assert schedule.take() == 0
    assert schedule.overdue(140) == [(5, 50, 2), (105, 3, 4), (120, 10, 2)]
    assert [schedule.take() for _ in range(8)] == [10, 20, 26, 29, 32, 35, 85, 135]


def test_a_kept_request_was_not_due_early() -> None:
    schedule = Periodic(0, 10)
    schedule.retune(50, 25)
    assert ages(schedule.overdue(15)) == [5, 15]


# A pause of the client's own


def test_a_pause_delays_due_and_later_requests() -> None:
    schedule = Periodic(0, 10)
    schedule.retune(30, 25)  # 0, 10 and 20 stay due; then 40, 70, ...
    schedule.put_off(1_000, 50)
    assert schedule.upcoming == 1_000
    assert schedule.overdue(1_049) == [(9, 30, 1), (29, 10, 3)]
    assert [schedule.take() for _ in range(5)] == [1_000, 1_010, 1_020, 1_040, 1_070]


def test_an_interval_changed_while_paused_holds_afterwards() -> None:
    schedule = Periodic(0, 10)
    schedule.put_off(1_000, 5)  # one is due, 5 are left until the next one
    schedule.retune(2, 600)
    assert schedule.overdue(999) == []
    assert [schedule.take() for _ in range(3)] == [1_000, 1_006, 1_008]


def test_overlapping_pauses_add_up() -> None:
    """The connection broke in the middle of the first."""
    schedule = Periodic(0, 10)
    schedule.put_off(100, 5)
    schedule.put_off(100, 50)
    schedule.retune(20, 60)
    assert [schedule.take() for _ in range(3)] == [200, 215, 235]


@given(TIMES, INTERVALS, st.lists(st.tuples(INTERVALS, st.integers(0, 200)), max_size=4), st.integers(1, 5_000), TIMES)
def test_nothing_ages_or_falls_due_in_a_pause(
    first: int, interval: int, changes: list[tuple[int, int]], length: int, turn: int
) -> None:
    schedule, now = Periodic(first, interval), 0
    for other, after in changes:
        now += after
        schedule.retune(other, now)
    before = ages(schedule.overdue(now))
    schedule.put_off(length, now)
    schedule.retune(interval, now + turn % (length + 1))
    assert ages(schedule.overdue(now + length)) == before
    dues = [schedule.take() for _ in range(len(before) + 5)]
    assert dues == sorted(dues)


class Dues:
    """When requests fall due, found one by one: those not taken, up to the first that isn't due yet."""

    def __init__(self, first: int, interval: int) -> None:
        self.dues = [first]
        self.interval = interval
        self.pause = 0

    def look(self, now: int) -> None:
        while self.dues[-1] <= now:
            self.dues.append(self.dues[-1] + self.interval)

    def retune(self, interval: int, now: int) -> None:
        now = max(now, self.pause)
        self.look(now)
        self.dues[-1] = rescaled(self.dues[-1], now, self.interval, interval)
        self.interval = interval

    def put_off(self, length: int, now: int) -> None:
        self.pause = max(now, self.pause) + length
        self.dues = [due + length for due in self.dues]

    def take(self) -> int:
        taken = self.dues.pop(0)
        if not self.dues:  # it was taken before its time
            self.dues.append(taken + self.interval)
        return taken

    def ages(self, now: int) -> list[int]:
        return [now - due for due in reversed(self.dues) if due <= now]


ACTS = st.tuples(st.sampled_from(["wait", "take", "retune", "put off"]), st.integers(0, 60))


@given(st.integers(0, 50), st.integers(1, 30), st.lists(ACTS, max_size=25))
def test_due_requests_match_a_plain_search(first: int, interval: int, acts: list[tuple[str, int]]) -> None:
    schedule, dues, now = Periodic(first, interval), Dues(first, interval), 0
    dues.look(now)
    for act, number in acts:
        if act == "wait":
            now += number
        elif act == "take":
            assert [schedule.take() for _ in range(number % 8)] == [dues.take() for _ in range(number % 8)]
        elif act == "put off":
            dues.put_off(number, now)
            schedule.put_off(number, now)
        else:
            dues.retune(number // 2 + 1, now)
            schedule.retune(number // 2 + 1, now)
        dues.look(now)
        assert schedule.upcoming == dues.dues[0]
        assert ages(schedule.overdue(now)) == dues.ages(now)
        assert all(stretch.number > 0 for stretch in schedule.overdue(now))
    assert [schedule.take() for _ in dues.dues] == dues.dues


@given(st.integers(1, 30), st.tuples(INTERVALS, INTERVALS), st.integers(0, 300), st.integers(0, 300))
def test_two_changes_forget_nothing_due(interval: int, then: tuple[int, int], first: int, second: int) -> None:
    schedule, dues = Periodic(0, interval), Dues(0, interval)
    for other, now in zip(then, (first, first + second), strict=True):
        dues.retune(other, now)
        schedule.retune(other, now)
        assert ages(schedule.overdue(now)) == dues.ages(now)
    end = first + second + 500
    dues.look(end)
    assert ages(schedule.overdue(end)) == dues.ages(end)
    assert [schedule.take() for _ in dues.dues] == dues.dues


# Another rate of a sweep


@given(TIMES, INTERVALS, INTERVALS, st.integers(0, 5), TIMES)
def test_begun_anew_nothing_is_due(first: int, interval: int, then: int, taken: int, now: int) -> None:
    schedule = Periodic(first, interval)
    for _ in range(taken):
        schedule.take()
    schedule.retune(interval + 1, now)  # which keeps what is due
    schedule.restart(then, now)
    assert schedule.overdue(now) == []
    assert now < schedule.upcoming
    due = [schedule.take() for _ in range(5)]
    assert {after - before for before, after in pairwise(due)} == {then}


def test_clients_begun_anew_stay_spread_evenly() -> None:
    """Also where each has been kept waiting, and owes any number of requests."""
    schedules = [Periodic(number * 100, 1000) for number in range(10)]
    for number, schedule in enumerate(schedules):
        for _ in range(number % 3):
            schedule.take()
        schedule.restart(500, 5_120)
    due = sorted(schedule.upcoming for schedule in schedules)
    assert due[-1] <= 5_120 + 1 + 500
    assert {after - before for before, after in pairwise(due)} == {50}


def test_a_poisson_client_begun_anew_owes_nothing() -> None:
    gaps = iter([1.0, 2.0, 0.5, 0.25])
    schedule = Poisson(0, 100, gaps.__next__)
    schedule.retune(200, 350)
    assert schedule.owed(1000) > 0
    schedule.restart(1000, 1000)
    assert schedule.overdue(1000) == []
    assert (schedule.take(), schedule.take(), schedule.upcoming) == (3000, 3500, 3750)
