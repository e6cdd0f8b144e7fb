"""A server that stops answering some of its clients is excluded, in every scenario; an honest one is not."""

import queue
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare.analysis.pairwise import all_pairs
from loadtest.compare.analysis.summary import summaries
from loadtest.scenarios import SCENARIOS
from tests.loadtest.compare.test_compare import LOCUST, OWN, result
from tests.loadtest.compare.test_compare import run as compare
from tests.support.load.locust import (
    HASTY,
    IMPATIENT,
    Locust,
    assert_conserved,
    headless,
    label,
    locustfile,
    run,
    shows,
    users,
    warnings,
)
from tests.support.stubs.recording import Answer, Stub, after, honest, right, silent, text_of

pytestmark = pytest.mark.slow

CLIENTS = 6
SECONDS = 6
GOOD = 1.5
"""Seconds for which each stub answers all clients."""

MODELS: dict[str, tuple[str, ...]] = {"closed": (), "open": ("--rate", "300")}

PLAYED = [
    (name, model)
    for name, each in SCENARIOS.items()
    for model in MODELS
    # The stub might leave the neighbour alone, which is none of these clients.
    if (model == "open" or not each.paced) and each.neighbour is None
]


def leaves(chosen: Callable[[socket.socket, bytes], bool], good: float = GOOD) -> Answer:
    """Answer rightly; after a while, no longer on chosen connections, or to chosen clients."""

    def answer(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        gone = time.monotonic() - stub.when[0] > good and chosen(connection, line)
        return (silent if gone else honest)(stub, connection, line)

    return answer


def client_of(line: bytes) -> bytes:
    return text_of(line).partition(b".")[0]


def half() -> Answer:
    """Leave every second client."""
    known: list[bytes] = []
    lock = threading.Lock()

    def chosen(_: socket.socket, line: bytes) -> bool:
        with lock:
            if client_of(line) not in known:
                known.append(client_of(line))
            return known.index(client_of(line)) % 2 == 0

    return leaves(chosen)


def one(good: float = GOOD) -> Answer:
    """Leave the client that asks first."""
    left: list[bytes] = []
    lock = threading.Lock()

    def chosen(_: socket.socket, line: bytes) -> bool:
        with lock:
            left[:] = left or [client_of(line)]
            return client_of(line) in left

    return leaves(chosen, good)


def so_many(number: int) -> Answer:
    """Answer each client so many times, and then never again."""
    asked: Counter[bytes] = Counter()
    lock = threading.Lock()

    def answer(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        with lock:
            asked[client_of(line)] += 1
            gone = asked[client_of(line)] > number
        return (silent if gone else honest)(stub, connection, line)

    return answer


def queued() -> Answer:
    """Answer one after another, from a queue that forgets every twentieth."""
    waiting: queue.Queue[tuple[socket.socket, bytes]] = queue.Queue()

    def work() -> None:
        number = 0
        while True:
            connection, line = waiting.get()
            number += 1
            if number % 20:
                try:
                    connection.sendall(right(line))
                except OSError:
                    continue

    threading.Thread(target=work, daemon=True).start()

    def answer(_: Stub, connection: socket.socket, line: bytes) -> bool:
        waiting.put((connection, line))
        return True

    return answer


LEAVING: dict[str, Callable[[], Answer]] = {
    "half": half,
    "one": one,
    "three times each": lambda: so_many(3),
    "a queue of its own": queued,
    "all": lambda: leaves(lambda *_: True),
}

HONEST: dict[str, Callable[[], Answer]] = {
    "honest": lambda: honest,
    "slow": lambda: after(lambda _: 0.02),
    "seldom slow": lambda: after(lambda number: 0.4 if number % 50 == 0 else 0.001),
}


def stalled(outcome: Mapping[str, Any]) -> dict[str, int]:
    """Return how many clients each server has left waiting, as the warning says."""
    said = " ".join(warning["detail"] for warning in outcome["warnings"] if warning["name"] == "stalled-clients")
    return {name: int(number) for name, number in re.findall(r"(\w+) (\d+) of \d+", said)}


def load(folder: Path, scenario: str, model: str, answers: Mapping[str, Callable[[], Answer]]) -> Locust:
    """Load a stub for each of the answers with clients of its own, all in one run."""
    think = ("--think", "0.02") if SCENARIOS[scenario].think and model == "closed" else ()
    with ExitStack() as stack:
        targets = {label(name): stack.enter_context(Stub(make())).address for name, make in answers.items()}
        number = str(CLIENTS * len(targets))
        own = locustfile(folder, HASTY, users(answers))
        arguments = ("-u", number, "-r", "200", "--scenario", scenario, *think, *MODELS[model])
        return run(folder, *arguments, seconds=SECONDS, locustfile=own, targets=targets)


@pytest.mark.parametrize(("scenario", "model"), PLAYED)
def test_clients_left_without_an_answer_are_a_warning(scenario: str, model: str, tmp_path: Path) -> None:
    locust = load(tmp_path, scenario, model, LEAVING)
    outcome = locust.outcome()
    for part in outcome["variants"].values():
        assert_conserved(part)
        assert part["verified"] > 0
        assert not part["errors"]["timeout"], "they wait for far less than the timeout"
    found = stalled(outcome)
    assert set(found) == {label(name) for name in LEAVING}, locust.log
    assert found["one"] == 1
    assert found["half"] == CLIENTS // 2
    assert found["three_times_each"] == found["all"] == CLIENTS
    assert locust.process.returncode == 1


@pytest.mark.parametrize(("scenario", "model"), PLAYED)
def test_honest_servers_leave_nobody(scenario: str, model: str, tmp_path: Path) -> None:
    locust = load(tmp_path, scenario, model, HONEST)
    assert not warnings(locust.outcome()) & {"stalled-clients", "timeouts", "nothing-answered", "unconnected"}
    assert locust.process.returncode == 0, locust.log


@pytest.mark.parametrize("scenario", ["saturate", "churn", "conversation"])
def test_one_of_fifty_abandoned_late_is_seen(scenario: str, tmp_path: Path) -> None:
    with Stub(one(good=SECONDS - 2.0)) as stub:
        arguments = ("AsyncioUser", "-u", "50", "-r", "200", "--scenario", scenario, "--warmup", "1")
        locust = run(tmp_path, *arguments, seconds=SECONDS, targets={"asyncio": stub.address})
    assert stalled(locust.outcome()) == {"asyncio": 1}, locust.log


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_request_that_times_out_is_a_warning(scenario: str, tmp_path: Path) -> None:
    """All of them; or one of thousands, while every other client has its replies."""
    seldom = so_many(20)
    with Stub(silent) as never, Stub(seldom) as some:
        think = ("--think", "0.01") if SCENARIOS[scenario].think else ()
        pace = MODELS["open"] if SCENARIOS[scenario].paced else think
        own = locustfile(tmp_path, IMPATIENT, HASTY, users(("never", "some")))
        arguments = ("-u", "40", "-r", "200", "--scenario", scenario, *pace)
        targets = {"never": never.address, "some": some.address}
        locust = run(tmp_path, *arguments, seconds=4, locustfile=own, targets=targets)
    outcome = locust.outcome()
    said = {warning["name"]: warning["detail"] for warning in outcome["warnings"]}
    counts = {name: part["errors"]["timeout"] for name, part in outcome["variants"].items()}
    assert all(counts.values())
    assert said["timeouts"].endswith(f": never ({counts['never']}), some ({counts['some']})")
    assert said["nothing-answered"].endswith("right reply: never (0 of 20 clients served)")
    assert locust.process.returncode == 1


def test_timeouts_are_told_while_the_run_is_on(tmp_path: Path) -> None:
    own = locustfile(tmp_path, IMPATIENT, users(("never",)))
    with Stub(silent) as stub:
        arguments = ("-u", "3", "-r", "100", "--scenario", "saturate")
        with headless(tmp_path, *arguments, locustfile=own, targets={"never": stub.address}) as locust:
            deadline = time.monotonic() + 20
            while not shows(locust.metrics(), "timeouts"):
                assert time.monotonic() < deadline
                time.sleep(0.2)


def test_requests_that_fail_by_order_may_end_well(tmp_path: Path) -> None:
    """Like failed requests: the comparison reads them in the result."""
    with Stub(half()) as stub:
        arguments = ("AsyncioUser", "-u", "6", "-r", "100", "--scenario", "saturate", "--exit-code-on-error", "0")
        locust = run(tmp_path, *arguments, seconds=5, targets={"asyncio": stub.address})
    assert stalled(locust.outcome()) == {"asyncio": 3}
    assert locust.process.returncode == 0


ABANDONS = (
    OWN.replace("import socketserver", "import itertools, time, socketserver\n\nnumbers = itertools.count()\n")
    .replace(
        "        for line in self.rfile:\n",
        "        left, began = next(numbers) % 2, time.monotonic()\n"
        "        for line in self.rfile:\n"
        "            if left and time.monotonic() - began > 2:\n"
        "                continue\n",
    )
    .replace(", sys\n", "\nimport sys\n")
)
"""A server of one's own that leaves every other client after 2 s."""


def test_a_comparison_tells_who_left_its_clients(tmp_path: Path) -> None:
    """It is not the faster one, and the exit status shows it."""
    (tmp_path / "own.py").write_text(ABANDONS)
    done = compare(
        tmp_path / "results",
        *("--server", f"mine={sys.executable} {tmp_path / 'own.py'} {{port}}", "--variants", "asyncio"),
        *("--clients", "6", "--seconds", "4"),
        module=LOCUST,
    )
    assert done.returncode == 4, done.stdout
    every = {each.candidate.name: each for each in summaries(result(tmp_path / "results"))}
    assert (every["mine"].runs, len(every["mine"].excluded)) == (0, 1)
    assert every["mine"]["requests_per_second"].value is None
    said = {warning.name: warning.detail for warning in every["mine"].excluded[0].warnings}
    assert "took: mine 3 of 6: " in said["stalled-clients"]
    assert not [detail for detail in said.values() if "asyncio" in detail]
    assert "stalled-clients" not in [warning.name for run in every["asyncio"].shown for warning in run.warnings]
    assert "Warning, stalled-clients: clients waited at the end" in " ".join(done.stdout.split())
    assert not [each for each in all_pairs(list(every.values())) if each.better]
