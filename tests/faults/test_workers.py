"""The workers of a pre-fork server: one dies, one computes, the parent dies; counters stay exact, nothing is left."""

import itertools
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.support.fixtures import Launch
from tests.support.processes import eventually, still_running
from tests.support.servers import MODELS, PATIENCE, Client, Model, Samples, Server, close_all

PREFORK = tuple(model for model in MODELS if model.several_processes)
TWO = ("--workers", "2", "--grace", "20")
CLIENTS = 16

NEVER_FALL = (
    "connections_ended_total",
    "requests_total",
    "errors_total",
    "received_bytes_total",
    "sent_bytes_total",
    "service_seconds_count",
    "gc_pause_seconds_count",
    "cpu_seconds_total",
    "worker_requests_total",
    "worker_connections_ended_total",
    "worker_restarts_total",
)


@pytest.fixture(scope="module", params=PREFORK, ids=lambda model: str(model.name))
def prefork(request: pytest.FixtureRequest) -> Model:
    """Return a pre-fork server: by each way of listening, and on each loop."""
    chosen: Model = request.param
    return chosen


class Asking(threading.Thread):
    """A client that asks without pause until its connection breaks. failed: it broke; wrong: replies to another."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self.client = server.client()
        self.port = self.client.socket.getsockname()[1]
        self.answered = 0
        self.failed = False
        self.wrong: list[bytes] = []
        self.ending = False
        self._number = number

    def run(self) -> None:
        while not self.ending:
            text = b"%d says %d" % (self._number, self.answered)
            try:
                self.client.send(b"ECHO " + text + b"\n")
                reply = self.client.receive(len(text) + 4)
            except ConnectionError:
                reply = b""
            if not reply:
                self.failed = True
                return
            if reply != b"OK " + text + b"\n":
                self.wrong.append(reply)
                return
            self.answered += 1


@contextmanager
def load(server: Server) -> Iterator[list[Asking]]:
    """Yield clients that ask; all have been answered at least once."""
    clients = [Asking(server, number) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        eventually(lambda: min(each.answered for each in clients) > 10, "each client is answered")
        yield clients
    finally:
        for each in clients:
            each.ending = True
        for each in clients:
            each.join(PATIENCE)
        close_all(each.client for each in clients)


def served_by(worker: psutil.Process) -> set[int]:
    """Return its clients' ports."""
    return {each.raddr.port for each in worker.net_connections("tcp") if each.raddr}


def counters(seen: Samples) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    names = {f"tcplab_{name}" for name in NEVER_FALL}
    return {(name, labels): value for (name, labels), value in seen.values.items() if name in names}


def spread(server: Server, most: int = 200) -> list[Client]:
    """Connect clients until every worker serves one; the kernel chooses which."""
    clients: list[Client] = []
    while min(server.metrics().by("worker_connections_open", "worker").values()) == 0:
        assert len(clients) < most, "a worker serves nobody"
        clients.append(server.client())
        clients[-1].ask(b"ECHO in\n", b"OK in\n")
    return clients


def restarted(server: Server) -> Samples:
    """Wait until one of its workers has been started again; return the metrics."""
    return server.wait_for(lambda now: sum(now.by("worker_restarts_total", "worker").values()) == 1, "a restart")


def said_of(killed: psutil.Process) -> str:
    """Return what a server says once its first worker has been killed."""
    return f"worker 1 (process {killed.pid}) was ended by SIGKILL; it is started again\n"


def test_a_killed_worker_fails_only_its_clients(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, *TWO)
    before = spread(server)
    victim = server.serving()[0]
    with load(server) as clients:
        own = served_by(victim)
        doomed = [each for each in clients if each.port in own]
        victim.kill()
        seen = [server.metrics() for _ in range(20)]
        last = restarted(server)
        for each in doomed:
            each.join(PATIENCE)
            assert each.failed
        others = [each for each in clients if each not in doomed]
        so_far = [each.answered for each in others]
        eventually(lambda: all(a.answered > b + 10 for a, b in zip(others, so_far, strict=True)), "the others go on")
        assert not any(each.failed for each in others)
        assert [each.wrong for each in clients] == [[]] * CLIENTS
    for earlier, later in itertools.pairwise([*seen, last]):
        after = counters(later)
        assert all(after[key] >= value for key, value in counters(earlier).items())
    close_all(before)
    eventually(lambda: len(server.serving()) == 2, "it has a successor")
    close_all(spread(server))
    seen_last = server.wait_for(lambda now: now("connections_open") == 0, "all have left")
    lost = len(own)
    assert seen_last("connections_ended_total", outcome="failed") == lost
    assert server.errors() == said_of(victim)
    server.terminate()
    server.ended(said=said_of(victim))


def test_a_worker_inherits_no_scrape(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, *TWO)
    port = server.metrics_port

    def held() -> set[int]:
        return {each.laddr.port for worker in server.serving() for each in worker.net_connections("tcp")}

    with socket.create_connection(("127.0.0.1", port), PATIENCE) as scraper:
        scraper.send(b"GET /metrics HTTP/1.0\r\n")
        server.metrics()  # it is accepted: it came before
        first = server.serving()[0]
        first.kill()
        restarted(server)
        scraper.send(b"Unended: ")  # the server waits six seconds for more
        eventually(lambda: len(server.serving()) == 2, "it has a successor")
        eventually(lambda: port not in held(), "no worker holds the scrape, nor listens", within=4)
        scraper.send(b"yes\r\n\r\n")
        assert scraper.recv(8) == b"HTTP/1.0"
    server.terminate()
    server.ended(said=said_of(first))


