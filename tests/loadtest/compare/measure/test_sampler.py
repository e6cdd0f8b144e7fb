import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import psutil
import pytest

from loadtest.compare.measure.sampler import Reading, Server, between, cpu_seconds, take_reading
from loadtest.compare.measure.scheduling import Turns, turns


def at(second: float, cpu: float, resident: int = 100, busy: float = 0.0, stolen: float = 0.0) -> Reading:
    return Reading(second, cpu, cpu / 2, resident, resident // 100, busy, stolen)


def test_cpu_is_interpolated_at_both_window_ends() -> None:
    readings = [at(10.0, 1.0), at(11.0, 2.0), at(12.0, 4.0), at(13.0, 4.0)]
    usage = between(readings, 10.5, 11.25, idle=7)
    assert usage.server_cpu == pytest.approx((2.0 + 0.25 * 2.0) - 1.5)
    assert usage.generator_cpu == pytest.approx(((2.0 + 0.25 * 2.0) - 1.5) / 2)
    assert usage.idle == 7


def test_a_window_between_two_samples() -> None:
    usage = between([at(0.0, 0.0), at(10.0, 5.0)], 2.0, 4.0, idle=0)
    assert usage.server_cpu == pytest.approx(1.0)
    assert usage.resident == 100


def test_a_window_that_ends_on_samples() -> None:
    assert between([at(1.0, 1.0), at(2.0, 3.0)], 1.0, 2.0, idle=0).server_cpu == pytest.approx(2.0)


def test_memory_is_the_most_within_the_window() -> None:
    readings = [at(0.0, 0, 900), at(1.0, 0, 300), at(2.0, 0, 500), at(3.0, 0, 400), at(4.0, 0, 950)]
    usage = between(readings, 0.5, 3.5, idle=0)
    assert (usage.resident, usage.threads) == (500, 5)


def test_others_are_the_machines_remaining_work() -> None:
    readings = [at(0.0, 0.0, busy=0.0, stolen=1.0), at(1.0, 0.8, busy=2.0, stolen=1.5)]
    usage = between(readings, 0.0, 1.0, idle=0)
    assert usage.others_cpu == pytest.approx(2.0 - 0.8 - 0.4)
    assert usage.stolen == pytest.approx(0.5)


@pytest.mark.parametrize("window", [(0.5, 1.5), (1.2, 2.5), (3.0, 4.0)])
def test_samples_that_miss_part_are_refused(window: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="measured window"):
        between([at(1.0, 0), at(2.0, 0)], *window, idle=0)


BUSY = """
import time
input()
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
print("done", flush=True)
input()
"""


@pytest.mark.measures
def test_a_real_process_is_read_truly() -> None:
    """In a process of its own: this one may have children that other tests keep."""
    me = psutil.Process(os.getpid())
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", BUSY], **pipes) as process:  # type: ignore[call-overload]
        before = take_reading(Server.of(process.pid), me)
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        after = take_reading(Server.of(process.pid), me)
        print(file=process.stdin, flush=True)
    assert before.server_cpu is not None
    assert after.server_cpu is not None
    assert after.resident is not None
    assert after.threads is not None
    assert 0.15 <= after.server_cpu - before.server_cpu <= 0.5
    assert after.at > before.at
    assert after.resident > 1_000_000
    assert after.threads >= 1


def test_a_server_is_all_its_processes() -> None:
    """A command may be a shell that has started the server."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        server = Server.of(process.pid)
        own = Server((server.processes[0],))
        assert len(server.processes) == 2
        sizes = [each.memory_full_info() for each in server.processes]
        assert sizes[0].rss < server.read()[1] < 0.9 * sum(size.rss for size in sizes), "a shared page counts once"
        assert own.read()[1] == pytest.approx(sizes[0].rss, rel=0.05)
        assert server.read()[2] == 2
        process.communicate(b"\n")


def test_nothing_is_known_of_a_server_elsewhere() -> None:
    me = psutil.Process(os.getpid())
    readings = [take_reading(None, me), take_reading(None, me)]
    usage = between(readings, readings[0].at, readings[1].at, idle=None)
    assert (usage.server_cpu, usage.resident, usage.threads, usage.idle) == (None, None, None, None)


@pytest.mark.measures
def test_a_process_is_clocked_finer_than_ticks() -> None:
    me = psutil.Process(os.getpid())
    seen = [cpu_seconds(me) for _ in range(2000)]
    steps = {later - before for before, later in pairwise(seen)}
    assert 0 < max(steps) < 0.01
    assert seen[-1] == pytest.approx(sum(me.cpu_times()[:2]), abs=0.03)


def test_turns_are_those_of_the_window() -> None:
    def counted(second: float, turns: int | None, waited: float | None) -> Reading:
        return replace(at(second, 0.0), turns=turns, waited=waited)

    readings = [counted(0, 10, 1.0), counted(1, None, None), counted(2, 30, 2.0), counted(3, 50, 2.5)]
    usage = between(readings, 1.0, 2.5, idle=0)
    assert (usage.turns, usage.waited) == (40 - 20, 2.25 - 1.5)
    shrinking = between([counted(0, 50, 5.0), counted(1, 20, 1.0)], 0.0, 1.0, idle=0)
    assert (shrinking.turns, shrinking.waited) == (0, 0)
    unread = between([counted(0, None, None), counted(1, 20, 1.0)], 0.0, 1.0, idle=0)
    assert (unread.turns, unread.waited) == (None, None)


SWITCHING = """
import threading, time
def sleep():
    for _ in range(50):
        time.sleep(0.001)
threads = [threading.Thread(target=sleep) for _ in range(3)]
input()
for each in threads: each.start()
for each in threads: each.join()
print("done", flush=True)
input()
"""


@pytest.mark.measures
def test_a_threads_turns_are_counted() -> None:
    """Each of 50 sleeps ends with a turn; those of threads that have ended are gone."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SWITCHING], **pipes) as process:  # type: ignore[call-overload]
        print(file=process.stdin, flush=True)
        most = 0
        until = time.monotonic() + 10
        while most < 100 and time.monotonic() < until:
            most = max(most, (turns([process.pid], 4) or Turns(0, 0.0)).number)
        process.stdout.readline()
        found = turns([process.pid], 1)
        print(file=process.stdin, flush=True)
    assert most >= 100
    assert found is not None
    assert found.number > 0
    assert 0 <= found.waited < 10
    assert turns([process.pid], 201) is None
    assert turns([2**22 + 1], 1) is None


def test_foreign_work_is_that_on_the_servers_cores() -> None:
    def seen(second: float, cpu: float, cores: float | None) -> Reading:
        return replace(at(second, cpu), server_cores=cores)

    assert between([seen(0, 1.0, 5.0), seen(2, 2.5, 6.75)], 0.0, 2.0, idle=0).foreign == pytest.approx(0.25)
    assert between([seen(0, 1.0, 5.0), seen(2, 2.5, 6.0)], 0.0, 2.0, idle=0).foreign == 0, "clocks of other steps"
    assert between([seen(0, 1.0, None), seen(2, 2.5, None)], 0.0, 2.0, idle=0).foreign is None


BURNING = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
until = time.time() + 5
while time.time() < until:
    pass
"""


@pytest.mark.measures
def test_each_cores_work_is_read_apart() -> None:
    core, *others = sorted(os.sched_getaffinity(0))
    me = psutil.Process(os.getpid())
    sets: list[set[int]] = [{core}, {*others}, {core, *others}]
    with subprocess.Popen([sys.executable, "-c", BURNING, str(core)]) as burner:
        time.sleep(0.5)
        before = [take_reading(None, me, cores).server_cores or 0.0 for cores in sets]
        time.sleep(1)
        after = [take_reading(None, me, cores).server_cores or 0.0 for cores in sets]
        burner.kill()
    here, there, both = (late - soon for soon, late in zip(before, after, strict=True))
    assert 0.8 < here < 1.3
    assert both == pytest.approx(here + there, abs=0.1)
