"""Conservation: durations become histograms and every request is accounted for, whatever happens."""

from collections import Counter
from dataclasses import dataclass
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.pacing import Periodic
from loadtest.recording.client_stats import OUTSIDE, SETTLE, ClientStats
from loadtest.recording.counters import OUTCOMES, Counters
from loadtest.recording.histogram import Histogram, merge
from loadtest.recording.recorder import Part, unpack
from tests.support.load.recorders import connected, counters, recorder, served

REPLIES = st.lists(st.tuples(st.sampled_from(["first", "even", "uneven"]), st.integers(0, 3000)), max_size=60)


def play_replies(
    replies: list[tuple[str, int]], settle: int
) -> tuple[dict[str, Histogram], list[tuple[bool, Histogram]]]:
    """Record replies. Return the histograms, and the calls of `told`."""
    found, clock = recorder()
    variant_stats = found.variant_stats("single")
    heard: list[tuple[bool, Histogram]] = []
    variant_stats.told = lambda first, histogram: heard.append((first, dict(histogram)))
    client_stats = found.client("single")
    with patch("loadtest.recording.client_stats.SETTLE", settle):
        for kind, microseconds in replies:
            if kind == "first" or not client_stats.served:
                client_stats.left()
                client_stats.connecting(clock())
                client_stats.connected_at(clock())
            if kind == "uneven":
                client_stats.due(clock() - 9_000)
            client_stats.sent(clock())
            client_stats.verified(clock.after(microseconds))
    return counters(found, OUTSIDE).histograms, heard


@given(REPLIES, st.integers(1, 5))
def test_how_often_durations_become_histograms_changes_nothing(replies: list[tuple[str, int]], settle: int) -> None:
    often, heard_often = play_replies(replies, settle)
    once, heard_once = play_replies(replies, len(replies) + 1)
    assert often == once
    assert len(heard_once) <= 3
    for first in (True, False):
        for heard in (heard_often, heard_once):
            pooled: Histogram = {}
            for which, histogram in heard:
                if which == first:
                    merge(pooled, histogram)
            assert pooled == once["first_reply" if first else "response"]


def test_each_verified_reply_is_reported_once() -> None:
    _, heard = play_replies([("first", 700), ("even", 40), ("uneven", 50), ("even", 40)], 100)
    assert sorted(heard, key=str) == [(False, {40: 2}), (False, {59: 1}), (True, {700: 1})]


@pytest.mark.parametrize("kind", ["first", "even", "uneven"])
def test_durations_are_settled_by_the_thousand(kind: str) -> None:
    found, clock = recorder()
    variant_stats = found.variant_stats("single")
    client_stats = connected(found, clock)
    client_stats.served = kind != "first"
    series = "first_reply" if kind == "first" else "response"
    for number in range(1, SETTLE + 2):
        if kind == "first":
            client_stats.left()
            client_stats.connecting(clock())
            client_stats.connected_at(clock())
        elif kind == "uneven":
            client_stats.due(clock() - 9_000)
        client_stats.sent(clock())
        client_stats.verified(clock.after(40))
        assert sum(variant_stats.counters.histograms[series].values()) == (SETTLE if number >= SETTLE else 0)
    found.report()
    assert counters(found, OUTSIDE).histograms[series] == {}
    assert not (variant_stats.first or variant_stats.even or variant_stats.responses or variant_stats.services)


def test_a_duration_counts_in_its_ending_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.sent(clock())
    client_stats.verified(clock.after(70))
    found.begin(2)
    client_stats.sent(clock())
    client_stats.verified(clock.after(80))
    parts: dict[int, Part] = {part.phase: part for part in unpack(found.report())}
    assert [parts[phase].counters["single"].histograms["response"] for phase in (1, 2)] == [{70: 1}, {80: 1}]


INTERVALS = (40_000, 15_000, 90_000, 200_000)


@dataclass
class Client:
    """
    One of the property tests' clients, with the test's own counts.

    upcoming: when its next request falls due, 0 without a schedule. interval: between two requests. fell_due, taken:
    requests. connecting, stalling: what the last taken one waits for.
    """

    client_stats: ClientStats
    upcoming: int = 0
    interval: int = 0
    fell_due: int = 0
    taken: int = 0
    connecting: bool = False
    stalling: bool = False

    def look(self, now: int) -> None:
        """Count one by one the requests that have fallen due."""
        while 0 < self.upcoming <= now:
            self.upcoming += self.interval
            self.fell_due += 1

    def unsent(self, now: int) -> int:
        if not self.upcoming:
            return 0
        self.look(now)
        return self.fell_due - self.taken + self.connecting + self.stalling

    def take_turn(self, now: int) -> bool:
        """Take the turn, if it has come; a client without a schedule needs none."""
        schedule = self.client_stats.schedule
        if schedule is None:
            return True
        if schedule.upcoming > now:
            return False
        self.client_stats.due(schedule.take())
        self.taken += 1
        return True


