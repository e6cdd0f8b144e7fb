"""The result of one load run, as JSON (schema 1), and as lines for the terminal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from loadtest import atomic_write
from loadtest.recording import stalls
from loadtest.recording.aggregator import Figures
from loadtest.recording.counters import PENDING, Tally
from loadtest.recording.histogram import Histogram, Quantile, quantile
from loadtest.run_warnings import Doubt, Facts, VariantFacts
from loadtest.scenarios import Scenario
from loadtest.settings import Settings

SCHEMA: Final = 1


def facts(figures: Figures, settings: Settings) -> Facts:
    """Return what run_warnings.py wants to know of a phase that has ended."""
    return Facts(
        alone=settings.scenario.alone,
        stays=settings.scenario.requests is None,
        rate=settings.rate or 0.0,
        seconds=figures.seconds,
        **figures.worst_strain()._asdict(),
        lost_workers=len(figures.lost),
        joined_workers=len(figures.joined),
        variants={
            name: replace(
                of_variant(
                    tally,
                    users=(users := figures.users.get(name, 0)),
                    connected=tally.clients_connected,
                    served=tally.clients_served,
                    unsent=tally.unsent,
                    imbalance=tally.imbalance,
                    missing=(missing := max(0, users - tally.clients_connected)),
                    pending=_pending(tally, missing),
                ),
                asked=tally.sent
                + tally.carried
                + sum(tally.connections.values())
                + sum(tally.censored["connect"].values()),
                stalled=_stalled(tally, figures.seconds_of(name), settings.scenario),
            )
            for name, tally in figures.tallies.items()
        },
    )


def _pending(tally: Tally, missing: int) -> int:
    """Return how many connects had no answer for long in the end: a tenth of it is long if clients never had any."""
    shortest = PENDING // 10 if missing else PENDING
    return sum(number for age, number in tally.censored["connect"].items() if age >= shortest)


def _stalled(tally: Tally, seconds: float, scenario: Scenario) -> int:
    """Return how many clients the server has left waiting: others overtook them, or none was answered any more."""
    found = tally.histograms
    later = found["service"] or found["first_reply"]  # if none has had a later reply, that is what can be expected
    # Where clients wait in one queue, all of them wait for the one that stalls, or sleeps.
    asked_for = scenario.dawdle + (scenario.amount / 1000 if scenario.command == "SLEEP" else 0.0)
    silent = stalls.silent(seconds) + asked_for * 1e6
    return sum(
        max(
            stalls.stalled(finished, tally.overtaken[kind], seconds, stalls.OVERTAKEN),
            stalls.stalled(finished, tally.silent[kind], seconds, silent),
        )
        for kind, finished in (("first", found["first_reply"]), ("later", later))
    )


def of_variant(
    tally: Tally, *, users: int, connected: int, served: int, unsent: int, imbalance: int, missing: int, pending: int
) -> VariantFacts:
    """Return the facts about a variant: those that a tally has, and those that differ while a run is on."""
    return VariantFacts(
        users=users,
        connected=connected,
        served=served,
        unsent=unsent,
        imbalance=imbalance,
        missing=missing,
        pending=pending,
        unconnected={kind: number for kind, number in tally.connections.items() if kind != "connected" and number},
        sent=tally.sent,
        verified=tally.verified,
        timeouts=tally.outcomes["timeout"],
        late=tally.late_sends,
        corrupt=tally.outcomes["corrupt"] + tally.breaks["corrupt"],
        lost={kind: number for kind, number in _lost(tally).items() if number},
    )


def _lost(tally: Tally) -> dict[str, int]:
    """Return how often a server was not there, or ended a connection, by how that showed."""
    ended = {kind: tally.outcomes[kind] + tally.breaks[kind] for kind in ("closed", "reset")}
    # Linux refuses nobody for want of room in the accept queue: nobody listened.
    return {"refused": tally.connections["refused"], **ended}


def document(figures: Figures, settings: Settings, doubts: Iterable[Doubt]) -> dict[str, Any]:
    """Return the result of a phase that has ended, ready for json.dumps."""
    strain, worst = figures.strain(), figures.worst_strain()
    return {
        "schema": SCHEMA,
        "scenario": asdict(settings.scenario),
        "model": "open" if settings.rate else "closed",
        "asked_rate": settings.rate,
        "window": {"started": figures.started, "ended": figures.ended, "seconds": figures.seconds},
        "warmup_seconds": settings.warmup,
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
        "doubts": [doubt._asdict() for doubt in doubts],
        "variants": {
            name: _variant(tally, figures.users.get(name, 0), figures.seconds_of(name))
            for name, tally in _took_part(figures)
        },
    }


def _took_part(figures: Figures) -> Iterable[tuple[str, Tally]]:
    """Yield the variants that the run loaded, and not those of an earlier one."""
    for name, tally in figures.tallies.items():
        if figures.users.get(name) or tally.sent or tally.carried or any(tally.connections.values()):
            yield name, tally


def _variant(tally: Tally, users: int, seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "users": users,
        "connected": tally.clients_connected,
        "served": tally.clients_served,
        "fairness": _fairness(tally),
        "sent": tally.sent + tally.carried,
        "verified": tally.verified,
        "unanswered": tally.unanswered + tally.abandoned,
        "errors": tally.errors,
        "connections": tally.connections,
        "breaks": tally.breaks,
        "late_sends": tally.late_sends,
        "unsent": tally.unsent,
        "histograms": {series: _keyed(histogram) for series, histogram in tally.histograms.items()},
        "censored": {series: _keyed(histogram) for series, histogram in tally.censored.items()},
    }


def _fairness(tally: Tally) -> dict[str, Any]:
    longest = tally.longest_wait
    return {
        "jain": tally.fairness,
        "longest_wait_seconds": None if longest is None else longest.microseconds / 1e6,
        "longest_wait_at_least": longest is not None and longest.at_least,
    }


def _keyed(histogram: Histogram) -> dict[str, int]:
    return {str(key): histogram[key] for key in sorted(histogram)}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the result, like whole.write."""
    atomic_write.write(path, json.dumps(result, indent=1) + "\n")


