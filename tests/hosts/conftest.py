"""One lab over several hosts for all tests here."""

from collections.abc import Iterator

import pytest

from tests.hosts.lab import Lab, built
from tests.hosts.network import need_hosts


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    need_hosts()
    with built() as lab:
        yield lab
