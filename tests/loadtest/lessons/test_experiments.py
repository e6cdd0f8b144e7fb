"""What lessons make of their runs, which are imagined here."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from loadtest.compare.candidates import Candidate
from loadtest.compare.measure import sampler
from loadtest.compare.measure.cgroups import Group, NoGroupError
from loadtest.compare.measure.machine import Cores
from loadtest.compare.measure.memory import MemoryRun, Point
from loadtest.compare.measure.run import Measured, RunFailedError, Serving
from loadtest.compare.measure.sampler import Reading, Usage
from loadtest.compare.plan import REACH, Workload
from loadtest.lessons.bench import Bench, FreezingLaboratory
from loadtest.lessons.chapters import accept_queue, await_callbacks, gil, knee, noisy_neighbour, thread_cost
from loadtest.lessons.result import Result, Row
from tests.loadtest.compare.results import one_run, warning

Play = Callable[[Candidate, Workload], Mapping[str, Any]]


class Imagined(FreezingLaboratory):
    """Runs that take no time. play: what is different in one; asked: what was asked for, in order."""

    play: Play

    def __init__(self, folder: Path, play: Play = lambda *_: {}) -> None:
        super().__init__(folder, Cores(frozenset({1}), frozenset({0}), frozenset({0})), Mock(), Mock())
        self.play = play
        self.asked: list[tuple[Candidate, Workload]] = []
        self.started: list[frozenset[int]] = []

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
        found = []
        for each in workloads:
            self.asked.append((candidate, each))
            made = one_run(candidate.name, each.scenario, each.clients, **self.play(candidate, each))
            found.append(Measured(made["load"], Usage(**{"turns": None, **made["usage"]}), 13.0))
        return found

    def start(self, candidate: Candidate, folder: Path, group: Group | NoGroupError | None = None) -> Serving:
        self.started.append(self.cores.server)
        return Serving(f"{candidate.name}:{len(self.started)}")


def bench(laboratory: FreezingLaboratory, shown: list[float | None] | None = None) -> Bench:
    told = [] if shown is None else shown
    return Bench(laboratory, lambda *_: None, told.append)


def responses(microseconds: int) -> dict[str, Any]:
    durations = {str(microseconds): 10_000}
    return {"histograms": {"response": durations, "service": durations, "connect": {}, "first_reply": {}}}


def test_await_is_measured_against_callbacks(tmp_path: Path) -> None:
    """Each pair in turn, on the loop that was chosen; 100,000 requests."""
    laboratory = Imagined(tmp_path, lambda candidate, _: {"server_cpu": 1.26 if candidate.name == "asyncio" else 1.0})
    shown: list[float | None] = []
    found = await_callbacks.measure(bench(laboratory, shown), "asyncio")
    assert [each.name for each, _ in laboratory.asked] == ["asyncio", "protocol"] * await_callbacks.TIMES
    assert {each.loop for each, _ in laboratory.asked} == {"asyncio"}
    assert shown == [pytest.approx(126)] * await_callbacks.TIMES
    assert found["asyncio"] == pytest.approx(126)
    assert found["protocol"] == 100
    assert found.asked.runs == await_callbacks.TIMES
    assert found.numbers == {"there": pytest.approx(10), "more": pytest.approx(2.6)}


@pytest.mark.parametrize(
    ("name", "told", "spoilt"),
    [
        *((name, False, False) for name in ("generator-cpu", "loop-lag", "starved")),
        *((name, True, True) for name in ("stolen-time", "corrupt")),
    ],
)
def test_cpu_is_warned_of_by_its_own(name: str, told: bool, spoilt: bool, tmp_path: Path) -> None:
    found = await_callbacks.measure(bench(Imagined(tmp_path, lambda *_: {"load_warnings": [warning(name)]})), "uvloop")
    assert (name in {each.name for each in found.asked.warnings}) == told
    assert found.asked.spoilt == spoilt


def test_a_pair_has_the_warnings_of_both(tmp_path: Path) -> None:
    def play(candidate: Candidate, _: Workload) -> dict[str, Any]:
        return {"load_warnings": [warning("stolen-time")] if candidate.name == "protocol" else []}

    found = await_callbacks.measure(bench(Imagined(tmp_path, play)), "uvloop")
    assert found.asked.spoilt
    assert [each.name for each in found.asked.warnings] == ["stolen-time"]


def test_without_a_cost_there_is_no_ratio(tmp_path: Path) -> None:
    """A processor time below the kernel's steps is no figure."""

    def play(candidate: Candidate, _: Workload) -> dict[str, Any]:
        return {"server_cpu": 0.05 if candidate.name == "protocol" else 1.0}

    found = await_callbacks.measure(bench(Imagined(tmp_path, play)), "uvloop")
    assert not found.complete
    assert "too little to be told" in found.asked.why


