"""The result of one load run, as JSON and as lines for the terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest import atomic_write
from loadtest.recording.aggregator import Figures
from loadtest.recording.counters import Counters
from loadtest.recording.histogram import Histogram, Quantile, quantile
from loadtest.run_warnings import LoadWarning
from loadtest.settings import Settings

SCHEMA: Final = 2


@dataclass(frozen=True, slots=True)
class Window:
    """
    A measured phase that has ended.

    settings: those that it ran with. warnings: about it. settled: seconds thrown away before it, after which the
    figures were seen to have settled; None: not seen.
    """

    figures: Figures
    settings: Settings
    warnings: Sequence[LoadWarning]
    settled: float | None = None


def document(windows: Sequence[Window]) -> dict[str, Any]:
    """Return a run's result, ready for json.dumps: its window's, or those of a sweep, by rate, as "windows"."""
    if windows and windows[0].settings.sweep:
        return {"schema": SCHEMA, "windows": [_document(each) for each in windows]}
    return _document(windows[-1])


def _document(window: Window) -> dict[str, Any]:
    figures, settings, warnings = window.figures, window.settings, window.warnings
    strain, worst = figures.strain(), figures.worst_strain()
    return {
        "schema": SCHEMA,
        "scenario": settings.scenario.as_json(),
        "model": "open" if settings.rate else "closed",
        "arrivals": settings.arrivals if settings.rate else None,
        "target_rate": settings.rate,
        "window": {"started": figures.started, "ended": figures.ended, "seconds": figures.seconds},
        "warmup_seconds": settings.warmup,
        "settled_seconds": window.settled,
        "generator": {
            "workers": len(figures.efforts),
            "cpu_ratio": strain.cpu_ratio,
            "busy_ratio": strain.busy_ratio,
            "starved_ratio": strain.starved_ratio,
            "stolen_ratio": strain.stolen_ratio,
            "lag_p99_seconds": strain.lag_p99,
            "conntrack_ratio": strain.conntrack_ratio,
            "worst_10s": worst._asdict(),
            "lost_workers": len(figures.lost),
            "joined_workers": len(figures.joined),
        },
        "warnings": [warning._asdict() for warning in warnings],
        "variants": {
            name: {
                **_variant(counters, figures.users.get(name, 0), figures.seconds_of(name)),
                "neighbour": _neighbour(figures.neighbours.get(name)),
            }
            for name, counters in _took_part(figures)
        },
    }


def _took_part(figures: Figures) -> Iterable[tuple[str, Counters]]:
    """Yield the variants that this run loaded."""
    for name, counters in figures.counters.items():
        if figures.users.get(name) or counters.sent or counters.carried or any(counters.connections.values()):
            yield name, counters


def _variant(counters: Counters, users: int, seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "users": users,
        "connected": counters.clients_connected,
        "served": counters.clients_served,
        "fairness": _fairness(counters),
        "sent": counters.sent + counters.carried,
        "verified": counters.verified,
        "unanswered": counters.unanswered + counters.abandoned,
        "errors": counters.errors,
        "connections": counters.connections,
        "breaks": counters.breaks,
        "late_sends": counters.late_sends,
        "send_delay": _keyed(counters.send_delay),
        "unsent": counters.unsent,
        "histograms": {series: _keyed(histogram) for series, histogram in counters.histograms.items()},
        "censored": {series: _keyed(histogram) for series, histogram in counters.censored.items()},
    }


def _neighbour(counters: Counters | None) -> dict[str, Any] | None:
    """Return the figures of clients that do something else than the others; None without any."""
    if counters is None or not (counters.sent or counters.carried):
        return None
    return {
        "sent": counters.sent + counters.carried,
        "verified": counters.verified,
        "unanswered": counters.unanswered + counters.abandoned,
        "errors": counters.errors,
        "histograms": {name: _keyed(counters.histograms[name]) for name in ("service", "first_reply")},
    }


def _fairness(counters: Counters) -> dict[str, Any]:
    longest = counters.longest_wait
    return {
        "jain": counters.fairness,
        "longest_wait_seconds": None if longest is None else longest.microseconds / 1e6,
        "longest_wait_at_least": longest is not None and longest.at_least,
    }


def _keyed(histogram: Histogram) -> dict[str, int]:
    return {str(key): histogram[key] for key in sorted(histogram)}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the result, like atomic_write.write."""
    atomic_write.write(path, json.dumps(result, indent=1) + "\n")


def lines(windows: Iterable[Window]) -> Iterable[str]:
    """Yield a run's figures for the terminal; milliseconds have three significant figures."""
    for each in windows:
        if each.settings.sweep:
            yield f"at {each.settings.rate:,.0f} requests/s"
        yield from _lines(each.figures, each.warnings)


def _lines(figures: Figures, warnings: Iterable[LoadWarning]) -> Iterable[str]:
    yield (
        f"{'variant':<12}{'served of':>12}{'fairness':>10}{'longest wait ms':>17}"
        f"{'replies/s':>11}{'errors':>8}{'no connect':>12}{'unanswered':>12}"
        f"{'response p50 ms':>17}{'p99 ms':>9}{'service p99 ms':>16}{'first reply p50 ms':>20}{'p99 ms':>9}"
    )
    for name, counters in _took_part(figures):
        response, first = (
            [_shown(counters, series, fraction) for fraction in (0.5, 0.99)] for series in ("response", "first_reply")
        )
        service = _shown(counters, "service", 0.99)
        served = f"{counters.clients_served} of {counters.clients_connected or figures.users.get(name, 0)}"
        fairness = "-" if counters.fairness is None else f"{counters.fairness:.3f}"
        seconds = figures.seconds_of(name)
        rate = counters.verified / seconds if seconds else 0.0
        unconnected = sum(counters.connections.values()) - counters.connections["connected"]
        unanswered = counters.unanswered + counters.abandoned
        yield (
            f"{name:<12}{served:>12}{fairness:>10}{_milliseconds(counters.longest_wait):>17}"
            f"{rate:>11.1f}{sum(counters.errors.values()):>8}{unconnected:>12}{unanswered:>12}"
            f"{response[0]:>17}{response[1]:>9}{service:>16}{first[0]:>20}{first[1]:>9}"
        )
    for warning in warnings:
        yield f"warning {warning.name}: {warning.detail}. Hint: {warning.hint}."


def _shown(counters: Counters, series: str, fraction: float) -> str:
    return _milliseconds(quantile(counters.histograms[series], fraction, counters.censored[series]))


def _milliseconds(found: Quantile | None) -> str:
    if found is None:
        return "-"
    return f"{'>=' if found.at_least else ''}{found.microseconds / 1000:g}"
