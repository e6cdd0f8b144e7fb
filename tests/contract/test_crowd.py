"""Many clients, the limit on clients, and clients beyond it."""

import itertools
import sys
import threading
import time

import pytest

from tests.support.fixtures import Launch
from tests.support.servers import MODELS, PATIENCE, Client, Model, Server, close_all

SINGLE = MODELS[0]
POOL = Model("pool", "pool")


def test_serves_many_clients_at_once(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent)
    clients = [server.client() for _ in range(300)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(b"ECHO %d in turn %d\n" % (number, turn))
        for number, client in enumerate(clients):
            client.expect(b"OK %d in turn %d\n" % (number, turn))
    seen = server.metrics()
    assert (seen("connections_open"), seen("requests_total", command="echo")) == (300, 900)
    close_all(clients)
    assert server.wait_for_ends(300)("connections_ended_total", outcome="closed") == 300


def test_serves_many_clients_one_after_another(server: Server) -> None:
    for number in range(20):
        with server.client() as client:
            client.ask(b"ECHO %d\nQUIT\n" % number, b"OK %d\nOK\n" % number)
            client.expect_end()


def test_a_client_past_the_limit_is_refused(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent, "--max-connections", "3")
    full = b"ERR server full, it serves 3 clients; try again later\n"
    inside = [server.client() for _ in range(3)]
    for client in inside:
        client.ask(b"ECHO in\n", b"OK in\n")

    beyond = [server.client() for _ in range(50)]
    for refused, request in zip(beyond, itertools.cycle((b"", b"ECHO let me in\n", b"x" * 30_000)), strict=False):
        refused.send(request)
    for refused in beyond:
        refused.expect(full)
        refused.expect_end()
    close_all(beyond)

    for client in inside:
        client.ask(b"ECHO still in\n", b"OK still in\n")
    seen = server.metrics()
    assert seen("connections_limit") == 3
    assert seen("connections_open") == 3
    assert seen("connections_ended_total", outcome="refused") == 50
    assert seen("errors_total", kind="full") == 50

    inside.pop().close()
    server.wait_for(lambda now: now("connections_open") == 2, "a place is free")
    with server.client() as late:
        late.ask(b"ECHO me too\n", b"OK me too\n")
        with server.client() as refused:
            refused.expect(full)
            refused.expect_end()
    close_all(inside)
    seen = server.wait_for_ends(3 + 50 + 2)
    assert seen.by("requests_total", "command")["echo"] == 7


def test_refuses_hundreds_without_holding_on_to_them(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent, "--max-connections", "1")
    with server.client() as inside:
        inside.ask(b"ECHO in\n", b"OK in\n")
        for _ in range(300):
            with server.client() as refused:
                refused.expect(b"ERR server full, it serves 1 clients; try again later\n")
                refused.expect_end()
        inside.ask(b"ECHO in\n", b"OK in\n")
        seen = server.metrics()
        assert seen("connections_ended_total", outcome="refused") == 300
        descriptors = seen.values.get(("process_open_fds", frozenset()), 0)
        assert descriptors < 100
    server.wait_for_ends(301)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of its accept queue")
def test_what_exceeds_singles_backlog_does_not_get_in(launch: Launch) -> None:
    server = launch(SINGLE, "--backlog", "2")
    served = server.client()
    served.ask(b"ECHO served\n", b"OK served\n")
    waiting = [server.client() for _ in range(3)]  # Linux queues one more than the backlog
    late: list[tuple[float, Client]] = []

    def come_late() -> None:
        began = time.monotonic()
        client = server.client()
        late.append((time.monotonic() - began, client))

    coming = threading.Thread(target=come_late)
    coming.start()
    coming.join(0.4)
    assert late == []
    seen = server.metrics()
    assert (seen("accept_queue_connections"), seen("accept_queue_limit")) == (3, 2)
    assert seen("connections_open") == 1

    for number, client in enumerate(waiting):
        client.send(b"ECHO %d\nQUIT\n" % number)
    served.ask(b"QUIT\n", b"OK\n")
    for number, client in enumerate(waiting):
        client.expect(b"OK %d\nOK\n" % number)
        client.expect_end()
    server.wait_for(lambda now: now("accept_queue_connections") == 0, "the queue is empty")
    coming.join(PATIENCE)
    ((took, latecomer),) = late
    assert took >= 0.9, "the kernel tries again after a second"
    latecomer.ask(b"ECHO in at last\n", b"OK in at last\n")
    close_all([served, *waiting, latecomer])


def test_single_serves_the_second_after_the_first(launch: Launch) -> None:
    server = launch(SINGLE)
    first, second = server.client(), server.client()
    first.ask(b"ECHO 1\n", b"OK 1\n")
    second.send(b"ECHO 2\n")
    if sys.platform.startswith("linux"):
        assert server.metrics()("accept_queue_connections") == 1
    second.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.socket.recv(1)
    first.ask(b"ECHO 1 again\nQUIT\n", b"OK 1 again\nOK\n")
    second.socket.settimeout(PATIENCE)
    second.expect(b"OK 2\n")
    seen = server.metrics()
    assert seen("connections_ended_total", outcome="quit") == 1
    assert seen("connections_open") == 1
    close_all([first, second])


def test_threaded_has_a_thread_for_each_client(launch: Launch) -> None:
    server = launch(MODELS[1])
    alone = server.metrics()("threads")

    def has_one_each_of(count: int) -> None:
        """Wait, because the thread of an earlier scrape may still run."""
        server.wait_for(lambda now: now("threads") == alone + count, f"a thread for each of {count}")

    clients: list[Client] = []
    for count in (1, 2, 25):
        while len(clients) < count:
            clients.append(server.client())
            clients[-1].ask(b"ECHO x\n", b"OK x\n")
        has_one_each_of(count)
    close_all(clients[5:])
    has_one_each_of(5)
    close_all(clients[:5])
    has_one_each_of(0)


@pytest.mark.parametrize("model", [m for m in MODELS if m.in_a_loop], ids=lambda m: m.name, scope="module")
def test_an_event_loop_serves_thousands_from_one_thread(model: Model, launch: Launch) -> None:
    server = launch(model)
    alone = server.metrics()("threads")
    clients = [server.client() for _ in range(3000)]
    for number, client in enumerate(clients):
        client.send(b"ECHO %d\n" % number)
    for number, client in enumerate(clients):
        client.expect(b"OK %d\n" % number)
    seen = server.wait_for(lambda now: now("threads") == alone, "no thread but those of before")
    assert seen("connections_open") == 3000
    close_all(clients)
    server.wait_for_ends(3000)


def test_work_delays_others_in_an_event_loop_only(concurrent: Model, launch: Launch) -> None:
    """
    In an event loop, an echo waits for the end of a WORK before it; a thread gets the GIL after about 5 ms.

    The median of seven, because on a busy machine one may have waited for a core.
    """
    server = launch(concurrent, *concurrent.in_one_process)
    shares = []
    with server.client() as busy, server.client() as other:
        for _ in range(7):
            busy.ask(b"ECHO x\n", b"OK x\n")
            other.ask(b"ECHO x\n", b"OK x\n")
            began = time.monotonic()
            busy.send(b"WORK 1000000 x\n" * (1 if concurrent.in_a_loop else 2))
            time.sleep(0.005)  # by now the WORK has most likely begun
            other.ask(b"ECHO y\n", b"OK y\n")
            echoed = time.monotonic() - began
            busy.receive(5)
            if not concurrent.in_a_loop:
                busy.receive(5)
            shares.append(echoed / (time.monotonic() - began))
    share = sorted(shares)[3]
    assert share > 0.8 if concurrent.in_a_loop else share < 0.8


def test_a_place_in_the_queue_outlives_its_client(launch: Launch) -> None:
    """A client that gave up stays in the accept queue until the server accepts it."""
    server = launch(SINGLE)
    with server.client() as first:
        first.ask(b"ECHO 1\n", b"OK 1\n")
        for _ in range(5):
            server.client().close()
        if sys.platform.startswith("linux"):
            assert server.metrics()("accept_queue_connections") == 5
    seen = server.wait_for_ends(6)
    assert seen("connections_ended_total", outcome="closed") == 6


def test_a_client_that_leaves_at_once_is_counted(server: Server) -> None:
    # Clients of the test before may still be leaving.
    idle = server.wait_for(lambda seen: seen("connections_open") == 0 == seen("accept_queue_connections"), "all left")
    before = sum(idle.by("connections_ended_total", "outcome").values())
    for _ in range(10):
        client: Client = server.client()
        client.send(b"ECHO x\n")
        client.close()
    server.wait_for(
        lambda seen: sum(seen.by("connections_ended_total", "outcome").values()) == before + 10, "ten more ended"
    )


def test_a_server_without_clients_stays_idle(model: Model, launch: Launch) -> None:
    """An accept without a client must wait, not spin."""
    server = launch(model)
    with server.client() as client:
        client.ask(b"ECHO x\n", b"OK x\n")

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in server.serving())

    before = used()
    time.sleep(1)
    assert used() - before < 0.3


