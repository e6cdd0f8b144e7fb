"""The load's response times beside the replayed queue of a stub of 400 us, by clients and load; two minutes."""

import tempfile
from pathlib import Path
from typing import Final

from tests.bench.stamps import Run, measure

SERVICE: Final = 400
"""Microseconds that the stub takes for a request."""

CELLS: Final = tuple((clients, load) for clients in (10, 50, 1_000) for load in (0.5, 0.8, 0.9))
QUANTILES: Final = (0.5, 0.9, 0.99)
SECONDS: Final = 8


def pairs(run: Run) -> list[tuple[int, int]]:
    """Return (reported, replayed) microseconds of each quantile."""
    return [(run.reported(each), run.truth(each)) for each in QUANTILES]


def near(reported: int, replayed: int) -> bool:
    """Whether they differ by 5 % at most, or by 50 us."""
    return abs(reported - replayed) <= max(50, 0.05 * replayed)


def run() -> None:
    """Print it."""
    print(
        f"response times in microseconds, reported and of the replayed queue; a stub of {SERVICE} us, {SECONDS} s each"
    )
    print(f"{'conns':>6} {'load':>5}  {'p50':>15}  {'p90':>15}  {'p99':>15}  within 5 % or 50 us")
    with tempfile.TemporaryDirectory() as name:
        for clients, load in CELLS:
            found = measure(Path(name) / f"{clients}-{load}", SERVICE, clients, load, SECONDS)
            seen = pairs(found)
            columns = "  ".join(f"{f'{reported} {replayed}':>15}" for reported, replayed in seen)
            said = "yes" if all(near(*each) for each in seen) else "no"
            why = f" (disturbed: {', '.join(sorted(found.warnings))})" if found.disturbed else ""
            print(f"{clients:6} {load:5.0%}  {columns}  {said}{why}", flush=True)
