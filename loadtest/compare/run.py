"""Runs one cell of the plan: a fresh server, a fresh generator and an observer, all ended afterwards."""

import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from loadtest.compare import load, observe
from loadtest.compare.figures import Ceiling, ceiling
from loadtest.compare.machine import Cores
from loadtest.compare.plan import ALL_VARIANTS, Case, Cell
from loadtest.processes import READY, Child, ChildFailedError, Children, Interrupt, python_environment

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: where `python -m servers` and the locustfile are found."""

_SINK_READY: Final = re.compile(r"ready (?P<port>\d+)")  # loadtest/sink.py prints it

_READY_WITHIN = 20.0
_ENDS_WITHIN = 30.0  # seconds that the generator may take beyond warm-up and window, to start and to end


class CellFailedError(Exception):
    """The cell could not be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What a cell gave, as it is kept in the result.

    load: the load run's own result, whole. usage: CPU and memory as seen from outside (observe.Usage). took:
    seconds, with starting and ending.
    """

    load: Mapping[str, Any]
    usage: observe.Usage
    took: float


class _Subject(NamedTuple):
    """
    What meets a load.

    name: how messages call it. ready: the line with which it says that it serves, with its port and, unless it's
    loopback, its host. users: the variant whose users it meets; all of them send alike.
    """

    name: str
    command: list[str]
    ready: re.Pattern[str]
    users: str


class Laboratory:
    """
    Where and with what the cells are run.

    folder: for what the processes write; whoever made it removes it. cores: who runs where.
    """

    def __init__(self, folder: Path, cores: Cores, children: Children, interrupt: Interrupt) -> None:
        self.folder = folder
        self.cores = cores
        self.children = children
        self.interrupt = interrupt

    def server_command(self, variant: str) -> list[str]:
        """Return the command that starts `variant` on free ports of loopback."""
        here = ["--host", "127.0.0.1", "--port", "0", "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        return [sys.executable, "-m", "servers", variant, *here]

    def sink_command(self) -> list[str]:
        """Return the command that starts the sink on a free port of loopback."""
        return [sys.executable, "-m", "loadtest.sink"]

    def load_command(self, variant: str, case: Case, result: Path) -> list[str]:
        """Return the command that puts `case` on `variant`, at TCPLAB_<VARIANT>, and writes `result`."""
        return [
            *(sys.executable, "-m", "locust", "--locustfile", "loadtest/locustfile.py"),
            *("--headless", "--only-summary", "--loglevel", "WARNING"),
            # Failed requests are a finding of ours, in the result; the status is to say whether Locust itself failed.
            *("--exit-code-on-error", "0"),
            *("--users", str(case.clients), "--spawn-rate", str(case.clients)),
            *("--run-time", f"{case.warmup + case.seconds}s"),
            *("--scenario", case.scenario, "--warmup", str(case.warmup), "--result", str(result)),
            # Any free port: another lab on this machine may have the usual one, and nobody scrapes a comparison.
            *("--exporter-host", "127.0.0.1", "--exporter-port", "0"),
            f"{variant.title()}User",
        ]

    def measure(self, cell: Cell) -> Measured:
        """
        Run `cell` and return what it gave.

        Raises CellFailedError if the server or the generator failed, InterruptedByUserError if the user asked for an
        end; in any case both processes have ended by then, the generator first.
        """
        server = _Subject(f"{cell.variant}-server", self.server_command(cell.variant), READY, cell.variant)
        return self._measure(server, cell.case, f"{cell.number:03}")

    def measure_ceiling(self, case: Case) -> Ceiling:
        """Put `case` on a sink and return what it says about the generator; raises what `measure` does."""
        sink = _Subject("sink", self.sink_command(), _SINK_READY, ALL_VARIANTS[0])
        measured = self._measure(sink, case, "ceiling")
        found = load.read(measured.load, sink.users)
        if not found.verified:
            raise CellFailedError("the sink answered nothing")
        return ceiling(case, found, measured.usage)

    def _measure(self, subject: _Subject, case: Case, where: str) -> Measured:
        """Put `case` on `subject`; what the processes write goes to the folder `where`."""
        began = time.monotonic()
        folder = self.folder / where
        folder.mkdir()
        try:
            server = self.children.add(
                Child(
                    subject.name, subject.command, folder, cwd=ROOT, env=python_environment(), cores=self.cores.server
                )
            )
            serving = {
                "host": "127.0.0.1",
                **server.wait_for_line(subject.ready, _READY_WITHIN, self.interrupt).groupdict(),
            }
            idle = psutil.Process(server.pid).memory_info().rss
            result = folder / "load.json"
            generator = self._start_load(subject.users, case, folder, f"{serving['host']}:{serving['port']}", result)
            samples = self._watch(case, server, generator)
            found = _read(result, generator)
            window = load.read(found, subject.users)
            usage = observe.between(samples, window.started, window.ended, idle)
        except (ChildFailedError, load.UnreadableError, psutil.Error, ValueError) as error:
            raise CellFailedError(str(error)) from error
        finally:
            self.children.end()
        return Measured(found, usage, time.monotonic() - began)

    def _start_load(self, users: str, case: Case, folder: Path, address: str, result: Path) -> Child:
        env = python_environment(**{f"TCPLAB_{users.upper()}": address})
        command = self.load_command(users, case, result)
        return self.children.add(Child("locust", command, folder, cwd=ROOT, env=env, cores=self.cores.generator))

    def _watch(self, case: Case, server: Child, generator: Child) -> list[observe.Sample]:
        """Sample both until the generator has ended."""
        processes = psutil.Process(server.pid), psutil.Process(generator.pid)
        deadline = time.monotonic() + case.warmup + case.seconds + _ENDS_WITHIN
        samples = [observe.sample(*processes)]
        while generator.status() is None:
            server.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{generator.name} did not end in time: {generator.tail()}")
            self.interrupt.sleep(observe.INTERVAL)
            samples.append(observe.sample(*processes))  # before it is reaped: the last sample is after the window
        server.check()
        return samples


def _read(result: Path, generator: Child) -> Mapping[str, Any]:
    if generator.status() != 0:
        generator.check()
    try:
        found: Mapping[str, Any] = json.loads(result.read_text())
    except (OSError, ValueError) as error:
        raise CellFailedError(f"the load left no result that can be read ({error}): {generator.tail()}") from error
    return found