class Crowd:
    """Four clients, the last two of them in the open model. They step, fail and are stopped in any order."""

    def __init__(self) -> None:
        self.recorder, self.clock = recorder()
        self.clients: list[Client | None] = [None] * 4
        self.pooled: dict[int, Counters] = {}
        self.unsent: Counter[int] = Counter()
        self.breaks = self.fell_due = 0
        self.interval = INTERVALS[0]

    def collect(self) -> None:
        now = self.clock()
        for part in unpack(self.recorder.report()):
            for counted in part.counters.values():
                self.pooled.setdefault(part.phase, Counters()).add(counted)
        gauges = part.gauges.values()
        assert sum(each.unsent for each in gauges) == sum(client.unsent(now) for client in self.clients if client)
        assert sum(each.unanswered for each in gauges) == self.open_now

    def whole(self) -> Counters:
        whole = Counters()
        for counted in self.pooled.values():
            whole.add(counted)
        return whole

    def close(self) -> None:
        now = self.clock()
        if self.recorder.phase != OUTSIDE:
            self.unsent[self.recorder.phase] += sum(client.unsent(now) for client in self.clients if client)
        self.recorder.close()

    def retune(self, interval: int) -> None:
        self.interval = interval
        now = self.clock()
        for client in self.clients:
            if client is not None and client.upcoming:
                client.look(now)
                client.upcoming = now + max(1, (client.upcoming - now) * interval // client.interval)
                client.interval = interval
        self.recorder.retune(interval)

    def act(self, number: int, action: str) -> None:
        now = self.clock.after(17)
        client = self.clients[number]
        if action == "retune":
            self.retune(INTERVALS[number])
        elif client is None:
            client = self.clients[number] = Client(connected(self.recorder, self.clock))
            if number >= 2:
                client.upcoming, client.interval = self.clock(), self.interval
                client.client_stats.schedule = Periodic(self.clock(), self.interval)
        elif action == "stop":
            self._stop(client, now)
            self.clients[number] = None
        elif client.connecting:
            client.connecting = False
            if action == "fail":
                self.unsent[self.recorder.phase] += client.upcoming > 0
                client.client_stats.connect_failed("refused", now)
            else:
                client.client_stats.connected_at(now)
                client.client_stats.sent(now)
        elif client.client_stats.sent_at:
            self._end(client.client_stats, OUTCOMES[1 + number] if action == "fail" else "verified", now)
        elif action == "broke":
            self.unsent[self.recorder.phase] += client.stalling and client.upcoming > 0
            client.stalling = False
            client.client_stats.broke("closed")
            client.client_stats.left()
            self.breaks += 1
        elif client.stalling:
            client.stalling = False
            client.client_stats.sent(now)
        else:
            self._ask(client, action, now)

    @staticmethod
    def _ask(client: Client, action: str, now: int) -> None:
        """Send a request, if it is its turn; the action says whether it reconnects, or stalls."""
        if action == "connect":
            client.client_stats.left()
        if client.take_turn(now):
            if not client.client_stats.connected:
                client.client_stats.connecting(now)
                client.connecting = True
            elif action == "stall":
                client.stalling = True
            else:
                client.client_stats.sent(now)

    def _stop(self, client: Client, now: int) -> None:
        self.unsent[self.recorder.phase] += client.unsent(now)
        self.fell_due += client.fell_due
        client.client_stats.stopped(now)

    @staticmethod
    def _end(client_stats: ClientStats, outcome: str, now: int) -> None:
        if outcome == "verified":
            client_stats.verified(now)
        else:
            client_stats.failed(outcome, now)

    @property
    def open_now(self) -> int:
        return sum(bool(client and client.client_stats.sent_at) for client in self.clients)


ACTS = ["step", "fail", "stop", "connect", "stall", "broke", "retune"]
ACTIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*ACTS, "report", "phase", "close"])), max_size=80)


@given(ACTIONS)
def test_every_request_is_accounted_for_whatever_happens(actions: list[tuple[int, str]]) -> None:
    """Four clients do whatever they may, between reports, phases and ends."""
    crowd = Crowd()
    phase = 0
    for number, action in actions:
        if action == "report":
            crowd.collect()
        elif action == "phase":
            phase += 1
            crowd.recorder.begin(phase)
        elif action == "close":
            crowd.close()
        else:
            crowd.act(number, action)
    closed = crowd.recorder.phase
    crowd.close()
    crowd.collect()
    whole = crowd.whole()
    assert whole.sent == sum(whole.outcomes.values()) + whole.abandoned + crowd.open_now
    assert whole.breaks["closed"] == crowd.breaks
    assert {phase: counted.unsent for phase, counted in crowd.pooled.items() if counted.unsent} == +crowd.unsent
    if closed:
        last = crowd.pooled.get(closed, Counters())
        assert (last.imbalance, last.unanswered) == (0, crowd.open_now)


@given(st.lists(st.tuples(st.integers(2, 3), st.sampled_from(ACTS)), max_size=80))
def test_everything_due_is_sent_or_unsent(actions: list[tuple[int, str]]) -> None:
    """The two clients in the open model, in one phase."""
    crowd = Crowd()
    crowd.recorder.begin(1)
    for number, action in actions:
        crowd.act(number, action)
    now = crowd.clock()
    for client in crowd.clients:
        if client is not None:
            client.look(now)
            crowd.fell_due += client.fell_due
    crowd.close()
    crowd.collect()
    window = crowd.whole()
    assert window.sent + window.unsent == crowd.fell_due
    assert window.imbalance == 0
