"""What a server's processes use, as the kernel tells it: the one that exports, and the workers that it has forked."""

import os
import resource
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds: the unit in which the kernel tells of other processes."""


def resident_bytes(process: int | None = None) -> int | None:
    """Return how much of a process (by default this one) is in RAM; None where the system doesn't tell."""
    statm = PROC / str(process or "self") / "statm"
    if not PROC.exists():
        return None
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def cpu_seconds(workers: Sequence[int]) -> dict[str, float]:
    """Return the CPU time of all processes by mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    user, system = used.ru_utime, used.ru_stime
    for worker in workers:
        stat = (PROC / str(worker) / "stat").read_text().rpartition(")")[2].split()
        user, system = user + int(stat[11]) * TICK, system + int(stat[12]) * TICK
    return {"user": user, "system": system}


def threads(workers: Sequence[int]) -> int:
    """Return how many threads all processes have."""
    return threading.active_count() + sum(len(list((PROC / str(worker) / "task").iterdir())) for worker in workers)