def test_a_pool_makes_the_next_client_wait(launch: Launch) -> None:
    """Of two threads each serves a client to its end; the third client is accepted, and waits for one of them."""
    server = launch(POOL, "--threads", "2")
    first, second, third = server.client(), server.client(), server.client()
    for number, client in enumerate((first, second)):
        client.ask(b"ECHO %d\n" % number, b"OK %d\n" % number)
    third.send(b"ECHO 3\n")
    seen = server.wait_for(lambda now: now("connections_waiting") == 1, "the third waits")
    assert (seen("connections_open"), seen("connection_wait_seconds_count")) == (2, 2)
    assert seen("connection_wait_seconds_sum") < 0.3
    third.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        third.socket.recv(1)
    first.ask(b"ECHO 1 again\nQUIT\n", b"OK 1 again\nOK\n")
    third.socket.settimeout(PATIENCE)
    third.expect(b"OK 3\n")
    seen = server.metrics()
    assert (seen("connections_open"), seen("connections_waiting")) == (2, 0)
    assert seen("connection_wait_seconds_bucket", le="0.3") == 2
    assert 0.5 <= seen("connection_wait_seconds_sum") < PATIENCE
    close_all([first, second, third])


def test_a_pool_starts_no_more_than_its_threads(launch: Launch) -> None:
    server = launch(POOL, "--threads", "3")
    alone = server.metrics()("threads")
    clients = [server.client() for _ in range(20)]
    seen = server.wait_for(lambda now: now("connections_waiting") == 17, "all but three wait")
    assert (seen("connections_open"), seen("threads")) == (3, alone + 3)
    for number, client in enumerate(clients):
        client.ask(b"ECHO %d\nQUIT\n" % number, b"OK %d\nOK\n" % number)
    seen = server.wait_for_ends(20)
    assert (seen("connections_waiting"), seen("connection_wait_seconds_count")) == (0, 20)
    assert seen("threads") == alone + 3, "they stay for the next clients"
