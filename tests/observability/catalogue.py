"""Every series that the lab's own exporters export: metric -> label names, with their known values."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from types import SimpleNamespace
from typing import Any, cast

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from loadtest.cluster.exporter import LoadCollector, Status
from loadtest.recording.aggregator import Aggregator, Worker
from loadtest.recording.counters import SERIES, Counters, Gauges
from servers.connections.listener import Listener, listen
from servers.metrics.cgroup import Container, Throttled
from servers.metrics.collector import ServerCollector, WorkersCollector, registry
from servers.metrics.gc_pauses import GarbagePauses
from servers.metrics.server import MetricsServer
from servers.session import Deadlines
from servers.stats import Stats
from servers.variants import VARIANTS
from servers.workers.supervisor import Workers
from tests.observability.queries import ROOT

Catalogue = dict[str, dict[str, set[str]]]
"""Metric -> label -> its known values (empty if any may come)."""

TARGET = {"job": {"servers", "load", "prometheus"}, "instance": set[str]()}
VARIANT = {"variant": {variant.name for variant in VARIANTS}}


def everything() -> Catalogue:
    """Return all of Prometheus's series: the servers', the load's, the recorded and its own."""
    return {**servers(), **load(), **recorded(), "up": {**TARGET, **VARIANT}, "ALERTS": _alerts()}


def servers() -> Catalogue:
    """Return a server's series, including the standard metrics and those of workers, as Prometheus stores them."""
    stats = Stats()
    stats.share(2, writers=1)
    workers = WorkersCollector(cast("Workers", SimpleNamespace(stats=stats, restarts=[0, 0])))
    with server(Stats()) as exporter:
        return _listed(chain(exporter.collect(), workers.collect()), {**TARGET, **VARIANT})


@contextmanager
def server(stats: Stats) -> Iterator[CollectorRegistry]:
    """Yield the exporter of a server that counts in `stats`, as in a container on Linux."""
    container = Container(
        memory=lambda: dict.fromkeys(("anon", "kernel", "sock", "file"), 0), throttled=lambda: Throttled(0, 0.0)
    )
    with closing(listen("127.0.0.1", 0, 1)) as listening:
        listener = Listener(listening, 1, stats, Deadlines(idle=1.0, line=1.0, write=1.0))
        every = registry(ServerCollector(listener, GarbagePauses(), container))
        with MetricsServer("127.0.0.1", 0, every):
            yield every


def load() -> Catalogue:
    """Return what the load's master exports once there was a reply of every kind, as Prometheus stores it."""
    aggregator = Aggregator([variant.name for variant in VARIANTS])
    counters = Counters(histograms={series: {1: 1} for series in SERIES}).to_wire()
    report = {
        "phase": 0,
        "seconds": 1.0,
        "closed": False,
        "counters": {variant.name: counters for variant in VARIANTS},
        "neighbours": {},
        "gauges": {variant.name: [0] * len(Gauges._fields) for variant in VARIANTS},
        "effort": [0.0, 1.0, 0.0, 0.0, 0.0, {}],
    }
    aggregator.take("worker", {"parts": [report]}, now=0.0)
    status = Status(started=0.0, scenario="conversation", rate=0.0, warnings=(), workers={0: Worker()})
    collector = LoadCollector(aggregator, lambda: status, lambda: 0.0)
    return _listed(collector.collect(), TARGET)


def recorded() -> Catalogue:
    """Return the recording rules' series; a name begins with the label that is left."""
    levels = {"variant": VARIANT, "worker": {"worker": set[str]()}}
    return {rule["record"]: dict(levels[rule["record"].partition(":")[0]]) for rule in rules() if "record" in rule}


def rules() -> list[dict[str, Any]]:
    """Return every rule of prometheus/rules."""
    return [
        rule
        for path in sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def _alerts() -> dict[str, set[str]]:
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    severities = {rule["labels"]["severity"] for rule in rules() if "labels" in rule}
    states = {"pending", "firing"}
    return {"alertname": names, "alertstate": states, "severity": severities, "warning": set(), **TARGET, **VARIANT}


def _listed(families: Iterable[Metric], target: dict[str, set[str]]) -> Catalogue:
    catalogue: Catalogue = {}
    for family in families:
        for sample in family.samples:
            labels = catalogue.setdefault(sample.name, {name: set(values) for name, values in target.items()})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return catalogue
