"""Watches a server and its generator from outside: CPU and memory, about ten times a second."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil

INTERVAL = 0.1
"""Seconds between two samples: about 50 us of work each, on a core that is not the server's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What was read at one moment. All but `resident` only ever grows.

    at: Unix seconds. server_cpu, generator_cpu: CPU seconds used by the process so far. resident: the
    server's resident memory in bytes.
    busy, stolen: CPU seconds that the whole machine spent in processes, and that its host gave to others,
    over all cores.
    """

    at: float
    server_cpu: float
    generator_cpu: float
    resident: int
    busy: float
    stolen: float


@dataclass(frozen=True, slots=True)
class Usage:
    """
    What was used within a window.

    server_cpu, generator_cpu, others_cpu, stolen: CPU seconds; others are all processes but these two.
    resident: the most memory that a sample within the window saw, in bytes. idle: the same before the load.
    """

    server_cpu: float
    generator_cpu: float
    others_cpu: float
    stolen: float
    resident: int
    idle: int

    def as_json(self) -> dict[str, float]:
        """Return it as JSON-ready data."""
        return asdict(self)


def sample(server: psutil.Process, generator: psutil.Process) -> Sample:
    """Read everything once. Raises psutil.Error if one of the two has ended and been reaped."""
    now = time.time()
    with server.oneshot():
        cpu, resident = server.cpu_times(), server.memory_info().rss
    load = generator.cpu_times()
    machine = psutil.cpu_times()
    return Sample(
        at=now,
        server_cpu=cpu.user + cpu.system,
        generator_cpu=load.user + load.system,
        resident=resident,
        # Interrupts are left out: the kernel books a part of loopback's own work there.
        busy=machine.user + machine.system + getattr(machine, "nice", 0.0),
        stolen=getattr(machine, "steal", 0.0),
    )


def between(samples: Sequence[Sample], started: float, ended: float, idle: int) -> Usage:
    """
    Return what was used from `started` to `ended`, interpolated between the samples around each.

    samples: in the order of their time. Raises ValueError if they do not reach over the whole window.
    """
    if not samples or samples[0].at > started or samples[-1].at < ended:
        raise ValueError("the samples do not reach over the measured window")

    def used(name: str) -> float:
        return _interpolate(samples, ended, name) - _interpolate(samples, started, name)

    server, generator = used("server_cpu"), used("generator_cpu")
    within = [each.resident for each in samples if started <= each.at <= ended]
    return Usage(
        server_cpu=server,
        generator_cpu=generator,
        others_cpu=max(0.0, used("busy") - server - generator),
        stolen=used("stolen"),
        resident=max(within or [round(_interpolate(samples, ended, "resident"))]),
        idle=idle,
    )


def _interpolate(samples: Sequence[Sample], at: float, name: str) -> float:
    """Return the value that `name` had at `at`, on a straight line between the samples before and after."""
    before = max((each for each in samples if each.at <= at), key=lambda each: each.at)
    after = min((each for each in samples if each.at >= at), key=lambda each: each.at)
    low, high = float(getattr(before, name)), float(getattr(after, name))
    if after.at == before.at:
        return low
    return low + (high - low) * (at - before.at) / (after.at - before.at)
