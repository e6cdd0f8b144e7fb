"""A run at the generator's limit has a warning, and one below it has none."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from loadtest.run_warnings import Degree
from tests.support.load.locust import Locust, assert_conserved
from tests.support.servers import MODELS, Server

pytestmark = pytest.mark.measures

GENERATORS = {"generator-cpu", "starved", "loop-lag", "late-sends"}
"""The warnings of a generator that was too slow. Stolen time is another warning, and so is a rate not reached."""

RATE = 10_000
SECONDS = 3
BURNERS = 6
SERIES = 3


@contextmanager
def burning(core: int, number: int) -> Iterator[None]:
    """
    Keep a core busy with `number` processes: another one gets a share of 1 / (number + 1).

    Each in its own session, because Linux may share a core between sessions first.
    """
    with ExitStack() as stack:
        for _ in range(number):
            burner = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
            )
            stack.callback(burner.kill)
            os.sched_setaffinity(burner.pid, {core})
        yield


def take_over(pid: int, core: int) -> None:
    """
    Keep a process on `core`, ahead of all other work there where that is allowed.

    The kernel's own work may take 4 % of it, bursts of 5 ms, of which a load is rightly warned.
    """
    os.sched_setaffinity(pid, {core})
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


def warnings_of_a_run(
    folder: Path, server: Server, core: int, place: Callable[[int, int], None]
) -> set[tuple[str, Degree]]:
    """Load `server` with RATE requests/s from `core`, where `place` puts the load. Return the warnings."""
    folder.mkdir()
    arguments = ("AsyncioUser", "-u", "20", "-r", "100", "--scenario", "saturate", "--rate", str(RATE))
    window = ("--headless", "--only-summary", "-t", f"{SECONDS + 2}s", "--warmup", "2")
    targets = {"asyncio": "{}:{}".format(*server.address)}
    with Locust(folder, *arguments, *window, "--result", str(folder / "result.json"), targets=targets) as locust:
        place(locust.process.pid, core)
        assert locust.ended(90) == 0, locust.log
    outcome = locust.outcome()
    assert_conserved(outcome["variants"]["asyncio"])
    print(outcome["generator"], [warning["detail"] for warning in outcome["warnings"]])
    return {(warning["name"], Degree(warning["degree"])) for warning in outcome["warnings"]}


def is_marked(warnings: set[tuple[str, Degree]], *, strongly: bool = False) -> bool:
    """
    Whether they say that the generator was too slow.

    A note of loop lag doesn't count: on a slow machine the load's own report holds its clients up for 9 ms.
    """
    counts = {Degree.DOUBT} if strongly else set(Degree)
    return any(name in GENERATORS and degree in counts for name, degree in warnings - {("loop-lag", Degree.NOTE)})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the server and the load need a core each")
def test_only_a_squeezed_generator_is_marked(tmp_path: Path) -> None:
    """
    Other work on the machine may cause a right warning, so one good series of several is enough.

    A warning beside stolen time is right: the host squeezed the generator.
    """
    server_core, load_core, *_ = sorted(os.sched_getaffinity(0))
    [asyncio] = [model for model in MODELS if model.name == "asyncio"]
    with Server(asyncio) as server:
        os.sched_setaffinity(server.process.pid, {server_core})

        def five(name: str, place: Callable[[int, int], None]) -> list[set[tuple[str, Degree]]]:
            return [warnings_of_a_run(tmp_path / f"{name}{number}", server, load_core, place) for number in range(5)]

        with burning(load_core, BURNERS):
            squeezed = five("squeezed", lambda pid, core: os.sched_setaffinity(pid, {core}))
        assert all(is_marked(found, strongly=True) for found in squeezed), squeezed
        with_room = []
        for series in range(SERIES):
            with_room.append(five(f"room{series}-", take_over))
            right = ["stolen-time" in {name for name, _ in found} or not is_marked(found) for found in with_room[-1]]
            if sum(right) >= 4:
                return
    raise AssertionError(f"warnings of each run with room, series by series: {with_room}")
