"""Clients that take their time: every deadline ends them, nobody gains by dripping, and memory stays bounded."""

import socket
import time

import pytest

from tests.contract.conftest import Launch
from tests.contract.lab import Client, Model, Server

MEGABYTE = 1 << 20


def ends_within(client: Client, seconds: float) -> bytes:
    """Return what the client is told until the server closes; fail if that takes longer."""
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
    server = launch(model, "--idle-deadline", "2")
    with server.client() as client:
        began = time.monotonic()
        while time.monotonic() - began < 3:
            client.ask(b"ECHO still here\n", b"OK still here\n")
            time.sleep(0.2)


def test_dripping_bytes_gains_no_time(model: Model, launch: Launch) -> None:
    server = launch(model, "--line-deadline", "1")
    with server.client() as client:
        client.ask(b"ECHO whole\n", b"OK whole\n")
        began = time.monotonic()
        client.socket.settimeout(0.1)
        told = b""
        while not told:
            assert time.monotonic() - began < 20, "it drips for ever"
            client.send(b"x")
            try:
                told = client.socket.recv(1000)
            except TimeoutError:
                continue
        assert told == b"ERR a line must end within 1 s\n"
        assert time.monotonic() - began >= 0.9
    assert server.wait_for_ends(1)("connections_ended_total", outcome="dripping") == 1


def test_a_sleep_is_not_cut_by_the_clients_deadlines(model: Model, launch: Launch) -> None:
    server = launch(model, "--idle-deadline", "0.4", "--line-deadline", "0.3")
    with server.client() as client:
        client.ask(b"SLEEP 1500 long\nECHO after\n", b"OK long\nOK after\n")


def test_a_client_that_never_reads_is_ended_and_holds_no_memory(model: Model, launch: Launch) -> None:
    server = launch(model, "--write-deadline", "1")
    before = server.metrics()("resident_memory_bytes")
    with server.client() as greedy:
        greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.socket.settimeout(0.2)
        request = b"ECHO " + b"x" * 60_000 + b"\n"
        sent = 0
        began = time.monotonic()
        with pytest.raises((ConnectionError, TimeoutError)):
            while time.monotonic() - began < 20:
                sent += greedy.socket.send(request)
        peak = server.metrics()("resident_memory_bytes")
        seen = server.wait_for_ends(1)
    assert seen("connections_ended_total", outcome="unread") == 1
    assert seen("errors_total", kind="unread") == 1
    assert peak - before < 16 * MEGABYTE
    with server.client() as next_client:
        next_client.ask(b"ECHO next\n", b"OK next\n")


def test_a_client_that_never_reads_makes_nobody_else_wait(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent, "--write-deadline", "5")
    with server.client() as greedy, server.client() as other:
        greedy.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while True:
                greedy.socket.send(b"ECHO " + b"x" * 60_000 + b"\n")
        for turn in range(20):
            other.ask(b"ECHO %d\n" % turn, b"OK %d\n" % turn)


def test_thousands_of_bad_lines_are_answered_with_bounded_memory(server: Server) -> None:
    """64 KiB of empty lines earn megabytes of ERR: they are made and sent in parts."""
    unknown = b"ERR unknown request; there are ECHO, SLEEP, WORK and QUIT\n"
    with server.client() as client:
        client.send(b"\n" * 60_000)
        client.expect(unknown * 60_000)
        client.ask(b"ECHO after\n", b"OK after\n")
