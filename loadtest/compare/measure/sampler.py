"""Reads CPU and memory of a server and its generator from outside, about ten times a second."""

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import psutil

from loadtest.compare.measure.process_memory import shared_bytes
from loadtest.compare.measure.scheduling import turns

INTERVAL = 0.1
"""Seconds between two readings, of about 50 us each, on another core than the server's."""

NOT_OURS: Final = "its processor time and memory can't be read: it was not started by the comparison"
"""Why nothing is known of a server that already runs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One reading. All but `resident` and `threads` only grow.

    at: Unix seconds. server_cpu, generator_cpu: CPU seconds used so far. resident: bytes of the server's memory. The
    server's are None if it was not started here. busy, stolen: CPU seconds that the whole machine spent in processes,
    and that its host gave to others, over all cores. server_cores: the same as busy on the server's cores; None if it
    has none of its own. turns, waited: of the server's threads, as in scheduling.Turns; None if they can't be read.
    """

    at: float
    server_cpu: float | None
    generator_cpu: float
    resident: int | None
    threads: int | None
    busy: float
    stolen: float
    turns: int | None = None
    waited: float | None = None
    server_cores: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """
    The usage within a window.

    server_cpu, generator_cpu, others_cpu, stolen: CPU seconds; others are all processes but these two.
    resident, threads: the highest reading within the window, in bytes and threads. idle: bytes before the load. turns:
    times that one of the server's threads got a core; waited: seconds that they were ready and had none. foreign: CPU
    seconds that others used on the server's cores; None if it has none of its own.
    """

    server_cpu: float | None
    generator_cpu: float
    others_cpu: float
    stolen: float
    resident: int | None
    idle: int | None
    threads: int | None
    turns: float | None = None
    waited: float | None = None
    foreign: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """Return JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Server:
    """A server's processes: the first one, and its children when it was ready."""

    processes: tuple[psutil.Process, ...]

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the server with this first process. Raises psutil.Error if it has ended."""
        first = psutil.Process(pid)
        return cls((first, *first.children(recursive=True)))

    def read(self) -> tuple[float, int, int]:
        """
        Return CPU seconds, resident bytes and threads. Raises psutil.Error if one of them has ended.

        A page that several of its processes share counts once, where the system tells of it.
        """
        cpu, resident, threads = 0.0, 0, 0
        for each in self.processes:
            cpu += cpu_seconds(each)
            with each.oneshot():
                resident += each.memory_info().rss
                threads += each.num_threads()
        if len(self.processes) > 1:
            with suppress(OSError, KeyError):  # Linux is too old
                resident = shared_bytes(each.pid for each in self.processes)
        return cpu, resident, threads


def cpu_seconds(process: psutil.Process) -> float:
    """
    Return the processor seconds that a process has used. Raises psutil.Error if it has ended and been reaped.

    In nanoseconds if the kernel has a clock for it (as clock_getcpuclockid(3)); psutil counts in steps of 10 ms.
    """
    try:
        return time.clock_gettime((~process.pid << 3) | 2)
    except (OSError, AttributeError):
        used = process.cpu_times()
        return used.user + used.system


def take_reading(server: Server | None, generator: psutil.Process, cores: Collection[int] = ()) -> Reading:
    """
    Read everything once. Raises psutil.Error if one of the two has ended and been reaped.

    cores: the server's own; () for none.
    """
    now = time.time()
    cpu, resident, threads = server.read() if server else (None, None, None)
    found = turns((each.pid for each in server.processes), threads or 0) if server else None
    machine = psutil.cpu_times()
    every = psutil.cpu_times(percpu=True) if cores else []
    return Reading(
        at=now,
        server_cpu=cpu,
        generator_cpu=cpu_seconds(generator),
        resident=resident,
        threads=threads,
        busy=_busy(machine),
        stolen=getattr(machine, "steal", 0.0),
        turns=found.number if found else None,
        waited=found.waited if found else None,
        server_cores=sum(_busy(every[core]) for core in cores) if cores else None,
    )


def _busy(times: Any) -> float:  # noqa: ANN401 - psutil has a type for each system
    """Return the seconds spent in processes, without interrupts, where the kernel counts a part of loopback's work."""
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def between(readings: Sequence[Reading], started: float, ended: float, idle: int | None) -> Usage:
    """
    Return the usage from `started` to `ended`, interpolated between the readings around each.

    readings: in order. Raises ValueError if they do not cover the whole window.
    """
    if not readings or readings[0].at > started or readings[-1].at < ended:
        raise ValueError("the readings do not cover the measured window")

    def used(name: str) -> float:
        return _used(readings, started, ended, name)

    known = readings[0].server_cpu is not None
    server, generator = used("server_cpu") if known else None, used("generator_cpu")
    within = [each for each in readings if started <= each.at <= ended] or [readings[-1]]
    counted = [each for each in readings if each.turns is not None]
    scheduled = bool(counted) and counted[0].at <= started and counted[-1].at >= ended
    return Usage(
        server_cpu=server,
        generator_cpu=generator,
        others_cpu=max(0.0, used("busy") - (server or 0.0) - generator),
        stolen=used("stolen"),
        resident=max(each.resident or 0 for each in within) if known else None,
        idle=idle,
        threads=max(each.threads or 0 for each in within) if known else None,
        turns=_used(counted, started, ended, "turns") if scheduled else None,
        waited=_used(counted, started, ended, "waited") if scheduled else None,
        foreign=max(0.0, used("server_cores") - server)
        if server is not None and readings[0].server_cores is not None
        else None,
    )


def _used(readings: Sequence[Reading], started: float, ended: float, name: str) -> float:
    """Return by how much a counter has grown; 0.0 if threads that ended took their part of it with them."""
    return max(0.0, _interpolate(readings, ended, name) - _interpolate(readings, started, name))


def _interpolate(readings: Sequence[Reading], at: float, name: str) -> float:
    """Return the value of `name` at `at`, interpolated between the readings before and after."""
    before = max((each for each in readings if each.at <= at), key=lambda each: each.at)
    after = min((each for each in readings if each.at >= at), key=lambda each: each.at)
    low, high = float(getattr(before, name)), float(getattr(after, name))
    if after.at == before.at:
        return low
    return low + (high - low) * (at - before.at) / (after.at - before.at)
