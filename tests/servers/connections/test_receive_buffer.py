"""The memory of a client that has spoken, and that buffers of clients that left are used again."""

from contextlib import ExitStack

from tests.support.servers import Model, Server

THREADED = Model("threaded", "threaded")
CLIENTS = 400
ROUNDS = 16  # a thread that allocates a buffer for each receive takes another page with each of the first eight


def test_a_spoken_threads_client_takes_one_buffer_page() -> None:
    with Server(THREADED) as server, ExitStack() as stack:
        with server.client() as first:  # what the first connection loads is not the price of one
            first.ask(b"ECHO a\n", b"OK a\n")
        server.wait_for_ends(1)
        before = server.metrics()("resident_memory_bytes")
        clients = [stack.enter_context(server.client()) for _ in range(CLIENTS)]
        for round_ in range(ROUNDS):
            for client in clients:
                client.ask(b"ECHO %d\n" % round_, b"OK %d\n" % round_)
        grown = server.metrics()("resident_memory_bytes") - before
        assert 15_000 < grown / CLIENTS < 35_000


def test_a_next_client_sees_nothing_of_the_last() -> None:
    with Server(Model("single", "single")) as server:
        with server.client() as first:
            first.ask(b"ECHO " + b"a" * 60_000 + b"\n", b"OK " + b"a" * 60_000 + b"\n")
        with server.client() as second:
            second.ask(b"ECHO b\nECHO c\n", b"OK b\nOK c\n")
