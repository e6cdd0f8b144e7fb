"""Errors of python -m loadtest.lab.hosts: one line that says what is wrong and what to do."""

import os
import subprocess
import sys

import pytest

from loadtest.settings import target
from servers.variants import by_name
from tests.support.processes import ROOT

NOWHERE = "198.51.100.1"
"""An address that no machine has (RFC 5737)."""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["servers"], "say where the servers are: --servers ADDRESS, or TCPLAB_SERVERS"),
        (["workers", "--master", NOWHERE], "say where the servers are: --servers ADDRESS, or TCPLAB_SERVERS"),
        (["workers", "--servers", NOWHERE], "say where the master is: --master ADDRESS, or TCPLAB_MASTER"),
        (["servers", "--servers", NOWHERE], f"cannot listen on {NOWHERE}, port 9001, for the single server: "),
        (
            ["master", "--servers", NOWHERE, "--master", NOWHERE],
            f"cannot listen on {NOWHERE}, port 5557, for load processes: ",
        ),
        (
            ["workers", "--servers", NOWHERE, "--master", "nobody.invalid"],
            "the master's address 'nobody.invalid' is unknown: ",
        ),
        (
            ["workers", "--servers", NOWHERE, "--master", "a..b"],
            "the master's address 'a..b' is unknown: ",
        ),
        (
            ["workers", "--servers", NOWHERE, "--master", NOWHERE, "--number", "0"],
            "0 load processes are too few; give --number from 1",
        ),
    ],
)
def test_a_part_that_cannot_start_says_why(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.lab.hosts", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("TCPLAB_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"tcplab hosts: {said}")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_an_error_that_is_lost_keeps_its_status(redirected: str) -> None:
    part = ("-m", "loadtest.lab.hosts", "servers", "--servers", NOWHERE)
    command = ("sh", "-c", f'exec "$0" "$@" {redirected}', sys.executable, *part)
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == 2


def test_one_setting_moves_all_servers_or_each_one() -> None:
    threaded = by_name("threaded")
    assert target(threaded, {}) == "127.0.0.1:9002"
    assert target(threaded, {"TCPLAB_SERVERS": ""}) == "127.0.0.1:9002"
    assert target(threaded, {"TCPLAB_SERVERS": "10.0.0.5"}) == "10.0.0.5:9002"
    assert target(threaded, {"TCPLAB_SERVERS": "10.0.0.5", "TCPLAB_THREADED": "10.0.0.6:1"}) == "10.0.0.6:1"
