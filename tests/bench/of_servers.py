"""The lab's servers beside bare ones: A B A B, medians of ratios with their spread. About five minutes."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from servers.variants import VARIANTS, Variant
from tests.bench.candidate import Candidate, candidate
from tests.bench.client import ask_each, connections, saturate
from tests.bench.ratios import report

PAIRS: Final = 9
SECONDS: Final = 2.0
WARM_UP: Final = 0.5
SETTLE: Final = 0.3
CLIENTS: Final = 50
CROWD: Final = 1000

Measure = Callable[[Candidate, int], dict[str, float]]


def speed(server: Candidate, clients: int) -> dict[str, float]:
    """CPU per request and throughput while every client always has a request under way."""
    with connections(server.port, clients) as sockets:
        saturate(sockets, WARM_UP, server.cpu_seconds)
        answered, seconds, cpu = saturate(sockets, SECONDS, server.cpu_seconds)
    return {"CPU us/request": cpu / answered * 1e6, "requests/s": answered / seconds}


def memory(server: Candidate, clients: int) -> dict[str, float]:
    """Resident memory that each further connection adds."""
    with connections(server.port, 1) as one:  # the first connection loads code
        ask_each(one, 1)
    time.sleep(SETTLE)
    before = server.resident_bytes()
    with connections(server.port, clients) as sockets:
        time.sleep(SETTLE)
        silent = server.resident_bytes()
        ask_each(sockets, 5)
        spoken = server.resident_bytes()
    return {
        "kB/silent connection": (silent - before) / clients / 1000,
        "kB/connection that spoke": (spoken - before) / clients / 1000,
    }


def compare(variant: Variant, measure: Measure, clients: int, core: int) -> None:
    """Print a line for each figure: the median ratio of ours over the baseline's, its spread, and both medians."""
    ours: list[dict[str, float]] = []
    bare: list[dict[str, float]] = []
    for pair in range(PAIRS):
        print(f"\r{variant.name}: {measure.__name__}, pair {pair + 1} of {PAIRS} ", end="", file=sys.stderr, flush=True)
        for runs, baseline in ((ours, False), (bare, True)):
            with candidate(variant.name, baseline=baseline, core=core) as server:
                runs.append(measure(server, clients))
    print("\r", end="", file=sys.stderr)
    report(variant.name, clients, ours, bare)


def run(cores: Sequence[int]) -> None:
    """Run it: the servers on the first core, the client on the second."""
    os.sched_setaffinity(0, cores[1:2])
    print(
        f"64-byte echoes, server on core {cores[0]}, client on core {cores[1]}, {PAIRS} pairs A B A B of {SECONDS:g} s,"
    )
    print("each in a fresh process; ours: metrics, deadlines and parsing on; bare: accept and echo, nothing else")
    print(f"{'':9} {'conns':>5}  {'figure':25} {'ratio':>6}  {'least to most':16} {'ours':>12} {'bare':>12}")
    for variant in (each for each in VARIANTS if not each.options):  # the others: of_kin.py
        compare(variant, speed, min(variant.clients or CLIENTS, CLIENTS), cores[0])
        if variant.clients is None:  # another serves few; the rest of a crowd would wait
            compare(variant, memory, CROWD, cores[0])
