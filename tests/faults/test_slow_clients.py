"""Clients that drip, or read late or never: how exact deadlines are, and what such clients cost the others."""

import select
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from servers.session import Deadlines
from tests.support.alive import SERVED
from tests.support.fixtures import Launch
from tests.support.loops import counted, served, small_client
from tests.support.servers import OVERLONG, PATIENCE, Client, Model, close_all

MEGABYTE = 1 << 20


def stuff(client: Client, request: bytes = b"ECHO " + b"x" * 60_000 + b"\n") -> int:
    """Send requests without reading until the server takes no more; return how many bytes it took."""
    return stuff_all([client], request)[0]


def stuff_all(clients: Sequence[Client], request: bytes = b"ECHO " + b"x" * 60_000 + b"\n") -> list[int]:
    """Do so for several clients at the same time."""
    sent = [0] * len(clients)
    for client in clients:
        client.socket.setblocking(False)
    while ready := select.select([], [client.socket for client in clients], [], 0.3)[1]:
        for number, client in enumerate(clients):
            if client.socket in ready:
                sent[number] += client.socket.send(request)
    for client in clients:
        client.socket.settimeout(PATIENCE)
    return sent


def test_an_unread_client_ends_at_the_write_deadline(model: Model, launch: Launch) -> None:
    server = launch(model, "--write-deadline", "2")
    before = server.metrics()("resident_memory_bytes")
    with server.client() as greedy:
        began = time.monotonic()
        taken = stuff(greedy)
        stuffed = time.monotonic()
        assert server.metrics()("resident_memory_bytes") - before < 16 * MEGABYTE
        seen = server.wait_for_ends(1)
        assert time.monotonic() - stuffed < 2 + 1
        assert time.monotonic() - began >= 2
    assert seen("connections_ended_total", outcome="unread") == 1
    assert seen("errors_total", kind="unread") == 1
    assert taken < 64 * MEGABYTE, "the kernel's buffers and little more"
    with server.client() as following:
        following.ask(b"ECHO next\n", b"OK next\n")


def test_unread_tiny_lines_take_little_memory(concurrent: Model, launch: Launch) -> None:
    """A client that floods and never reads costs a few buffers; without a GIL, what its thread's own heap keeps."""
    server = launch(concurrent, "--write-deadline", "30")
    before = server.metrics()("resident_memory_bytes")
    flooders = [server.client() for _ in range(10)]
    stuff_all(flooders, b"xy\n" * 20_000)
    most = 4.0 if concurrent.free_threaded else 0.7
    most += concurrent.workers_own / len(flooders)
    assert server.metrics()("resident_memory_bytes") - before < len(flooders) * most * MEGABYTE
    close_all(flooders)


def test_a_flood_during_sleep_stays_in_the_kernel(concurrent: Model, launch: Launch) -> None:
    """Replies to a client that left during the sleep must not each be logged."""
    server = launch(concurrent)
    before = server.metrics()("resident_memory_bytes")
    flooders = [server.client() for _ in range(10)]
    for flooder in flooders:
        flooder.ask(b"ECHO in\n", b"OK in\n")
        flooder.send(b"SLEEP 2000 x\n")
    assert min(stuff_all(flooders)) > MEGABYTE
    most = len(flooders) * 0.7 + concurrent.workers_own
    assert server.metrics()("resident_memory_bytes") - before < most * MEGABYTE
    for flooder in flooders:
        flooder.reset()
    server.wait_for(lambda seen: seen("connections_ended_total", outcome="reset") == len(flooders), "they have left")


def test_a_client_that_reads_slowly_gains_nothing(model: Model, launch: Launch) -> None:
    server = launch(model, "--write-deadline", "1")
    with server.client() as slow:
        stuff(slow)
        deadline = time.monotonic() + 20
        while not (seen := server.metrics())("connections_ended_total", outcome="unread"):
            assert time.monotonic() < deadline, seen.text
            slow.receive(500)
            time.sleep(0.05)


def test_a_client_that_reads_in_time_gets_everything(model: Model, launch: Launch) -> None:
    server = launch(model, "--write-deadline", "20")
    with server.client() as late:
        taken = stuff(late)
        late.socket.settimeout(30)
        whole, rest = divmod(taken, 60_006)
        late.expect((b"OK " + b"x" * 60_000 + b"\n") * whole)
        late.send((b"ECHO " + b"x" * 60_000 + b"\n")[rest:])
        late.expect(b"OK " + b"x" * 60_000 + b"\n")
        late.ask(b"QUIT\n", b"OK\n")
        late.expect_end()


