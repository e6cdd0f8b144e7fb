"""Counters: no count is lost between threads and processes, and none goes down while it is read."""

import itertools
import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.stats import ERRORS, OUTCOMES, SERVICE_BOUNDS, WAIT_BOUNDS, Block, Counts, Stats, Total
from servers.wire import Command


def counted(counts: dict[str, int]) -> dict[str, int]:
    """Return what was counted at all."""
    return {name: count for name, count in counts.items() if count}


def in_another_thread(block: Block) -> Counts:
    """Return what a thread counts in that isn't the main one."""
    entered: list[Counts] = []
    thread = threading.Thread(target=lambda: entered.append(block.enter()))
    thread.start()
    thread.join()
    return entered[0]


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, 2e-6), (2e-6, 2e-6), (2.1e-6, 5e-6), (0.001, 0.001), (0.0011, 0.002), (10.0, 10.0), (20.0, 20.0)],
)
def test_a_bucket_holds_up_to_its_bound(seconds: float, bound: float) -> None:
    stats = Stats()
    stats.own.enter().answered(Command.ECHO, seconds)
    assert stats.total().buckets.index(1) == SERVICE_BOUNDS.index(bound)


def test_durations_past_all_bounds_have_the_last_bucket() -> None:
    stats = Stats()
    stats.own.enter().answered(Command.SLEEP, 20.1)
    assert stats.total().buckets[-1] == 1
    assert len(stats.total().buckets) == len(SERVICE_BOUNDS) + 1


def test_bounds_span_microseconds_to_twice_the_longest_sleep() -> None:
    assert list(SERVICE_BOUNDS) == sorted(set(SERVICE_BOUNDS))
    assert (SERVICE_BOUNDS[0], SERVICE_BOUNDS[-1]) == (2e-6, 20.0)


@pytest.mark.parametrize("shared", [False, True], ids=["a list", "shared memory"])
@given(
    answers=st.lists(st.tuples(st.sampled_from(Command), st.floats(0, 100))), errors=st.lists(st.sampled_from(ERRORS))
)
def test_adding_adds_everything(shared: bool, answers: list[tuple[Command, float]], errors: list[str]) -> None:
    stats = Stats()
    if shared:
        stats.share(2, writers=3)
    writers = [in_another_thread(block) for block in (stats.blocks[0], stats.blocks[-1])]
    for turn, (command, seconds) in enumerate(answers):
        writers[turn % 2].answered(command, seconds)
    for turn, kind in enumerate(errors):
        writers[turn % 2].failed(kind)
    writers[0].received(1)
    writers[1].received(20)
    writers[0].sent(300)
    writers[1].sent(4000)
    total = stats.total()
    assert total.requests == [[command for command, _ in answers].count(each) for each in Command]
    assert sum(total.buckets) == len(answers)
    assert total.seconds == pytest.approx(sum(seconds for _, seconds in answers))
    assert total.errors == {kind: errors.count(kind) for kind in ERRORS}
    assert (total.received, total.sent) == (21, 4300)


def test_the_main_thread_has_one_writer() -> None:
    stats = Stats()
    one, two = stats.own.enter(), stats.own.enter()
    assert one is two
    stats.own.opened(2)
    one.answered(Command.ECHO, 0.0)
    stats.own.leave(one, "quit")
    two.answered(Command.ECHO, 0.0)
    stats.own.leave(two, "closed")
    total = stats.total()
    assert (total.requests[Command.ECHO], counted(total.ended), total.open) == (2, {"quit": 1, "closed": 1}, 0)


def test_threads_that_come_and_go_share_few_writers() -> None:
    """Else each client that there ever was would take memory, and time of each scrape."""
    stats = Stats()
    for _ in range(100):
        first, second = in_another_thread(stats.own), in_another_thread(stats.own)
        assert first is not second
        for counts in (first, second):
            counts.answered(Command.ECHO, 0.0)
            stats.own.leave(counts, "closed")
    assert len(list(stats.own.cells())) == 2 + 2
    assert stats.total().requests[Command.ECHO] == 200


def seen(total: Total) -> tuple[int, int, int, int]:
    return total.requests[Command.WORK], total.errors["unknown"], total.sent, total.ended["closed"]


