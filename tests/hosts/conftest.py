"""Hosts for the tests; where none can be made they are skipped with the reason, or fail where they are required."""

import os
from collections.abc import Iterator

import pytest

from tests.hosts.lab import Lab, built
from tests.hosts.network import why_no_network


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    missing = why_no_network()
    if missing and os.environ.get("TCPLAB_REQUIRE_HOSTS") == "1":
        pytest.fail(f"TCPLAB_REQUIRE_HOSTS=1, but {missing}")
    if missing:
        pytest.skip(missing)
    with built() as lab:
        yield lab
