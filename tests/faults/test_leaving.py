"""Clients that leave: after a conversation, during a request or its reply, with a FIN or a RST, by the thousand."""

import asyncio
import itertools
from collections.abc import Callable, Iterable

import pytest
import uvloop

from servers.connections.listener import listen
from servers.session import Deadlines
from servers.stats import Total
from tests.support.fixtures import Launch
from tests.support.loops import start
from tests.support.servers import UNFINISHED, Client, Model, Server, close_all

MEGABYTE = 1 << 20

BURST = 200
"""Clients that come and go together: fewer than the accept queue's length, so that none must retry."""


def come_and_go(server: Server, count: int) -> None:
    """Let clients connect and leave without a request, half of them with a RST; then serve one."""
    for _ in range(0, count, BURST):
        clients = [server.client() for _ in range(BURST)]
        for client, leave in zip(clients, itertools.cycle((Client.close, Client.reset)), strict=False):
            leave(client)
        with server.client() as last:  # when it is served, all before it have been accepted
            last.ask(b"ECHO last\n", b"OK last\n")


def test_a_half_closed_client_is_answered(model: Model, launch: Launch) -> None:
    server = launch(model)
    clients = [server.client() for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(b"ECHO %d\n" % number)
        client.half_close()
    for number, client in enumerate(clients):
        client.expect(b"OK %d\n" % number)
        client.expect_end()
    close_all(clients)
    seen = server.wait_for_ends(100)
    assert seen("connections_ended_total", outcome="closed") == 100


def test_a_cut_off_line_is_told_and_counted(model: Model, launch: Launch) -> None:
    server = launch(model)
    for number in range(100):
        with server.client() as client:
            client.send(b"ECHO cut o")
            if number % 2:  # the others don't wait for an answer
                client.half_close()
                client.expect(UNFINISHED)
                client.expect_end()
    seen = server.wait_for_ends(100)
    assert seen("connections_ended_total", outcome="closed") == seen("errors_total", kind="unfinished") == 100


def reset_five_hundred(server: Server, requests: Iterable[bytes], begun: bytes) -> None:
    """Let clients ask, read the beginning of the reply, and leave with a RST; the server only counts it."""
    for request in itertools.islice(itertools.cycle(requests), 500):
        client = server.client()
        client.send(request)
        client.expect(begun)
        client.reset()
    seen = server.wait_for_ends(500)
    assert seen("connections_ended_total", outcome="reset") == 500
    assert server.errors() == ""


def test_resets_during_a_request_affect_that_client_only(model: Model, launch: Launch) -> None:
    cut_off = (b"", b"ECH", b"ECHO x\nECHO y", b"SLEEP 5 x\nECHO y\n", b"WORK 50000 x\n" * 5, b"\n" * 20_000)
    reset_five_hundred(launch(model), cut_off, begun=b"")


def test_resets_during_a_reply_affect_that_client_only(model: Model, launch: Launch) -> None:
    long = b"x" * 60_000
    reset_five_hundred(launch(model), [b"ECHO " + long + b"\nECHO " + long + b"\n"], begun=b"OK " + long[:100])


def test_a_client_that_left_is_served_no_further(model: Model, launch: Launch) -> None:
    """Its input has ended, so that an event loop doesn't read it any more: only the reply tells that it has left."""
    server = launch(model)
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 300 x\n", b"OK in\n")
        client.send(b"ECHO y\n")
        client.half_close()
        client.reset()
        seen = server.wait_for_ends(1)
    assert (seen("connections_ended_total", outcome="reset"), seen("requests_total", command="echo")) == (1, 1)


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "stdlib"])
def test_leaving_at_the_deadline_is_a_reset(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The deadline passes in the turn of the loop that hears of it, before the task does: it is told nothing more."""

    async def leave_in_time() -> Total:
        listener, serving = start(listening, Deadlines(idle=20.0, line=20.0, write=20.0), streams=True)
        client = Client(listening.getsockname())
        while not listener.awaited:
            await asyncio.sleep(0.01)
        client.reset()
        await asyncio.sleep(0)
        listener.awaited.pop().expire()
        while listener.clients:
            await asyncio.sleep(0.01)
        listener.close()
        await asyncio.wait_for(serving, 20)
        return listener.stats.total()

    with listen("127.0.0.1", 0, 8) as listening, asyncio.Runner(loop_factory=new_loop) as runner:
        seen = runner.run(leave_in_time())
    assert {name: count for name, count in seen.ended.items() if count} == {"reset": 1}
    assert sum(seen.errors.values()) == 0


def test_tens_of_thousands_of_clients_leave_nothing_behind(model: Model, launch: Launch) -> None:
    """
    What leaks grows with every round; an allocator grows until it has reached its size.

    Without a GIL each thread has a heap of its own, some 0.2 MB: it takes longer, and with 400 threads very long.
    """
    server = launch(model, *model.in_few_threads)
    processes = server.serving()

    def resident() -> int:
        return sum(process.memory_info().rss for process in processes)

    come_and_go(server, 4000)
    came = 4000
    growth: list[int] = []
    while not growth or (growth[-1] >= 4 * MEGABYTE * len(processes) and len(growth) < 4):
        before = resident()
        come_and_go(server, 20_000)
        came += 20_000
        growth.append(resident() - before)
    assert growth[-1] < 4 * MEGABYTE * len(processes), growth
    seen = server.wait_for_ends(came + came // BURST)
    ended = {outcome: count for outcome, count in seen.by("connections_ended_total", "outcome").items() if count}
    assert set(ended) == {"closed", "reset"}
