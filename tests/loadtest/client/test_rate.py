"""
The open model's rate while users come and go: what arrives at a stub, counted in slices of 100 ms.

A busy machine delays some of it, by some tenths of a second; the faults that there were made it
a tenth, or ten times as much.
"""

import json
import math
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.load.locust import Locust, locustfile, post, users, warnings
from tests.support.processes import ROOT, eventually, free_ports
from tests.support.stubs.recording import Answer, Stub, honest

RATE = 300


class Arrivals:
    """Notes when requests arrive at a stub."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def answer(self, stub: Stub, connection: socket.socket, line: bytes) -> bool:
        self.moments.append(time.monotonic())
        return honest(stub, connection, line)

    def slices(self, since: float, until: float) -> list[int]:
        """Return how many came in each 100 ms between the two moments."""
        counts = Counter(int((moment - since) * 10) for moment in self.moments if since <= moment < until)
        return [counts[number] for number in range(int((until - since) * 10))]


def ask_for_users(port: str, number: int, spawn_rate: float) -> None:
    """Ask the web UI for another number of users."""
    form = {"user_count": str(number), "spawn_rate": str(spawn_rate)}
    assert json.loads(post(port, "/swarm", form))["success"]


@contextmanager
def lab(folder: Path, answer: Answer, arrivals: str, workers: int, clients: int) -> Iterator[tuple[str, Locust]]:
    """Run a load at RATE with this many users, and this many workers besides the master. Yield its page's port."""
    web, bind = free_ports(2)
    with Stub(answer) as stub, ExitStack() as stack:
        own = locustfile(folder, users())
        distributed = ("--master", "--expect-workers", str(workers), "--master-bind-port", bind) if workers else ()
        master = stack.enter_context(
            Locust(
                folder,
                *("--autostart", "--web-host", "127.0.0.1", "--web-port", web, *distributed),
                *("--master-bind-host", "127.0.0.1") if workers else (),
                *("--scenario", "saturate", "--rate", str(RATE), "--arrivals", arrivals),
                *("-u", str(clients), "-r", "100", "AsyncioUser"),
                *("--warmup", "1", "--result", str(folder / "result.json")),
                targets={"asyncio": stub.address},
                locustfile=own,
            )
        )
        for number in range(workers):
            worker = Locust(
                folder,
                *("--worker", "--master-port", bind),
                targets={"asyncio": stub.address},
                locustfile=own,
                name=f"worker{number}",
            )
            stack.enter_context(worker)
        served = ("tcplab_load_clients_served", "asyncio")
        eventually(lambda: master.metrics()[served] == clients, "all users are there")
        yield web, master


@pytest.mark.measures
@pytest.mark.parametrize(
    ("arrivals", "workers", "before", "after", "per_second"),
    [
        ("periodic", 0, 40, 4, 6),
        ("periodic", 2, 40, 4, 6),
        ("periodic", 0, 4, 40, 6),
        ("periodic", 0, 200, 5, 1000),
        ("periodic", 2, 5, 200, 1000),
        ("poisson", 0, 40, 4, 6),
        ("poisson", 2, 5, 200, 1000),
    ],
)
def test_the_rate_holds_while_users_come_and_go(
    arrivals: str, workers: int, before: int, after: int, per_second: int, tmp_path: Path
) -> None:
    seen = Arrivals()
    with lab(tmp_path, seen.answer, arrivals, workers, before) as (web, master):
        time.sleep(1.5)
        begun = time.monotonic()
        ask_for_users(web, after, per_second)
        gauge = ("tcplab_load_users", "asyncio")
        eventually(lambda: master.metrics()[gauge] == after, "the users have changed")
        time.sleep(1.5)
        ended = time.monotonic()
        slices = seen.slices(begun - 1, ended)
        due = RATE * (ended - begun + 1)
        by_chance = 4 * math.sqrt(due) if arrivals == "poisson" else 0
        assert abs(sum(slices) - due) <= 0.08 * due + by_chance, slices
        seconds = [sum(slices[start : start + 10]) for start in range(len(slices) - 9)]
        assert min(seconds) > 0.35 * RATE, slices
        assert max(seconds) < 1.8 * RATE, slices
        post(web, "/stop", {})
        eventually(master.result.exists, "the result is written")
        found = warnings(master.outcome())
        assert "rate" not in found or "starved" in found, master.outcome()["warnings"]


@pytest.mark.measures
def test_a_run_keeps_its_rate_from_the_start(tmp_path: Path) -> None:
    arrivals = Arrivals()
    [web] = free_ports(1)
    with Stub(arrivals.answer) as stub:
        arguments = ("--scenario", "saturate", "--rate", "300", "-u", "20", "-r", "4", "AsyncioUser")
        page = ("--autostart", "--web-host", "127.0.0.1", "--web-port", web)
        with Locust(tmp_path, *page, *arguments, targets={"asyncio": stub.address}):
            eventually(lambda: len(arrivals.moments) > 1800, "six seconds have passed")
    slices = arrivals.slices(arrivals.moments[0], arrivals.moments[0] + 5)
    seconds = [sum(slices[start : start + 10]) for start in range(len(slices) - 9)]
    assert min(seconds) > 0.35 * RATE, slices
    assert max(seconds) < 1.8 * RATE, slices


# In a process of its own: to import Locust is to patch the process.
STEPS = """
from locust.dispatch import UsersDispatcher
from types import SimpleNamespace
from loadtest.locust_internals import ToldDispatcher
from loadtest.cluster.rate import parts

class SomeUser:
    weight, fixed_count = 1, 0

for workers in (1, 2, 3):
    for first, then, per_second in ((5, 1, 1000), (3, 6, 1000), (4, 0, 1000), (3, 1, 20)):
        told = []
        nodes = [SimpleNamespace(id=f"host_{number}") for number in range(workers)]
        dispatcher = ToldDispatcher(told.append, worker_nodes=nodes, user_classes=[SomeUser])
        for target in (first, then):
            dispatcher.new_dispatch(target, per_second)
            steps = [(sum(sum(of.values()) for of in each.values()), told[-1]) for each in dispatcher]
            assert steps[-1] == (target, target), steps
            assert all(count == said for count, said in steps), steps

assert list(parts({})) == list(parts({"a": 0})) == []
assert list(parts({"a": 3, "b": 9})) == [{"a": 3, "b": 7}, {"b": 2}]
assert list(parts({"a": 25})) == [{"a": 10}, {"a": 10}, {"a": 5}]
assert [sum(each.values()) for each in parts({"a": 5000, "b": 5001})] == [101] * 99 + [2]
"""


def test_each_step_is_told_before_it_is_taken() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


STOPS = """
from types import SimpleNamespace
from loadtest.cluster.rate import stop_and_speed_up

for before, stopping, expected in ((40, 30, [10, 10, 10]), (40, 40, [40]), (1200, 1160, [12] * 96 + [8])):
    runner = SimpleNamespace(user_count=before, environment=SimpleNamespace(stop_timeout=None))
    stopped = []
    stop_and_speed_up(runner, {"a": stopping}, lambda part: stopped.append(part["a"]))
    assert stopped == expected, stopped
"""


def test_clients_that_stay_work_while_others_stop() -> None:
    """At the end of a tour 1,160 users were once stopped at a time, which delayed the other 40 by 50 ms."""
    done = subprocess.run(
        [sys.executable, "-c", STOPS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
