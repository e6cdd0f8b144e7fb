"""Makes one run of the plan: a fresh server, a fresh generator and an observer, all ended afterwards."""

import json
import math
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from loadtest.client.outcomes import split_address
from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.compare.measure import groups, load, memory, sampler
from loadtest.compare.measure.exported import Exported, NotExportedError
from loadtest.compare.measure.groups import Group, NoGroupError
from loadtest.compare.measure.idle_clients import TooFewDescriptorsError, WrongReplyError
from loadtest.compare.measure.machine import Cores
from loadtest.compare.measure.process_memory import ProcessMemory
from loadtest.compare.plan import Workload
from loadtest.lab.processes import READY, Child, ChildFailedError, Children, Interrupt, python_environment

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: where `python -m servers` and the locustfile are found."""

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
    What a run gave, as it is kept in the result.

    load: the load run's own result, whole. usage: CPU and memory as seen from outside (sampler.Usage). took:
    seconds, with starting and ending.
    """

    load: Mapping[str, Any]
    usage: sampler.Usage
    took: float


@dataclass(frozen=True, slots=True)
class Serving:
    """
    A server that meets a load.

    address: host:port. child: its process; None if it was not started here. metrics: where it serves /metrics, "" if
    that isn't known.
    """

    address: str
    child: Child | None = None
    metrics: str = ""


