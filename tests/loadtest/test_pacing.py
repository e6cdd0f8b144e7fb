"""The open model's rate while users come and go: what arrives at a stub, counted in slices of 100 ms."""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.locust_processes import DRIVERS, Locust, doubts, locustfile, post, users
from tests.support.processes import eventually, free_ports
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
def lab(folder: Path, answer: Answer, driver: str, workers: int, clients: int) -> Iterator[tuple[str, Locust]]:
    """Run a load at RATE with this many users, and this many workers besides the master. Yield its page's port."""
    web, bind = free_ports(2)
    with Stub(answer) as stub, ExitStack() as stack:
        own = locustfile(folder, users(DRIVERS[driver]))
        distributed = ("--master", "--expect-workers", str(workers), "--master-bind-port", bind) if workers else ()
        master = stack.enter_context(
            Locust(
                folder,
                *("--autostart", "--web-host", "127.0.0.1", "--web-port", web, *distributed),
                *("--master-bind-host", "127.0.0.1") if workers else (),
                *("--scenario", "saturate", "--rate", str(RATE), "-u", str(clients), "-r", "100", "AsyncioUser"),
                *("--result", str(folder / "result.json")),
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
    ("driver", "workers", "before", "after", "per_second"),
    [
        ("engine", 0, 40, 4, 6),
        ("engine", 2, 40, 4, 6),
        ("plain", 0, 40, 4, 6),
        ("engine", 0, 4, 40, 6),
        ("plain", 2, 4, 40, 6),
        ("engine", 0, 200, 5, 1000),
        ("engine", 2, 5, 200, 1000),
    ],
)
def test_the_rate_holds_while_users_come_and_go(
    driver: str, workers: int, before: int, after: int, per_second: int, tmp_path: Path
) -> None:
    arrivals = Arrivals()
    with lab(tmp_path, arrivals.answer, driver, workers, before) as (web, master):
        time.sleep(1.5)
        begun = time.monotonic()
        ask_for_users(web, after, per_second)
        gauge = ("tcplab_load_users", "asyncio")
        eventually(lambda: master.metrics()[gauge] == after, "the users have changed")
        time.sleep(1.5)
        ended = time.monotonic()
        slices = arrivals.slices(begun - 1, ended)
        assert sum(slices) == pytest.approx(RATE * (ended - begun + 1), rel=0.05), slices
        seconds = [sum(slices[start : start + 10]) for start in range(len(slices) - 9)]
        assert min(seconds) > 0.7 * RATE, slices  # a busy machine delays some
        assert max(seconds) < 1.15 * RATE, slices
        post(web, "/stop", {})
        eventually(master.result.exists, "the result is written")
        assert "rate" not in doubts(master.outcome()), master.outcome()["doubts"]


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
    assert min(seconds) > 0.7 * RATE, slices  # a busy machine delays some
    assert max(seconds) < 1.15 * RATE, slices


class _Node:
    def __init__(self, name: str) -> None:
        self.id = name


class SomeUser:
    """What the dispatcher reads of a class of users."""

    weight = 1
    fixed_count = 0


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(("first", "then", "per_second"), [(5, 1, 1000), (3, 6, 1000), (4, 0, 1000)])
def test_each_step_is_told_before_it_is_taken(
    workers: int, first: int, then: int, per_second: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")  # else Locust patches this process, and with it all other tests
    from locust.dispatch import UsersDispatcher  # noqa: PLC0415

    from loadtest.dispatching import ToldDispatcher  # noqa: PLC0415

    told: list[int] = []
    nodes = [_Node(f"host_{number}") for number in range(workers)]
    dispatcher = ToldDispatcher(told.append, worker_nodes=nodes, user_classes=[SomeUser])
    assert isinstance(dispatcher, UsersDispatcher)
    for target in (first, then):
        dispatcher.new_dispatch(target, per_second)
        steps = [(sum(sum(of.values()) for of in each.values()), told[-1]) for each in dispatcher]
        assert steps[-1] == (target, target)
        assert all(count == said for count, said in steps)
