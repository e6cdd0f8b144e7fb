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


def share_bytes(process: int | None, processes: int) -> int | None:
    """
    Return the memory in RAM of one of a server's processes; None where the system does not report it.

    Each page that the server's processes share counts once in their sum. The whole proportional size (Pss) would be
    less than a single process's resident size, because it divides pages of libraries among foreign processes too.
    """
    try:
        lines = (PROC / str(process or "self") / "smaps_rollup").read_text().splitlines()[1:]
        kilobytes = {name: int(size) for name, size, *_ in map(str.split, lines)}
        of_files = kilobytes["Rss:"] - kilobytes["Anonymous:"]  # mapped by all of them
        return 1024 * kilobytes["Pss_Anon:"] + 1024 * of_files // processes
    except ProcessLookupError:  # it has ended, and was not reaped yet
        return 0
    except (OSError, KeyError):  # Linux before 5.4 has no Pss_Anon
        return None


def cpu_seconds(workers: Sequence[int], ended: tuple[float, float] = (0.0, 0.0)) -> dict[str, float]:
    """Return all processes' CPU time by mode. ended: that of workers that are no more, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    user, system = used.ru_utime + ended[0], used.ru_stime + ended[1]
    for worker in workers:
        stat = (PROC / str(worker) / "stat").read_text().rpartition(")")[2].split()
        user, system = user + int(stat[11]) * TICK, system + int(stat[12]) * TICK
    return {"user": user, "system": system}


def threads(workers: Sequence[int]) -> int:
    """Return all processes' number of threads."""
    return threading.active_count() + sum(len(list((PROC / str(worker) / "task").iterdir())) for worker in workers)
