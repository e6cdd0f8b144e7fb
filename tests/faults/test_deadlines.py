"""Silent clients, and when silence does not count; test_slow_clients has those that drip or do not read."""

import time

import psutil
import pytest

from tests.support.fixtures import Launch
from tests.support.processes import eventually
from tests.support.servers import Client, Model, Server


def ends_within(client: Client, seconds: float) -> bytes:
    """Return what the client receives until the server closes; fail if that takes longer."""
    client.socket.settimeout(seconds)
    told = b""
    while data := client.socket.recv(1000):
        told += data
    return told


def test_a_silent_client_is_told_and_closed(model: Model, launch: Launch) -> None:
    server = launch(model, "--idle-deadline", "0.5")
    with server.client() as client:
        began = time.monotonic()
        assert ends_within(client, 20) == b"ERR no request for 0.5 s\n"
        assert time.monotonic() - began >= 0.4
    seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="idle") == 1
    assert seen("errors_total", kind="idle") == 1


def test_each_request_puts_the_idle_deadline_off(model: Model, launch: Launch) -> None:
    server = launch(model, "--idle-deadline", "1")
    with server.client() as client:
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            client.ask(b"ECHO still here\n", b"OK still here\n")
            time.sleep(0.1)


def test_deadlines_do_not_cut_a_sleep(model: Model, launch: Launch) -> None:
    server = launch(model, "--idle-deadline", "0.4", "--line-deadline", "0.3")
    with server.client() as client:
        client.ask(b"SLEEP 900 long\nECHO after\n", b"OK long\nOK after\n")


@pytest.mark.parametrize("begun", [b"", b"ECHO in "], ids=["a request", "the rest of one"])
def test_input_in_time_counts_after_a_stop(model: Model, launch: Launch, begun: bytes) -> None:
    """When a stopped server continues, as after a frozen container, all deadlines have passed unseen."""
    server = launch(model, "--idle-deadline", "1", "--line-deadline", "1")
    with server.client() as client:
        client.ask(b"ECHO before\n", b"OK before\n")
        client.send(begun)
        server.wait_for(lambda seen: seen("received_bytes_total") == 12 + len(begun), "the beginning was read")
        for process in server.serving():
            process.suspend()
        eventually(
            lambda: {process.status() for process in server.serving()} == {psutil.STATUS_STOPPED}, "all have stopped"
        )
        client.send(b"ECHO in time\n"[len(begun) :])
        time.sleep(1.2)
        for process in server.serving():
            process.resume()
        client.expect(b"OK in time\n")


def test_thousands_of_bad_lines_take_bounded_memory(server: Server) -> None:
    """64 KiB of empty lines cause megabytes of ERR, which are made and sent in parts."""
    unknown = b"ERR unknown request; there are ECHO, SLEEP, WORK and QUIT\n"
    with server.client() as client:
        client.send(b"\n" * 60_000)
        client.expect(unknown * 60_000)
        client.ask(b"ECHO after\n", b"OK after\n")
