"""Run the real Locust with the lab's locustfile in its own processes, because importing it patches the process."""

import json
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from loadtest.scenarios import Scenario
from servers.variants import VARIANTS
from tests.support.processes import ROOT, eventually, start

LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
ALL = tuple(variant.name for variant in VARIANTS)


class Locust:
    """
    One Locust process; the end of the `with` kills it.

    result: the path of its result. log: its output.
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
        addresses = {f"TCPLAB_{variant.upper()}": address for variant, address in (targets or {}).items()}
        self.process = start(
            ["-m", "locust", "-f", str(locustfile), *arguments],
            self._log,
            cwd,
            {"TCPLAB_EXPORTER_PORT": "0", **addresses, **(environment or {})},
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
        """Wait for its end; return its exit status."""
        return self.process.wait(within)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it by a signal; return its exit status."""
        self.process.send_signal(how)
        return self.ended(within=15)

    def outcome(self) -> dict[str, Any]:
        """Return its result."""
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found

    def metrics_url(self) -> str:
        """Wait until it serves metrics; return the address."""
        marker = "The load's metrics are at "
        eventually(lambda: marker in self.log, "it serves its metrics")
        return self.log.split(marker)[1].split()[0]

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Scrape it; return {(name, label values in order of label names...): value}."""
        with urllib.request.urlopen(self.metrics_url(), timeout=5) as page:
            text = page.read().decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def shows(metrics: Mapping[tuple[str, ...], float], warning: str) -> float:
    """Return 1 if a warning's metric is on, in any degree and about any variant."""
    return max(value for key, value in metrics.items() if key[0] == "tcplab_load_warning" and warning in key)


def headless(folder: Path, *arguments: str, seconds: float | None = None, **more: Any) -> Locust:
    """Start Locust headless; it ends after `seconds`, or not by itself."""
    folder.mkdir(exist_ok=True)
    limit = [] if seconds is None else ["-t", f"{seconds}s"]
    result = ["--result", str(folder / "result.json")]
    return Locust(folder, "--headless", "--only-summary", *limit, *result, *arguments, **more)


def run(folder: Path, *arguments: str, seconds: float = 3, **more: Any) -> Locust:
    """Run Locust headless for `seconds`, to its end."""
    with headless(folder, *arguments, seconds=seconds, **more) as locust:
        locust.ended(seconds + 20)
    return locust


IMPATIENT = "from loadtest.client import outcomes\noutcomes.CONNECT_TIMEOUT = outcomes.REPLY_TIMEOUT = 0.4\n"
"""Locustfile lines: clients wait 0.4 s for a connection or a reply."""

HASTY = """
from dataclasses import replace
from loadtest.client import script
from loadtest.scenarios import SCENARIOS

script.SETBACK = 0.1
for each in SCENARIOS.values():
    SCENARIOS[each.name] = replace(each, away=each.away / 20, stall=each.stall / 20)
"""
"""Locustfile lines: no client stays away for long."""


def label(name: str) -> str:
    """Return the label of `name` in metrics, results and the environment."""
    return re.sub(r"\W+", "_", name)


def users(names: Iterable[str] = ALL) -> str:
    """Return locustfile lines that make users for servers of these names."""
    return f"""
from loadtest.locustfile import user_class
from servers.variants import Variant

names = {[label(name) for name in names]!r}
classes = [user_class(Variant(name, name, "blocking", None, 9, 9, "", "", "")) for name in names]
globals().update((each.__name__, each) for each in classes)
"""


def load_each(
    folder: Path, scenario: Scenario, targets: Mapping[str, str], silent: Collection[str]
) -> dict[str, Locust]:
    """
    Load each target with three users for 3 s; return the Locust processes by target.

    silent: targets that never answer; their users time out early.
    """
    pace = ("--rate", str(60 * len(targets))) if scenario.paced else ("--think", "0.01") if scenario.think else ()
    started: dict[str, Locust] = {}
    with ExitStack() as stack:
        for part in ("silent", "talking"):
            names = [name for name in targets if (name in silent) == (part == "silent")]
            place = folder / part
            place.mkdir(parents=True)
            locust = headless(
                place,
                *("--scenario", scenario.name, *pace, "-u", str(3 * len(names)), "-r", "100"),
                seconds=3,
                locustfile=locustfile(place, IMPATIENT if part == "silent" else "", HASTY, users(names)),
                targets={label(name): targets[name] for name in names},
            )
            started |= dict.fromkeys(names, stack.enter_context(locust))
        for locust in set(started.values()):
            assert locust.ended() == 1, locust.log  # Locust's own status for failed requests
    return started


def locustfile(folder: Path, *parts: str) -> Path:
    """Write a locustfile of these parts; return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "own_locustfile.py"
    path.write_text("".join(parts))
    return path


def total(histogram: Mapping[str, int]) -> int:
    """Return the number of durations in a result's histogram."""
    return sum(histogram.values())


def assert_conserved(variant: Mapping[str, Any]) -> None:
    """Assert that every request of a result's variant is accounted for, with its duration or its age."""
    assert variant["sent"] == variant["verified"] + sum(variant["errors"].values()) + variant["unanswered"]
    replies = total(variant["histograms"]["response"]) + total(variant["histograms"]["first_reply"])
    timed_out = variant["errors"]["timeout"] + variant["connections"]["timeout"]
    assert replies == variant["verified"] + timed_out
    assert total(variant["histograms"]["service"]) == total(variant["histograms"]["response"])
    for series, ages in variant["censored"].items():
        assert all(int(age) >= 0 for age in ages), (series, ages)


def nonzero(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return the counts above zero."""
    return {name: number for name, number in numbers.items() if number}


def kinds(part: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the outcomes of a variant's requests and connections, by kind."""
    return {what: set(nonzero(part[what])) for what in ("errors", "connections", "breaks")}


def durations(variant: Mapping[str, Any], series: str, kind: str = "histograms") -> dict[int, int]:
    """Return a histogram of a result's variant, or its censored durations."""
    return {int(key): number for key, number in variant[kind][series].items()}


def warnings(outcome: Mapping[str, Any]) -> set[str]:
    """Return the names of a result's warnings."""
    return {warning["name"] for warning in outcome["warnings"]}


def post(port: str, path: str, form: dict[str, str] | None) -> bytes:
    """Send the web UI a POST if there is a form, else a GET."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=10) as answer:
        content: bytes = answer.read()
        return content
