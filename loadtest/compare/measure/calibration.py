"""How fast the machine is just now: a fixed piece of work, on each core alone and on all at once."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from threading import Barrier, Thread
from typing import Final

_WORK: Final = bytes(1 << 20)
_TIMES: Final = 16
"""How often a core hashes _WORK: 10 to 40 ms. Python lets other threads run meanwhile."""


def calibrate(cores: Iterable[int]) -> list[float]:
    """
    Return how long the work takes, in milliseconds: on each core alone, then on each with all of them at work.

    [] if this system can't choose cores, or has forbidden it.
    """
    chosen = sorted(cores)
    try:
        alone = [took for core in chosen for took in _timed([core])]
        return [*alone, *(_timed(chosen) if len(chosen) > 1 else ())]
    except OSError:
        return []


def _timed(cores: Sequence[int]) -> list[float]:
    """Return how long the work takes on each core, begun at the same moment; OSError if one can't be had."""
    barrier, took, failed = Barrier(len(cores)), dict[int, float](), list[OSError]()

    def work(core: int) -> None:
        try:
            os.sched_setaffinity(0, {core})  # of this thread alone
        except OSError as error:
            failed.append(error)
        barrier.wait()
        began = time.perf_counter()
        for _ in range(_TIMES):
            hashlib.sha256(_WORK)
        took[core] = (time.perf_counter() - began) * 1000

    threads = [Thread(target=work, args=(core,)) for core in cores]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if failed:
        raise failed[0]
    return [took[core] for core in cores]
