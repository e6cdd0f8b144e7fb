"""`TcpUser` in custom locustfiles with the real Locust: what it counts, and that the documented one works."""

import json
import re
import shlex
import signal
import textwrap
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load.test_unconnected import stuck
from tests.loadtest.client.test_names import FORGETS
from tests.loadtest.client.test_rate import ask_for_users
from tests.loadtest.client.test_unasked import RESETS, SAYS, answers_ahead
from tests.loadtest.recording.test_abandoned import CLIENTS, half, stalled
from tests.support.load.locust import (
    IMPATIENT,
    Locust,
    assert_conserved,
    headless,
    kinds,
    label,
    locustfile,
    nonzero,
    post,
    run,
    warnings,
)
from tests.support.processes import ROOT, eventually, free_ports, held_ports
from tests.support.stubs.recording import LIES, Stub, honest, silent

pytestmark = pytest.mark.slow

FULL = b"ERR server full\n"

TALKER = """
import itertools
import gevent
from locust import constant, task
from loadtest.cluster import master
from loadtest.client.tcp_user import TcpUser

master.install()

class Talker(TcpUser):
    abstract = True
    wait_time = constant(0.05)
    requests, think, size = 1, 0.0, 40

    def __init__(self, environment):
        super().__init__(environment)
        self.numbers = itertools.count()

    @task
    def talk(self):
        well = self.client.connect()
        for number in range(1, self.requests + 1):
            if well:
                text = (b"%d.%d." % (id(self), next(self.numbers))).ljust(self.size, b"x") + b"\\n"
                well = self.client.ask(b"ECHO " + text, b"OK " + text, last=number == self.requests)
                gevent.sleep(self.think)
        self.client.leave()
"""
"""A custom locustfile: each user connects, sends some unique requests, and leaves."""


def own(folder: Path, targets: Mapping[str, str], *before: str, **settings: float) -> Path:
    """Write a locustfile with a user class for each target, with these settings."""
    classes = [
        f"class {label(name)}User(Talker):\n    label, host = {label(name)!r}, {address!r}\n"
        + "".join(f"    {key} = {value}\n" for key, value in settings.items())
        for name, address in targets.items()
    ]
    return locustfile(folder, *before, TALKER, *classes)


def load(folder: Path, targets: Mapping[str, str], *before: str, seconds: int = 2, **settings: float) -> dict[str, Any]:
    """Load each target with three users. Check conservation, and return each target's part of the result."""
    path = own(folder, targets, *before, **settings)
    locust = run(folder, "-u", str(3 * len(targets)), "-r", "100", seconds=seconds, locustfile=path)
    assert "Traceback" not in locust.log
    found = locust.outcome()["variants"]
    parts = {name: found[label(name)] for name in targets}
    for part in parts.values():
        assert_conserved(part)
    return parts


# What its outcomes are


def met(errors: str = "", breaks: str = "", connections: str = "connected") -> dict[str, set[str]]:
    """Return what `kinds` says about one kind of failure."""
    return {"errors": set(errors.split()), "connections": set(connections.split()), "breaks": set(breaks.split())}


@pytest.mark.parametrize("requests", [1, 5])
def test_each_outcome_has_its_name(requests: int, tmp_path: Path) -> None:
    expected = {name: met(kind) for name, (_, kind) in LIES.items()}
    if requests > 1:
        # The byte may come before the next request or after it.
        del expected["a byte too many, later"]
    patient = [name for name in expected if LIES[name][1] != "timeout"]
    with ExitStack() as stack, held_ports(1) as [nobody]:
        stubs = {name: stack.enter_context(Stub(LIES[name][0])) for name in expected}
        stubs["speaks first"] = stack.enter_context(Stub(honest, greeting=FULL))
        stubs["speaks first, stays"] = stack.enter_context(Stub(silent, greeting=FULL, stays=True))
        stubs["honest"] = stack.enter_context(Stub(honest))
        targets = {name: stub.address for name, stub in stubs.items()}
        talking = {name: address for name, address in targets.items() if name in patient or name not in LIES}
        waiting = {name: address for name, address in targets.items() if name not in talking}
        talking["nobody there"] = f"127.0.0.1:{nobody}"
        waiting["stuck"] = stack.enter_context(stuck())
        parts = load(tmp_path / "talking", talking, requests=requests)
        parts |= load(tmp_path / "waiting", waiting, IMPATIENT, requests=requests)
    expected |= {"speaks first": met("refused"), "speaks first, stays": met("refused"), "honest": met()}
    expected |= {"nobody there": met(connections="refused"), "stuck": met(connections="timeout")}
    assert {name: kinds(part) for name, part in parts.items()} == expected
    assert {name for name, part in parts.items() if part["verified"]} == {"honest"}
    assert parts["honest"]["verified"] > 20


