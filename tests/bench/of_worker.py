"""
What one load process can do: its top speed against a bare sink, and its memory with many connections.

    python -m tests.bench.of_worker

writes loadtest/worker.json and its table in loadtest/README.md, in three minutes on an idle machine.
"""

import os
import statistics
import sys
from typing import Final

from loadtest.readme_tables import WORKER
from tests.bench.kept import keep
from tests.bench.of_load import CLIENTS, LOAD, crowd, speed

RUNS: Final = 5
CROWDS: Final = (1_000, 5_000, 10_000)
"""Connections, each number in a process of its own."""


def main() -> None:
    """Measure, and write what README.md says of it."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("tests.bench.of_worker: sink and load need a core each; this machine gives only one")
    runs = []
    for number in range(RUNS):
        runs.append(speed(LOAD, cores))
        print(f"run {number + 1} of {RUNS}: {runs[-1]['requests/s']:,.0f} requests/s", flush=True)
    memory = {}
    for connections in CROWDS:
        memory[connections] = round(crowd(LOAD, cores, connections)["MB resident"], 1)
        print(f"{connections:,} connections: {memory[connections]} MB", flush=True)
    found = {
        "clients": CLIENTS,
        "runs": RUNS,
        "rates": sorted(round(run["requests/s"]) for run in runs),
        "cpu_us": round(statistics.median(run["CPU us/request"] for run in runs), 1),
        "memory_mb": memory,
    }
    keep(WORKER, found)


if __name__ == "__main__":
    main()
