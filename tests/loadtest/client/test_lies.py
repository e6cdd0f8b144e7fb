"""
Servers that lie: every lie, in every scenario, is an error of its kind, is found at once, and never counts as right.

Each lie has its own stub and its own users, all in the same Locust.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from loadtest.scenarios import SCENARIOS, Scenario
from tests.support.load.locust import (
    ALL,
    HASTY,
    Locust,
    assert_conserved,
    label,
    load_each,
    locustfile,
    nonzero,
    run,
    shows,
    users,
    warnings,
)
from tests.support.processes import eventually, free_ports
from tests.support.stubs.recording import LIES, Answer, Stub, adds, adds_later, honest, sometimes, swaps, truncates

LATER = "a byte too many, later"

EVERY_20TH = range(20, 101, 20)
"""The numbers of an otherwise honest server's answers that are lies."""

RARE: dict[str, tuple[Answer, str]] = {
    "seldom: a byte too many": (adds, "corrupt"),
    "seldom: a byte too many, later": (adds_later, "corrupt"),
    "seldom: somebody else's reply": (swaps, "corrupt"),
    "seldom: cut off": (truncates, "closed"),
}


@dataclass(frozen=True)
class Caught:
    """The effect of a lie: its part of the result, its stub's record, and the run's scenario, warning and log."""

    scenario: Scenario
    part: Mapping[str, Any]
    stub: Stub
    warning: str
    log: str


@pytest.fixture(scope="module", params=[name for name, each in SCENARIOS.items() if each.neighbour is None])
def caught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caught]]:
    """Tell all lies in one scenario; clients have a short timeout if a lie needs one."""
    scenario = SCENARIOS[request.param]
    with ExitStack() as stack:
        stubs = {name: stack.enter_context(Stub(answer)) for name, (answer, _) in LIES.items()}
        for name, (answer, _) in RARE.items():
            stubs[name] = stack.enter_context(Stub(sometimes(answer, lambda number: number in EVERY_20TH)))
        loaded = load_each(
            tmp_path_factory.mktemp("lies"),
            scenario,
            {name: stub.address for name, stub in stubs.items()},
            silent=[name for name, (_, kind) in LIES.items() if kind == "timeout"],
        )
        results = {}
        for name, locust in loaded.items():
            outcome = locust.outcome()
            said = " ".join(warning["detail"] for warning in outcome["warnings"] if warning["name"] == "corrupt")
            part = outcome["variants"][label(name)]
            results[name] = Caught(scenario, part, stubs[name], said, locust.log)
    yield results


@pytest.mark.parametrize("name", LIES)
def test_each_lie_has_its_own_error(name: str, caught: dict[str, Caught]) -> None:
    part, kind = caught[name].part, LIES[name][1]
    assert_conserved(part)
    assert set(nonzero(part["errors"])) <= {kind}
    if name == LATER:
        # Right to its last byte when it came, unless the client listens to the end because it was the last one.
        assert part["errors"]["corrupt"] + part["breaks"]["corrupt"] >= 2
    else:
        assert part["errors"][kind] >= 2
        assert part["verified"] == 0
        assert not nonzero(part["breaks"])
    assert part["errors"][kind] <= len(caught[name].stub.texts)
    assert "Traceback" not in caught[name].log


def test_an_extra_byte_makes_the_connection_worthless(caught: dict[str, Caught]) -> None:
    """Each connection has one right reply at most, and none if it is the client's last."""
    part, stub = caught[LATER].part, caught[LATER].stub
    leaves_at_once = caught[LATER].scenario.requests == 1
    wrong = part["errors"]["corrupt"] + part["breaks"]["corrupt"]
    assert set(nonzero(part["breaks"])) <= {"corrupt"}
    assert wrong <= part["connections"]["connected"] <= wrong + part["users"]
    assert part["verified"] <= part["connections"]["connected"] <= stub.connections
    if leaves_at_once:
        assert part["verified"] == part["breaks"]["corrupt"] == 0


@pytest.mark.parametrize("name", RARE)
def test_each_of_a_few_lies_is_counted(name: str, caught: dict[str, Caught]) -> None:
    part, stub, kind = caught[name].part, caught[name].stub, RARE[name][1]
    assert_conserved(part)
    assert stub.lies == len(EVERY_20TH)
    assert part["errors"][kind] + part["breaks"]["corrupt"] == len(EVERY_20TH), part
    assert set(nonzero(part["errors"])) <= {kind}
    assert set(nonzero(part["breaks"])) <= ({"corrupt"} if LATER in name else set())
    assert 100 - len(EVERY_20TH) <= part["verified"] <= len(stub.texts)


def test_wrong_bytes_are_a_warning_that_names_servers(caught: dict[str, Caught]) -> None:
    wrong = {
        (label(name), str(times))
        for name, each in caught.items()
        if (times := each.part["errors"]["corrupt"] + each.part["breaks"]["corrupt"])
    }
    assert set(re.findall(r"(\w+) \((\d+)\)", caught["wrong byte"].warning)) == wrong
    assert not caught["silent"].warning


