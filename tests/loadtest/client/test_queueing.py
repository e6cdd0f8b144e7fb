"""
Response times under Poisson arrivals are those of a queue: of the run's own arrivals replayed, and of M/D/1.

What else a machine does only adds time, so one good run of some proves it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from loadtest.recording.histogram import quantile
from tests.support.load.locust import assert_conserved, durations, headless, locustfile, users
from tests.support.processes import announced
from tests.support.queueing import DUES, Due, exact_quantile, md1_quantile, replay
from tests.support.stubs.one_at_a_time import SERVICE

pytestmark = [
    pytest.mark.measures,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the server and the load need a core each"),
]

TRIES = 5
OWN = {10: 100, 50: 100, 1_000: 200}
"""By clients, microseconds that the load and the kernel may add: both processes wake up on a request's way."""

WARM_UP = 3


def measure(
    folder: Path, clients: int, load: float, seconds: float
) -> tuple[dict[str, Any], list[Due], list[tuple[str, int]]]:
    """Load the stub. Return the result, when its requests were due, and what the stub has served."""
    server_core, load_core, *_ = sorted(os.sched_getaffinity(0))
    folder.mkdir()
    with announced("tests.support.stubs.one_at_a_time") as (stub, said):
        assert stub.stdout is not None
        os.sched_setaffinity(stub.pid, {server_core})
        with headless(
            folder,
            *("AsyncioUser", "-u", str(clients), "-r", "1000", "--scenario", "saturate"),
            *("--rate", str(load * 1e9 / SERVICE), "--warmup", str(WARM_UP)),
            seconds=seconds + WARM_UP,
            locustfile=locustfile(folder, DUES, users(["asyncio"])),
            targets={"asyncio": f"127.0.0.1:{said.split()[1]}"},
            environment={"DUES": str(folder / "dues.json")},
        ) as locust:
            os.sched_setaffinity(locust.process.pid, {load_core})
            assert locust.ended(seconds + 40) == 0, locust.log
        stub.terminate()
        served = [(text, took) for text, took in json.loads(stub.stdout.read())]
    dues = [Due(*each) for each in json.loads((folder / "dues.json").read_text())]
    outcome = locust.outcome()
    assert (outcome["arrivals"], outcome["variants"]["asyncio"]["served"]) == ("poisson", clients)
    assert_conserved(outcome["variants"]["asyncio"])
    return outcome, dues, served


def measured(outcome: dict[str, Any], fraction: float) -> int:
    part = outcome["variants"]["asyncio"]
    found = quantile(durations(part, "response"), fraction, durations(part, "response", "censored"))
    assert found is not None
    return found.microseconds


@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("clients", [10, 50, 1_000])
def test_response_times_are_the_replayed_queues(clients: int, load: float, tmp_path: Path) -> None:
    """Within 5 % or OWN, whichever is more."""
    seen = []
    for attempt in range(TRIES):
        outcome, dues, served = measure(tmp_path / str(attempt), clients, load, seconds=8)
        expected = replay(dues, served)
        assert len(expected) > 6 * load * 1e9 / SERVICE
        seen.append([(measured(outcome, each), round(exact_quantile(expected, each))) for each in (0.5, 0.9, 0.99)])
        print(seen[-1], [each["name"] for each in outcome["warnings"]])
        if all(abs(there - true) <= max(OWN[clients], 0.05 * true) for there, true in seen[-1]):
            return
    raise AssertionError(f"p50, p90 and p99 of each try, (measured, replayed) us: {seen}")


@pytest.mark.parametrize(("clients", "load"), [(50, 0.5), (50, 0.8), (1_000, 0.8)])
def test_response_times_are_those_of_md1(clients: int, load: float, tmp_path: Path) -> None:
    """p50 and p99 of 100,000 requests within 10 % or OWN, whichever is more."""
    seen = []
    for attempt in range(TRIES):
        outcome, _, served = measure(
            tmp_path / str(attempt), clients, load, seconds=round(100_000 / (load * 1e9 / SERVICE))
        )
        service = sum(took for _, took in served) / len(served) / 1000
        busy = load * service / (SERVICE / 1000)
        seen.append([(measured(outcome, each), round(md1_quantile(busy, service, each))) for each in (0.5, 0.99)])
        print(seen[-1], service, [each["name"] for each in outcome["warnings"]])
        if all(abs(there - true) <= max(OWN[clients], 0.1 * true) for there, true in seen[-1]):
            return
    raise AssertionError(f"p50 and p99 of each try, (measured, of M/D/1) us: {seen}")
