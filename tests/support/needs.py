"""
Needs of tests that a machine may lack: without one a test is skipped, or fails where it is required.

The summary has one line for each kind of need (tests/conftest.py).
"""

import os
from dataclasses import dataclass
from typing import Final

import pytest


@dataclass(frozen=True, slots=True)
class Need:
    """
    Something that a machine may lack.

    variable: the environment variable that makes its absence a failure if it is 1. hint: how to get it.
    """

    name: str
    variable: str
    hint: str


DOCKER: Final = Need("Docker", "TCPLAB_REQUIRE_DOCKER", "install Docker with Compose v2, or run .ci/run")
PROMTOOL: Final = Need("promtool", "TCPLAB_REQUIRE_DOCKER", "put it on the PATH, or name it by TCPLAB_PROMTOOL")
PROMETHEUS: Final = Need("prometheus", "TCPLAB_REQUIRE_DOCKER", "put it on the PATH, or name it by TCPLAB_PROMETHEUS")
BROWSER: Final = Need("a browser", "TCPLAB_REQUIRE_BROWSER", "install chromium")
GROUPS: Final = Need("control groups", "TCPLAB_REQUIRE_GROUPS", "run as root, with a writable /sys/fs/cgroup")
HOSTS: Final = Need("several hosts", "TCPLAB_REQUIRE_HOSTS", "run as root, with iproute2 and /dev/net/tun")
FREE_THREADED: Final = Need(
    "a free-threaded Python",
    "TCPLAB_REQUIRE_FREE_THREADED",
    "name one: TCPLAB_FREE_THREADED=$(tests/free_threaded/build)",
)
COMPILER: Final = Need("gcc", "TCPLAB_REQUIRE_COMPILER", "install gcc")
GO: Final = Need("Go", "TCPLAB_REQUIRE_GO", "install golang-go")

NEEDS: Final = (DOCKER, PROMTOOL, PROMETHEUS, BROWSER, GROUPS, HOSTS, FREE_THREADED, COMPILER, GO)


def provided(need: Need, missing: str) -> None:
    """Skip the test if `missing` says why the need is unmet; fail it if the need is required."""
    if not missing:
        return
    if os.environ.get(need.variable) == "1":
        pytest.fail(f"{need.variable}=1, but {missing}")
    pytest.skip(reason(need, missing))


def reason(need: Need, missing: str) -> str:
    """Return a skip's reason, by which the summary recognises the need."""
    return f"needs {need.name}: {missing}"


def hint(why: str) -> str:
    """Return the hint of the need in a skip's reason; empty if there is none."""
    return next((need.hint for need in NEEDS if why.startswith(reason(need, ""))), "")
