"""Clients on long connections, with slow servers, unrequested bytes, servers that return, and Ctrl-C."""

import re
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.load.locust import (
    ALL,
    HASTY,
    assert_conserved,
    durations,
    headless,
    kinds,
    locustfile,
    nonzero,
    run,
    users,
    warnings,
)
from tests.support.processes import eventually
from tests.support.stubs.recording import Stub, answers_and_closes_in_one, honest, silent

pytestmark = pytest.mark.slow

FULL = b"ERR server full\n"


@pytest.mark.parametrize(
    "settings",
    [
        ("--scenario", "saturate"),
        ("--scenario", "crowd", "--think", "0.02"),
        ("--scenario", "saturate", "--rate", "200"),
    ],
    ids=" ".join,
)
def test_a_connection_may_outlive_the_connect_timeout(settings: tuple[str, ...], tmp_path: Path) -> None:
    """The timer of connect() once fired during the conversation, and a request was sent twice."""
    own = locustfile(tmp_path, "from loadtest.client import outcomes\noutcomes.CONNECT_TIMEOUT = 0.4\n", users())
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "4", "-r", "100", *settings)
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
        part = locust.outcome()["variants"]["asyncio"]
        assert locust.process.returncode == 0, locust.log
        assert_conserved(part)
        assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": set()}
        assert part["connections"]["connected"] == stub.connections == 4
        assert part["verified"] > 100
        assert max(Counter(stub.texts).values()) == 1, "a request was sent twice"
    assert not warnings(locust.outcome()) & {"conservation", "corrupt", "unserved"}


SMALL_BUFFER = """
import _socket, socket, types
from locust import events
from loadtest.client import connection

partial = 0

class Small(_socket.socket):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def send(self, data):
        global partial
        sent = super().send(data)
        partial += sent < len(data)
        return sent

connection._socket = types.SimpleNamespace(socket=Small)

@events.quit.add_listener
def _(**_):
    print(f"the kernel took a part only: {partial} times")
"""
"""Lines of a locustfile by which the kernel takes large requests in pieces."""


@pytest.mark.parametrize("scenario", ["saturate", "slow-client", "churn"])
def test_large_messages_arrive_whole_at_a_slow_server(scenario: str, tmp_path: Path) -> None:
    own = locustfile(tmp_path, HASTY, SMALL_BUFFER, users())
    with Stub(honest, sip=4096, pause=0.0005) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", scenario, "--size", "65000")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
        part = locust.outcome()["variants"]["asyncio"]
        assert_conserved(part)
        assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": set()}
        assert part["verified"] >= 3
        assert {len(text) for text in stub.texts} == {65000}
        assert max(Counter(stub.texts).values()) == 1
    [partial] = re.findall(r"the kernel took a part only: (\d+) times", locust.log)
    assert int(partial) > part["verified"]


LOOKS_LATE = """
import time
from loadtest.client.connection import ClientConnection

connect = ClientConnection._connect

def connect_and_sleep(self, now):
    waits = connect(self, now)
    time.sleep(0.005)
    return waits

ClientConnection._connect = connect_and_sleep
"""
"""Lines of a locustfile with which the event loop gets a connection and its bytes at the same time."""


@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
def test_a_server_that_speaks_first_has_refused(stays: bool, tmp_path: Path) -> None:
    """Whether it closes, or stops sending; in the open model the client comes back for the next request."""
    own = locustfile(tmp_path, HASTY, LOOKS_LATE, users())
    with Stub(silent, greeting=FULL, stays=stays) as stub, Stub(honest) as well:
        arguments = ("AsyncioUser", "SingleUser", "-u", "6", "-r", "100", "--scenario", "churn", "--rate", "100")
        targets = {"asyncio": stub.address, "single": well.address}
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets=targets)
    part, fine = (locust.outcome()["variants"][name] for name in ("asyncio", "single"))
    assert_conserved(part)
    assert kinds(part) == {"errors": {"refused"}, "connections": {"connected"}, "breaks": set()}
    assert part["verified"] == 0
    assert part["errors"]["refused"] > 20
    assert kinds(fine) == {"errors": set(), "connections": {"connected"}, "breaks": set()}
    assert fine["verified"] > 20


def test_a_request_after_a_close_is_an_error(tmp_path: Path) -> None:
    """Without a pause the client sends its next request before it can notice: every other one fails."""
    own = locustfile(tmp_path, HASTY, users())
    with Stub(answers_and_closes_in_one) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", "saturate")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert kinds(part) == {"errors": {"closed"}, "connections": {"connected"}, "breaks": set()}
    assert part["verified"] == part["errors"]["closed"] > 6