def test_the_rates_are_shares_of_what_is_reached(tmp_path: Path) -> None:
    took = {1620.0: 400, 3240.0: 440, 4320.0: 1200}

    def play(_: Candidate, workload: Workload) -> dict[str, Any]:
        if workload.rate == REACH:
            return {"verified": 54_000}
        return responses(took[workload.rate or 0.0])

    laboratory, shown = Imagined(tmp_path, play), list[float | None]()
    found = knee.measure(bench(laboratory, shown), 80)
    assert [each.rate for _, each in laboratory.asked] == [REACH, *took] * knee.TIMES
    assert shown == [pytest.approx(3)] * knee.TIMES
    assert {name: found[name] for name in ("high", "middle", "low")} == pytest.approx(
        {"high": 3, "middle": 1.1, "low": 1}
    )
    assert found.numbers == pytest.approx(
        {"reached": 5400, "free": 20, "wait": 4 / (3 / 7), "low_ms": 0.4, "high_ms": 1.2}
    )


def test_what_disturbs_the_highest_rate_spoils_its_shares(tmp_path: Path) -> None:
    def play(_: Candidate, workload: Workload) -> dict[str, Any]:
        if workload.rate == REACH:
            return {"verified": 54_000, "load_warnings": [warning("stolen-time"), warning("loop-lag")]}
        return responses(400)

    found = knee.measure(bench(Imagined(tmp_path, play)), 80)
    assert found.rows[0].spoilt
    assert [each.name for each in found.rows[0].warnings] == ["stolen-time"]


def test_the_high_rates_time_is_measured(tmp_path: Path) -> None:
    """It is no product of medians, which differs where the runs do."""
    low = itertools.cycle([200, 600])

    def play(_: Candidate, workload: Workload) -> dict[str, Any]:
        if workload.rate == REACH:
            return {"verified": 54_000}
        return responses(next(low) if workload.rate == 1620 else 1200)

    found = knee.measure(bench(Imagined(tmp_path, play)), 80)
    assert found["high"] == pytest.approx(4)
    assert found.numbers["high_ms"] == pytest.approx(1.2)


def test_a_server_that_reaches_nothing_fails(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="the server answered nothing: no request was answered"):
        knee.measure(bench(Imagined(tmp_path, lambda *_: {"verified": 0})), 90)


@pytest.mark.parametrize("verified", [40, 800])
def test_the_expected_wait_is_the_scenarios(verified: int, tmp_path: Path) -> None:
    """Four pauses of 15 ms for each of the 29 others, less 1 s away; however fast the server was."""

    def play(candidate: Candidate, _: Workload) -> dict[str, Any]:
        waited = {"900000" if candidate.name == "single" else "1000": 100}
        return {"verified": verified, "histograms": {**responses(1)["histograms"], "first_reply": waited}}

    found = accept_queue.measure(bench(Imagined(tmp_path, play)), 30)
    assert found["single"] == pytest.approx(0.9)
    assert found.numbers == pytest.approx(
        {"others": 29, "pauses": 4, "milliseconds": 60, "round": 1.74, "expected": 0.74, "short": 1}
    )


