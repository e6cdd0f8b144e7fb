"""Prometheus's programs, named by the environment or on the PATH; CI requires them."""

import os
import shutil

import pytest

from tests.support.needs import PROMETHEUS, PROMTOOL, Need, provided


def program(need: Need) -> str:
    """Return a program's path."""
    found = os.environ.get(f"TCPLAB_{need.name.upper()}") or shutil.which(need.name)
    provided(need, "" if found else "there is none")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return program(PROMTOOL)


@pytest.fixture(scope="session")
def prometheus() -> str:
    return program(PROMETHEUS)
