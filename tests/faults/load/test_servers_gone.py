"""Servers that are absent, crash, or come back: the load goes on, and no outage counts as slowness."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.compare.analysis.summary import summaries
from loadtest.compare.measure.run import silence
from servers.variants import VARIANTS
from tests.loadtest.compare.test_compare import LOCUST, OWN, result
from tests.loadtest.compare.test_compare import run as compare
from tests.support.load.locust import (
    ALL,
    HASTY,
    Locust,
    assert_conserved,
    headless,
    kinds,
    locustfile,
    nonzero,
    run,
    shows,
    users,
    warnings,
)
from tests.support.processes import eventually, held_ports
from tests.support.servers import MODELS, Server
from tests.support.stubs.recording import Answer, Stub, answers_and_closes, answers_and_closes_in_one, closes, sometimes

CLIENTS = 4


def grows(locust: Locust, name: str, outcome: str) -> Callable[[], bool]:
    """Return a check that every variant's count of this outcome has grown by CLIENTS from now."""

    def counts() -> list[float]:
        seen = locust.metrics()
        return [seen[name, outcome, variant] for variant in ALL]

    before = counts()
    return lambda: all(now >= then + CLIENTS for now, then in zip(counts(), before, strict=True))


def test_servers_gone_before_and_during_a_run_return(tmp_path: Path) -> None:
    """Every variant is killed with SIGKILL under load, and restarted at once on the same port."""
    models = {model.name: model for model in MODELS}
    own = locustfile(tmp_path, HASTY, users())
    arguments = ("-u", str(CLIENTS * len(VARIANTS)), "-r", "100", "--think", "0.01")
    connects, requests = "tcplab_load_connections_total", "tcplab_load_requests_total"
    with ExitStack() as stack:
        ports = dict(zip(ALL, stack.enter_context(held_ports(len(ALL))), strict=True))
        targets = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        locust = stack.enter_context(headless(tmp_path, *arguments, locustfile=own, targets=targets))

        def start() -> list[Server]:
            return [stack.enter_context(Server(models[name], "--port", port)) for name, port in ports.items()]

        eventually(grows(locust, connects, "refused"), "no server listens: refused")
        seen = locust.metrics()
        assert [seen[requests, "verified", variant] for variant in ALL] == [0] * len(ALL)
        for warning in ("disconnected", "unconnected"):
            eventually(lambda name=warning: shows(locust.metrics(), name) == 1, warning, within=10)  # type: ignore[misc]
        first = start()
        eventually(grows(locust, requests, "verified"), "the servers have come: verified")
        for server in first:
            server.process.kill()
            server.ended(-9)
        eventually(grows(locust, connects, "refused"), "the servers were killed: refused")
        eventually(lambda: shows(locust.metrics(), "disconnected") == 1, "the run is marked", within=10)
        start()
        eventually(grows(locust, requests, "verified"), "the servers are back: verified")
        assert locust.stop(signal.SIGTERM) == 1, locust.log  # Locust's own status for failed requests
    outcome = locust.outcome()
    for variant in ALL:
        part = outcome["variants"][variant]
        assert_conserved(part)
        assert set(nonzero(part["errors"])) <= {"closed", "reset"}, variant
        assert set(nonzero(part["connections"])) == {"connected", "refused"}, variant
        assert set(nonzero(part["breaks"])) <= {"closed", "reset"}, variant
        assert (part["users"], part["connected"], part["served"]) == (CLIENTS, CLIENTS, CLIENTS)
    assert "disconnected" in warnings(outcome)
    assert "conservation" not in warnings(outcome)
    [line] = [line for line in locust.log.splitlines() if "warning disconnected" in line]
    assert all(f"{variant} (" in line for variant in ALL), line
    assert "Traceback" not in locust.log


def test_a_quick_restart_still_marks_the_run(tmp_path: Path) -> None:
    """No connect fails: only four of hundreds of requests are cut off."""
    with Stub(sometimes(closes, lambda number: 100 < number <= 100 + CLIENTS)) as stub:
        locust = run(
            tmp_path,
            *("AsyncioUser", "-u", str(CLIENTS), "-r", "100", "--scenario", "saturate", "--think", "0.01"),
            targets={"asyncio": stub.address},
        )
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    assert nonzero(part["errors"]) == {"closed": CLIENTS}
    assert set(nonzero(part["connections"])) == {"connected"}
    assert part["verified"] > 200
    assert "disconnected" in warnings(outcome)
    assert f"asyncio ({CLIENTS} closed)" in locust.log


@pytest.mark.parametrize("how", [answers_and_closes, answers_and_closes_in_one])
def test_a_close_after_a_reply_fails_no_request(how: Answer, tmp_path: Path) -> None:
    own = locustfile(tmp_path, HASTY, users())
    with Stub(how) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--think", "0.1")
        locust = run(tmp_path, *arguments, seconds=2, locustfile=own, targets={"asyncio": stub.address})
        part = locust.outcome()["variants"]["asyncio"]
        assert_conserved(part)
        assert kinds(part) == {"errors": set(), "connections": {"connected"}, "breaks": {"closed"}}
        assert part["breaks"]["closed"] > 6, "each of the three has come back"
        assert "disconnected" in warnings(locust.outcome())
        # Every connection has one right reply, then breaks; three may be open when the window ends.
        assert part["verified"] - 3 <= part["breaks"]["closed"] <= part["verified"]
        assert part["sent"] <= part["connections"]["connected"] <= stub.connections


def test_a_crashing_server_is_not_a_slow_one(tmp_path: Path) -> None:
    """It is restarted at once, as by systemd, so connects may not fail; half the rate must not count as its rate."""
    results = tmp_path / "results"
    crashing = "import itertools, os\nasked = itertools.count()\n" + OWN.replace(
        "self.rfile:", "self.rfile:\n            next(asked) < 2000 or os._exit(1)"
    ).replace("daemon_threads", "allow_reuse_address = daemon_threads")
    again = 'while true; do "$0" -c "$1" "$2"; done'
    with (
        held_ports(1) as [port],
        subprocess.Popen(["sh", "-c", again, sys.executable, crashing, port], start_new_session=True) as shell,
    ):
        try:
            eventually(lambda: not silence(f"127.0.0.1:{port}"), "it serves")
            done = compare(
                results, "--server", f"mine=127.0.0.1:{port}", "--variants", "single", "--seconds", "3", module=LOCUST
            )
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
    assert (done.returncode, done.stderr) == (0, "")
    [mine] = [each for each in summaries(result(results)) if each.candidate.name == "mine"]
    assert (mine.runs, len(mine.excluded)) == (0, 1)
    assert "disconnected" in [warning.name for warning in mine.excluded[0].warnings]
    assert mine["requests_per_second"].value is None
    assert "Warning, disconnected: a server ended its clients' connections" in " ".join(done.stdout.split())