def test_a_reset_after_the_last_reply_is_seen(tmp_path: Path) -> None:
    with ExitStack() as stack:
        parts = load(tmp_path, {name: stack.enter_context(Stub(answer)).address for name, answer in RESETS.items()})
    for name, part in parts.items():
        assert kinds(part) == met(breaks="reset"), name
        assert part["verified"] == part["breaks"]["reset"] >= 6


def test_an_unasked_err_is_wrong_unless_idle(tmp_path: Path) -> None:
    with ExitStack() as stack:
        targets = {name: stack.enter_context(Stub(answer)).address for name, (answer, _) in SAYS.items()}
        parts = load(tmp_path, targets, seconds=4, requests=9, think=0.4)
    for name, (_, kind) in SAYS.items():
        assert kinds(parts[name]) == met(breaks=kind), name
        assert parts[name]["breaks"][kind] >= 3
        assert parts[name]["verified"] <= parts[name]["connections"]["connected"], "no connection goes on after it"


def test_a_reply_ahead_of_its_request_is_wrong(tmp_path: Path) -> None:
    with Stub(answers_ahead) as stub:
        [part] = load(tmp_path, {"server": stub.address}, requests=9, think=0.3).values()
    assert part["verified"] <= part["connections"]["connected"], "of each connection the first reply alone"
    assert part["breaks"]["corrupt"] >= 3


def test_a_connection_may_outlive_the_connect_timeout(tmp_path: Path) -> None:
    with Stub(honest) as stub:
        hasty = "from loadtest.client import outcomes\noutcomes.CONNECT_TIMEOUT = 0.4\n"
        [part] = load(tmp_path, {"server": stub.address}, hasty, requests=100_000, think=0.02).values()
        assert kinds(part) == met()
        assert part["connections"]["connected"] == stub.connections == 3
        assert part["verified"] > 100
        assert max(Counter(stub.texts).values()) == 1, "a request was sent twice"


SMALL_BUFFER = """
import socket

class Small(socket.socket):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

socket.socket = Small
"""
"""Lines of a locustfile by which the kernel takes large requests in pieces."""


def test_large_messages_arrive_whole_at_a_slow_server(tmp_path: Path) -> None:
    with Stub(honest, sip=4096, pause=0.0005) as stub:
        [part] = load(tmp_path, {"server": stub.address}, SMALL_BUFFER, requests=5, size=65000).values()
        assert kinds(part) == met()
        assert part["verified"] >= 3
        assert {len(text) for text in stub.texts} == {65000}


@pytest.mark.parametrize("code", ["EAI_NONAME", "EAI_AGAIN"])
def test_a_server_is_lost_and_found_by_name(code: str, tmp_path: Path) -> None:
    known, asked = tmp_path / "known", tmp_path / "asked"
    known.touch()
    with ExitStack() as stack:
        stub = stack.enter_context(Stub(honest))
        path = own(tmp_path, {"server": f"server.lab:{stub.port}"}, FORGETS.format(folder=str(tmp_path), code=code))
        locust = stack.enter_context(headless(tmp_path, "-u", "4", "-r", "100", locustfile=path))
        eventually(lambda: len(stub.texts) > 20, "load flows")
        known.unlink()
        stub.__exit__()
        eventually(asked.exists, "the name is looked up again")
        refused = ("tcplab_load_connections_total", "refused", "server")
        before = locust.metrics()[refused]
        eventually(lambda: locust.metrics()[refused] > before + 5, "connects fail")
        known.touch()
        again = stack.enter_context(Stub(honest, port=stub.port))
        eventually(lambda: len(again.texts) > 20, "load flows again")
        locust.stop()
        part = locust.outcome()["variants"]["server"]
    assert_conserved(part)
    assert nonzero(part["connections"]).keys() == {"connected", "refused"}
    assert "local-limit" not in warnings(locust.outcome())


