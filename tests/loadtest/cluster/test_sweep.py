"""A sweep: one run at several rates, each with a window of its own."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.load.cluster import Cluster
from tests.support.load.locust import Locust, assert_conserved, durations, run
from tests.support.processes import eventually
from tests.support.stubs.recording import Stub, honest

TAKES = 0.005
"""Seconds that the stub takes for a request, one at a time: it can answer 200 a second."""

RATES = (50.0, 600.0, 80.0)
PACE = ("--scenario", "saturate", "--arrivals", "periodic", "--sweep", ",".join(map(str, RATES)))


class OneAtATime:
    """Answers rightly, one request after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def answer(self, stub: Stub, connection: socket.socket, line: bytes) -> bool:
        with self._lock:
            time.sleep(TAKES)
        return honest(stub, connection, line)


def check_windows(outcome: dict[str, Any], seconds: float) -> None:
    """Check that each rate has its own figures, and none has the backlog of the one before."""
    windows = outcome["windows"]
    assert [each["target_rate"] for each in windows] == list(RATES)
    parts = [each["variants"]["asyncio"] for each in windows]
    for each, part in zip(windows, parts, strict=True):
        assert_conserved(part)
        assert (part["users"], part["connected"], part["served"]) == (8, 8, 8)
        assert each["window"]["seconds"] == pytest.approx(0.8 * seconds, abs=0.4)
    quiet, flooded, after = parts
    for part, rate, window in ((quiet, RATES[0], windows[0]), (after, RATES[2], windows[2])):
        assert part["verified"] == pytest.approx(rate * window["window"]["seconds"], rel=0.25)
        assert max(durations(part, "response")) < 400_000
        assert part["unsent"] <= 8
    assert flooded["verified"] < 1.1 / TAKES * windows[1]["window"]["seconds"]
    assert flooded["unsent"] > 100
    assert [each["name"] for each in windows[1]["warnings"]].count("rate") == 1
    assert windows[1]["settled_seconds"] is None, "its queue grows"
    assert not [each for one in windows for each in one["warnings"] if each["name"] == "not-settled"]
    assert windows[0]["window"]["ended"] < windows[1]["window"]["started"]
    assert windows[1]["window"]["ended"] < windows[2]["window"]["started"]


@pytest.mark.measures
def test_each_rate_has_its_own_window(tmp_path: Path) -> None:
    """After a rate that floods the server the next one is as if alone: what was due is forgotten."""
    with Stub(OneAtATime().answer) as stub:
        arguments = ("AsyncioUser", "-u", "8", "-r", "100", *PACE, "--warmup", "1")
        locust = run(tmp_path, *arguments, seconds=10, targets={"asyncio": stub.address})
    check_windows(locust.outcome(), 3)
    assert [line for line in locust.log.splitlines() if " requests/s" in line] == [
        f"at {rate:.0f} requests/s" for rate in RATES
    ]


@pytest.mark.measures
def test_workers_follow_the_rates_together(tmp_path: Path) -> None:
    options = ("AsyncioUser", "-u", "8", "-r", "100", *PACE, "--warmup", "3", "-t", "12s", "--expect-workers", "2")
    with Stub(OneAtATime().answer) as stub, Cluster(tmp_path, {"asyncio": stub.address}, *options) as cluster:
        for _ in range(2):
            cluster.start_worker()
        eventually(cluster.master.result.exists, "the sweep has ended", within=60)
        check_windows(cluster.master.outcome(), 3)


def test_a_run_that_ends_early_keeps_its_windows(tmp_path: Path) -> None:
    """Ctrl-C in the second rate: the first one's figures are there, and those of the second up to then."""
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "4", "-r", "100", *PACE, "-t", "15s", "--headless", "--only-summary")
        result = ("--result", str(tmp_path / "result.json"))
        with Locust(tmp_path, *arguments, *result, targets={"asyncio": stub.address}) as locust:
            eventually(lambda: stub.connections == 4, "all have connected")
            time.sleep(6.8)
            locust.stop()
    windows = locust.outcome()["windows"]
    assert "The run ended after 2 of 3 rates" in locust.log
    assert [each["target_rate"] for each in windows] == list(RATES[:2])
    assert windows[0]["window"]["seconds"] == pytest.approx(4, abs=0.5)
    assert 0 < windows[1]["window"]["seconds"] < 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sweep", "10,fast"), "argument --sweep: 'fast' is not a number of requests per second"),
        (("--sweep", "10,20", "--rate", "5"), "tcplab: --sweep has the rates: omit --rate"),
        (("--sweep", "10,20", "--warmup", "5"), "tcplab: --sweep shares the run time after the warm-up"),
        (("--sweep", "10,20", "--think", "1"), "tcplab: a rate sets when requests fall due, a think time how long"),
    ],
)
def test_a_bad_sweep_is_refused(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    locust = run(tmp_path, "AsyncioUser", "--scenario", "saturate", *options, targets={"asyncio": "127.0.0.1:9"})
    assert locust.process.returncode != 0
    assert said in locust.log
    assert "Traceback" not in locust.log