def test_weighing_that_ends_early_counts_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three servers are weighed within a minute."""

    def weigh(_: Candidate, clients: int) -> MemoryRun:
        steps = range(0, clients + 1, clients // 10)
        points = tuple(
            Point(each, each, 20_000 * each, each, {"anon": 20_000 * each, "kernel": 30_000 * each, "sock": 0})
            for each in steps
        )
        return MemoryRun(clients, clients, clients, 0, points, points, 1.0)

    laboratory, seconds = Imagined(tmp_path), itertools.count(0.0, 20.0)
    monkeypatch.setattr(laboratory, "weigh", weigh)
    weighing = Bench(laboratory, lambda *_: None, lambda _: None, lambda: next(seconds))
    found = thread_cost.measure(weighing, "threaded")
    assert found["threaded"] == pytest.approx(50)
    assert found.asked.runs < thread_cost.TIMES
    assert found.numbers["kernel"] == pytest.approx(30)


def test_a_fast_machine_keeps_the_claim() -> None:
    """Also where a WORK takes 25 ms only."""
    rows = (Row("asyncio", 40.0), Row("threaded", 5.1))
    assert noisy_neighbour.holds(Result(rows, {"work": 25.0, "turn": 5.0}))


def test_the_neighbour_is_beside_both_servers(tmp_path: Path) -> None:
    took = {"threaded": 5_100, "asyncio": 129_000}
    laboratory = Imagined(tmp_path, lambda candidate, _: responses(took[candidate.name]))
    found = noisy_neighbour.measure(bench(laboratory), "threaded")
    assert found.asked.name == "threaded"
    assert found["threaded"] == pytest.approx(5.1)
    assert found["asyncio"] == pytest.approx(129)
    assert found.numbers["work"] == pytest.approx(90)
    assert [each.name for each, _ in laboratory.asked] == ["threaded"] * 3 + ["asyncio"] * 3


@pytest.mark.parametrize(
    ("others", "stolen", "told"),
    [
        (0.1, 0.01, set()),
        (0.2, 0.01, {"other programs used 20% of a core meanwhile"}),
        (0.1, 0.05, {"the virtual machine's host kept back 5% of a core meanwhile"}),
    ],
)
def test_threads_and_processes_have_every_core(
    others: float, stolen: float, told: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of 10 requests/s for each process, whatever the number of threads; a reading every 2 s."""
    every = (Reading(2.0 * n, 1.9 * n, 0.0, 1, 1, (1.9 + 2 * others) * n, 2 * stolen * n) for n in range(1000))
    monkeypatch.setattr(sampler, "take_reading", lambda *_: next(every))
    monkeypatch.setattr(gil, "speed", lambda servers, _: 10.0 * len(set(servers)) + 0.1 * (len(servers) - 1))
    laboratory = Imagined(tmp_path)
    found = gil.measure(bench(laboratory), 3)
    assert laboratory.started == [frozenset({0, 1})] * 3
    assert laboratory.cores.server == {1}
    assert found["threads"] == pytest.approx(1.02)
    assert found["processes"] == pytest.approx(3.02)
    assert found.numbers["cores"] == 2
    assert [each.runs for each in found.rows] == [gil.TIMES] * 2
    assert [each.spoilt for each in found.rows] == [bool(told)] * 2
    assert {each.detail for each in found.asked.warnings} == told


@contextmanager
def computing(reply: bytes, compute: Callable[[], object] = lambda: time.sleep(0.02)) -> Iterator[str]:
    """Serve each client from a thread of its own; the address."""

    def converse(client: socket.socket) -> None:
        with client:
            while client.recv(4096):
                compute()
                client.sendall(reply)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_clients_ask_again_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the end a request is computed only once all three clients have asked."""
    monkeypatch.setattr(gil, "SECONDS", 0.2)
    together, met = threading.Barrier(3), []

    def compute() -> None:
        with suppress(threading.BrokenBarrierError):
            met.append(together.wait(2))

    with ExitStack() as servers:
        one, other = (servers.enter_context(computing(b"OK done\n", compute)) for _ in range(2))
        assert gil.speed([one, one, other], Mock()) > 1
    assert len(met) >= 6  # two rounds


@pytest.mark.parametrize("reply", [b"ERR full\n", b""])
def test_a_wrong_reply_is_no_figure(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gil, "_REPLIES_WITHIN", 0.1)
    monkeypatch.setattr(gil, "SECONDS", 0.2)
    why = "answered b'ERR full" if reply else "does not answer"
    with computing(reply) as server, pytest.raises(RunFailedError, match=why):
        gil.speed([server], Mock())


def test_a_server_that_is_away_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(RunFailedError, match="a server left: "):
        gil.speed([address], Mock())
