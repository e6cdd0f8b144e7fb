"""
The lab's servers with options of their own beside their kin in the same run: A B A B, medians of ratios.

About a minute each. A pool with a thread for each client does what a thread per client does; a pre-fork server with
one worker what the event loop does, but counts in shared memory.
"""

import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.candidate import candidate
from tests.bench.of_servers import CLIENTS, PAIRS, SECONDS, speed
from tests.bench.ratios import report

KIN: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "pool": (("--threads", str(CLIENTS)), "threaded"),
    "prefork": (("--workers", "1"), "asyncio"),
}
"""By variant: its options, and its kin."""

BOUND: Final = 1.05
"""CPU per request over the kin's, at most."""


def compare(variant: str, core: int) -> float:
    """Print a line for each figure; return the median ratio of CPU per request."""
    options, kin = KIN[variant]
    ours: list[dict[str, float]] = []
    others: list[dict[str, float]] = []
    for pair in range(PAIRS):
        print(f"\r{variant}: pair {pair + 1} of {PAIRS} ", end="", file=sys.stderr, flush=True)
        for runs, name, its in ((ours, variant, options), (others, kin, ())):
            with candidate(name, *its, baseline=False, core=core) as server:
                runs.append(speed(server, CLIENTS))
    print("\r", end="", file=sys.stderr)
    report(variant, CLIENTS, ours, others)
    figure = "CPU us/request"
    return statistics.median(a[figure] / b[figure] for a, b in zip(ours, others, strict=True))


def run(cores: Sequence[int]) -> bool:
    """Run it: the servers on the first core, the client on the second. Return whether all are within the bound."""
    os.sched_setaffinity(0, cores[1:2])
    print(f"beside its kin, {PAIRS} pairs A B A B of {SECONDS:g} s: CPU per request at most {BOUND} of the kin's")
    print(f"{'':9} {'conns':>5}  {'figure':25} {'ratio':>6}  {'least to most':16} {'ours':>12} {'kin':>12}")
    within = max(compare(variant, cores[0]) for variant in KIN) <= BOUND
    print("within the bound" if within else f"ABOVE the bound of {BOUND}")
    return within
