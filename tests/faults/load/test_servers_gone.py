"""Servers that are not there, crash, or come back: the load goes on, and nothing of it is taken for slowness."""

import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from servers.variants import VARIANTS
from tests.contract.lab import MODELS, Server
from tests.loadtest.locusts import (
    ALL,
    ENGINE,
    HASTY,
    Locust,
    assert_conserved,
    doubts,
    eventually,
    headless,
    locustfile,
    nonzero,
    run,
    users,
)
from tests.loadtest.stub import Stub, closes, sometimes

CLIENTS = 4


def grows(locust: Locust, name: str, outcome: str) -> Callable[[], bool]:
    """Return a check that a count by outcome is higher than now by CLIENTS, for every variant."""

    def counts() -> list[float]:
        seen = locust.metrics()
        return [seen[name, outcome, variant] for variant in ALL]

    before = counts()
    return lambda: all(now >= then + CLIENTS for now, then in zip(counts(), before, strict=True))


def held_port(stack: ExitStack) -> str:
    """
    Return a port of loopback at which nobody listens, but a server may.

    It stays bound: else the kernel may give it to any client as its own port, even to one that connects to this very
    port, which is then connected with itself.
    """
    holder = stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return str(holder.getsockname()[1])


def test_servers_that_are_gone_before_and_during_a_run_and_come_back(tmp_path: Path) -> None:
    """Every variant, killed with SIGKILL under load and started again at once, at the same port."""
    models = {model.name: model for model in MODELS}
    own = locustfile(tmp_path, HASTY, users(ENGINE))
    arguments = ("-u", str(CLIENTS * len(VARIANTS)), "-r", "100", "--think", "0.01")
    connects, requests = "tcplab_load_connections_total", "tcplab_load_requests_total"
    with ExitStack() as stack:
        ports = {name: held_port(stack) for name in ALL}
        targets = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        locust = stack.enter_context(headless(tmp_path, *arguments, locustfile=own, targets=targets))

        def start() -> list[Server]:
            return [stack.enter_context(Server(models[name], "--port", port)) for name, port in ports.items()]

        eventually(grows(locust, connects, "refused"), "nobody is there: refused")
        seen = locust.metrics()
        assert [seen[requests, "verified", variant] for variant in ALL] == [0] * len(ALL)
        assert seen["tcplab_load_doubt", "disconnected"] == seen["tcplab_load_doubt", "unconnected"] == 1
        first = start()
        eventually(grows(locust, requests, "verified"), "the servers have come: verified")
        for server in first:
            server.process.kill()
            server.ended(-9)
        eventually(grows(locust, connects, "refused"), "the servers were killed: refused")
        assert locust.metrics()["tcplab_load_doubt", "disconnected"] == 1
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
    assert "disconnected" in doubts(outcome)
    assert "conservation" not in doubts(outcome)
    [line] = [line for line in locust.log.splitlines() if "doubt disconnected" in line]
    assert all(f"{variant} (" in line for variant in ALL), line
    assert "Traceback" not in locust.log


def test_a_server_that_is_back_before_anybody_looks_is_marked_all_the_same(tmp_path: Path) -> None:
    """No connect fails: all that shows is that four requests in hundreds were broken off."""
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
    assert "disconnected" in doubts(outcome)
    assert f"asyncio ({CLIENTS} closed)" in locust.log
