"""Start a server that announces its address, as a context."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from loadtest.compare.measure.exported import Exported
from loadtest.compare.measure.memory import Serving
from loadtest.compare.measure.process_memory import ProcessMemory
from loadtest.lab.processes import READY
from tests.support.processes import announced


class Started(NamedTuple):
    """A server: its address, process and /metrics."""

    host: str
    port: int
    pid: int
    metrics: str

    @property
    def seen(self) -> Serving:
        """The server as seen from outside, with its container's memory if it exports that."""
        charged = Exported(self.metrics).charged
        return Serving(self.host, self.port, ProcessMemory(self.pid), charged if charged() else None)

    @property
    def told(self) -> Serving:
        """The server by its own metrics."""
        exported = Exported(self.metrics)
        return self.seen._replace(seen=exported, charged=exported.was_charged if exported.charged() else None)


@contextmanager
def started(*command: str) -> Iterator[Started]:
    with announced(*command) as (process, said):
        match = READY.fullmatch(said)
        assert match is not None, said
        yield Started(match["host"], int(match["port"]), process.pid, match["metrics"])


@contextmanager
def server(variant: str, *options: str) -> Iterator[Started]:
    """Start one of the lab's servers on free ports."""
    with started("servers", variant, "--port", "0", "--metrics-port", "0", *options) as found:
        yield found
