"""The event loop alone, in a separate process, because importing it patches the process."""

import subprocess
import sys

import pytest

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


LATE_LOOK = """
from gevent import monkey

monkey.patch_all()

import select
import socket
import sys

import pytest
import time
from random import Random
from types import SimpleNamespace

from loadtest.client.connection import ClientConnection
from loadtest.client.event_loop import EventLoop
from loadtest.client.script import SlowClient, play
from loadtest.pacing import Periodic
from loadtest.recording.recorder import Recorder
from loadtest.scenarios import SCENARIOS

paced = sys.argv[1] == "open"
recorder, loop = Recorder(), EventLoop()
loop._epoll = monkey.get_original("select", "epoll")()
listener = socket.create_server(("127.0.0.1", 0))
address = SimpleNamespace(where=(socket.AF_INET, listener.getsockname()), reached=False)
client_stats = recorder.client("single")
if paced:
    client_stats.schedule = Periodic(time.perf_counter_ns(), 1)
script = play(SCENARIOS["saturate"].tuned(paced=paced), b"me", Random(1), SlowClient())
client = ClientConnection(loop, address, client_stats, script, lambda *_: None)
client.called(1)
server, _ = listener.accept()
client.ready(select.EPOLLOUT)
for turn in range(5):
    server.sendall(b"OK " + server.recv(4096).split(b" ", 1)[1])
    time.sleep(0.1)
    client.ready(select.EPOLLIN)  # and the next request is sent
[part] = recorder.report()["parts"]
print(min(part["counters"]["single"]["histograms"]["service"]))
"""
"""A client whose socket is looked at 0.1 s after each reply has come. It prints the shortest service time, in us."""


@pytest.mark.parametrize(("model", "least", "most"), [("open", 0, 50_000), ("closed", 100_000, 10**7)])
def test_a_late_look_lengthens_no_scheduled_request(model: str, least: int, most: int) -> None:
    """In the closed model it does: there it is a part of the loop."""
    program = [sys.executable, "-c", LATE_LOOK, model]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert least <= int(done.stdout) <= most
