"""
The load's response times, beside the replayed queue of a stub that serves one request at a time (tests/bench/).

No run may report less than the truth. By how much it reports more depends on the machine: `make bench` shows it.
"""

import os
from pathlib import Path

import pytest

from tests.bench import of_bias, of_queue
from tests.bench.stamps import Run, measure

pytestmark = [
    pytest.mark.measures,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the stub and the load need a core each"),
]

SECONDS = 4


def assert_not_flattered(run: Run, fraction: float) -> None:
    """Assert that the result says no less than the truth: 1 us is the resolution, 1 % a bucket of histograms."""
    reported, truth = run.reported(fraction), run.truth(fraction)
    assert reported >= 0.99 * truth - 1, (fraction, reported, truth)


@pytest.mark.parametrize(
    ("service", "clients", "load"),
    [
        (of_bias.SERVICES[0], of_bias.CLIENTS, of_bias.LOAD),
        (of_bias.SERVICES[-1], of_bias.CLIENTS, of_bias.LOAD),
        (of_queue.SERVICE, 10, 0.8),
        (of_queue.SERVICE, 50, 0.9),
    ],
)
def test_no_response_time_is_below_the_truth(service: int, clients: int, load: float, tmp_path: Path) -> None:
    run = measure(tmp_path / "run", service, clients, load, SECONDS)
    for fraction in of_queue.QUANTILES:
        assert_not_flattered(run, fraction)
