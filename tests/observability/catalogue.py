"""Every series that the lab exports, as its own exporters name it: metric -> label names, with their known values."""

from collections.abc import Iterable
from contextlib import closing

import yaml
from prometheus_client.metrics_core import Metric

from servers.container import Container, Throttled
from servers.ledger import Ledger
from servers.listener import Listener, listen
from servers.metrics import ServerCollector
from servers.pauses import GarbagePauses
from servers.variants import VARIANTS
from tests.observability.queries import ROOT

Catalogue = dict[str, dict[str, set[str]]]
"""Metric -> label -> the values it is known to take (empty where any may come)."""

TARGET = {"job": {"servers", "load", "prometheus"}, "instance": set[str]()}
VARIANT = {"variant": {variant.name for variant in VARIANTS}}


def everything() -> Catalogue:
    """Return what Prometheus holds: the servers' series, the load's, those it records and its own."""
    return {**servers(), **load(), **recorded(), "up": {**TARGET, **VARIANT}, "ALERTS": _alerts()}


def servers() -> Catalogue:
    """Return what a server exports, inside a container and on Linux, as Prometheus stores it."""
    container = Container(
        memory=lambda: dict.fromkeys(("anon", "kernel", "sock", "file"), 0), throttled=lambda: Throttled(0, 0.0)
    )
    with closing(listen("127.0.0.1", 0, 1)) as listening:
        listener = Listener(listening, limit=1, on_error=lambda kind: None)
        collector = ServerCollector(Ledger(), listener, GarbagePauses(), container)
        return _listed(collector.collect(), {**TARGET, **VARIANT})


def recorded() -> Catalogue:
    """Return what the recording rules add; each groups by variant alone."""
    return {rule["record"]: dict(VARIANT) for rule in rules() if "record" in rule}


def rules() -> list[dict[str, str]]:
    """Return every rule of prometheus/rules."""
    return [
        rule
        for path in sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def _alerts() -> dict[str, set[str]]:
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    return {"alertname": names, "alertstate": {"pending", "firing"}, "doubt": set(), **TARGET, **VARIANT}


def _listed(families: Iterable[Metric], target: dict[str, set[str]]) -> Catalogue:
    catalogue: Catalogue = {}
    for family in families:
        for sample in family.samples:
            labels = catalogue.setdefault(sample.name, {name: set(values) for name, values in target.items()})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return catalogue


_SERIES = {"variant": VARIANT["variant"]}
_LOAD: Catalogue = {
    "tcplab_load_sent_total": _SERIES,
    "tcplab_load_requests_total": {**_SERIES, "outcome": {"verified", "timeout", "corrupt", "closed", "reset"}},
    "tcplab_load_unanswered": _SERIES,
    "tcplab_load_connections_total": {
        **_SERIES,
        "outcome": {"connected", "refused", "timeout", "reset", "no_port", "failed"},
    },
    "tcplab_load_recent_seconds": {
        **_SERIES,
        "series": {"response", "service", "connect", "first_reply"},
        "quantile": {"0.5", "0.95", "0.99", "0.999"},
    },
    "tcplab_load_clients_connected": _SERIES,
    "tcplab_load_clients_served": _SERIES,
    "tcplab_load_users": _SERIES,
    "tcplab_load_workers": {},
    "tcplab_load_worker_cpu_ratio": {"worker": set()},
    "tcplab_load_worker_lag_seconds": {"worker": set()},
    "tcplab_load_late_sends_total": _SERIES,
    "tcplab_load_running": {},
    "tcplab_load_doubt": {"doubt": set()},
}


def load() -> Catalogue:
    """Return what the load's master exports, as Prometheus stores it."""
    histograms = {
        f"tcplab_load_{name}_seconds_{part}": {**_SERIES, **({"le": set[str]()} if part == "bucket" else {})}
        for name in ("response", "service", "first_reply", "connect")
        for part in ("bucket", "count", "sum")
    }
    return {name: {**TARGET, **labels} for name, labels in {**_LOAD, **histograms}.items()}
