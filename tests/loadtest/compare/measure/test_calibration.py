"""How fast the machine is just now."""

import os
import statistics
import subprocess
import sys
import time

import pytest

from loadtest.compare.measure.calibration import calibrate

BURNING = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"


@pytest.mark.measures
def test_each_core_has_a_time_alone_and_together() -> None:
    cores = sorted(os.sched_getaffinity(0))[:2]
    mine = os.sched_getaffinity(0)
    began = time.perf_counter()
    found = calibrate(cores)
    assert len(found) == 4
    assert all(1 < took < 1000 for took in found)
    assert sum(found) / 1000 < (time.perf_counter() - began) * 2
    assert os.sched_getaffinity(0) == mine, "only threads that have ended were moved"


@pytest.mark.measures
def test_other_work_on_a_core_shows_there() -> None:
    core = min(os.sched_getaffinity(0))
    quiet = min(calibrate([core])[0] for _ in range(5))
    with subprocess.Popen([sys.executable, "-c", BURNING, str(core)], stdout=subprocess.PIPE) as burner:
        assert burner.stdout is not None
        burner.stdout.readline()
        busy = statistics.median(calibrate([core])[0] for _ in range(5))
        burner.kill()
    assert busy > 1.3 * quiet


def test_one_core_has_no_time_together() -> None:
    assert len(calibrate([min(os.sched_getaffinity(0))])) == 1


def test_cores_that_there_are_not_give_nothing() -> None:
    assert calibrate([10_000, 10_001]) == []
    assert calibrate([]) == []
