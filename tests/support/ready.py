"""Starts a server that says where it is ready, for as long as a context."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from loadtest.compare.measure.exported import Exported
from loadtest.compare.measure.footprint import Footprint
from loadtest.compare.measure.memory import Serving
from loadtest.processes import READY

ROOT = Path(__file__).resolve().parents[2]


class Started(NamedTuple):
    """A server: where it serves, its process, and its /metrics."""

    host: str
    port: int
    pid: int
    metrics: str

    @property
    def seen(self) -> Serving:
        """As it is seen from outside, and charged as it exports, if it does."""
        charged = Exported(self.metrics).charged
        return Serving(self.host, self.port, Footprint(self.pid), charged if charged() else None)

    @property
    def told(self) -> Serving:
        """As it tells of itself."""
        exported = Exported(self.metrics)
        return self.seen._replace(seen=exported, charged=exported.was_charged if exported.charged() else None)


@contextmanager
def started(*command: str) -> Iterator[Started]:
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        match = READY.fullmatch(process.stdout.readline().strip())
        assert match is not None
        yield Started(match["host"], int(match["port"]), process.pid, match["metrics"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def server(variant: str, *options: str) -> Iterator[Started]:
    """Start one of the lab's servers on free ports."""
    with started("servers", variant, "--port", "0", "--metrics-port", "0", *options) as found:
        yield found