def test_a_client_that_reads_late_is_not_dripping(model: Model, launch: Launch) -> None:
    """It cannot end its line, because the server reads no more until it has sent its replies."""
    server = launch(model, "--line-deadline", "1", "--write-deadline", "20")
    with server.client() as late:
        whole, rest = divmod(stuff(late), 60_006)
        time.sleep(1.2)
        late.socket.settimeout(30)
        late.expect((b"OK " + b"x" * 60_000 + b"\n") * whole)
        late.send((b"ECHO " + b"x" * 60_000 + b"\n")[rest:])
        late.expect(b"OK " + b"x" * 60_000 + b"\n")


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_a_client_that_reads_late_is_not_idle(streams: bool) -> None:
    """Buffers are small, so that an event loop has nothing to read once the replies are sent."""
    request, reply = b"ECHO " + b"x" * 60_000 + b"\n", b"OK " + b"x" * 60_000 + b"\n"

    def read_late(address: tuple[str, int]) -> None:
        with small_client(address) as client, client.makefile("rb") as replies:
            client.sendall(request * 2)
            time.sleep(1.5)
            assert replies.read(2 * len(reply)) == reply * 2
            time.sleep(0.5)
            client.sendall(b"ECHO still here\n")
            assert replies.readline() == b"OK still here\n"

    assert counted(served(streams, Deadlines(idle=1.0, line=20.0, write=20.0), read_late).ended) == {"closed": 1}


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_a_quit_behind_unread_replies_is_the_end(streams: bool) -> None:
    """It is answered while they wait, and nothing more is asked of the client when it has read them."""
    request, reply = b"ECHO " + b"x" * 60_000 + b"\n", b"OK " + b"x" * 60_000 + b"\n"

    def read_late(address: tuple[str, int]) -> None:
        with small_client(address) as client, client.makefile("rb") as replies:
            client.sendall(request * 2 + b"QUIT\n")
            time.sleep(0.5)
            assert replies.read() == reply * 2 + b"OK\n"

    assert counted(served(streams, Deadlines(idle=1.0, line=20.0, write=20.0), read_late).ended) == {"quit": 1}


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "protocol"])
def test_unread_last_replies_end_at_the_write_deadline(streams: bool) -> None:
    """They are too few to be waited for before the server closes, but closing waits for them."""

    def ask(address: tuple[str, int]) -> None:
        client = stack.enter_context(small_client(address))
        client.sendall(b"ECHO " + b"x" * 50_000 + b"\nQUIT\n")
        assert client.recv(1) == b"O"

    began = time.monotonic()
    with ExitStack() as stack:  # it stays, and reads no more
        seen = served(streams, Deadlines(idle=20.0, line=20.0, write=0.5), ask)
    assert 0.5 <= time.monotonic() - began < 10
    assert (counted(seen.ended), counted(seen.errors)) == ({"unread": 1}, {"unread": 1})


def test_a_deadline_lets_earlier_replies_out(model: Model, launch: Launch) -> None:
    """It drips on after its deadline: closing at once would reset the socket and lose the unread replies."""
    server = launch(model, "--line-deadline", "0.5")
    with server.client() as client:
        client.send((b"ECHO " + b"x" * 60_000 + b"\n") * 10)
        began = time.monotonic()
        while time.monotonic() - began < 0.8:
            client.send(b"x")
            time.sleep(0.02)
        client.expect((b"OK " + b"x" * 60_000 + b"\n") * 10)
        client.expect(b"ERR a line must end within 0.5 s\n")
        client.expect_end()
    seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="dripping") == 1


def test_fifty_that_drip_end_and_delay_nobody(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent, "--line-deadline", "1")
    with server.client() as other:
        dripping = [server.client() for _ in range(50)]
        began = time.monotonic()
        told: list[bytes] = []
        while dripping:
            assert time.monotonic() - began < 1 + 3, f"{len(dripping)} drip on"
            for client in dripping[:]:
                client.send(b"x")
                if select.select([client.socket], [], [], 0)[0]:
                    told.append(client.receive(100))
                    dripping.remove(client)
                    client.close()
            asked = time.monotonic()
            other.ask(b"ECHO x\n", b"OK x\n")
            assert time.monotonic() - asked < SERVED
            time.sleep(0.05)
        assert told == [b"ERR a line must end within 1 s\n"] * 50
        assert time.monotonic() - began >= 1
    seen = server.wait_for_ends(51)
    assert seen("connections_ended_total", outcome="dripping") == seen("errors_total", kind="dripping") == 50


@pytest.mark.parametrize("pause", [0.1, 0.0002], ids=["slowly", "so that there is always a byte to read"])
def test_dripping_gains_nothing(model: Model, launch: Launch, pause: float) -> None:
    server = launch(model, "--line-deadline", "0.5")
    with server.client() as client:
        began = time.monotonic()
        client.ask(b"ECHO whole\n", b"OK whole\n")
        client.socket.setblocking(False)
        told = b""
        while not told:
            assert time.monotonic() - began < 4, "it drips on"
            client.socket.send(b"x")
            time.sleep(pause)
            try:
                told = client.socket.recv(1000)
            except BlockingIOError:
                continue
        assert told == b"ERR a line must end within 0.5 s\n"
        assert time.monotonic() - began >= 0.5
    seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="dripping") == 1
    assert seen("errors_total", kind="dripping") == 1


def test_an_ended_client_meets_no_deadline(model: Model, launch: Launch) -> None:
    """After the refusal of a long line its input is drained for a second, longer than the idle deadline."""
    server = launch(model, "--idle-deadline", "0.2", "--line-deadline", "0.2")
    with server.client() as client:
        client.ask(b"x" * 65_537, OVERLONG)
        client.expect_end()
        seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="overlong") == 1
    assert {kind: count for kind, count in seen.by("errors_total", "kind").items() if count} == {"overlong": 1}


def test_a_client_that_leaves_while_served_is_reset(model: Model, launch: Launch) -> None:
    server = launch(model)
    requests = {
        "in a sleep": b"SLEEP 300 x\nECHO y\n",
        "in a sleep before a line too long": b"SLEEP 300 x\n" + b"z" * 65_600,
        "in its work": b"WORK 300000 x\n" * 20,
        "among thousands of replies": b"\n" * 20_000,
    }
    for count, (when, request) in enumerate(requests.items(), 1):
        client = server.client()
        client.send(b"ECHO in\n" + request)
        client.expect(b"OK in\n")
        client.reset()
        seen = server.wait_for_ends(count)
        assert seen("connections_ended_total", outcome="reset") == count, when
        assert seen("errors_total", kind="internal") == 0, when
