"""A run at the generator's limit has a warning, and one below it has none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from loadtest.run_warnings import Degree
from tests.support.load.locust import Locust, assert_conserved
from tests.support.servers import MODELS, Server

pytestmark = pytest.mark.measures

GENERATORS = ("generator-cpu", "starved", "loop-lag", "late-sends")
"""The warnings of a generator that was too slow. Stolen time is another warning, and so is a rate not reached."""

DOUBTS = {(name, Degree.DOUBT) for name in GENERATORS}
MARKS = {(name, degree) for name in GENERATORS for degree in Degree} - {("loop-lag", Degree.NOTE)}
"""All but a note of loop lag: on a slow machine the load's own report holds its clients up for 9 ms."""

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


def warnings_of_a_run(folder: Path, server: Server, core: int, *, first: bool) -> set[tuple[str, Degree]]:
    """
    Load `server` with RATE requests/s from `core`. Return the warnings.

    first: the load comes before all other work there, where that is allowed: the kernel's own may take 4 % of the core,
    in bursts of 5 ms, of which a load is rightly warned.
    """
    folder.mkdir()
    arguments = ("AsyncioUser", "-u", "20", "-r", "100", "--scenario", "saturate", "--rate", str(RATE))
    window = ("--headless", "--only-summary", "-t", f"{SECONDS + 2}s", "--warmup", "2")
    targets = {"asyncio": "{}:{}".format(*server.address)}
    with Locust(folder, *arguments, *window, "--result", str(folder / "result.json"), targets=targets) as locust:
        os.sched_setaffinity(locust.process.pid, {core})
        if first:
            with suppress(PermissionError):
                os.sched_setscheduler(locust.process.pid, os.SCHED_FIFO, os.sched_param(1))
        assert locust.ended(90) == 0, locust.log
    outcome = locust.outcome()
    assert_conserved(outcome["variants"]["asyncio"])
    print(outcome["generator"], [warning["detail"] for warning in outcome["warnings"]])
    return {(warning["name"], Degree(warning["degree"])) for warning in outcome["warnings"]}


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

        def five(name: str, *, first: bool) -> list[set[tuple[str, Degree]]]:
            return [
                warnings_of_a_run(tmp_path / f"{name}{number}", server, load_core, first=first) for number in range(5)
            ]

        with burning(load_core, BURNERS):
            squeezed = five("squeezed", first=False)
        assert all(found & DOUBTS for found in squeezed), squeezed
        with_room = []
        for series in range(SERIES):
            with_room.append(five(f"room{series}-", first=True))
            if sum(("stolen-time", Degree.DOUBT) in found or not found & MARKS for found in with_room[-1]) >= 4:
                return
    raise AssertionError(f"warnings of each run with room, series by series: {with_room}")
