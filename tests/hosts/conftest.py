"""One lab over several hosts for all tests here."""

from collections.abc import Iterator

import pytest

from tests.support.lab.hosts import Lab, built
from tests.support.lab.network import why_no_network
from tests.support.needs import HOSTS, provided


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    provided(HOSTS, why_no_network())
    with built() as lab:
        yield lab