class Laboratory:
    """
    Where and with what the runs are made.

    folder: for what the processes write; whoever made it removes it. cores: who runs where.
    """

    def __init__(self, folder: Path, cores: Cores, children: Children, interrupt: Interrupt) -> None:
        self.folder = folder
        self.cores = cores
        self.children = children
        self.interrupt = interrupt
        self._number = 0

    def server_command(self, candidate: Candidate) -> list[str]:
        """Return the command that starts one of the lab's servers on free ports of loopback."""
        here = ["--host", "127.0.0.1", "--port", "0", "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        return [sys.executable, "-m", "servers", candidate.variant, *candidate.options, *here]

    def null_server_command(self) -> list[str]:
        """Return the command that starts the sink on a free port of loopback."""
        return [sys.executable, "-m", "loadtest.lab.null_server"]

    def load_command(self, candidate: Candidate, workload: Workload, result: Path) -> list[str]:
        """Return the command that puts `workload` on the address of `users_of(candidate)`, and writes `result`."""
        return [
            *(sys.executable, "-m", "locust", "--locustfile", "loadtest/locustfile.py"),
            *("--headless", "--only-summary", "--loglevel", "WARNING"),
            # Failed requests are a finding of ours, in the result; the status is to say whether Locust itself failed.
            *("--exit-code-on-error", "0"),
            *("--users", str(workload.clients), "--spawn-rate", str(arrivals(workload))),
            *("--run-time", f"{workload.warmup + workload.seconds}s"),
            *("--scenario", workload.scenario, "--warmup", str(workload.warmup), "--result", str(result)),
            *(() if workload.think is None else ("--think", f"{workload.think:g}")),
            # Any free port: another lab on this machine may have the usual one, and nobody scrapes a comparison.
            *("--exporter-host", "127.0.0.1", "--exporter-port", "0"),
            f"{users_of(candidate).title()}User",
        ]

    def put(self, candidate: Candidate, workload: Workload) -> Measured:
        """
        Put `workload` on a fresh server of `candidate`, and return what that gave.

        Raises RunFailedError if the server or the generator failed, InterruptedByUserError if the user asked for an
        end; in any case both processes have ended by then, the generator first.
        """
        folder = self._new_folder()
        try:
            return self._put(self.start(candidate, folder), candidate, workload, folder)
        finally:
            self.children.end()

    def weigh(self, candidate: Candidate, clients: int) -> memory.MemoryRun:
        """
        Give a fresh server so many clients, and return the memory that they took; raises what `put` does.

        It has a control group of its own, where there is one to be had. No run under a load has: counting what is in
        socket buffers costs time for each packet, and not every machine does it.
        """
        folder = self._new_folder()
        with groups.group() as group:
            try:
                serving = self.start(candidate, folder, group)
                return memory.measure(_weighable(serving, group), clients, self.interrupt.sleep)
            except (*_NOT_WEIGHED, psutil.Error) as error:
                raise RunFailedError(str(error)) from error
            finally:
                self.children.end()

    def put_on_null_server(self, workload: Workload) -> Measured:
        """Put `workload` on a sink that does next to nothing, and return what that gave; raises what `put` does."""
        folder = self._new_folder()
        try:
            child = self._start("sink", self.null_server_command(), folder)
            said = self._ready(child, _NULL_SERVER_READY)
            measured = self._put(Serving(f"127.0.0.1:{said['port']}", child), LAB[TEXTBOOK[0]], workload, folder)
        finally:
            self.children.end()
        if not load.read(measured.load).verified:
            raise RunFailedError("the sink answered nothing")
        return measured

    def start(self, candidate: Candidate, folder: Path, group: Group | NoGroupError | None = None) -> Serving:
        """
        Start a fresh server of `candidate`, unless it runs already; RunFailedError if it doesn't serve.

        group: the control group that it joins, if it may.
        """
        join = group if isinstance(group, Group) else None
        name = f"{candidate.name}-server"
        if candidate.address:
            return Serving(candidate.address, metrics=candidate.metrics)
        if candidate.variant:
            child = self._start(name, self.server_command(candidate), folder, join)
            said = self._ready(child, READY)
            return Serving(f"{said['host']}:{said['port']}", child, said["metrics"])
        port = str(_free_port())
        child = self._start(name, [part.replace("{port}", port) for part in candidate.command], folder, join)
        address = f"127.0.0.1:{port}"
        deadline = time.monotonic() + _READY_WITHIN
        while why := silence(address):
            if child.status() is not None or time.monotonic() > deadline:
                raise RunFailedError(f"{name} does not serve: {why}: {child.tail()}")
            self.interrupt.sleep(0.05)
        ready = READY.search(child.out.read_text(errors="replace"))  # one of the lab's, started in another way
        return Serving(address, child, ready["metrics"] if ready else "")

    def _new_folder(self) -> Path:
        self._number += 1
        folder = self.folder / f"{self._number:04}"
        folder.mkdir()
        return folder

    def _start(self, name: str, command: Sequence[str], folder: Path, group: Group | None = None) -> Child:
        procs = group.procs if group else None
        try:
            return self.children.add(
                Child(name, command, folder, cwd=ROOT, env=python_environment(), cores=self.cores.server, group=procs)
            )
        except ChildFailedError as error:
            raise RunFailedError(str(error)) from error

    def _ready(self, child: Child, line: re.Pattern[str]) -> dict[str, str]:
        try:
            return child.wait_for_line(line, _READY_WITHIN, self.interrupt).groupdict()
        except ChildFailedError as error:
            raise RunFailedError(str(error)) from error

    def _put(self, serving: Serving, candidate: Candidate, workload: Workload, folder: Path) -> Measured:
        """Put `workload` on a server that is ready; what the generator writes goes to `folder`."""
        began = time.monotonic()
        try:
            server = sampler.Server.of(serving.child.pid) if serving.child else None
            idle = server.read()[1] if server else None
            result = folder / "load.json"
            env = python_environment(**{f"TCPLAB_{users_of(candidate).upper()}": serving.address})
            command = self.load_command(candidate, workload, result)
            generator = self.children.add(
                Child("locust", command, folder, cwd=ROOT, env=env, cores=self.cores.generator)
            )
            readings = self._watch(workload, serving.child, server, generator)
            found = _read(result, generator)
            window = load.read(found)
            usage = sampler.between(readings, window.started, window.ended, idle)
        except (ChildFailedError, load.UnreadableError, psutil.Error, ValueError) as error:
            raise RunFailedError(str(error)) from error
        return Measured(found, usage, time.monotonic() - began)

    def _watch(
        self, workload: Workload, child: Child | None, server: sampler.Server | None, generator: Child
    ) -> list[sampler.Reading]:
        """Sample both until the generator has ended."""
        process = psutil.Process(generator.pid)
        deadline = time.monotonic() + workload.warmup + workload.seconds + _ENDS_WITHIN
        readings = [sampler.take_reading(server, process)]
        while generator.status() is None:
            if child:
                child.check()
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{generator.name} did not end in time: {generator.tail()}")
            self.interrupt.sleep(sampler.INTERVAL)
            # Before it is reaped: the last one is after the window.
            readings.append(sampler.take_reading(server, process))
        if child:
            child.check()
        return readings


def arrivals(workload: Workload) -> int:
    """
    Return how many clients arrive in a second: all of them within two thirds of the warm-up, or within a second.

    At once, thousands of them measure how a server survives that, and not how many it serves.
    """
    return max(1, math.ceil(workload.clients / max(1.0, workload.warmup * 2 / 3)))


def users_of(candidate: Candidate) -> str:
    """Return the variant whose Locust users meet a candidate: its own, or any, for all of them send alike."""
    return candidate.variant or TEXTBOOK[-1]


def is_confined(pid: int) -> bool:
    """
    Whether a process is in another control group than we are, so that what is charged to that group is its own.

    Servers that we start under a load are in ours, whose memory holds the load's too; `systemd-run --scope` puts one
    into its own.
    """
    try:
        return Path(f"/proc/{pid}/cgroup").read_text() != Path("/proc/self/cgroup").read_text()
    except OSError:
        return False


def _weighable(serving: Serving, group: Group | NoGroupError) -> memory.Serving:
    """Return how a server's memory is read. Raises RunFailedError if it cannot be, and what `charges` does."""
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
    Return what reads the memory charged to a server alone, by part; or None, and why there is nothing to read.

    pid: the process that was started. metrics: its /metrics, "" if it has none. group: what it was to join. Raises
    psutil.Error if it has ended, NotExportedError if its /metrics cannot be read.
    """
    if isinstance(group, Group) and group.holds(each.pid for each in sampler.Server.of(pid).processes):
        return group.charged, ""
    if metrics and is_confined(pid) and (exported := Exported(metrics)).charged():
        return exported.charged, ""
    if isinstance(group, NoGroupError):
        return None, f"no control group of its own: {group}"
    return None, f"no control group of its own: not all of its processes could join {group.folder}, or stayed in it"


def silence(address: str) -> str:
    """Return why whoever is at "host:port" doesn't speak the wire, in a few words; "" if it does."""
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
        raise RunFailedError(f"the load left no result that can be read ({error}): {generator.tail()}") from error
    return found