@pytest.mark.parametrize("shared", [False, True], ids=["a list", "shared memory"])
def test_no_count_is_lost_as_threads_change(shared: bool) -> None:
    threads, clients, requests = 8, 50, 40
    stats = Stats()
    if shared:
        stats.share(1, writers=threads)
        stats.own = stats.blocks[1]

    def serve() -> None:
        for _ in range(clients):
            stats.own.opened()
            counts = stats.own.enter()
            for _ in range(requests):
                counts.answered(Command.WORK, 1e-3)
                counts.failed("unknown")
                counts.sent(3)
            stats.own.leave(counts, "closed")

    running = [threading.Thread(target=serve) for _ in range(threads)]
    totals = [(0, 0, 0, 0)]
    for thread in running:
        thread.start()
    while True:
        alive = any(thread.is_alive() for thread in running)
        totals.append(seen(stats.total()))
        if not alive:
            break
    for thread in running:
        thread.join()
    for before, after in itertools.pairwise(totals):
        assert all(a <= b for a, b in zip(before, after, strict=True)), (before, after)
    every = threads * clients * requests
    assert totals[-1] == (every, every, 3 * every, threads * clients)
    assert stats.open == 0


def test_processes_add_up_and_never_fall() -> None:
    stats = Stats()
    stats.share(2, writers=1)
    for number, block in enumerate(stats.blocks[1:], 1):
        if not (pid := os.fork()):
            stats.own = block
            assert stats.admit(4)
            counts = block.enter()
            for _ in range(1000 * number):
                counts.echoed(1e-3, received=7, sent=5)
            block.leave(counts, "quit")
            block.failed("full")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    total = stats.total()
    assert (total.requests[Command.ECHO], total.received, total.sent, total.open) == (3000, 21_000, 15_000, 0)
    assert counted(total.ended) == {"quit": 2, "refused": 2}
    assert counted(total.errors) == {"full": 2}


def test_a_dead_process_leaves_no_client_open() -> None:
    """Its successor counts on in the same block."""
    stats = Stats()
    stats.share(2, writers=1)
    for lost, more in ((3, 1), (2, 4)):
        if not (pid := os.fork()):
            stats.own = stats.blocks[2]
            for _ in range(lost + more):
                assert stats.admit(9)
                counts = stats.own.enter()
                counts.echoed(1e-6, received=7, sent=5)
            for _ in range(more):
                stats.own.leave(counts, "quit")
            stats.own.failed("full")
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        assert stats.open == lost
        stats.blocks[2].bury()
    total = stats.total()
    assert (total.open, stats.open, total.requests[Command.ECHO]) == (0, 0, 10)
    assert counted(total.ended) == {"failed": 5, "quit": 5, "refused": 2}


def test_one_process_can_be_asked_alone() -> None:
    stats = Stats()
    stats.share(2, writers=1)
    stats.blocks[1].enter().answered(Command.WORK, 1.0)
    stats.blocks[2].enter().received(7)
    assert (stats.total(stats.blocks[1]).requests[Command.WORK], stats.total(stats.blocks[1]).received) == (1, 0)
    assert (stats.total(stats.blocks[2]).requests[Command.WORK], stats.total(stats.blocks[2]).received) == (0, 7)


def test_the_limit_is_that_of_all_processes() -> None:
    stats = Stats()
    stats.share(2, writers=4)
    admitted = []
    for turn in range(6):
        stats.own = stats.blocks[1 + turn % 2]
        admitted.append(stats.admit(3))
    assert admitted == [True, True, True, False, False, False]
    assert stats.open == stats.total().waiting == 3
    stats.own.opened(-1)
    assert stats.admit(3)


def test_a_client_waits_until_its_session_begins() -> None:
    stats = Stats()
    stats.own.opened(2)
    before = stats.total()
    assert (before.open, before.waiting, sum(before.waits)) == (0, 2, 0)
    counts = stats.own.enter(0.02)
    within = stats.total()
    assert (within.open, within.waiting, within.waited) == (1, 1, 0.02)
    assert within.waits.index(1) == WAIT_BOUNDS.index(0.03)
    stats.own.leave(counts, "quit")
    stats.own.enter(101.0)
    after = stats.total()
    assert (after.open, after.waiting, after.waits[-1]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("kind", "refused"), [("full", {"refused": 1}), ("threads", {"refused": 1}), ("descriptors", {})]
)
def test_refusals_count_as_connections_that_ended(kind: str, refused: dict[str, int]) -> None:
    stats = Stats()
    stats.own.failed(kind)
    total = stats.total()
    assert (counted(total.errors), counted(total.ended)) == ({kind: 1}, refused)
    assert set(total.ended) == set(OUTCOMES)
