"""Out of descriptors, out of threads: the server backs off, says so in its metrics, and serves again."""

import errno
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from servers import threaded
from servers.listener import BACKOFF, Listener, listen
from tests.contract.conftest import Launch
from tests.contract.lab import Model, close_all


class Exhausted(socket.socket):
    """A listening socket for which the descriptors have run out, the first few times."""

    failures = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.fixture
def exhausted() -> Iterator[Exhausted]:
    with listen("127.0.0.1", 0, 8) as ordinary, Exhausted(fileno=ordinary.detach()) as listening:
        yield listening


def test_accept_backs_off_without_descriptors_and_goes_on(exhausted: Exhausted) -> None:
    errors: list[str] = []
    listener = Listener(exhausted, 10, errors.append)
    with socket.create_connection(exhausted.getsockname(), 5):
        began = time.monotonic()
        accepted = next(iter(listener))
        assert time.monotonic() - began >= 3 * BACKOFF
        assert errors == ["descriptors"] * 3
        accepted.close()


def test_a_client_for_whom_there_is_no_thread_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[str] = []
    with listen("127.0.0.1", 0, 8) as listening, socket.create_connection(listening.getsockname(), 5) as client:
        listener = Listener(listening, 10, errors.append)

        def no_thread(self: threading.Thread) -> None:
            listener.close()
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", no_thread)
        threaded.serve(listener, lambda _: None)
        assert client.recv(100) == b"ERR no thread left; try again later\n"
        assert client.recv(100) == b""
        assert errors == ["threads"]
        assert listener.clients == set()


def test_few_descriptors_mean_few_clients_and_no_spinning(concurrent: Model, launch: Launch) -> None:
    server = launch(concurrent, descriptors=160)
    limit = int(server.metrics()("connections_limit"))
    assert limit == 160 - 128
    clients = [server.client() for _ in range(limit)]
    for client in clients:
        client.ask(b"ECHO in\n", b"OK in\n")
    beyond = [server.client() for _ in range(200)]
    for client in beyond:
        client.expect(b"ERR server full, it serves 32 clients; try again later\n")
    seen = server.metrics()
    used = sum(seen.by("cpu_seconds_total", "mode").values())
    time.sleep(1)
    seen = server.metrics()
    assert sum(seen.by("cpu_seconds_total", "mode").values()) - used < 0.5
    assert seen("errors_total", kind="full") == 200
    close_all([*clients, *beyond])
    server.wait_for(lambda now: now("connections_open") == 0, "all have left")
    with server.client() as client:
        client.ask(b"ECHO again\n", b"OK again\n")
