"""A Locust master and its workers as processes, which a test may kill."""

import json
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.load.locust import LOCUSTFILE, Locust, post
from tests.support.processes import held_ports


class Cluster:
    """
    A master with a web UI, and its workers; the end of the `with` kills those that still run.

    master: the last one started.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str], *options: str, locustfile: Path = LOCUSTFILE) -> None:
        """Load `targets` (host:port by variant), with Locust's `options`."""
        self._folder = folder
        self._targets = targets
        self._options = options
        self._locustfile = locustfile
        self._stack = ExitStack()
        self._port, self._web = self._stack.enter_context(held_ports(2))
        self._number = 0
        self.master = self.start_master()

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def start_master(self) -> Locust:
        """Start the first master, or one after it has ended, on the same ports."""
        self.master = self._start(
            *("--master", "--autostart", "--expect-workers", "1"),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", self._port),
            *("--web-host", "127.0.0.1", "--web-port", self._web, "--result", str(self._folder / "result.json")),
            *self._options,
        )
        return self.master

    def start_worker(self) -> Locust:
        """Add a worker."""
        return self._start("--worker", "--master-port", self._port)

    def _start(self, *arguments: str) -> Locust:
        self._number += 1
        name = f"locust{self._number}"
        return self._stack.enter_context(
            Locust(self._folder, *arguments, targets=self._targets, locustfile=self._locustfile, name=name)
        )

    def users(self) -> list[int]:
        """Return each worker's number of users, in ascending order."""
        workers: Collection[dict[str, Any]] = json.loads(post(self._web, "/stats/requests", None))["workers"]
        return sorted(worker["user_count"] for worker in workers)

    def change(self, users: int) -> None:
        """Change the number of users, as the web UI's form does."""
        post(self._web, "/swarm", {"user_count": str(users), "spawn_rate": "100"})

    def stop(self) -> None:
        """End the run as the web UI's button does; return once the result is written."""
        post(self._web, "/stop", {})