def lines(figures: Figures, doubts: Iterable[Doubt]) -> Iterable[str]:
    """Yield the run's figures for the terminal, in milliseconds with three figures."""
    yield (
        f"{'variant':<12}{'served of':>12}{'fairness':>10}{'longest wait ms':>17}"
        f"{'replies/s':>11}{'errors':>8}{'no connect':>12}{'unanswered':>12}"
        f"{'response p50 ms':>17}{'p99 ms':>9}{'service p99 ms':>16}{'first reply p50 ms':>20}{'p99 ms':>9}"
    )
    for name, tally in _took_part(figures):
        response, first = (
            [_shown(tally, series, fraction) for fraction in (0.5, 0.99)] for series in ("response", "first_reply")
        )
        service = _shown(tally, "service", 0.99)
        served = f"{tally.clients_served} of {tally.clients_connected or figures.users.get(name, 0)}"
        fairness = "-" if tally.fairness is None else f"{tally.fairness:.3f}"
        seconds = figures.seconds_of(name)
        rate = tally.verified / seconds if seconds else 0.0
        unconnected = sum(tally.connections.values()) - tally.connections["connected"]
        yield (
            f"{name:<12}{served:>12}{fairness:>10}{_milliseconds(tally.longest_wait):>17}"
            f"{rate:>11.1f}{sum(tally.errors.values()):>8}{unconnected:>12}{tally.unanswered + tally.abandoned:>12}"
            f"{response[0]:>17}{response[1]:>9}{service:>16}{first[0]:>20}{first[1]:>9}"
        )
    for doubt in doubts:
        yield f"doubt {doubt.name}: {doubt.detail}. Remedy: {doubt.remedy}."


def _shown(tally: Tally, series: str, fraction: float) -> str:
    return _milliseconds(quantile(tally.histograms[series], fraction, tally.censored[series]))


def _milliseconds(found: Quantile | None) -> str:
    if found is None:
        return "-"
    return f"{'>=' if found.at_least else ''}{found.microseconds / 1000:g}"