@pytest.mark.parametrize("model", [(), ("--rate", "100")], ids=["closed", "open"])
def test_a_server_that_returns_has_its_clients_back(model: tuple[str, ...], tmp_path: Path) -> None:
    own = locustfile(tmp_path, HASTY, users())
    with ExitStack() as stack:
        first = Stub(honest)
        arguments = ("AsyncioUser", "-u", "4", "-r", "100", "--scenario", "saturate", *model)
        arguments += () if model else ("--think", "0.01")
        locust = stack.enter_context(headless(tmp_path, *arguments, locustfile=own, targets={"asyncio": first.address}))
        with first:
            eventually(lambda: len(first.texts) > 50, "load flows")
        eventually(
            lambda: locust.metrics()["tcplab_load_connections_total", "refused", "asyncio"] >= 4, "the server is gone"
        )
        assert locust.metrics()["tcplab_load_clients_connected", "asyncio"] == 0
        second = stack.enter_context(Stub(honest, port=first.port))
        eventually(lambda: locust.metrics()["tcplab_load_clients_served", "asyncio"] == 4, "all four are back")
        before = len(second.texts)
        eventually(lambda: len(second.texts) > before + 50, "load flows again")
        locust.stop()
        outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    assert part["served"] == 4, "the same four"
    assert second.connections == 4
    assert part["connections"]["connected"] == 8
    assert set(nonzero(part["errors"])) <= {"closed", "reset"}
    assert sum(part["errors"].values()) + sum(part["breaks"].values()) == 4, "each connection broke once"
    assert set(nonzero(part["connections"])) == {"connected", "refused"}
    assert not warnings(outcome) & {"conservation", "corrupt", "unserved"}


@pytest.mark.measures
@pytest.mark.parametrize(("shares", "index"), [((7, 0, 0, 0), 0.25), ((1, 2, 3, 4), 100 / 120)], ids=str)
def test_fairness_shows_how_replies_are_shared(shares: tuple[int, ...], index: float, tmp_path: Path) -> None:
    left = list(shares)
    mine: dict[socket.socket, int] = {}

    def as_many(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        with turn:
            mine[connection] = mine[connection] - 1 if connection in mine else left.pop() - 1
        return honest(stub, connection, line) if mine[connection] >= 0 else silent(stub, connection, line)

    turn = threading.Lock()
    with Stub(as_many) as stub:
        arguments = ("AsyncioUser", "-u", "4", "-r", "100", "--scenario", "saturate")
        own = locustfile(tmp_path, users())
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert (part["connected"], part["served"]) == (4, sum(map(bool, shares)))
    assert (part["verified"], part["unanswered"]) == (sum(shares), 4)
    fairness = part["fairness"]
    waiting = max(max(durations(part, series, "censored"), default=0) for series in ("response", "first_reply"))
    assert fairness == {"jain": index, "longest_wait_seconds": waiting / 1e6, "longest_wait_at_least": True}
    [line] = [line for line in locust.log.splitlines() if line.startswith("asyncio ")]
    assert line.split()[1:6] == [*f"{part['served']} of 4".split(), f"{index:.3f}", f">={waiting / 1000:g}"]


RETUNES = """
import gevent, time
from locust import events
from loadtest.cluster import rate
from loadtest.client.recorded_user import RECORDER

def served():
    return sum(client_stats.served for client_stats in RECORDER.variant_stats("asyncio").clients)

def retune():
    while served() < 20:
        gevent.sleep(0.01)
    for seconds, interval in ((4, 4), (2, 0.5)):
        print(f"another interval at {time.monotonic()}", flush=True)
        rate.set_interval(interval)
        gevent.sleep(seconds)

events.test_start.add_listener(lambda **_: gevent.spawn(retune))
"""
"""Lines of a locustfile that change twenty clients' interval once all are served: to 4 s, and 4 s later to 0.5 s."""


@pytest.mark.measures
def test_sleeping_clients_keep_to_another_interval(tmp_path: Path) -> None:
    """
    A client that slept on once sent too early, or counted its own sleep as the server's delay.

    Each of 20 clients is due once in 4 s at an interval of 4 s, and four times in 2 s at one of 0.5 s.
    """
    moments: list[float] = []

    def answer(stub: Stub, connection: socket.socket, line: bytes) -> bool:
        moments.append(time.monotonic())
        return honest(stub, connection, line)

    own = locustfile(tmp_path, RETUNES, users())
    with Stub(answer) as stub:
        arguments = ("AsyncioUser", "-u", "20", "-r", "100", "--scenario", "saturate", "--rate", "20")
        pace = ("--arrivals", "periodic")  # by chance alone, Poisson's would leave the bounds below
        with headless(tmp_path, *arguments, *pace, locustfile=own, targets={"asyncio": stub.address}) as locust:
            eventually(lambda: locust.log.count("another interval at ") == 2, "it has another interval, twice")
            slower, faster = (float(when) for when in re.findall(r"another interval at (\S+)", locust.log))
            time.sleep(max(0.0, faster + 2 - time.monotonic()))
            locust.stop()
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert 15 <= sum(slower < when < slower + 4 for when in moments) <= 25
    assert 65 <= sum(faster < when < faster + 2 for when in moments) <= 95
    assert max(durations(part, "response")) < 1_500_000, "a client that slept on would have charged the server with it"


@pytest.mark.measures
def test_a_stall_in_the_open_model_charges_nobody(tmp_path: Path) -> None:
    own = locustfile(tmp_path, users())
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "8", "-r", "100", "--scenario", "slow-client")
        pace = ("--rate", "32", "--arrivals", "periodic")  # at random, so few requests might be missing by chance
        locust = run(tmp_path, *arguments, *pace, seconds=6, locustfile=own, targets={"asyncio": stub.address})
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    for series in ("response", "first_reply"):
        assert max(durations(part, series)) < 1_000_000, series
        assert max(durations(part, series, "censored"), default=0) < 1_000_000, series
    assert 150 < part["sent"] < 185, "seven clients have sent their share, the one that stalls a small part of its own"
    assert "rate" in warnings(outcome)


