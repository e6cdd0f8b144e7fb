"""How often a server's threads got a core, and how long they were ready and waited for one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

MOST_THREADS: Final = 200
"""More threads aren't read: a file for each, ten times a second, would take the generator's core."""


class Turns(NamedTuple):
    """Over all threads so far: times that one got a core, and seconds that they were ready and had none."""

    number: int
    waited: float


def turns(pids: Iterable[int], threads: int) -> Turns | None:
    """
    Return the turns of processes; None if they have too many threads, or the kernel doesn't count.

    threads: how many they have. From schedstat (Documentation/scheduler/sched-stats.rst): run_delay and timeslices.
    """
    if threads > MOST_THREADS:
        return None
    number, waited = 0, 0
    try:
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                _, delay, slices = (task / "schedstat").read_text().split()
                waited += int(delay)
                number += int(slices)
    except (OSError, ValueError):  # a thread has ended meanwhile, or there is no such file
        return None
    return Turns(number, waited / 1e9)
