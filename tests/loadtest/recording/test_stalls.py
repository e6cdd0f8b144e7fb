"""Clients that a server has stopped answering, among those that merely wait. In-process."""

from collections.abc import Callable
from random import Random

import pytest

from loadtest.recording.client_stats import ClientStats
from loadtest.recording.counters import Counters
from loadtest.recording.recorder import Recorder, unpack
from loadtest.recording.stalls import OVERTAKEN, silent, stalled
from tests.support.load.recorders import Clock, connected, recorder

QUICK = {100: 99_000, 800: 1000}
"""Replies of a window of 10 s: a tenth of a millisecond each, a hundredth of them 0.8 ms."""


@pytest.mark.parametrize(
    ("finished", "waits", "clients"),
    [
        (QUICK, {}, 0),
        (QUICK, {8_000_000: 25}, 25),
        (QUICK, {8_000_000: 1}, 1),
        (QUICK, {300_000: 1}, 1),
        (QUICK, {249_000: 50}, 0),  # a moment's pause
        (QUICK, {300: 40, 8_000_000: 2}, 2),
        ({**QUICK, 200_000: 1}, {300_000: 1}, 0),  # one reply has taken nearly as long
        ({**QUICK, 200_000: 1}, {500_000: 1}, 1),
        ({**QUICK, 7_000_000: 1}, {8_000_000: 24}, 24),  # one of those left alone was answered at last
        ({**QUICK, 7_000_000: 30}, {8_000_000: 24}, 0),  # that is how long replies take here
        ({**QUICK, 2_000_000: 20}, {1_500_000: 9}, 0),
        ({}, {8_000_000: 1}, 1),
    ],
)
def test_waits_that_the_replies_do_not_explain(finished: dict[int, int], waits: dict[int, int], clients: int) -> None:
    assert stalled(finished, waits, 10.0, OVERTAKEN) == clients


@pytest.mark.parametrize("shape", ["exponential", "two kinds", "heavy tail"])
def test_an_honest_server_is_never_suspected(shape: str) -> None:
    """Thirty windows of 100 clients each, whose waits end up to 2 s late; the window cuts off what is open."""
    chance = Random(1)
    draw: Callable[[], float] = {
        "exponential": lambda: chance.expovariate(1 / 0.05),
        "two kinds": lambda: 1.5 if chance.random() < 0.01 else 0.01,
        "heavy tail": lambda: min(2.0, 0.002 * chance.paretovariate(1.2)),
    }[shape]
    for _ in range(30):
        finished: dict[int, int] = {}
        waits: dict[int, int] = {}
        for _ in range(100):
            at = -chance.random() * 2
            while at < 4.0:
                duration = draw()
                kind, length = (finished, duration) if at + duration < 4.0 else (waits, 4.0 - at)
                if at + duration > 0:
                    kind[int(length * 1e6)] = kind.get(int(length * 1e6), 0) + 1
                at += duration
        assert stalled(finished, waits, 4.0, OVERTAKEN) == 0


@pytest.mark.parametrize(("seconds", "least"), [(1, 1), (2, 1), (3, 1.5), (4, 2), (60, 2)])
def test_how_long_a_silence_must_last(seconds: float, least: float) -> None:
    assert silent(seconds) == least * 1e6


def ask(client_stats: ClientStats, clock: Clock, microseconds: int) -> None:
    client_stats.sent(clock())
    client_stats.verified(clock.after(microseconds))


def closed(found: Recorder) -> Counters:
    found.close()
    pooled = Counters()
    for part in unpack(found.report()):
        if "single" in part.counters:
            pooled.add(part.counters["single"])
    return pooled


@pytest.mark.parametrize("kind", ["first", "later"])
def test_later_requests_overtake_an_open_one(kind: str) -> None:
    found, clock = recorder()
    found.begin(1)
    left, other = connected(found, clock), connected(found, clock)
    if kind == "later":
        ask(left, clock, 50)
        ask(other, clock, 50)
    left.sent(clock())
    clock.after(7_000)
    ask(other, clock, 50)
    clock.after(400)
    counters = closed(found)
    assert counters.overtaken == {"first": {}, "later": {}, kind: {7_000: 1}}
    # A client without any reply counts as unserved.
    assert counters.silent == {"first": {}, "later": {7_450: 1} if kind == "later" else {}}


def test_a_first_reply_overtakes_no_later_one() -> None:
    """Nor the other way round: a client in one queue waits for the later replies of those before."""
    found, clock = recorder()
    found.begin(1)
    waiting, other = connected(found, clock), connected(found, clock)
    waiting.sent(clock())
    ask(other, clock, 50)
    clock.after(7_000)
    ask(other, clock, 50)
    assert closed(found).overtaken == {"first": {}, "later": {}}


def test_a_server_that_stands_still_overtakes_nobody() -> None:
    found, clock = recorder()
    found.begin(1)
    both = [connected(found, clock) for _ in range(2)]
    for client_stats in both:
        ask(client_stats, clock, 50)
    for client_stats in both:
        client_stats.sent(clock.after(1))
    clock.after(900_000)
    counters = closed(found)
    assert counters.overtaken == {"first": {}, "later": {}}
    assert counters.silent["later"] == {900_000: 2}


def test_a_client_stopped_while_waiting_still_counts() -> None:
    found, clock = recorder()
    found.begin(1)
    left, other = connected(found, clock), connected(found, clock)
    ask(left, clock, 50)
    ask(other, clock, 50)
    left.sent(clock())
    clock.after(700_000)
    ask(other, clock, 50)
    left.stopped(clock())
    clock.after(5_000_000)
    assert closed(found).overtaken["later"] == {700_000: 1}