def test_an_unknown_name_is_the_loads_trouble(tmp_path: Path) -> None:
    forgets = FORGETS.format(folder=str(tmp_path), code="EAI_NONAME")
    [part] = load(tmp_path, {"server": "server.lab:9"}, forgets).values()
    assert kinds(part) == met(connections="failed")


def test_ctrl_c_counts_open_requests_as_unanswered(tmp_path: Path) -> None:
    with Stub(honest) as well, Stub(silent) as never:
        path = own(tmp_path, {"well": well.address, "never": never.address}, requests=100_000)
        with headless(tmp_path, "-u", "6", "-r", "100", locustfile=path) as locust:
            eventually(lambda: len(well.texts) > 300 and len(never.texts) == 3, "load flows")
            assert locust.stop(signal.SIGINT) == 1, "clients were left waiting"
        parts = locust.outcome()["variants"]
        assert 200 < parts["well"]["verified"] <= len(well.texts)
    for part in parts.values():
        assert_conserved(part)
        assert kinds(part) == met()
    assert (parts["never"]["sent"], parts["never"]["verified"], parts["never"]["unanswered"]) == (3, 0, 3)
    assert "Traceback" not in locust.log


def test_users_taken_away_leave_requests_unanswered(tmp_path: Path) -> None:
    [web] = free_ports(1)
    with Stub(silent) as stub:
        path = own(tmp_path, {"server": stub.address})
        page = ("--autostart", "--web-host", "127.0.0.1", "--web-port", web)
        with Locust(tmp_path, *page, "-u", "6", "-r", "100", locustfile=path) as locust:
            eventually(lambda: len(stub.texts) == 6, "all six have asked")
            ask_for_users(web, 2, 100)
            eventually(lambda: locust.metrics()["tcplab_load_users", "server"] == 2, "four are taken away")
            eventually(lambda: locust.metrics()["tcplab_load_abandoned_total", "server"] == 4, "they are counted")


