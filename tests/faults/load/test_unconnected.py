"""Connects that fail by the server's fault or the load's own: each has its class, and the run goes on."""

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import inf
from pathlib import Path

import pytest

from loadtest.scenarios import SCENARIOS
from tests.support.load.locust import (
    HASTY,
    IMPATIENT,
    LOCUSTFILE,
    assert_conserved,
    headless,
    locustfile,
    nonzero,
    run,
    shows,
    total,
    users,
    warnings,
)
from tests.support.processes import ROOT, eventually, held_ports
from tests.support.stubs.recording import Stub, honest, right

pytestmark = pytest.mark.slow


def test_failed_connects_are_classed_and_send_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, held_ports(1) as [nobody], ExitStack() as stack:
        address = full.getsockname()
        for _ in range(2):  # the kernel queues one more than the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        locust = run(
            tmp_path,
            *("-u", "3", "-r", "100"),
            seconds=2,
            locustfile=locustfile(tmp_path, IMPATIENT, users(("single", "threaded", "asyncio"))),
            targets={
                "single": f"127.0.0.1:{nobody}",
                "threaded": f"127.0.0.1:{address[1]}",
                "asyncio": "no-such-host.invalid:9",
            },
        )
    variants = locust.outcome()["variants"]
    for variant, outcome in (("single", "refused"), ("threaded", "timeout"), ("asyncio", "failed")):
        part = variants[variant]
        assert set(nonzero(part["connections"])) == {outcome}, variant
        assert (part["sent"], part["connected"], part["served"]) == (0, 0, 0)
    # A client that could not connect in time has waited that long for a first reply.
    assert variants["threaded"]["histograms"]["first_reply"] == variants["threaded"]["histograms"]["connect"]
    assert total(variants["threaded"]["histograms"]["connect"]) == variants["threaded"]["connections"]["timeout"]


