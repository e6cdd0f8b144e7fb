"""The contract's fixtures serve here too; and the order, for these tests run side by side."""

import pytest

from tests.support.fixtures import client, concurrent, launch, model, server

__all__ = ["client", "concurrent", "launch", "model", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the soak first, for the others take as long together; and what else takes long last, to be shared out."""

    def place(item: pytest.Item) -> int:
        return 0 if "test_soak" in item.nodeid else 2 if "faults/load" in item.nodeid else 1

    items.sort(key=place)