def test_clients_left_without_an_answer_are_told(tmp_path: Path) -> None:
    with Stub(half()) as stub, Stub(honest) as well:
        path = own(tmp_path, {"half": stub.address, "honest": well.address}, requests=100_000)
        locust = run(tmp_path, "-u", str(2 * CLIENTS), "-r", "100", seconds=6, locustfile=path)
    assert stalled(locust.outcome()) == {"half": CLIENTS // 2}
    assert locust.process.returncode == 1


def test_asking_without_a_connection_is_told(tmp_path: Path) -> None:
    with Stub(honest) as stub:
        path = own(tmp_path, {"server": stub.address})
        path.write_text(path.read_text().replace("well = self.client.connect()", "well = True"))
        locust = run(tmp_path, "-u", "1", seconds=1, locustfile=path)
    assert "RuntimeError: ask() without a connection: call connect() first, and check what it returns" in locust.log


# The documented locustfile


def documented() -> tuple[str, list[list[str]]]:
    """Return the locustfile of TcpUser's module's docstring, and the commands that run it."""
    said = (ROOT / "loadtest" / "client" / "tcp_user.py").read_text().split('"""')[1]
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", said, re.MULTILINE)
    code, commands = [textwrap.dedent(block).strip() + "\n" for block in blocks if block.strip()][:2]
    return code, [shlex.split(line) for line in commands.splitlines()]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Write the documented locustfile; return where."""
    path = tmp_path / "mine.py"
    path.write_text(documented()[0])
    return path


def arguments(number: int) -> list[str]:
    """Return what follows `locust -f mine.py` in one of the documented commands."""
    command = documented()[1][number]
    assert command[:3] == ["locust", "-f", "mine.py"]
    return command[3:]


def test_the_readme_shows_the_documented_locustfile() -> None:
    code, commands = documented()
    readme = (ROOT / "loadtest" / "README.md").read_text()
    assert textwrap.indent(code, "    ", lambda line: bool(line.strip())) in readme
    assert all("    " + shlex.join(command) + "\n" in readme for command in commands)


REPLIES = {"MyUser first reply", "MyUser reply"}


def test_the_documented_locustfile_runs_headless(mine: Path, tmp_path: Path) -> None:
    with Stub(honest) as stub:
        more = ("--host", stub.address, "--run-time", "4s", "--json-file", str(tmp_path / "statistics"))
        with Locust(tmp_path, *arguments(0), *more, locustfile=mine) as locust:
            assert locust.ended() == 0, locust.log
        assert set(stub.texts) == {b"hello", b"world"}
    entries = {entry["name"]: entry for entry in json.loads((tmp_path / "statistics.json").read_text())}
    assert entries.keys() == REPLIES
    assert sum(entry["num_failures"] for entry in entries.values()) == 0
    # Each of the ten users may have been at a request when the run ended.
    counted = sum(entry["num_requests"] for entry in entries.values())
    assert len(stub.texts) - 10 <= counted <= len(stub.texts)
    assert counted > 100


def test_its_failures_reach_locusts_own_statistics(mine: Path, tmp_path: Path) -> None:
    with Stub(LIES["wrong byte"][0]) as stub:
        more = ("--host", stub.address, "--run-time", "4s", "--csv", str(tmp_path / "statistics"))
        with Locust(tmp_path, *arguments(0), *more, locustfile=mine) as locust:
            assert locust.ended() == 1
    failures = (tmp_path / "statistics_failures.csv").read_text().splitlines()
    [(method, name, error, times)] = [line.split(",")[:4] for line in failures[1:]]
    assert (method, name, error) == ("TCP", "MyUser first reply", "corrupt: wrong bytes in place of the reply")
    assert 20 < int(times) <= len(stub.texts)


def total_of(page: dict[str, Any]) -> dict[str, Any]:
    """Return the last row of the web page's statistics."""
    [total] = [entry for entry in page["stats"] if entry["name"] == "Aggregated"]
    return dict(total)


@pytest.mark.parametrize("distributed", [False, True], ids=["alone", "master and worker"])
def test_the_documented_locustfile_runs_by_page(distributed: bool, mine: Path, tmp_path: Path) -> None:
    web, port = free_ports(2)
    with Stub(honest) as stub, ExitStack() as stack:
        page = ("--web-host", "127.0.0.1", "--web-port", web)
        bind = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port) if distributed else ()
        stack.enter_context(Locust(tmp_path, *arguments(2 if distributed else 1), *page, *bind, locustfile=mine))
        if distributed:
            worker = (*arguments(3), "--master-port", port)
            stack.enter_context(Locust(tmp_path, *worker, locustfile=mine, name="worker"))

        def asked() -> dict[str, Any]:
            try:
                found: dict[str, Any] = json.loads(post(web, "/stats/requests", None))
            except OSError:
                return {}
            return found

        eventually(lambda: "state" in asked() and (not distributed or asked()["workers"]), "the page is there")
        post(web, "/swarm", {"user_count": "4", "spawn_rate": "100", "host": stub.address})
        eventually(lambda: len(stub.texts) > 100, "load flows")
        eventually(lambda: {entry["name"] for entry in asked()["stats"]} == REPLIES | {"Aggregated"}, "it is shown")
        post(web, "/stop", {})
        eventually(lambda: asked()["state"] == "stopped", "it has stopped")
        eventually(lambda: total_of(asked())["num_requests"] >= len(stub.texts) - 4, "all is counted")
        total = total_of(asked())
    assert total["num_requests"] <= len(stub.texts)
    assert total["num_failures"] == 0
