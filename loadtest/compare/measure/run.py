"""Makes one run of the plan, with a fresh server and a fresh generator."""

import json
import math
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from loadtest.client.outcomes import split_address
from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.compare.measure import cgroups, load, memory, sampler
from loadtest.compare.measure.calibration import calibrate
from loadtest.compare.measure.cgroups import Group, NoGroupError
from loadtest.compare.measure.exported import Exported, NotExportedError
from loadtest.compare.measure.idle_clients import TooFewDescriptorsError, WrongReplyError
from loadtest.compare.measure.machine import Cores
from loadtest.compare.measure.process_memory import ProcessMemory
from loadtest.compare.plan import Workload, under_load
from loadtest.lab.processes import READY, Child, ChildFailedError, Children, Interrupt, python_environment

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""

_NULL_SERVER_READY: Final = re.compile(r"ready (?P<port>\d+)")  # loadtest/lab/null_server.py prints it

_READY_WITHIN = 20.0
_ENDS_WITHIN = 30.0  # seconds that the generator may take beyond warm-up and window, to start and to end
_SPEAKS_WITHIN = 2.0

_NOT_WEIGHED: Final = (memory.NotMeasuredError, NotExportedError, TooFewDescriptorsError, WrongReplyError)


class RunFailedError(Exception):
    """The run could not be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    A run's result.

    load: the load's result for it. usage: CPU and memory, from outside. took: seconds, with starting and ending; of a
    sweep, all its runs'. interpreter: the server's at the end (Exported.interpreter). calibration: the machine's speed
    before and after (calibration.py); () if it wasn't measured.
    """

    load: Mapping[str, Any]
    usage: sampler.Usage
    took: float
    interpreter: Mapping[str, Any] | None = None
    calibration: tuple[list[float], ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """A server. address: host:port. child: None if it was not started here. metrics: its /metrics, "" if unknown."""

    address: str
    child: Child | None = None
    metrics: str = ""


class Laboratory:
    """Makes runs. folder: for the processes' output; the caller removes it."""

    def __init__(self, folder: Path, cores: Cores, children: Children, interrupt: Interrupt) -> None:
        self.folder = folder
        self.cores = cores
        self.children = children
        self.interrupt = interrupt
        self._number = 0

    def server_command(self, candidate: Candidate) -> list[str]:
        """Return the command that starts one of the lab's servers on free ports of loopback."""
        here = ["--host", "127.0.0.1", "--port", "0", "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        return [candidate.python or sys.executable, "-m", "servers", candidate.variant, *candidate.options, *here]

    def null_server_command(self) -> list[str]:
        """Return the command that starts the null server on a free port of loopback."""
        return [sys.executable, "-m", "loadtest.lab.null_server"]

    def load_command(self, candidate: Candidate, workloads: Sequence[Workload], result: Path) -> list[str]:
        """
        Return the command that loads the address of `users_of(candidate)`, and writes `result`.

        workloads: one; or several that differ by their rate alone.
        """
        workload = workloads[0]
        rates = ",".join(f"{each.rate:.12g}" for each in workloads if each.rate)
        return [
            *(sys.executable, "-m", "locust", "--locustfile", "loadtest/locustfile.py"),
            *("--headless", "--only-summary", "--loglevel", "WARNING"),
            # Failed requests are in the result; the status says whether Locust itself failed.
            *("--exit-code-on-error", "0"),
            *("--users", str(workload.clients), "--spawn-rate", str(arrivals(workload))),
            *("--run-time", f"{under_load(workloads)}s"),
            *(("--sweep", rates) if rates else ()),
            *("--scenario", workload.scenario, "--warmup", str(workload.warmup), "--result", str(result)),
            *(() if workload.think is None else ("--think", f"{workload.think:g}")),
            *(() if workload.size is None else ("--size", str(workload.size))),
            # Any free port, because another lab may use the usual one; a comparison is not scraped.
            *("--exporter-host", "127.0.0.1", "--exporter-port", "0"),
            f"{users_of(candidate).title()}User",
        ]

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
        """
        Put a workload on a fresh server of `candidate`, and return the result.

        workloads: one; or several that differ by their rate alone, one after another: then a result for each.

        Raises RunFailedError if the server or the generator failed, InterruptedByUserError if the user interrupted;
        both processes have ended in any case, the generator first.
        """
        folder = self._new_folder()
        cores = self.cores.server | self.cores.generator
        before = calibrate(cores)
        try:
            measured = self._put(self.start(candidate, folder), candidate, workloads, folder)
        finally:
            self.children.end()
        after = calibrate(cores)
        return [replace(each, calibration=(before, after)) for each in measured]

    def weigh(self, candidate: Candidate, clients: int) -> memory.MemoryRun:
        """
        Return the memory of a fresh server with this many clients; raises what `put` does.

        The server gets a control group, if one is available. A run under a load has none, because counting socket
        buffers costs time for each packet, and not on every machine.
        """
        folder = self._new_folder()
        with cgroups.group() as group:
            try:
                serving = self.start(candidate, folder, group)
                return memory.measure(_weighable(serving, group), clients, self.interrupt.sleep)
            except (*_NOT_WEIGHED, psutil.Error) as error:
                raise RunFailedError(str(error)) from error
            finally:
                self.children.end()

    def put_on_null_server(self, workload: Workload) -> Measured:
        """Put `workload` on the null server, and return the result; raises what `put` does."""
        folder = self._new_folder()
        try:
            child = self._start("sink", self.null_server_command(), folder)
            said = self._ready(child, _NULL_SERVER_READY)
            [measured] = self._put(Serving(f"127.0.0.1:{said['port']}", child), LAB[TEXTBOOK[0]], [workload], folder)
        finally:
            self.children.end()
        if not load.read(measured.load).verified:
            raise RunFailedError("the sink answered nothing")
        return measured

    def start(self, candidate: Candidate, folder: Path, group: Group | NoGroupError | None = None) -> Serving:
        """Start a server of `candidate`, unless it already runs; RunFailedError if it doesn't serve."""
        join = group if isinstance(group, Group) else None
        name = f"{candidate.name}-server"
        if candidate.address:
            return Serving(candidate.address, metrics=candidate.metrics)
        if candidate.variant:
            child = self._start(name, self.server_command(candidate), folder, join)
            said = self._ready(child, READY)
            return Serving(f"{said['host']}:{said['port']}", child, said["metrics"])
        port = str(_free_port())
        command = [part.replace("{port}", port) for part in candidate.command]
        child = self._start(name, command, folder, join, Path(candidate.folder or ROOT))
        address = f"127.0.0.1:{port}"
        deadline = time.monotonic() + _READY_WITHIN
        while why := silence(address):
            if child.status() is not None or time.monotonic() > deadline:
                raise RunFailedError(f"{name} does not serve: {why}: {child.tail()}")
            self.interrupt.sleep(0.05)
        ready = READY.search(child.out.read_text(errors="replace"))  # one of the lab's, started by a command
        return Serving(address, child, ready["metrics"] if ready else "")

    def _new_folder(self) -> Path:
        self._number += 1
        folder = self.folder / f"{self._number:04}"
        folder.mkdir()
        return folder

    def _start(
        self, name: str, command: Sequence[str], folder: Path, group: Group | None = None, cwd: Path = ROOT
    ) -> Child:
        procs = group.procs if group else None
        try:
            return self.children.add(
                Child(name, command, folder, cwd=cwd, env=python_environment(), cores=self.cores.server, group=procs)
            )
        except ChildFailedError as error:
            raise RunFailedError(str(error)) from error

    def _ready(self, child: Child, line: re.Pattern[str]) -> dict[str, str]:
        try:
            return child.wait_for_line(line, _READY_WITHIN, self.interrupt).groupdict()
        except ChildFailedError as error:
            raise RunFailedError(str(error)) from error

    def _put(
        self, serving: Serving, candidate: Candidate, workloads: Sequence[Workload], folder: Path
    ) -> list[Measured]:
        """Put workloads on a ready server; folder: for the generator's output."""
        began = time.monotonic()
        try:
            server = sampler.Server.of(serving.child.pid) if serving.child else None
            idle = server.read()[1] if server else None
            result = folder / "load.json"
            env = python_environment(**{f"TCPLAB_{users_of(candidate).upper()}": serving.address})
            command = self.load_command(candidate, workloads, result)
            generator = self.children.add(
                Child("locust", command, folder, cwd=ROOT, env=env, cores=self.cores.generator)
            )
            readings = self._watch(under_load(workloads), serving.child, server, generator)
            python = Exported(serving.metrics).interpreter() if serving.metrics else None
            found = load.windows(_read(result, generator))
            usages = [sampler.between(readings, each.started, each.ended, idle) for each in map(load.read, found)]
        except (ChildFailedError, load.UnreadableError, psutil.Error, ValueError) as error:
            raise RunFailedError(str(error)) from error
        if len(found) != len(workloads):
            raise RunFailedError(f"the load measured {len(found)} of {len(workloads)} rates: {generator.tail()}")
        took = time.monotonic() - began
        return [Measured(each, usage, took, python) for each, usage in zip(found, usages, strict=True)]

    def _watch(
        self, seconds: float, child: Child | None, server: sampler.Server | None, generator: Child
    ) -> list[sampler.Reading]:
        """Sample both until the generator has ended, which should be after so many seconds of load."""
        process = psutil.Process(generator.pid)
        deadline = time.monotonic() + seconds + _ENDS_WITHIN
        readings = [sampler.take_reading(server, process, self.cores.server)]
        while generator.status() is None:
            if child:
                child.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{generator.name} did not end in time: {generator.tail()}")
            self.interrupt.sleep(sampler.INTERVAL)
            # Before the generator is reaped; the last one is after the window.
            readings.append(sampler.take_reading(server, process, self.cores.server))
        if child:
            child.check()
        return readings


def arrivals(workload: Workload) -> int:
    """
    Return how many clients start per second: all of them within two thirds of the warm-up, or within a second.

    Thousands at the same time would measure how a server survives that, not how many it serves. Those at a rate connect
    when their first request is due, so they may start at the same time.
    """
    if workload.rate:
        return workload.clients
    return max(1, math.ceil(workload.clients / max(1.0, workload.warmup * 2 / 3)))


def users_of(candidate: Candidate) -> str:
    """Return the variant whose Locust users load a candidate: its own, or any, because all send alike."""
    return candidate.variant or TEXTBOOK[-1]


def is_confined(pid: int) -> bool:
    """
    Whether a process is in another control group than this one, so that the group's memory is its own.

    A server that we start is in our group, unless its command uses `systemd-run --scope`.
    """
    try:
        return Path(f"/proc/{pid}/cgroup").read_text() != Path("/proc/self/cgroup").read_text()
    except OSError:
        return False


def _weighable(serving: Serving, group: Group | NoGroupError) -> memory.Serving:
    """Return how to read a server's memory. Raises RunFailedError if that's impossible, and what `charges` does."""
    host, port = split_address(serving.address)
    if serving.child is not None:
        pid = serving.child.pid
        return memory.Serving(host, port, ProcessMemory(pid), *charges(pid, serving.metrics, group))
    if not serving.metrics:
        raise RunFailedError(sampler.NOT_OURS)
    exported = Exported(serving.metrics)
    charged = exported.was_charged if exported.charged() else None
    return memory.Serving(host, port, exported, charged, "it exports no memory of a container of its own")


def charges(pid: int, metrics: str, group: Group | NoGroupError) -> tuple[Callable[[], Mapping[str, int]] | None, str]:
    """
    Return a function that reads the memory charged to a server alone, by part; or None and the reason.

    pid: its first process. metrics: its /metrics, "" without any. group: the one that it should have joined. Raises
    psutil.Error if it has ended, NotExportedError if its /metrics can't be read.
    """
    if isinstance(group, Group) and group.holds(each.pid for each in sampler.Server.of(pid).processes):
        return group.charged, ""
    if metrics and is_confined(pid) and (exported := Exported(metrics)).charged():
        return exported.charged, ""
    if isinstance(group, NoGroupError):
        return None, f"no control group of its own: {group}"
    return None, f"no control group of its own: not all of its processes could join {group.folder}, or stayed in it"


def silence(address: str) -> str:
    """Return why "host:port" does not answer an ECHO, in a few words; "" if it does."""
    try:
        with socket.create_connection(split_address(address), timeout=_SPEAKS_WITHIN) as client:
            client.sendall(b"ECHO are you there\n")
            reply = b""
            while b"\n" not in reply and (data := client.recv(4096)):
                reply += data
            with suppress(OSError):
                client.sendall(b"QUIT\n")
    except OSError as error:
        return error.strerror or str(error)
    return "" if reply == b"OK are you there\n" else f"it answered {reply[:40]!r} to an ECHO"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _read(result: Path, generator: Child) -> Mapping[str, Any]:
    if generator.status() != 0:
        generator.check()
    try:
        found: Mapping[str, Any] = json.loads(result.read_text())
    except (OSError, ValueError) as error:
        raise RunFailedError(f"the load's result can't be read ({error}): {generator.tail()}") from error
    return found
