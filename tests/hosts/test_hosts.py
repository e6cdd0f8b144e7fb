"""
Load from two hosts, with the master on a third and servers on a fourth: figures are as true as on one machine.

The far host's clocks differ from all others (odd_clock).
"""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from loadtest.recording.counters import OUTCOMES
from loadtest.recording.live_warnings import GOES_AFTER
from tests.support.lab.hosts import NAMES, PATIENCE, Lab, Part, Run
from tests.support.load.locust import assert_conserved, durations, warnings
from tests.support.load.versions import another_version
from tests.support.processes import eventually
from tests.support.servers import Samples

pytestmark = pytest.mark.hosts

DELAY = 0.02
CUT = 10.0
SECONDS = 5.0
CLIENTS = 12
LOAD = ("--users", str(CLIENTS), "--spawn-rate", "100", "--scenario", "conversation", "--think", "0.03")
LOSSES = {"worker-lost", "worker-joined", "conservation", "corrupt", "local-limit", "unconnected"}


def assert_agrees(outcome: dict[str, Any], counted: Samples, served: dict[str, int]) -> None:
    """Assert that every sent request is counted, and that the servers received it."""
    assert outcome["generator"]["workers"] == 2
    for name in NAMES:
        sent = counted("load_sent_total", variant=name)
        ends = {outcome: counted("load_requests_total", variant=name, outcome=outcome) for outcome in OUTCOMES}
        left = counted("load_abandoned_total", variant=name) + counted("load_unanswered", variant=name)
        assert served[name] == sent == sum(ends.values()) + left, name
        assert sum(ends.values()) == ends["verified"], name
        part = outcome["variants"][name]
        assert_conserved(part)
        assert part["users"] == CLIENTS / len(NAMES)
        assert sent - 2 * CLIENTS <= part["sent"] <= sent
        assert part["verified"] > 20


def served_since(before: dict[str, int], lab: Lab) -> dict[str, int]:
    """Return the requests of each server since `before`."""
    return {name: now - before[name] for name, now in lab.echoed().items()}


def stopped_after(run: Run, seconds: float) -> tuple[dict[str, Any], Samples]:
    """Have both hosts load the servers for some seconds."""
    eventually(lambda: run.lab.runs_on(2, CLIENTS), "both hosts carry the load", PATIENCE)
    time.sleep(seconds)
    return run.stop()


def least_and_median(part: dict[str, Any], series: str) -> tuple[float, float]:
    """Return two durations in seconds."""
    every = sorted(key for key, number in durations(part, series).items() for _ in range(number))
    return every[0] / 1e6, every[len(every) // 2] / 1e6


def test_totals_agree_despite_clocks_and_strangers(lab: Lab, tmp_path: Path) -> None:
    before, began = lab.echoed(), time.time()
    other = another_version(tmp_path / "other")
    with lab.run(tmp_path, *LOAD) as run:
        eventually(lambda: lab.runs_on(2, CLIENTS), "both hosts carry the load", PATIENCE)
        with Part(lab.far, other, "workers", *lab.addresses, "--number", "2", checkout=other) as refused:
            assert refused.ended() == 1
        outcome, counted = stopped_after(run, SECONDS)
    assert run.master.log.count("Refused a worker on ") == 1
    [line] = [line for line in refused.log.splitlines() if "refused" in line]
    assert re.match(r"tcplab hosts: worker-[12] ended by itself, exit status 1: tcplab: the master refused", line)
    ended = time.time()
    assert_agrees(outcome, counted, served_since(before, lab))
    assert not warnings(outcome) & LOSSES
    assert began <= outcome["window"]["started"] <= outcome["window"]["ended"] <= ended
    assert SECONDS <= outcome["window"]["seconds"] < ended - began
    for part in outcome["variants"].values():
        longest = max(max(durations(part, series), default=0) for series in ("response", "first_reply", "connect"))
        assert longest / 1e6 < ended - began
    response = least_and_median(outcome["variants"]["asyncio"], "response")
    assert response[1] < DELAY, "the next test's delay is its own"


def test_the_networks_delay_is_in_response_times(lab: Lab, tmp_path: Path) -> None:
    before = lab.echoed()
    lab.away.cable.delay = DELAY
    try:
        with lab.run(tmp_path, *LOAD) as run:
            outcome, counted = stopped_after(run, SECONDS)
        assert_agrees(outcome, counted, served_since(before, lab))
    finally:
        lab.away.cable.delay = 0.0
    assert not warnings(outcome) & LOSSES
    for part in outcome["variants"].values():
        for series, ways in (("response", 1), ("connect", 1), ("first_reply", 2)):
            least, _ = least_and_median(part, series)
            assert least >= 0.995 * ways * DELAY, series  # three figures are kept
    _, median = least_and_median(outcome["variants"]["asyncio"], "response")
    assert median < 2 * DELAY


def has_warning(lab: Lab, name: str) -> bool:
    """Return whether the load has this warning about its run."""
    asked = {("warning", name), ("about", "run")}
    found = [v for (its, labels), v in lab.load().values.items() if its == "tcplab_load_warning" and asked <= labels]
    assert found, f"there is no warning {name} about a run"
    return 1 in found


def test_a_host_cut_off_returns_and_is_marked(lab: Lab, tmp_path: Path) -> None:
    before = lab.echoed()
    with lab.run(tmp_path, *LOAD) as run:
        eventually(lambda: lab.runs_on(2, CLIENTS), "both hosts carry the load", PATIENCE)
        lab.far.cut_off()
        cut = time.monotonic()
        try:
            eventually(lambda: has_warning(lab, "worker-lost"), "its loss is told", CUT)
            eventually(lambda: lab.runs_on(1, CLIENTS), "the near host carries all", PATIENCE)
            time.sleep(max(0.0, cut + CUT - time.monotonic()))
        finally:
            lab.far.join()
        eventually(lambda: lab.runs_on(2, CLIENTS), "both hosts carry the load again", PATIENCE)
        eventually(lambda: not has_warning(lab, "worker-lost"), "its loss is over", GOES_AFTER + 5)
        assert has_warning(lab, "worker-joined")
        outcome, counted = run.stop()
    assert_agrees(outcome, counted, served_since(before, lab))
    assert warnings(outcome) & LOSSES - {"local-limit"} == {"worker-joined"}
