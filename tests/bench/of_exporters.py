"""
The CPU cost of a scrape of /metrics in the scraped process; under half a minute.

Of the servers while a thousand clients are connected and have spoken, because the threaded server keeps counts for
each; and of the load's master, with every histogram of every variant full.
"""

import os
import time
import urllib.request
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

from loadtest.cluster.exporter import LoadCollector
from loadtest.recording.aggregator import RECENT
from servers.variants import VARIANTS, Variant
from tests.bench.candidate import candidate
from tests.bench.client import ask_each, connections
from tests.observability.known import Load

SCRAPES: Final = 50
BOUND: Final = 0.020
"""Seconds of CPU that a scrape may cost a server. The load's master measures nothing itself: it has no bound."""

CROWD: Final = 1000
OPTIONS: Final = {"prefork": ("--workers", "4")}
ROUNDS: Final = (1, 10, 100, 1_000, 10_000, 100_000)
WAITS: Final = (1, 5, 20, 100, 500)


def of_server(variant: Variant, core: int) -> float:
    """Return the CPU seconds of a scrape of a server that has served requests of all durations, to many clients."""
    clients = variant.clients or CROWD
    options = OPTIONS.get(variant.name, ())
    with (
        candidate(variant.name, *options, baseline=False, core=core) as server,
        connections(server.port, clients) as sockets,
    ):
        ask_each(sockets, 3)
        for command, numbers in (("WORK", ROUNDS), ("SLEEP", WAITS)):
            for number in numbers:
                sockets[0].sendall(f"{command} {number} x\n".encode())
                assert sockets[0].recv(100) == b"OK x\n"
        address = server.said.rpartition(" ")[2]
        scrape(address)  # the first one loads code
        used = server.cpu_seconds()
        for _ in range(SCRAPES):
            scrape(address)
        return (server.cpu_seconds() - used) / SCRAPES


def scrape(address: str) -> None:
    """Read all of a /metrics."""
    with urllib.request.urlopen(address, timeout=10) as response:
        assert b"tcplab_service_seconds_bucket" in response.read()


def of_load() -> float:
    """Return the CPU seconds in which the load's metrics are made, HTTP apart."""
    load = Load()
    for _ in range(RECENT):
        load.play()
        load.report()
    registry = CollectorRegistry()
    registry.register(LoadCollector(load.aggregator, load.status, lambda: 0.0))
    used = time.process_time()
    for _ in range(SCRAPES):
        generate_latest(registry)
    return (time.process_time() - used) / SCRAPES


def run(cores: Sequence[int]) -> bool:
    """Run it: servers on the first core, the scraper on the second. Return whether every server is within the bound."""
    os.sched_setaffinity(0, cores[1:2])
    print(f"CPU of one scrape of /metrics, the mean of {SCRAPES}; of a server at most {BOUND * 1e3:.0f} ms")
    print(f"{'':9} {'conns':>5}  {'ms/scrape':>9}")
    figures = []
    for variant in VARIANTS:
        figures.append(of_server(variant, cores[0]))
        print(f"{variant.name:9} {variant.clients or CROWD:5}  {figures[-1] * 1e3:9.2f}", flush=True)
    print(f"{'load':9} {'':5}  {of_load() * 1e3:9.2f}", flush=True)
    within = max(figures) <= BOUND
    print("servers within the bound" if within else f"ABOVE the bound of {BOUND * 1e3:.0f} ms")
    return within
