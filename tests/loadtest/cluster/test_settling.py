"""The end of a warm-up: when the figures have settled, or after the time asked for."""

import itertools
import socket
import time
from pathlib import Path

import pytest

from loadtest.cluster import settling
from loadtest.recording.steady_state import LOOKED_AT, SLICES
from tests.support.load.cluster import Cluster
from tests.support.load.locust import run
from tests.support.processes import eventually
from tests.support.stubs.recording import Stub, honest

SATURATE = ("AsyncioUser", "-u", "4", "-r", "100", "--scenario", "saturate", "--warmup", "4")


class Load:
    """Replies by slice, the same in each; `step` more microseconds than in the one before."""

    def __init__(self, step: int = 0, complete_after: int = 0) -> None:
        self._looks = itertools.count()
        self._asked = itertools.count()
        self._step = step
        self._complete_after = complete_after
        self._counts: dict[int, int] = {}

    def look(self) -> tuple[float, dict[str, dict[int, int]]]:
        number = next(self._looks)
        median = 500 + self._step * number
        self._counts[median] = self._counts.get(median, 0) + 100
        return float(number), {"asyncio": dict(self._counts)}

    def is_complete(self) -> bool:
        return next(self._asked) >= self._complete_after


def test_steady_figures_end_the_wait_early() -> None:
    load = Load()
    found = settling.wait(0.4, 0.0, load.look, load.is_complete)
    assert found.seconds is not None
    assert 0.4 * LOOKED_AT / SLICES <= found.seconds < 0.4
    assert found.changing == {}


def test_unsettled_figures_take_the_whole_time() -> None:
    load = Load(step=100)
    began = time.monotonic()
    found = settling.wait(0.4, 0.0, load.look, load.is_complete)
    assert time.monotonic() - began >= 0.4
    assert found.seconds is None
    assert found.changing["asyncio"].median_after > found.changing["asyncio"].median_before


def test_slices_count_once_all_clients_are_there() -> None:
    load = Load(complete_after=6)
    found = settling.wait(2.0, 0.0, load.look, load.is_complete)
    assert found.seconds is not None
    assert found.seconds >= 2.0 * (6 + 1 + LOOKED_AT) / SLICES


def test_long_slices_say_nothing_in_time() -> None:
    load = Load()
    found = settling.wait(0.3, 0.1, load.look, load.is_complete)
    assert (found.seconds, found.changing) == (None, {})


class Changing:
    """Takes as long for a request as `course` says for the seconds since the first one."""

    def __init__(self, before: float, after: float, until: float) -> None:
        self._took = before, after
        self._until = until
        self._began: float | None = None

    def answer(self, stub: Stub, connection: socket.socket, line: bytes) -> bool:
        now = time.monotonic()
        self._began = self._began or now
        share = min(1.0, (now - self._began) / self._until)
        time.sleep(self._took[0] + (self._took[1] - self._took[0]) * share)
        return honest(stub, connection, line)


@pytest.mark.measures
def test_a_run_measures_once_figures_have_settled(tmp_path: Path) -> None:
    with Stub(Changing(0.01, 0.01, 1).answer) as stub:
        locust = run(tmp_path, *SATURATE, seconds=6, targets={"asyncio": stub.address})
    outcome = locust.outcome()
    assert outcome["warmup_seconds"] == 4
    assert 1.9 <= outcome["settled_seconds"] < 4
    assert outcome["window"]["seconds"] == pytest.approx(6 - outcome["settled_seconds"], abs=0.5)
    assert "not-settled" not in [each["name"] for each in outcome["warnings"]]


@pytest.mark.measures
def test_a_server_still_getting_faster_is_warned_of(tmp_path: Path) -> None:
    with Stub(Changing(0.05, 0.005, 5).answer) as stub:
        locust = run(tmp_path, *SATURATE, seconds=6, targets={"asyncio": stub.address})
    outcome = locust.outcome()
    assert outcome["settled_seconds"] is None
    assert outcome["window"]["seconds"] == pytest.approx(2, abs=0.4)
    [detail] = [each["detail"] for each in outcome["warnings"] if each["name"] == "not-settled"]
    assert detail.startswith("the figures still changed when the window began: asyncio (from ")


@pytest.mark.measures
def test_pausing_clients_keep_their_whole_warmup(tmp_path: Path) -> None:
    with Stub(honest) as stub:
        locust = run(tmp_path, *SATURATE, "--think", "0.01", seconds=6, targets={"asyncio": stub.address})
    outcome = locust.outcome()
    assert outcome["settled_seconds"] is None
    assert outcome["window"]["seconds"] == pytest.approx(2, abs=0.4)
    assert "not-settled" not in [each["name"] for each in outcome["warnings"]]


@pytest.mark.measures
def test_workers_figures_settle_by_their_reports(tmp_path: Path) -> None:
    options = (*SATURATE[:-1], "14", "-t", "16s", "--expect-workers", "2")
    stub = Stub(Changing(0.01, 0.01, 1).answer)
    with stub, Cluster(tmp_path, {"asyncio": stub.address}, *options) as cluster:
        for _ in range(2):
            cluster.start_worker()
        eventually(cluster.master.result.exists, "the run has ended", within=60)
        assert 9.9 <= cluster.master.outcome()["settled_seconds"] <= 14
