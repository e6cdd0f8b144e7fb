"""A model that serves from two processes: counting, closing and limits don't take one process for the whole server."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import servers
from tests.support.copies import add_model, contract, copy_tree
from tests.support.processes import eventually, still_running
from tests.support.servers import PATIENCE, Client, Model, Server

MODEL = '''
"""Two processes, and a thread per client in each."""

from threading import Thread

from servers.models.threaded import converse


def serve(listener):
    listener.fork(2)
    while connection := listener.accept():
        Thread(target=converse, args=(connection,)).start()
'''

ROW = """
    Variant(
        name="forked",
        module="forked",
        connection="blocking",
        clients=None,
        port=9005,
        metrics_port=9106,
        colour="#56B4E9",
        title="two processes",
        sentence="Two processes, and a thread per client in each.",
    ),
"""

FORKED = Model("forked", "forked")
CLIENTS = 40


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree that has the model."""
    root = copy_tree(tmp_path_factory.mktemp("forked"))
    add_model(root, "forked", MODEL, ROW)
    return root


@pytest.fixture
def server(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(servers, "ROOT", tree)
    with Server(FORKED, "--grace", "20") as running:
        yield running


def workers(server: Server) -> list[psutil.Process]:
    """Return its two workers, once they are there."""
    parent = psutil.Process(server.process.pid)
    deadline = time.monotonic() + PATIENCE
    while len(found := parent.children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_two_processes_keep_the_contract(tree: Path) -> None:
    """All of it but one: it has no memory before its first client while its processes are being forked."""
    assert re.search(r"\d{2,} passed", contract(tree, "forked and not idle_memory"))


def test_the_sum_of_both_is_exported_exactly(server: Server) -> None:
    its = workers(server)
    clients: list[Client] = []
    both = [0, 0]
    deadline = time.monotonic() + PATIENCE
    while min(both) == 0:  # the kernel gives a client to either
        assert time.monotonic() < deadline, f"one serves nobody: {both}"
        clients += [server.client() for _ in range(CLIENTS)]
        for number, client in enumerate(clients):
            client.ask(b"ECHO %d\n" % number, b"OK %d\n" % number)
        both = [
            sum(connection.status == psutil.CONN_ESTABLISHED for connection in worker.net_connections())
            for worker in its
        ]
    assert sum(both) == len(clients)
    asked = sum(range(CLIENTS, len(clients) + 1, CLIENTS))
    seen = server.metrics()
    assert (seen("connections_open"), seen("requests_total", command="echo")) == (len(clients), asked)
    for client in clients:
        client.ask(b"QUIT\n", b"OK\n")
    seen = server.wait_for_ends(len(clients))
    assert seen("connections_ended_total", outcome="quit") == len(clients)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_every_process_finishes_what_it_has_begun(server: Server, kind: signal.Signals) -> None:
    its = workers(server)
    clients = [server.client() for _ in range(CLIENTS)]
    for client in clients:
        client.ask(b"ECHO in\nSLEEP 700 x\nECHO y\n", b"OK in\n")
    server.terminate(kind)
    for client in clients:
        client.expect(b"OK x\nOK y\n")
        client.expect_end()
    server.ended()
    assert not any(worker.is_running() for worker in its)


def test_workers_end_with_a_parent_that_is_killed(server: Server) -> None:
    its = workers(server)
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 x\n", b"OK in\n")
        server.terminate(signal.SIGKILL)
        server.ended(-signal.SIGKILL)
        assert still_running(its, 5) == []


def test_a_second_signal_ends_both_at_once(server: Server) -> None:
    its = workers(server)
    with server.client() as client:
        client.ask(b"ECHO in\nSLEEP 10000 x\n", b"OK in\n")
        server.terminate()
        time.sleep(0.7)
        server.terminate()
        server.ended(-signal.SIGTERM)
        assert still_running(its, 5) == []


def test_cpu_and_memory_are_those_of_both(server: Server) -> None:
    its = workers(server)
    clients = [server.client() for _ in range(8)]
    for client in clients:
        client.ask(b"WORK 1000000 x\n", b"OK x\n")
        client.ask(b"WORK 1000000 x\n", b"OK x\n")
    seen = server.metrics()
    used = sum(sum(worker.cpu_times()[:2]) for worker in its)
    assert used > 0.2
    assert sum(seen.by("cpu_seconds_total", "mode").values()) >= 0.9 * used
    sizes = [process.memory_full_info() for process in (psutil.Process(server.process.pid), *its)]
    assert (
        0.99 * sum(size.pss for size in sizes) < seen("resident_memory_bytes") < 0.8 * sum(size.rss for size in sizes)
    )
    for client in clients:
        client.ask(b"QUIT\n", b"OK\n")
    eventually(lambda: server.metrics()("threads") == seen("threads") - len(clients), "their threads have ended")
    assert 0 < seen("idle_memory_bytes") <= seen("resident_memory_bytes")
    its[0].kill()
    after = server.metrics()
    assert sum(after.by("cpu_seconds_total", "mode").values()) >= sum(seen.by("cpu_seconds_total", "mode").values())
    assert after("requests_total", command="work") == 16
