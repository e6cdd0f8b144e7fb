"""The lab over four hosts, started by the commands of loadtest/HOSTS.md."""

import json
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from servers.variants import DEFAULT
from tests.support.lab.network import Host, Namespace, network
from tests.support.load.locust import post
from tests.support.processes import ROOT, eventually, start
from tests.support.servers import Samples

ODD_CLOCK: Final = Path(__file__).with_name("odd_clock")
NAMES: Final = [variant.name for variant in DEFAULT]
EXPORTER: Final = 9104
WEB: Final = 8089

PATIENCE: Final = 60.0
"""Seconds for any step, at most: a busy machine may need them."""


class Part:
    """
    A part of the lab on a host (python -m loadtest.lab.hosts PART); the end of the `with` ends it.

    log: its output.
    """

    def __init__(
        self,
        host: Namespace,
        folder: Path,
        part: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        checkout: Path = ROOT,
    ) -> None:
        self._log = folder / f"{part}-on-{host.name}.log"
        with host.inside():
            self.process = start(
                ["-m", "loadtest.lab.hosts", part, *arguments],
                self._log,
                checkout,
                {"PYTHONUNBUFFERED": "1", **(environment or {})},
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def says(self, text: str) -> None:
        """Wait until its log has the text; it must not end before."""
        eventually(lambda: text in self.log or self.process.poll() is not None, text, PATIENCE)
        assert text in self.log, self.log

    def ended(self) -> int:
        """Wait for its end; return its exit status."""
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.end()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is not None:
            print(f"{self._log.name}\n{self.log}")


@dataclass(frozen=True, slots=True)
class Lab:
    """The running servers, and the hosts for workers: near and far."""

    near: Host
    far: Host
    middle: Host
    away: Host

    @property
    def addresses(self) -> tuple[str, ...]:
        """The options common to all hosts."""
        return ("--servers", self.away.address, "--master", self.middle.address)

    def echoed(self) -> dict[str, int]:
        """Wait until no client is left; return the requests answered by each server's own count."""
        found: dict[str, int] = {}

        def quiet() -> bool:
            for variant in DEFAULT:
                seen = self._scrape(self.away, variant.metrics_port)
                if seen("connections_open"):
                    return False
                found[variant.name] = int(seen("requests_total", command="echo"))
            return True

        eventually(quiet, "every client has left", PATIENCE)
        return found

    def load(self) -> Samples:
        """Scrape the master."""
        return self._scrape(self.middle, EXPORTER)

    def _scrape(self, host: Host, port: int) -> Samples:
        with self.middle.inside(), urllib.request.urlopen(f"http://{host.address}:{port}/metrics", timeout=5) as page:
            return Samples(page.read().decode())

    @contextmanager
    def run(self, folder: Path, *options: str) -> Iterator["Run"]:
        """Start a master on middle with Locust's options, and one load process each on near and far."""
        addresses = self.addresses
        exporter = ("--exporter-host", self.middle.address, "--exporter-port", str(EXPORTER))
        ours = ("--expect-workers", "2", "--web-port", str(WEB), *exporter)
        result = folder / "result.json"
        with ExitStack() as stack:
            master = stack.enter_context(
                Part(self.middle, folder, "master", *addresses, "--", *ours, "--result", str(result), *options)
            )
            clocks = {self.near: {}, self.far: {"PYTHONPATH": str(ODD_CLOCK)}}
            workers = [
                stack.enter_context(Part(host, folder, "workers", *addresses, "--number", "1", environment=environment))
                for host, environment in clocks.items()
            ]
            yield Run(self, master, workers, result)

    def runs_on(self, workers: int, clients: int) -> bool:
        """Return whether so many load processes report, with so many clients in all."""
        seen = self.load()
        return (seen("load_workers"), sum(seen.by("load_users", "variant").values())) == (workers, clients)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the load: its master, and its workers on near and far."""

    lab: Lab
    master: Part
    workers: list[Part]
    result: Path

    def stop(self) -> tuple[dict[str, Any], Samples]:
        """
        Stop the run and its processes on all hosts; return its result, and the master's counts.

        The counts also include what clients did after the end of the window.
        """
        with self.lab.middle.inside():
            post(str(WEB), "/stop", {})
        eventually(lambda: self.lab.runs_on(2, 0), "the last counts are in", PATIENCE)
        counted = self.lab.load()
        self.master.end()
        self.master.ended()
        assert "Traceback" not in self.master.log
        for worker in self.workers:
            assert worker.ended() == 0, worker.log
            assert "worker-1 ended, because the master ended." in worker.log
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found, counted


@contextmanager
def built() -> Iterator[Lab]:
    """Make the hosts and start the servers on one of them."""
    with network("near", "far", "middle", "away") as hosts, ExitStack() as stack:
        lab = Lab(*hosts)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(Part(lab.away, folder, "servers", "--servers", lab.away.address))
        servers.says("The servers run on")
        yield lab
