"""One lab over several hosts for all tests here."""

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab, built
from tests.support.needs import HOSTS, provided
from tests.support.network import why_no_network


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    provided(HOSTS, why_no_network())
    with built() as lab:
        yield lab
