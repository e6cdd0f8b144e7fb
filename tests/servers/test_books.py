"""Tallies and the ledger: no count is lost between threads, and none goes down while it is read."""

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.ledger import Ledger
from servers.tally import SERVICE_BOUNDS, Tally
from servers.wire import Command


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, 2e-6), (2e-6, 2e-6), (2.1e-6, 5e-6), (0.001, 0.001), (0.0011, 0.002), (10.0, 10.0), (20.0, 20.0)],
)
def test_a_bucket_holds_what_is_at_most_its_bound(seconds: float, bound: float) -> None:
    tally = Tally()
    tally.answered(Command.ECHO, seconds)
    assert tally.buckets.index(1) == SERVICE_BOUNDS.index(bound)


def test_what_is_longer_than_all_bounds_has_the_last_bucket() -> None:
    tally = Tally()
    tally.answered(Command.SLEEP, 20.1)
    assert tally.buckets[-1] == 1
    assert len(tally.buckets) == len(SERVICE_BOUNDS) + 1


def test_bounds_rise_from_microseconds_to_twice_the_longest_sleep() -> None:
    assert list(SERVICE_BOUNDS) == sorted(set(SERVICE_BOUNDS))
    assert (SERVICE_BOUNDS[0], SERVICE_BOUNDS[-1]) == (2e-6, 20.0)


@given(st.lists(st.tuples(st.sampled_from(Command), st.floats(0, 100))), st.lists(st.sampled_from("abc")))
def test_adding_adds_everything(answers: list[tuple[Command, float]], errors: list[str]) -> None:
    total, one, other = Tally(), Tally(), Tally()
    for turn, (command, seconds) in enumerate(answers):
        (one, other)[turn % 2].answered(command, seconds)
    for turn, kind in enumerate(errors):
        (one, other)[turn % 2].failed(kind)
    one.received, other.received, one.sent, other.sent = 1, 20, 300, 4000
    total.add(one)
    total.add(other)
    assert total.requests == [[command for command, _ in answers].count(each) for each in Command]
    assert sum(total.buckets) == len(answers)
    assert total.seconds == pytest.approx(sum(seconds for _, seconds in answers))
    assert total.errors == {kind: errors.count(kind) for kind in errors}
    assert (total.received, total.sent) == (21, 4300)


def test_the_main_thread_has_one_tally_for_all_its_clients() -> None:
    ledger = Ledger()
    one, two = ledger.enter(), ledger.enter()
    assert one is two
    one.answered(Command.ECHO, 0.0)
    ledger.leave(one, "quit")
    two.answered(Command.ECHO, 0.0)
    ledger.leave(two, "closed")
    total, ended = ledger.total()
    assert (total.requests[Command.ECHO], ended) == (2, {"quit": 1, "closed": 1})


def test_no_count_is_lost_or_goes_down_while_threads_come_and_go() -> None:
    threads, clients, requests = 8, 50, 40
    ledger = Ledger()

    def serve() -> None:
        for _ in range(clients):
            tally = ledger.enter()
            for _ in range(requests):
                tally.answered(Command.WORK, 1e-3)
                tally.failed("unknown")
                tally.sent += 3
            ledger.leave(tally, "closed")

    running = [threading.Thread(target=serve) for _ in range(threads)]
    seen = [(0, 0, 0, 0)]
    for thread in running:
        thread.start()
    while True:
        alive = any(thread.is_alive() for thread in running)
        total, ended = ledger.total()
        seen.append((total.requests[Command.WORK], total.errors.get("unknown", 0), total.sent, ended.get("closed", 0)))
        if not alive:
            break
    for thread in running:
        thread.join()
    for before, after in itertools.pairwise(seen):
        assert all(a <= b for a, b in zip(before, after, strict=True)), (before, after)
    every = threads * clients * requests
    assert seen[-1] == (every, every, 3 * every, threads * clients)


@pytest.mark.parametrize(
    ("kind", "refused"), [("full", {"refused": 1}), ("threads", {"refused": 1}), ("descriptors", {})]
)
def test_refusals_count_as_connections_that_ended(kind: str, refused: dict[str, int]) -> None:
    ledger = Ledger()
    ledger.refused(kind)
    total, ended = ledger.total()
    assert (total.errors, ended) == ({kind: 1}, refused)
