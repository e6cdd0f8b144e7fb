"""The load's locustfile, with 100 us in place of 5 ms after which a send counts as late."""

from loadtest.client import connection
from loadtest.locustfile import user_class
from servers.variants import VARIANTS

connection.LATE = 100_000  # type: ignore[attr-defined]  # nanoseconds

[AsyncioUser] = [user_class(variant) for variant in VARIANTS if variant.name == "asyncio"]
