"""
How far the load's response times are from the truth, beside stubs that serve one request at a time.

The truth is the replayed queue: of when each request was due, and of what the stub took by the kernel's time stamps.

    python -m tests.bench.of_bias

writes loadtest/bias.json and its table in loadtest/README.md, in two minutes on an idle machine. A run that
other work disturbs is repeated.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from loadtest.readme_tables import BIAS
from tests.bench.kept import keep
from tests.bench.stamps import Run, measure

SERVICES: Final = (50, 200, 500)
"""Microseconds that a stub takes for a request."""

RUNS: Final = 3
TRIES: Final = 5
SECONDS: Final = 8
CLIENTS: Final = 4
LOAD: Final = 0.2
"""The share of what a stub can do."""

QUANTILES: Final = {"p50": 0.5, "p99": 0.99}


class DisturbedError(Exception):
    """Other work moved the figures; the text says which warnings tell so."""


def undisturbed(folder: Path, service: int) -> list[Run]:
    """Return RUNS runs that no other work has disturbed, of TRIES at most."""
    found: list[Run] = []
    for attempt in range(TRIES):
        run = measure(folder / f"{service}-{attempt}", service, CLIENTS, LOAD, SECONDS)
        if not run.disturbed:
            found.append(run)
        if len(found) == RUNS:
            return found
    raise DisturbedError(
        f"other work has disturbed {TRIES - len(found)} of {TRIES} runs ({', '.join(sorted(run.warnings))} in the last"
        " one): end other programs, and measure again"
    )


def figures(runs: list[Run]) -> dict[str, dict[str, int]]:
    """Return for each quantile the truth and the bias in microseconds: the median of the runs, and the extremes."""
    found = {}
    for name, fraction in QUANTILES.items():
        pairs = [(run.reported(fraction), run.truth(fraction)) for run in runs]
        biases = [reported - truth for reported, truth in pairs]
        found[name] = {
            "truth": round(statistics.median(truth for _, truth in pairs)),
            "bias": round(statistics.median(biases)),
            "low": round(min(biases)),
            "high": round(max(biases)),
        }
    return found


def rows() -> Iterator[dict[str, Any]]:
    """Measure and print; yield the figures of each stub. Raise DisturbedError if too few runs are undisturbed."""
    print("bias of the load's response times in microseconds, over the replayed queue of a stub by the kernel's")
    print(f"time stamps; {CLIENTS} clients, Poisson arrivals, {LOAD:.0%} load, {RUNS} runs of {SECONDS} s")
    print(f"{'stub':>6}  {'':4} {'truth':>8} {'bias':>8}  least to most")
    with tempfile.TemporaryDirectory() as name:
        for service in SERVICES:
            found = figures(undisturbed(Path(name), service))
            for quantile, row in found.items():
                extremes = f"{row['low']:+} to {row['high']:+}"
                print(f"{service:6}  {quantile:4} {row['truth']:8} {row['bias']:+8}  {extremes}", flush=True)
            yield {"service": service, **found}


def run() -> None:
    """Print the bias, or why it can't be told."""
    try:
        list(rows())
    except DisturbedError as error:
        print(error)


def main() -> None:
    """Measure, and write what README.md says of it."""
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("tests.bench.of_bias: stub and load need a core each; this machine gives only one")
    try:
        found = list(rows())
    except DisturbedError as error:
        sys.exit(f"tests.bench.of_bias: {error}; nothing was written")
    kept = {
        "clients": CLIENTS,
        "load": LOAD,
        "runs": RUNS,
        "seconds": SECONDS,
        "stubs": found,
    }
    keep(BIAS, kept)


if __name__ == "__main__":
    main()
