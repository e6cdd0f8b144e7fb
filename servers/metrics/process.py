"""CPU, memory and threads of a server's processes (this one and its forked workers), from the kernel."""

import os
import resource
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
"""The kernel's unit for other processes' CPU time, in seconds."""


def resident_bytes(process: int | None = None) -> int | None:
    """Return a process's (by default this one's) memory in RAM; None where there is no /proc."""
    statm = PROC / str(process or "self") / "statm"
    if not PROC.exists():
        return None
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def cpu_seconds(workers: Sequence[int]) -> dict[str, float]:
    """Return all processes' CPU time by mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    user, system = used.ru_utime, used.ru_stime
    for worker in workers:
        stat = (PROC / str(worker) / "stat").read_text().rpartition(")")[2].split()
        user, system = user + int(stat[11]) * TICK, system + int(stat[12]) * TICK
    return {"user": user, "system": system}


def threads(workers: Sequence[int]) -> int:
    """Return all processes' number of threads."""
    return threading.active_count() + sum(len(list((PROC / str(worker) / "task").iterdir())) for worker in workers)
