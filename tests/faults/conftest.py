"""The contract's fixtures, and the order of tests for parallel runs."""

import pytest

from tests.support.fixtures import client, concurrent, launch, model, server

__all__ = ["client", "concurrent", "launch", "model", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the soak first, because the others together take as long; put other long tests last, to be distributed."""

    def place(item: pytest.Item) -> int:
        return 0 if "test_soak" in item.nodeid else 2 if "faults/load" in item.nodeid else 1

    items.sort(key=place)
