"""Load without a pause: memory and descriptors of servers, workers and master do not grow."""

import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.load.cluster import Cluster
from tests.support.load.locust import ALL, HASTY, assert_conserved, locustfile, users, warnings
from tests.support.processes import eventually
from tests.support.servers import MODELS, Server

pytestmark = pytest.mark.measures

WARM = 35.0
"""Seconds until buffers and caches have their final size; the master's histograms take longest."""

SOAKED = 45.0
"""Seconds after that in which nothing may grow."""

GROWTH, GROWTH_OF_MASTER = 2 * 2**20, 12 * 2**20
"""
Bytes of resident memory that a process may gain meanwhile: an allocator grows by arenas of 1 MiB. For two minutes the
master gets new durations, each a histogram key: it grows from 57 MB to 87, and has some 77 when measuring begins, or 70
if other tests used the machine until then. When it kept all reports it gained 53 MB.
"""

REQUESTS = 100_000
"""Requests required in that time on any machine: a leak of 20 bytes each would show."""

CLIENTS = 10

BUSY = """
scenario = SCENARIOS["conversation"]
SCENARIOS["conversation"] = replace(scenario, requests=50, think=0.0, away=0.01)
"""
"""Locustfile lines: clients never pause, and reconnect every 50 requests."""


def size(process: psutil.Process) -> tuple[int, int, int]:
    """Return resident bytes, open descriptors and threads."""
    with process.oneshot():
        return process.memory_info().rss, process.num_fds(), process.num_threads()


def test_a_minute_of_load_leaks_nothing(tmp_path: Path) -> None:
    models = [model for model in MODELS if model.name in ALL]
    own = locustfile(tmp_path, HASTY, BUSY, users())
    options = ("--clients", str(CLIENTS), "--spawn-rate", "100")
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(model)) for model in models]
        targets = {server.model.name: f"127.0.0.1:{server.address[1]}" for server in servers}
        cluster = stack.enter_context(Cluster(tmp_path, targets, *options, locustfile=own))
        workers = [cluster.start_worker() for _ in range(2)]
        processes = {server.model.name: psutil.Process(server.process.pid) for server in servers}
        processes["master"] = psutil.Process(cluster.master.process.pid)
        processes |= {f"worker {number}": psutil.Process(each.process.pid) for number, each in enumerate(workers)}

        def verified() -> float:
            seen = cluster.master.metrics()
            return sum(seen["tcplab_load_requests_total", "verified", variant] for variant in ALL)

        eventually(lambda: cluster.users() == [CLIENTS * len(ALL) // 2] * 2, "two workers carry half each")
        time.sleep(WARM)
        before, then = {name: size(process) for name, process in processes.items()}, verified()
        time.sleep(SOAKED)
        after, answered = {name: size(process) for name, process in processes.items()}, verified() - then
        cluster.stop()
        outcome = cluster.master.outcome()
    grown = {name: after[name][0] - before[name][0] for name in processes}
    print(f"{answered:,.0f} requests; kB grown: { {name: growth // 1024 for name, growth in grown.items()} }")
    assert answered > REQUESTS
    allowed = dict.fromkeys(processes, GROWTH) | {"master": GROWTH_OF_MASTER}
    assert {name: growth for name, growth in grown.items() if growth > allowed[name]} == {}
    slack = CLIENTS + 2  # clients reconnect all the time
    for name in processes:
        assert abs(after[name][1] - before[name][1]) <= (slack if name in ALL else len(ALL) * slack), name
        assert abs(after[name][2] - before[name][2]) <= slack, name
    for variant in ALL:
        assert_conserved(outcome["variants"][variant])
        assert not any(outcome["variants"][variant]["errors"].values()), variant
    assert not warnings(outcome) & {"conservation", "disconnected", "corrupt", "worker-lost"}
