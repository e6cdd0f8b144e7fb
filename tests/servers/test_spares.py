"""Descriptors put by: as many as are wanted, let go two at a time, and put by again."""

import os
import resource
from collections.abc import Iterator

import psutil
import pytest

from servers.spares import AT_ONCE, WANTED, Spares


def held() -> int:
    """Return how many descriptors this process has."""
    return psutil.Process().num_fds()


@pytest.fixture
def spares() -> Iterator[Spares]:
    before = held()
    made = Spares()
    assert held() == before + WANTED
    yield made
    made.close()
    assert held() == before


def test_they_are_let_go_for_one_scrape_at_a_time_until_there_are_none(spares: Spares) -> None:
    full = held()
    for times in range(1, 6):
        spares.let_go()
        assert held() == full - min(WANTED, times * AT_ONCE)


def test_they_are_put_by_again_as_far_as_there_are_any(spares: Spares) -> None:
    full = held()
    spares.let_go()
    spares.let_go()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is not in use
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
    try:
        spares.put_by()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert full - 2 * AT_ONCE < held() < full
    spares.put_by()
    assert held() == full
