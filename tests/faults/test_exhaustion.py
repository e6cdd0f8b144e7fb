"""Out of descriptors or threads: the server backs off, counts it, and serves again."""

import errno
import functools
import resource
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psutil
import pytest

from servers.connections.blocking import BlockingListener
from servers.connections.listener import BACKOFF, listen
from servers.models import pool, threaded
from servers.session import Deadlines
from servers.stats import Stats
from tests.support.alive import alive, holdings
from tests.support.fixtures import Launch
from tests.support.servers import EVERY, PATIENCE, Client, Model, Server, close_all

DEADLINES = Deadlines(idle=20.0, line=20.0, write=20.0)


class Exhausted(socket.socket):
    """A listening socket that lacks descriptors for the first few accepts."""

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
    listener = BlockingListener(exhausted, 10, Stats(), DEADLINES)
    with socket.create_connection(exhausted.getsockname(), 5):
        began = time.monotonic()
        assert listener.accept()
        assert time.monotonic() - began >= 3 * BACKOFF
        assert listener.stats.total().errors["descriptors"] == 3


def test_a_client_without_a_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("127.0.0.1", 0, 8) as listening, socket.create_connection(listening.getsockname(), 5) as client:
        listener = BlockingListener(listening, 10, Stats(), DEADLINES)

        def no_thread(self: threading.Thread) -> None:
            listener.close()
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", no_thread)
        threaded.serve(listener)
        assert client.recv(100) == b"ERR no thread left; try again later\n"
        assert client.recv(100) == b""
        total = listener.stats.total()
        assert (total.errors["threads"], total.ended["refused"], total.open) == (1, 1, 0)
        assert listener.clients == set()


def test_a_pool_without_a_thread_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system has no thread for the first client, which waits until the second's thread serves both."""
    start = threading.Thread.start
    lacking = [RuntimeError("can't start new thread")]

    def sometimes(self: threading.Thread) -> None:
        if lacking:
            raise lacking.pop()
        start(self)

    with listen("127.0.0.1", 0, 8) as listening:
        listener = BlockingListener(listening, 10, Stats(), DEADLINES)
        listener.threads = 2
        serving = threading.Thread(target=pool.serve, args=(listener,))
        serving.start()
        monkeypatch.setattr(threading.Thread, "start", sometimes)
        with socket.create_connection(listening.getsockname(), 5) as first:
            first.sendall(b"ECHO 1\nQUIT\n")
            deadline = time.monotonic() + PATIENCE
            while lacking:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert listener.stats.total().waiting == 1
            with socket.create_connection(listening.getsockname(), 5) as second:
                second.sendall(b"ECHO 2\nQUIT\n")
                assert first.recv(100) == b"OK 1\nOK\n"
                assert second.recv(100) == b"OK 2\nOK\n"
        listener.close()
        serving.join(PATIENCE)
        assert not serving.is_alive()
        total = listener.stats.total()
        assert (total.waiting, total.open, total.ended["quit"]) == (0, 0, 2)


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


def lower(server: Server, kind: int, soft: int) -> Callable[[], object]:
    """Lower the limit of a running server, which has one process that serves; return a function that restores it."""
    [process] = server.serving()
    before = resource.prlimit(process.pid, kind)
    resource.prlimit(process.pid, kind, (soft, before[1]))
    return functools.partial(resource.prlimit, process.pid, kind, before)


def cpu_seconds(server: Server) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in server.serving())


def answered(clients: list[Client]) -> list[Client]:
    """Return the clients that have something to read."""
    ready = select.select([client.socket for client in clients], [], [], 0)[0]
    return [client for client in clients if client.socket in ready]


def test_without_descriptors_it_idles_and_serves_again(concurrent: Model, launch: Launch) -> None:
    """The limit falls to 64 while the server runs; one that starts with it would admit fewer clients."""
    server = launch(concurrent, *concurrent.in_one_process)
    with server.client() as first:
        first.ask(b"ECHO first\n", b"OK first\n")
    as_before = lower(server, resource.RLIMIT_NOFILE, 64)
    clients = [server.client() for _ in range(120)]
    for number, client in enumerate(clients):
        client.send(b"ECHO %d\n" % number)
    deadline = time.monotonic() + PATIENCE
    while holdings(server).descriptors < 62:
        assert time.monotonic() < deadline, "it finds more descriptors than there are"
        time.sleep(0.02)

    used = cpu_seconds(server)
    time.sleep(1)
    assert cpu_seconds(server) - used < 0.1
    inside = answered(clients)
    assert 30 < len(inside) < 64

    close_all(inside)
    freed = time.monotonic()
    late = [(number, client) for number, client in enumerate(clients) if client not in inside]
    for number, client in late[:30]:
        client.expect(b"OK %d\n" % number)
    assert time.monotonic() - freed < 2
    close_all(clients)
    as_before()
    alive(server)
    assert server.metrics()("errors_total", kind="descriptors") > 0


@pytest.mark.parametrize("model", [m for m in EVERY if m.variant == "threaded"], ids=lambda m: m.name, scope="module")
def test_without_room_for_a_thread_clients_are_refused(model: Model, launch: Launch) -> None:
    """A thread's stack takes 8 MB of address space, or the value of `ulimit -s`."""
    server = launch(model)
    with server.client() as inside:
        inside.ask(b"ECHO in\n", b"OK in\n")
        has = psutil.Process(server.process.pid).memory_info().vms
        as_before = lower(server, resource.RLIMIT_AS, has + (2 << 20))
        beyond = [server.client() for _ in range(50)]
        said: Counter[bytes] = Counter()
        for client in beyond:
            client.send(b"ECHO beyond\n")
            said[client.socket.recv(100)] += 1
        refused = said.pop(b"ERR no thread left; try again later\n")
        assert refused >= 40
        assert set(said) <= {b"OK beyond\n"}, "a thread that has ended leaves its stack to another"
        inside.ask(b"ECHO still in\n", b"OK still in\n")
        close_all(beyond)
        as_before()
    with server.client() as late:
        late.ask(b"ECHO late\n", b"OK late\n")
    assert server.metrics()("errors_total", kind="threads") == refused
