"""Runs the real Locust with the lab's locustfile, in processes of their own: importing it patches the process."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"


class Locust:
    """
    One locust process. It is killed at the end of the `with`, if it still runs.

    result: where it writes its result. log: what it has written.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        targets: Mapping[str, str] | None = None,
        locustfile: Path = LOCUSTFILE,
        cwd: Path = ROOT,
        name: str = "locust",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.result = folder / "result.json"
        self._log = folder / f"{name}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("TCPLAB_", "LOCUST_"))}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "locust", "-f", str(locustfile), *arguments],
                cwd=cwd,
                env=clean
                | {"TCPLAB_EXPORTER_PORT": "0"}
                | {f"TCPLAB_{variant.upper()}": address for variant, address in (targets or {}).items()}
                | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if kind is not None:
            print(self.log)

    def ended(self, within: float = 30) -> int:
        """Wait for its end. Return its exit status."""
        return self.process.wait(within)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it by a signal. Return its exit status."""
        self.process.send_signal(how)
        return self.ended(within=15)

    def outcome(self) -> dict[str, Any]:
        """Return its result."""
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found

    def metrics_url(self) -> str:
        """Wait until it serves metrics. Return where."""
        marker = "The load's metrics are at "
        eventually(lambda: marker in self.log, "it serves its metrics")
        return self.log.split(marker)[1].split()[0]

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return what it exports: {(name, label values in order of label names...): value}."""
        with urllib.request.urlopen(self.metrics_url(), timeout=5) as page:
            text = page.read().decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def run(folder: Path, *arguments: str, seconds: float = 3, **more: Any) -> Locust:
    """Run Locust headless for some seconds, to its end."""
    result = ["--result", str(folder / "result.json")]
    locust = Locust(folder, "--headless", "--only-summary", "-t", f"{seconds}s", *result, *arguments, **more)
    with locust:
        locust.ended(seconds + 20)
    return locust


def eventually(condition: Callable[[], object], what: str, within: float = 20) -> None:
    """Wait until `condition()` holds; fail if it doesn't in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with suppress(OSError, KeyError):
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"not within {within:g} s: {what}")


def total(histogram: Mapping[str, int]) -> int:
    """Return how many durations a histogram of a result holds."""
    return sum(histogram.values())


def assert_conserved(variant: Mapping[str, Any]) -> None:
    """Assert that every request of a result's variant is accounted for, and has its duration or its age."""
    assert variant["sent"] == variant["verified"] + sum(variant["errors"].values()) + variant["unanswered"]
    replies = total(variant["histograms"]["response"]) + total(variant["histograms"]["first_reply"])
    timed_out = variant["errors"]["timeout"] + variant["connections"]["timeout"]
    assert replies == variant["verified"] + timed_out
    assert total(variant["histograms"]["service"]) == total(variant["histograms"]["response"])
