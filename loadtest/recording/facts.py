"""The facts that run_checks.py needs: live, over a run's last seconds, and final, of a phase that has ended."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from loadtest.recording import stalls
from loadtest.recording.aggregator import Aggregator, Figures
from loadtest.recording.counters import PENDING, Counters, Strain, strain
from loadtest.run_checks import Change, Facts, VariantFacts
from loadtest.scenarios import Scenario
from loadtest.settings import Settings

JOINED_SECONDS: Final = 30.0
"""Seconds for which a worker that has joined a run causes a live warning."""


def final(figures: Figures, settings: Settings, changing: Mapping[str, Change] = MappingProxyType({})) -> Facts:
    """Return the facts about a phase that has ended; changing: the variants that had not settled when it began."""
    variants = {}
    for name, counters in figures.counters.items():
        users = figures.users.get(name, 0)
        missing = max(0, users - counters.clients_connected)
        variants[name] = _variant(
            counters,
            users=users,
            connected=counters.clients_connected,
            served=counters.clients_served,
            missing=missing,
            pending=_pending(counters, missing),
            unsent=counters.unsent,
            imbalance=counters.imbalance,
            asked=counters.sent
            + counters.carried
            + sum(counters.connections.values())
            + sum(counters.censored["connect"].values()),
            stalled=_stalled(counters, figures.seconds_of(name), settings.scenario),
        )
    found = _facts(
        settings, figures.worst_strain(), variants, figures.seconds, lost=len(figures.lost), joined=len(figures.joined)
    )
    return replace(found, changing=changing)


def live(aggregator: Aggregator, settings: Settings, now: float) -> Facts:
    """
    Return the facts about the last seconds of the current run; a lost worker stays lost until the run ends.

    Without imbalance, asked and stalled, which are known only at the end. now: seconds of the aggregator's clock.
    """
    figures = aggregator.figures
    recent = aggregator.recent(now)
    variants = {
        name: _variant(
            recent.get(name) or Counters(),
            users=gauges.users,
            connected=gauges.connected,
            served=gauges.connected - gauges.unserved,
            missing=0 if gauges.connected else gauges.users,  # the others may be away
            pending=gauges.pending,
            unsent=gauges.unsent,
        )
        for name, gauges in aggregator.gauges().items()
    }
    return _facts(
        settings,
        strain([worker.recent_effort() for worker in aggregator.workers.values() if worker.present]),
        variants,
        aggregator.recent_seconds(now),
        lost=len(figures.lost) if figures else 0,
        joined=sum(now - when < JOINED_SECONDS for when in figures.joined.values()) if figures else 0,
    )


def _facts(
    settings: Settings, most: Strain, variants: Mapping[str, VariantFacts], seconds: float, *, lost: int, joined: int
) -> Facts:
    return Facts(
        alone=settings.scenario.alone,
        stays=settings.scenario.requests is None,
        rate=settings.rate or 0.0,
        poisson=settings.arrivals == "poisson",
        seconds=seconds,
        **most._asdict(),
        lost_workers=lost,
        joined_workers=joined,
        variants=variants,
    )


def _variant(counters: Counters, **others: int) -> VariantFacts:
    """Return the facts about a variant, from its counters and others."""
    ended = {kind: counters.outcomes[kind] + counters.breaks[kind] for kind in ("closed", "reset")}
    # Linux does not refuse connects because the accept queue is full, so no server listened.
    lost = {"refused": counters.connections["refused"], **ended}
    return VariantFacts(
        unconnected={kind: number for kind, number in counters.connections.items() if kind != "connected" and number},
        sent=counters.sent,
        verified=counters.verified,
        timeouts=counters.outcomes["timeout"],
        late=counters.late_sends,
        corrupt=counters.outcomes["corrupt"] + counters.breaks["corrupt"],
        lost={kind: number for kind, number in lost.items() if number},
        **others,
    )


def _pending(counters: Counters, missing: int) -> int:
    """Return how many connects had waited for PENDING at the end, or for a tenth of it if clients never connected."""
    shortest = PENDING // 10 if missing else PENDING
    return sum(number for age, number in counters.censored["connect"].items() if age >= shortest)


def _stalled(counters: Counters, seconds: float, scenario: Scenario) -> int:
    """Return how many clients the server has stopped answering: others overtook them, or no more replies came."""
    found = counters.histograms
    later = found["service"] or found["first_reply"]  # without later replies, the first ones are the best estimate
    # Where clients wait in one queue, all of them wait for a request that stalls, or sleeps.
    asked_for = scenario.stall + (scenario.amount / 1000 if scenario.command == "SLEEP" else 0.0)
    silent = stalls.silent(seconds) + asked_for * 1e6
    return sum(
        max(
            stalls.stalled(finished, counters.overtaken[kind], seconds, stalls.OVERTAKEN),
            stalls.stalled(finished, counters.silent[kind], seconds, silent),
        )
        for kind, finished in (("first", found["first_reply"]), ("later", later))
    )
