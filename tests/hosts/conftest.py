"""One lab over several hosts for all tests here."""

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab, built
from tests.support.network import need_hosts


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    need_hosts()
    with built() as lab:
        yield lab