@contextmanager
def stuck(serves: int = 0, good: float = inf) -> Iterator[str]:
    """
    Accept `serves` connections, or for `good` seconds from the first one on, then none; yield the address.

    The queue is then full, so the kernel drops further connects: they get no answer, not even a refusal.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        address = listener.getsockname()

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                while received := connection.recv(65536):
                    connection.sendall(right(received[:-1]))

        def accept() -> None:
            taken, until = 0, inf
            with suppress(OSError):
                while taken < serves and time.monotonic() < until:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
                    taken += 1
                    until = min(until, time.monotonic() + good)  # from the first on: a busy load starts late
            for _ in range(3):  # the kernel queues one more than the backlog
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        if not serves:
            thread.join()
        yield f"127.0.0.1:{address[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


MODELS = pytest.mark.parametrize("model", [(), ("--rate", "100")], ids=["closed", "open"])


@pytest.mark.parametrize(
    ("scenario", "model"),
    [(name, model) for name, each in SCENARIOS.items() for model in ((), ("--rate", "100")) if model or not each.paced],
)
def test_clients_stuck_in_connect_are_a_warning(scenario: str, model: tuple[str, ...], tmp_path: Path) -> None:
    """No connect has failed yet."""
    with stuck() as address:
        arguments = ("AsyncioUser", "-u", "20", "-r", "100", "--scenario", scenario, *model)
        locust = run(tmp_path, *arguments, seconds=2, targets={"asyncio": address})
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert (part["connected"], part["sent"], nonzero(part["connections"])) == (0, 0, {})
    said = {warning["name"]: warning["detail"] for warning in outcome["warnings"]}
    some = re.fullmatch(
        r"some clients never had a connection: asyncio 20; connects had no answer at the end: asyncio (\d+)",
        said["unconnected"],
    )
    assert some
    assert (1 if model else 18) <= int(some[1]) <= 20, "those whose turn has come"
    assert "0 of 20 clients served" in said["nothing-answered"]
    assert "  0 of 20  " in locust.log
    assert locust.process.returncode == 1


def test_some_stuck_clients_are_a_warning(tmp_path: Path) -> None:
    with stuck(serves=3) as address:
        # One a second: of simultaneous connects the kernel may queue more than the limit.
        arguments = ("AsyncioUser", "-u", "6", "-r", "1", "--scenario", "saturate", "--think", "0.01")
        locust = run(tmp_path, *arguments, seconds=7, targets={"asyncio": address})
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert (part["connected"], part["served"]) == (3, 3)
    [said] = [warning["detail"] for warning in outcome["warnings"] if warning["name"] == "unconnected"]
    assert said == ("some clients never had a connection: asyncio 3; connects had no answer at the end: asyncio 3")
    assert locust.process.returncode == 1


@pytest.mark.parametrize("scenario", ["churn", "conversation", "io-bound"])
def test_clients_stuck_on_reconnect_are_a_warning(scenario: str, tmp_path: Path) -> None:
    """They were connected before; the short queue may drop the first connect of some, in a second of a busy machine."""
    own = locustfile(tmp_path, HASTY, users())
    with stuck(serves=10**6, good=2.0) as address:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", scenario)
        locust = run(tmp_path, *arguments, seconds=6, locustfile=own, targets={"asyncio": address})
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert 1 <= part["connected"] <= 3
    assert part["verified"] > 3
    assert "unconnected" in warnings(outcome), locust.log
    assert locust.process.returncode == 1


def test_stuck_connects_show_while_the_run_is_on(tmp_path: Path) -> None:
    # No connect may fail before the warning is read, however busy the machine is.
    patient = locustfile(tmp_path, "from loadtest.client import outcomes\noutcomes.CONNECT_TIMEOUT = 600.0\n", users())
    with stuck() as address:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100")
        with headless(tmp_path, *arguments, locustfile=patient, targets={"asyncio": address}) as locust:
            eventually(lambda: shows(locust.metrics(), "unconnected") == 1, "the warning is exported")
            assert locust.metrics()["tcplab_load_connections_total", "timeout", "asyncio"] == 0


def test_a_run_goes_on_without_descriptors(tmp_path: Path) -> None:
    with (
        Stub(honest) as stub,
        headless(
            tmp_path,
            *("AsyncioUser", "-u", "100", "-r", "200", "--scenario", "saturate", "--think", "0.1"),
            seconds=3,
            targets={"asyncio": stub.address},
        ) as locust,
    ):
        resource.prlimit(locust.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        locust.ended()
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    assert 0 < part["connected"] < 64
    assert part["served"] == part["connected"]
    assert set(nonzero(part["connections"])) == {"connected", "failed"}
    assert not nonzero(part["breaks"])
    assert {"local-limit", "unconnected"} <= warnings(outcome)
    assert "Traceback" not in locust.log


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a network namespace takes root")
def test_a_run_goes_on_without_local_ports(tmp_path: Path) -> None:
    """Thirty clients have eleven ports, in a network namespace."""
    result = tmp_path / "result.json"
    script = f"""
        ip link set lo up
        echo 32000 32010 > /proc/sys/net/ipv4/ip_local_port_range
        {sys.executable} -m loadtest.lab.null_server 9003 &
        sink=$!
        sleep 1
        {sys.executable} -m locust -f {LOCUSTFILE} --headless --only-summary -t 3s -u 30 -r 100 \
            --scenario saturate --think 0.1 --exporter-port 0 --result {result} AsyncioUser
        kill $sink
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    outcome = json.loads(result.read_text())
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    assert 5 <= part["connected"] == part["served"] <= 11  # the load's own /metrics may use one of the ports
    assert set(nonzero(part["connections"])) == {"connected", "no_port"}
    assert not nonzero(part["breaks"]), "what never connected can't break"
    assert {"local-limit", "unconnected"} <= warnings(outcome)
    assert "Traceback" not in done.stdout + done.stderr
