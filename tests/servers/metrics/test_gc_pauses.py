"""The garbage collector's pauses, of a process and of those that it forks."""

import gc
import os

from servers.metrics.gc_pauses import PAUSE_BOUNDS, GarbagePauses


def test_the_pauses_of_all_processes_are_summed() -> None:
    pauses = GarbagePauses(workers=2)
    pauses.count(0.0015)
    for worker in (1, 2):
        if not (pid := os.fork()):
            pauses.forked(worker)
            for _ in range(worker):
                pauses.count(0.0015)
            pauses.count(7.0)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    buckets = [0] * (len(PAUSE_BOUNDS) + 1)
    buckets[PAUSE_BOUNDS.index(2e-3)] = 1 + 1 + 2
    buckets[-1] = 2
    assert pauses.buckets == buckets
    assert abs(pauses.seconds - (4 * 0.0015 + 14)) < 1e-9


def test_a_collection_in_a_forked_process_counts() -> None:
    pauses = GarbagePauses(workers=1)
    pauses.watch()
    try:
        if not (pid := os.fork()):
            pauses.forked(1)
            gc.collect()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        gc.callbacks.pop()
    assert sum(pauses.buckets) >= 1
