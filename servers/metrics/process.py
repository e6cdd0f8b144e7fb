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


def memory(workers: Sequence[int]) -> int | None:
    """
    Return the bytes in RAM of this process and its workers together; None where the system does not report them.

    A page that several of them share counts once. The proportional size (Pss) alone would be less than that of a
    single process, because it divides pages of libraries among foreign processes too.
    """
    if not PROC.exists():
        return None
    if not workers:
        return int((PROC / "self" / "statm").read_text().split()[1]) * resource.getpagesize()
    anonymous = of_files = most_of_files = 0
    for each in (os.getpid(), *workers):
        try:
            lines = (PROC / str(each) / "smaps_rollup").read_text().splitlines()[1:]
            sizes = {name: 1024 * int(size) for name, size, *_ in map(str.split, lines)}
            anonymous += sizes["Pss_Anon:"]
            of_files += sizes["Pss:"] - sizes["Pss_Anon:"]
            most_of_files = max(most_of_files, sizes["Rss:"] - sizes["Anonymous:"])
        except ProcessLookupError:  # it has ended, and was not reaped yet
            continue
        except (OSError, KeyError):  # Linux before 5.4 has no Pss_Anon
            return None
    return anonymous + max(of_files, most_of_files)


def cpu_seconds(workers: Sequence[int], ended: tuple[float, float]) -> dict[str, float]:
    """Return all processes' CPU time by mode. ended: that of workers that are no more, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    user, system = used.ru_utime + ended[0], used.ru_stime + ended[1]
    for worker in workers:
        stat = (PROC / str(worker) / "stat").read_text().rpartition(")")[2].split()
        user, system = user + int(stat[11]) * TICK, system + int(stat[12]) * TICK
    return {"user": user, "system": system}


def usable_cores() -> int:
    """Return how many cores this process may use; all of the machine's where the system can't tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cores()


def machine_cores() -> int:
    """Return how many cores the machine has, also those that this process may not use."""
    return os.cpu_count() or 1


def threads(workers: Sequence[int]) -> int:
    """Return all processes' number of threads."""
    return threading.active_count() + sum(len(list((PROC / str(worker) / "task").iterdir())) for worker in workers)
