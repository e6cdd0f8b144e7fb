"""Reads a load run's result: the JSON of `locust ... --result FILE`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.recording.result import SCHEMA
from loadtest.run_warnings import RunWarning
from loadtest.scenarios import SCENARIOS, Scenario


class UnreadableError(ValueError):
    """The result can't be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    One variant's part of a load run.

    variant: that of the users, which may have loaded another server. scenario: as tuned. model: "closed" or "open".
    started, ended: the measured window, in Unix seconds. users: clients asked for; connected, served: those with a
    connection, and with a verified reply, within the window. jain: Counters.fairness. longest_wait: a client's longest
    wait for a reply in seconds by the window's end; at_least: that reply had not come, or requests timed out.
    verified, errors: requests. connections: connects by outcome. breaks: connections that broke with no request open,
    by kind. finished, unfinished: histograms by name (response, first_reply, ...) of durations in microseconds, and of
    the ages of unanswered requests at the window's end. send_delay: how late requests left, in microseconds, by the
    generator's own delay; {} in the closed model. generator_cpu, generator_busy: the busiest worker's share of a
    core, and the share of the time in which it worked or was kept from its core; generator_starved: was kept. settled:
    seconds of load before the window, after which the figures were seen to have settled; None: not seen. neighbour:
    service times in microseconds of the client that does something else than the others; {} without one.
    """

    variant: str
    scenario: Scenario
    model: str
    started: float
    ended: float
    users: int
    connected: int
    served: int
    jain: float | None
    longest_wait: float | None
    longest_wait_at_least: bool
    verified: int
    errors: Mapping[str, int]
    connections: Mapping[str, int]
    breaks: Mapping[str, int]
    finished: Mapping[str, Mapping[int, int]]
    unfinished: Mapping[str, Mapping[int, int]]
    generator_cpu: float
    generator_busy: float
    generator_starved: float
    warnings: tuple[RunWarning, ...]
    send_delay: Mapping[int, int] = field(default_factory=dict)
    settled: float | None = None
    neighbour: Mapping[int, int] = field(default_factory=dict)

    def about(self, candidate: str) -> "Load":
        """Return it with `candidate`'s name instead of the variant's in the warnings."""
        if candidate == self.variant:
            return self
        name = re.compile(rf"(?<![\w-]){re.escape(self.variant)}(?![\w-])")
        warnings = (each._replace(detail=name.sub(lambda _: candidate, each.detail)) for each in self.warnings)
        return replace(self, warnings=tuple(warnings))

    @property
    def seconds(self) -> float:
        """The window's length."""
        return self.ended - self.started


def windows(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the results of a load run's windows: of a sweep one for each rate; UnreadableError on a wrong shape."""
    if not isinstance(result, Mapping) or result.get("schema") != SCHEMA:
        raise UnreadableError(f"the load's result is not of schema {SCHEMA}")
    found: Sequence[Mapping[str, Any]] = result.get("windows", [result])
    return found


def read(result: Mapping[str, Any]) -> Load:
    """Return the one variant's part of a load run's result; UnreadableError on a wrong shape."""
    if not isinstance(result, Mapping) or result.get("schema") != SCHEMA:
        raise UnreadableError(f"the load's result is not of schema {SCHEMA}")
    try:
        [(variant, part)] = result["variants"].items()
        window = result["window"]
        generator = result["generator"]
        fairness = part["fairness"]
        load = Load(
            variant=variant,
            scenario=_scenario(result["scenario"]),
            model=result["model"],
            started=float(window["started"]),
            ended=float(window["ended"]),
            users=part["users"],
            connected=part["connected"],
            served=part["served"],
            jain=fairness["jain"],
            longest_wait=fairness["longest_wait_seconds"],
            longest_wait_at_least=fairness["longest_wait_at_least"],
            verified=part["verified"],
            errors=part["errors"],
            connections=part["connections"],
            breaks=part["breaks"],
            finished=_histograms(part["histograms"]),
            unfinished=_histograms(part["censored"]),
            generator_cpu=float(generator["cpu_ratio"]),
            generator_busy=float(generator["busy_ratio"]),
            generator_starved=float(generator["starved_ratio"]),
            warnings=tuple(RunWarning(each["name"], each["detail"], each["hint"]) for each in result["warnings"]),
            send_delay={int(delay): count for delay, count in part.get("send_delay", {}).items()},
            settled=result.get("settled_seconds"),
            neighbour=_histograms((part.get("neighbour") or {}).get("histograms", {})).get("service", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"the load's result can't be read: {error!r}") from error
    if load.seconds <= 0:
        raise UnreadableError(f"the load measured for only {load.seconds:g} s")
    return load


def _scenario(raw: Mapping[str, Any]) -> Scenario:
    """Return the scenario as it was recorded."""
    # What a neighbour does can't be tuned: the row has it.
    return replace(SCENARIOS[raw["name"]], **{name: value for name, value in raw.items() if name != "neighbour"})


def _histograms(raw: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    return {name: {int(duration): count for duration, count in each.items()} for name, each in raw.items()}
