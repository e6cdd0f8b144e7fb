"""A test's own Prometheus: the lab's configuration and rules with other targets and a shorter interval."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.observability.queries import ROOT

PATIENCE = 30.0
"""Seconds to start, or to see something, at most: a busy machine may need them."""

LATE = 1.0
"""Seconds within which a scrape or a rule stores what it found, at most: both store it under the moment they began."""

Result = list[tuple[dict[str, str], float]]
"""An instant query's series as (labels, value)."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus, by its port on loopback."""

    port: int

    def query(self, promql: str, at: float | None = None) -> Result:
        """Return an instant query's result at `at` (unix seconds), or now."""
        form = {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode(form)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def wait_for(self, promql: str, number: int) -> None:
        """Wait until a query returns so many series."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.query(promql)) != number:
            assert time.monotonic() < deadline, f"{promql} gives {found}, not {number} series"
            time.sleep(0.1)

    def settled_moment(self, promql: str, number: int) -> float:
        """Return a moment (unix seconds) of which a query returns so many series, also after all of it is stored."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ((_, moment),) = self.query("vector(time())")
            time.sleep(LATE)
            if len(found := self.query(promql, moment)) == number:
                return moment
            assert time.monotonic() < deadline, f"{promql} gives {found}, not {number} series"


def configuration(targets: Mapping[str, int], interval: str) -> dict[str, Any]:
    """
    Return the lab's configuration with other targets and another interval.

    targets: ports on loopback by the host in prometheus.yml; other hosts are not scraped.
    """
    path = ROOT / "prometheus" / "prometheus.yml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["rule_files"] = [str(path.parent / pattern) for pattern in config["rule_files"]]
    for name in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
        config["global"][name] = interval
    for job in config["scrape_configs"]:
        for found in job.pop("dns_sd_configs", ()):  # here no name is asked of a DNS server
            for name in (each.removesuffix(".") for each in found["names"]):
                job["static_configs"].append({"targets": [f"{name}:{found['port']}"], "labels": {"variant": name}})
        for group in job["static_configs"]:
            hosts = (target.partition(":")[0] for target in group["targets"])
            group["targets"] = [f"127.0.0.1:{targets[host]}" for host in hosts if host in targets]
    return config


@contextmanager
def running(program: str, config: Mapping[str, Any], folder: Path) -> Iterator[Prometheus]:
    """Start it on a free port, with its data in `folder`; end it afterwards."""
    file, log = folder / "prometheus.yml", folder / "log"
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    data, address = f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"
    with log.open("w") as output:
        process = subprocess.Popen([program, f"--config.file={file}", data, address], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while "Server is ready" not in (said := log.read_text()):
            assert process.poll() is None, f"{program} has ended:\n{said}"
            assert time.monotonic() < deadline, f"{program} is not ready:\n{said}"
            time.sleep(0.05)
        listening = re.search(r'msg="Listening on".* address=127\.0\.0\.1:(\d+)', said)
        assert listening is not None, said
        yield Prometheus(int(listening[1]))
    finally:
        process.kill()
        process.wait()
