"""
One lab with a steady load for all tests in Docker.

Without Docker they are skipped with a reason, or fail where it is required.
"""

from collections.abc import Iterator

import pytest

from tests.support.lab.docker import Lab, brought_up, why_no_docker
from tests.support.needs import DOCKER, provided


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    provided(DOCKER, why_no_docker())
    for lab in brought_up(TCPLAB_CLIENTS="30"):
        failed = request.session.testsfailed
        yield lab
        if request.session.testsfailed > failed:
            print(f"\n{lab.health()}\n{lab.logs()}")