def test_a_worker_told_to_end_finishes_its_clients(prefork: Model, launch: Launch) -> None:
    """The socket that it shares with others stays open."""
    server = launch(prefork, *TWO)
    clients = spread(server)
    one = server.serving()[0]
    own = served_by(one)
    for client in clients:
        client.send(b"SLEEP 500 x\n")
    server.wait_for(lambda now: now("received_bytes_total") == 20 * len(clients), "all have begun")
    one.terminate()
    for client in clients:
        client.expect(b"OK x\n")
        if client.socket.getsockname()[1] in own:
            client.expect_end()
        else:
            client.ask(b"ECHO on\n", b"OK on\n")
    server.wait_for(lambda now: now("worker_restarts_total", worker="1") == 1, "it is started again")
    eventually(lambda: len(server.serving()) == 2, "it has a successor")
    close_all([*clients, *spread(server)])
    said = f"worker 1 (process {one.pid}) ended with status 0; it is started again\n"
    server.terminate()
    server.ended(said=said)


def test_sigterm_under_load_leaves_no_worker(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, *TWO)
    its = server.serving()
    with load(server) as clients:
        server.terminate()
        for each in clients:
            each.join(PATIENCE)
            assert (each.failed, each.wrong) == (True, [])
        server.ended()
    assert still_running(its) == []


@pytest.mark.parametrize("request_sent", [b"SLEEP 10000 x\n", b"WORK 1000000 x\n" * 100], ids=["waiting", "computing"])
def test_no_worker_outlives_a_killed_parent(prefork: Model, launch: Launch, request_sent: bytes) -> None:
    server = launch(prefork, *TWO)
    its = server.serving()
    assert len(its) == 2
    with server.client() as client:
        client.send(b"ECHO in\n" + request_sent)
        client.expect(b"OK in\n")
        server.terminate(signal.SIGKILL)
        left = still_running(its, 5)
        for each in left:
            each.kill()
        assert left == []
        server.ended(-signal.SIGKILL)


def test_what_all_workers_count_adds_up_exactly(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, *TWO)
    clients = spread(server)
    with load(server) as asking:
        pass
    asked = len(clients) + sum(each.answered for each in asking)
    for client in clients:
        client.ask(
            b"WORK 10 a\nnonsense\nQUIT\n", b"OK a\nERR unknown request; there are ECHO, SLEEP, WORK and QUIT\nOK\n"
        )
    close_all(clients)
    seen = server.wait_for_ends(len(clients) + CLIENTS)
    assert seen.by("requests_total", "command") == {
        "echo": asked,
        "work": len(clients),
        "quit": len(clients),
        "sleep": 0,
    }
    each_ended = seen.by("worker_connections_ended_total", "worker")
    each_answered = seen.by("worker_requests_total", "worker")
    assert (set(each_ended), min(each_ended.values()) > 0) == ({"1", "2"}, True)
    assert sum(each_ended.values()) == len(clients) + CLIENTS
    assert sum(each_answered.values()) == asked + 2 * len(clients) == seen("service_seconds_count")
    assert seen("errors_total", kind="unknown") == len(clients)


def test_a_worker_that_computes_delays_no_scrape(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, "--workers", "1")

    def scrape() -> float:
        began = time.monotonic()
        server.metrics()
        return time.monotonic() - began

    quiet = statistics.median(scrape() for _ in range(15))
    with server.client() as client:
        client.send(b"WORK 1000000 x\n" * 40)
        time.sleep(0.05)
        busy = statistics.median(scrape() for _ in range(15))
        assert server.metrics()("requests_total", command="work") < 40, "it still computes"
        client.expect(b"OK x\n" * 40)
    assert busy < 2 * quiet + 0.01


def test_a_stopped_worker_delays_no_scrape(prefork: Model, launch: Launch) -> None:
    server = launch(prefork, "--workers", "1")
    [worker] = server.serving()
    with server.client() as client:
        client.ask(b"ECHO in\n", b"OK in\n")
        worker.suspend()
        eventually(lambda: worker.status() == psutil.STATUS_STOPPED, "it has stopped")
        seen = server.metrics()
        worker.resume()
    assert (seen("connections_open"), seen("requests_total", command="echo")) == (1, 1)


def test_shared_pages_count_once_in_memory(prefork: Model) -> None:
    with Server(prefork, "--workers", "4") as server:
        pids = [server.process.pid, *(worker.pid for worker in server.serving())]
        assert len(pids) == 5
        for _ in range(3):  # the first scrapes load code
            seen = server.metrics()
        rollups = [rollup(pid) for pid in pids]
    of_files = [sizes["Rss"] - sizes["Anonymous"] for sizes in rollups]
    anonymous = sum(sizes["Pss_Anon"] for sizes in rollups)
    assert seen("resident_memory_bytes") >= 0.99 * sum(sizes["Pss"] for sizes in rollups)
    assert anonymous + max(of_files) == pytest.approx(seen("resident_memory_bytes"), rel=0.05)
    assert seen("resident_memory_bytes") < 0.6 * sum(sizes["Rss"] for sizes in rollups)
    assert seen("idle_memory_bytes") == pytest.approx(seen("resident_memory_bytes"), rel=0.1)


def rollup(pid: int) -> dict[str, int]:
    """Return a process's sizes in bytes, from the kernel."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): 1024 * int(size) for name, size, *_ in map(str.split, lines)}


def test_a_second_process_adds_memory(prefork: Model, launch: Launch) -> None:
    """A proportional size that divides pages of libraries among all programs would make two processes smaller."""
    alone = launch(replace(prefork, variant="asyncio", options=prefork.loop))
    both = launch(prefork, "--workers", "1")
    for _ in range(3):
        one, two = alone.metrics()("resident_memory_bytes"), both.metrics()("resident_memory_bytes")
    assert one < two < 2 * one
