"""The contract's fixtures serve here too."""

from tests.contract.conftest import client, concurrent, launch, model, server

__all__ = ["client", "concurrent", "launch", "model", "server"]
