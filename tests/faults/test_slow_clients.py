"""Clients that test how exact a deadline is, and who pays for it."""

import time

import pytest

from tests.contract.conftest import Launch
from tests.contract.lab import OVERLONG, Client, Model


def stuff(client: Client) -> int:
    """Send requests and read no reply until the server takes no more; return how many bytes it took."""
    client.socket.settimeout(0.3)
    sent = 0
    request = b"ECHO " + b"x" * 60_000 + b"\n"
    with pytest.raises(TimeoutError):
        while True:
            sent += client.socket.send(request)
    return sent


def test_an_unread_client_ends_at_the_write_deadline_and_not_at_twice_that(model: Model, launch: Launch) -> None:
    server = launch(model, "--write-deadline", "2")
    with server.client() as greedy:
        began = time.monotonic()
        taken = stuff(greedy)
        stuffed = time.monotonic()
        seen = server.wait_for_ends(1)
        assert time.monotonic() - stuffed < 3.7
        assert time.monotonic() - began >= 2
    assert seen("connections_ended_total", outcome="unread") == 1
    assert seen("errors_total", kind="unread") == 1
    assert taken < 64 << 20, "the kernel's buffers and little more"


def test_a_client_that_reads_too_slowly_gains_nothing_by_it(model: Model, launch: Launch) -> None:
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


def test_dripping_without_a_pause_gains_nothing_either(model: Model, launch: Launch) -> None:
    """There is always a byte to read, so that no wait for one ever times out."""
    server = launch(model, "--line-deadline", "0.5")
    with server.client() as client:
        began = time.monotonic()
        client.socket.setblocking(False)
        told = b""
        while not told:
            assert time.monotonic() - began < 4, "it drips on"
            client.socket.send(b"x")
            time.sleep(0.0002)
            try:
                told = client.socket.recv(1000)
            except BlockingIOError:
                continue
        assert told == b"ERR a line must end within 0.5 s\n"
        assert time.monotonic() - began >= 0.5
    seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="dripping") == 1
    assert seen("errors_total", kind="dripping") == 1


def test_who_has_ended_is_not_ended_again_by_a_deadline(model: Model, launch: Launch) -> None:
    """After the refusal of a long line its input is drained for a second: longer than this client may be idle."""
    server = launch(model, "--idle-deadline", "0.2", "--line-deadline", "0.2")
    with server.client() as client:
        client.ask(b"x" * 65_537, OVERLONG)
        client.expect_end()
        seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="overlong") == 1
    assert {kind: count for kind, count in seen.by("errors_total", "kind").items() if count} == {"overlong": 1}


def test_a_client_that_leaves_while_it_is_served_is_a_reset(model: Model, launch: Launch) -> None:
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
