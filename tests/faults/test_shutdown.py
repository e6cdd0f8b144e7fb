"""SIGTERM and SIGINT: accept no more, finish begun requests, exit with 0."""

import os
import select
import signal
import socket
import time

import pytest

from servers.shutdown import MOMENT
from tests.faults.test_slow_clients import stuff
from tests.support.fixtures import Launch
from tests.support.servers import PATIENCE, UNFINISHED, Client, Model

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize("kind", SIGNALS, ids=lambda kind: str(kind.name))
def test_idle_clients_are_closed_at_once(model: Model, launch: Launch, kind: signal.Signals) -> None:
    server = launch(model, "--grace", "20")
    clients = [server.client() for _ in range(5 if model.concurrent else 1)]
    for client in clients:
        client.ask(b"ECHO in\n", b"OK in\n")
    began = time.monotonic()
    server.terminate(kind)
    for client in clients:
        client.expect_end()
    server.ended()
    assert time.monotonic() - began < 10
    with pytest.raises(OSError):
        socket.create_connection(server.address, 1)


def test_what_has_begun_is_finished(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "20")
    with server.client() as client:
        client.ask(b"ECHO first\nSLEEP 1000 second\nECHO third\n", b"OK first\n")
        server.terminate()
        client.expect(b"OK second\nOK third\n")
        client.expect_end()
    server.ended()


def test_a_pool_answers_those_that_wait(launch: Launch) -> None:
    """What has come from a client that waits for a thread is begun, too."""
    server = launch(Model("pool", "pool"), "--threads", "1", "--grace", "20")
    with server.client() as served, server.client() as waiting:
        served.ask(b"ECHO in\nSLEEP 500 on\n", b"OK in\n")
        waiting.send(b"ECHO too\n")
        server.wait_for(lambda seen: seen("connections_waiting") == 1, "the second waits")
        server.terminate()
        served.expect(b"OK on\n")
        served.expect_end()
        waiting.expect(b"OK too\n")
        waiting.expect_end()
    server.ended()


def test_a_line_under_way_is_not_waited_for(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "20")
    with server.client() as client:
        client.ask(b"ECHO whole\n", b"OK whole\n")
        client.send(b"ECHO not who")
        server.wait_for(lambda seen: seen("received_bytes_total") == 23, "the begun line was read")
        began = time.monotonic()
        server.terminate()
        client.expect(b"ERR the last line has no line end\n")
        client.expect_end()
        server.ended()
        assert time.monotonic() - began < 10


def test_after_the_grace_it_gives_up_and_reports(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "0.5")
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 too long\n", b"OK in\n")
        began = time.monotonic()
        server.terminate()
        server.ended(said="gave up on 1 clients after the grace of 0.5 s\n")
        assert 0.4 <= time.monotonic() - began < 9


def test_a_client_that_never_reads_exceeds_no_grace(model: Model, launch: Launch) -> None:
    """The kernel may still find room for its replies; then it has been served."""
    server = launch(model, "--grace", "1")
    with server.client() as greedy:
        stuff(greedy)
        began = time.monotonic()
        server.terminate()
        server.process.wait(PATIENCE)
        assert time.monotonic() - began < 1 + 1
        said = server.errors()
        assert said in {"", "gave up on 1 clients after the grace of 1 s\n"}
        server.ended(said=said)


def test_a_flood_is_ended_between_two_replies(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "4")
    request, reply = b"ECHO on and on\n", b"OK on and on\n"
    with server.client() as flooding:
        flooding.ask(request, reply)
        flooding.socket.setblocking(False)
        signalled = False
        received = bytearray()
        ahead = b""
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline, "it is served for ever"
            readable, writable, _ = select.select([flooding.socket], [flooding.socket], [], 1)
            if readable:
                data = flooding.socket.recv(1 << 20)
                if not data:
                    break
                received += data
            if writable:
                ahead = ahead or request * 1000
                try:
                    ahead = ahead[flooding.socket.send(ahead) :]
                except ConnectionError:  # it has ended, but its last replies can still be read
                    break
            if not signalled and len(received) > 1 << 20:
                server.terminate()
                signalled = True
        flooding.socket.setblocking(True)
        flooding.socket.settimeout(PATIENCE)
        while data := last_words(flooding):
            received += data
    server.ended()
    replies = received.removesuffix(UNFINISHED)
    assert replies == reply * (len(replies) // len(reply))


def last_words(client: Client) -> bytes:
    """Return what a client can still read, though its server may have reset it."""
    try:
        return client.socket.recv(1 << 20)
    except ConnectionError:
        return b""


def test_the_grace_ends_though_nobody_reads_stderr(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "0.5", deaf=True)
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 too long\n", b"OK in\n")
        began = time.monotonic()
        server.terminate()
        server.ended()
        assert time.monotonic() - began < 9


def test_a_second_signal_ends_at_once(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "20")
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 long\n", b"OK in\n")
        server.terminate()
        with pytest.raises(OSError):  # it no longer accepts, so it has received the first signal
            while True:
                socket.create_connection(server.address, 1).close()
        server.terminate()
        server.ended(status=-signal.SIGTERM)


def test_an_inherited_ignore_spares_no_second_signal(model: Model, launch: Launch) -> None:
    """As a shell leaves it to its children after `trap "" TERM`."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        server = launch(model, "--grace", "20")
    finally:
        signal.signal(signal.SIGTERM, before)
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 long\n", b"OK in\n")
        server.terminate()
        time.sleep(MOMENT + 0.5)
        server.terminate()
        server.ended(status=-signal.SIGTERM)


@pytest.mark.parametrize("stopped", [True, False], ids=["at one instant", "one after the other"])
def test_both_signals_at_once_are_one_wish(model: Model, launch: Launch, stopped: bool) -> None:
    """As from a terminal (SIGINT) and a supervisor (SIGTERM); a stopped server gets both when it continues."""
    server = launch(model, "--grace", "20")
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 1000 x\n", b"OK in\n")
        began = time.monotonic()
        if stopped:
            server.terminate(signal.SIGSTOP)
            os.waitid(os.P_PID, server.process.pid, os.WSTOPPED)
        for kind in SIGNALS:
            server.terminate(kind)
        server.terminate(signal.SIGCONT)
        client.expect(b"OK x\n")
        client.expect_end()
        server.ended()
        assert time.monotonic() - began < 10


def test_a_later_second_signal_ends_at_once(model: Model, launch: Launch) -> None:
    server = launch(model, "--grace", "20")
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 long\n", b"OK in\n")
        server.terminate()
        time.sleep(MOMENT + 0.5)
        began = time.monotonic()
        server.terminate(signal.SIGINT)
        server.ended(status=-signal.SIGINT)
        assert time.monotonic() - began < 5
