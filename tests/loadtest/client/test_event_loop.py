"""The event loop alone, in a separate process, because importing it patches the process."""

import subprocess
import sys

from tests.support.processes import ROOT

EARLIER = """
from gevent import monkey

monkey.patch_all()

import time
import gevent
from gevent.event import Event
from loadtest.client import event_loop

event_loop.LAG_INTERVAL = 60_000_000_000  # the probe's own timer wakes the loop, and would hide that nothing else does

class Sleeper:
    generation = 1
    done = Event()

    def called(self, generation):
        if generation == 1:
            loop.call(self, time.perf_counter_ns() + 30_000_000_000, 2)
        else:
            self.done.set()

loop = event_loop.EventLoop()
sleeper = Sleeper()
loop.add(sleeper)
gevent.sleep(0.5)  # it dozes by then: there is nothing to do for 30 s
loop.call(sleeper, time.perf_counter_ns() + 50_000_000, 3)
print("called" if sleeper.done.wait(10) else "overslept")
"""
"""A program with a timer before the one that the loop waits for."""


def test_an_earlier_timer_wakes_the_loop() -> None:
    program = [sys.executable, "-c", EARLIER]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "called\n", done.stderr
