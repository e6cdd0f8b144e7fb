"""Connections that the load can't have, by the server's fault or its own: each is classed, and the run goes on."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.loadtest.locusts import (
    ENGINE,
    IMPATIENT,
    LOCUSTFILE,
    ROOT,
    assert_conserved,
    doubts,
    headless,
    held_ports,
    locustfile,
    nonzero,
    run,
    total,
    users,
)
from tests.loadtest.stub import Stub, honest


def test_connections_that_fail_are_classed_and_nothing_is_sent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, held_ports(1) as [nobody], ExitStack() as stack:
        address = full.getsockname()
        for _ in range(2):  # the kernel takes one more than the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        locust = run(
            tmp_path,
            *("-u", "3", "-r", "100"),
            seconds=2,
            locustfile=locustfile(tmp_path, IMPATIENT, users(ENGINE, ("single", "threaded", "asyncio"))),
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
    # Who could not connect in time has waited that long for a first reply.
    assert variants["threaded"]["histograms"]["first_reply"] == variants["threaded"]["histograms"]["connect"]
    assert total(variants["threaded"]["histograms"]["connect"]) == variants["threaded"]["connections"]["timeout"]


def test_out_of_descriptors_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
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
    assert {"local-limit", "unconnected"} <= doubts(outcome)
    assert "Traceback" not in locust.log


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a network namespace takes root")
def test_out_of_local_ports_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    """Eleven ports for thirty clients, in a network namespace of its own."""
    result = tmp_path / "result.json"
    script = f"""
        ip link set lo up
        echo 32000 32010 > /proc/sys/net/ipv4/ip_local_port_range
        {sys.executable} -m loadtest.sink 9003 &
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
    assert 5 <= part["connected"] == part["served"] <= 11  # the load's own /metrics may have one of them
    assert set(nonzero(part["connections"])) == {"connected", "no_port"}
    assert not nonzero(part["breaks"]), "what never connected can't break"
    assert {"local-limit", "unconnected"} <= doubts(outcome)
    assert "Traceback" not in done.stdout + done.stderr
