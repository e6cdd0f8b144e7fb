"""The fixtures of the contract."""

from tests.support.fixtures import client, concurrent, launch, model, server

__all__ = ["client", "concurrent", "launch", "model", "server"]
