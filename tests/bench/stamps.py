"""The load in the open model against a server of one request at a time, both with the kernel's time stamps."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from loadtest.recording.histogram import Histogram, count, quantile
from loadtest.run_warnings import TakesOut, takes_out
from tests.support.load.locust import assert_conserved, durations, headless, warnings
from tests.support.processes import ROOT, announced
from tests.support.queueing import Due, replay
from tests.support.stubs.one_at_a_time import Served

WARM_UP: Final = 2
"""Seconds in which the clients connect, and the kernel begins with its stamps."""


class Stamped(NamedTuple):
    """
    A request of the load.

    due: nanoseconds of the load's steady clock. replied: when the kernel had the reply, by the wall clock. counts:
    whether its reply is among the later ones of the run's window.
    """

    text: str
    due: int
    replied: int
    counts: bool


@dataclass(frozen=True)
class Run:
    """A run: the variant's part of the result, its warnings, the load's requests, and the stub's in its order."""

    part: dict[str, Any]
    warnings: frozenset[str]
    stamped: Sequence[Stamped]
    served: Sequence[Served]

    @property
    def disturbed(self) -> bool:
        """Whether other work kept the load from its core, or its sends from their time."""
        return any(takes_out(name) != TakesOut.NOTHING for name in self.warnings)

    def reported(self, fraction: float) -> int:
        """Return a quantile of the result's response times, in microseconds."""
        return _microseconds(durations(self.part, "response"), fraction)

    def send_delay(self, fraction: float) -> int:
        """Return a quantile in microseconds of how late requests left, as the load recorded it; 0 if none waited."""
        found = quantile({int(key): number for key, number in self.part["send_delay"].items()}, fraction)
        return found.microseconds if found else 0

    def services(self) -> list[tuple[str, int]]:
        """
        Return texts and service times (nanoseconds) in the stub's order, by the kernel's stamps.

        From when the request was there, or the reply before it if that was later, until its own reply was there.
        """
        replied = {each.text: each.replied for each in self.stamped}
        found = []
        free = 0
        for each in self.served:
            end = replied[each.text] or each.sent  # its client was stopped, or the kernel did not stamp yet
            found.append((each.text, end - max(free, each.arrived)))
            free = end
        return found

    def truth(self, fraction: float) -> int:
        """
        Return a quantile in microseconds of the response times, had the queue alone delayed the requests that count.

        The queue is a replay: of when each was due, and of what the stub took by the kernel's stamps.
        """
        counting = {each.text for each in self.stamped if each.counts}
        times = replay((Due(each.text, each.due) for each in self.stamped), self.services())
        record: Histogram = {}
        for nanoseconds, each in zip(times, self.served, strict=True):
            if each.text in counting:
                count(record, nanoseconds // 1000)
        assert sum(record.values()) == sum(durations(self.part, "response").values()), "the same requests"
        return _microseconds(record, fraction)


def _microseconds(histogram: Histogram, fraction: float) -> int:
    found = quantile(histogram, fraction)
    assert found is not None
    return found.microseconds


def measure(folder: Path, service: int, clients: int, load: float, seconds: int) -> Run:
    """Load a stub of `service` microseconds to a share `load` of what it can do, each process on its own core."""
    server_core, load_core, *_ = sorted(os.sched_getaffinity(0))
    folder.mkdir(parents=True)
    stamps = folder / "stamps.json"
    with announced("tests.support.stubs.one_at_a_time", str(service)) as (stub, said):
        assert stub.stdout is not None
        os.sched_setaffinity(stub.pid, {server_core})
        with headless(
            folder,
            *("AsyncioUser", "-u", str(clients), "-r", "1000", "--scenario", "saturate"),
            *("--rate", str(load * 1e6 / service), "--warmup", str(WARM_UP)),
            seconds=seconds + WARM_UP,
            locustfile=ROOT / "tests" / "bench" / "stamped_load.py",
            targets={"asyncio": f"127.0.0.1:{said.split()[1]}"},
            environment={"TCPLAB_STAMPS": str(stamps)},
        ) as locust:
            os.sched_setaffinity(locust.process.pid, {load_core})
            assert locust.ended(seconds + 40) == 0, locust.log
        stub.terminate()
        served = [Served(*each) for each in json.loads(stub.stdout.read())]
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert outcome["arrivals"] == "poisson"
    assert_conserved(part)
    stamped = [Stamped(*each) for each in json.loads(stamps.read_text())]
    return Run(part, frozenset(warnings(outcome)), stamped, served)