def shaped(**settings: float) -> str:
    """Return lines of a locustfile that change the lengths of the shapes' stages; clients start at once."""
    lines = [f"shapes.{name} = {value}" for name, value in settings.items()]
    return "\n".join(
        ["from loadtest import shapes\nfrom loadtest.cluster import shaping", "shaping.SPAWN_SECONDS = 0.1", *lines, ""]
    )


def stages(log: str) -> list[int]:
    """Return the numbers of users that a shape has asked for, in order."""
    return [int(number) for number in re.findall(r"Shape test updating to (\d+) users", log)]


def test_steps_add_a_fifth_of_the_clients(tmp_path: Path) -> None:
    own = locustfile(tmp_path, shaped(STEP=1.5), users())
    with Stub(honest) as stub, Stub(honest) as other:
        arguments = ("AsyncioUser", "ThreadedUser", "--scenario", "crowd", "--shape", "steps", "--clients", "5")
        targets = {"asyncio": stub.address, "threaded": other.address}
        with headless(tmp_path, *arguments, locustfile=own, targets=targets) as locust:
            assert locust.ended() == 0
        outcome = locust.outcome()
        assert stages(locust.log) == [2, 4, 6, 8, 10]
        assert stub.connections == other.connections == 5
    for name in ("asyncio", "threaded"):
        part = outcome["variants"][name]
        assert_conserved(part)
        assert (part["users"], part["connected"], part["served"]) == (5, 5, 5)
        assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": set()}


def test_one_after_another_loads_one_variant_each(tmp_path: Path) -> None:
    """The stage without clients, as long as in the lab, must be long enough to remove a hundred of them."""
    own = locustfile(tmp_path, shaped(STAY=2), users())
    with ExitStack() as stack:
        stubs = {variant: stack.enter_context(Stub(honest)) for variant in ALL}
        targets = {variant: stub.address for variant, stub in stubs.items()}
        arguments = ("--scenario", "saturate", "--think", "0.05", "--shape", "one-after-another", "--clients", "100")
        with headless(tmp_path, *arguments, locustfile=own, targets=targets) as locust:
            assert locust.ended(60) == 0
        outcome = locust.outcome()
        assert stages(locust.log) == [100, 0] * len(ALL)
        assert {name: stub.connections for name, stub in stubs.items()} == dict.fromkeys(ALL, 100)
        moments = [moment for variant in ALL for moment in stubs[variant].when]
        assert moments == sorted(moments), "each variant's last request came before the next one's first"
    for part in outcome["variants"].values():
        assert_conserved(part)
        assert part["served"] == 100
        assert part["verified"] > 50
    assert list(outcome["variants"]) == list(ALL)
    assert "all-at-once" not in warnings(outcome)


@pytest.mark.parametrize(
    "settings", [(), ("--rate", "300"), ("--shape", "steps")], ids=["closed model", "open model", "shape"]
)
def test_ctrl_c_leaves_a_result(settings: tuple[str, ...], tmp_path: Path) -> None:
    own = locustfile(tmp_path, users())
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-r", "100", "--scenario", "saturate", "--clients", "5", *settings)
        with headless(tmp_path, *arguments, locustfile=own, targets={"asyncio": stub.address}) as locust:
            eventually(lambda: len(stub.texts) > 300, "load flows")
            assert locust.stop(signal.SIGINT) == 0
        part = locust.outcome()["variants"]["asyncio"]
        assert 200 < part["verified"] <= len(stub.texts)
    assert_conserved(part)
    assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": set()}
    assert "Traceback" not in locust.log
