"""Prometheus's own programs, where they are: named by the environment, or on the PATH; required in CI."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """Return where a program is; without it the test is skipped with the reason, or fails where Docker is required."""
    variable = f"TCPLAB_{name.upper()}"
    found = os.environ.get(variable) or shutil.which(name)
    if found:
        return found
    reason = f"no {name} on the PATH, and {variable} does not name one"
    if os.environ.get("TCPLAB_REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return program("prometheus")