def test_a_surplus_byte_after_the_end_is_seen(tmp_path: Path) -> None:
    """Every fifth reply is its conversation's last."""
    with Stub(sometimes(adds_later, lambda number: number % 5 == 0)) as stub:
        arguments = ("AsyncioUser", "-u", "1", "--think", "0.001")
        own = locustfile(tmp_path, HASTY, users())
        locust = run(tmp_path, *arguments, seconds=3, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    wrong = part["errors"]["corrupt"]
    assert wrong >= 2
    assert set(nonzero(part["errors"])) == {"corrupt"}
    assert 4 * wrong <= part["verified"] <= 4 * wrong + 4
    assert not nonzero(part["breaks"])
    assert_conserved(part)


def test_a_stray_byte_is_seen_while_thinking(tmp_path: Path) -> None:
    """Clients of a crowd think for 10 s at least, so no connection has the second request that would show it."""
    with Stub(adds_later) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", "crowd")
        locust = run(tmp_path, *arguments, seconds=2, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert part["breaks"]["corrupt"] >= 3
    assert part["breaks"]["corrupt"] <= part["sent"] <= part["connections"]["connected"]
    assert not nonzero(part["errors"])
    assert warnings(locust.outcome()) & {"corrupt", "conservation"} == {"corrupt"}
    assert_conserved(part)


WITNESS = """
import time
from locust import events

@events.request.add_listener
def _(name, exception, **_):
    if exception is not None:
        print(f"seen: {name.split()[0]} {str(exception).split(':')[0]} {time.time():.3f}", flush=True)
"""
"""Lines of a locustfile that say when a process sees a failure."""


def test_a_lie_is_soon_in_the_masters_metrics(tmp_path: Path) -> None:
    """
    One lie of each server, after some honest answers: the worker finds it before its next report, which contains it.

    The delays until it is found and exported are printed (pytest -s), not asserted.
    """
    lie, lied = threading.Event(), {}
    lock = threading.Lock()

    def once(variant: str, how: Answer) -> Answer:
        def answer(stub: Stub, connection: Any, line: bytes) -> bool:
            with lock:
                lies = lie.is_set() and variant not in lied
                if lies:
                    lied[variant] = time.time()
            return (how if lies else honest)(stub, connection, line)

        return answer

    lies = [("corrupt", adds), ("corrupt", swaps), ("closed", truncates)]
    kinds = dict(zip(ALL, cycle(lies), strict=False))
    port, web = free_ports(2)
    own = locustfile(tmp_path, WITNESS, users())
    with ExitStack() as stack:
        stubs = {variant: stack.enter_context(Stub(once(variant, how))) for variant, (_, how) in kinds.items()}
        targets = {variant: stub.address for variant, stub in stubs.items()}
        master = stack.enter_context(
            Locust(
                tmp_path,
                *("--master", "--autostart", "--expect-workers", "1", "--master-bind-host", "127.0.0.1"),
                *("--master-bind-port", port, "--web-host", "127.0.0.1", "--web-port", web),
                *("--clients", "4", "-r", "100", "--scenario", "saturate", "--think", "0.05"),
                targets=targets,
            )
        )
        worker = stack.enter_context(
            Locust(tmp_path, "--worker", "--master-port", port, targets=targets, locustfile=own, name="worker")
        )

        def reported(variant: str) -> float:
            seen = master.metrics()
            return seen["tcplab_load_requests_total", kinds[variant][0], variant]

        eventually(lambda: all(len(stub.texts) > 100 for stub in stubs.values()), "load flows")
        assert [reported(variant) for variant in ALL] == [0] * len(ALL)
        assert shows(master.metrics(), "corrupt") == 0
        lie.set()
        arrived: dict[str, float] = {}

        def all_arrived() -> bool:
            for variant in ALL:
                if variant not in arrived and reported(variant):
                    arrived[variant] = time.time()
            return len(arrived) == len(ALL)

        eventually(all_arrived, "the lies are at the master's /metrics", within=10)
        eventually(lambda: shows(master.metrics(), "corrupt") == 1, "they are a warning", within=10)
        seen = {
            variant: (kind, float(when)) for variant, kind, when in re.findall(r"seen: (\w+) (\w+) (\S+)", worker.log)
        }
        for variant in ALL:
            assert seen[variant][0] == kinds[variant][0]
            print(
                f"{variant}: seen by the worker {(seen[variant][1] - lied[variant]) * 1000:.0f} ms after it was told,"
                f" at the master's /metrics after {arrived[variant] - lied[variant]:.2f} s"
            )
        counts = {variant: len(stub.texts) for variant, stub in stubs.items()}
        eventually(lambda: all(len(stubs[each].texts) > counts[each] + 100 for each in ALL), "load goes on")
        assert [reported(variant) for variant in ALL] == [1] * len(ALL)
