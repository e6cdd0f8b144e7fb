"""One lab for all tests in Docker; without Docker they are skipped with the reason, or fail where it is required."""

import os
from collections.abc import Iterator

import pytest

from tests.support.docker_lab import Lab, brought_up, why_no_docker


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    missing = why_no_docker()
    if missing and os.environ.get("TCPLAB_REQUIRE_DOCKER") == "1":
        pytest.fail(f"TCPLAB_REQUIRE_DOCKER=1, but {missing}")
    if missing:
        pytest.skip(missing)
    for lab in brought_up():
        failed = request.session.testsfailed
        yield lab
        if request.session.testsfailed > failed:
            print(f"\n{lab.health()}\n{lab.logs()}")
