"""What a load run found: reads the JSON that `locust ... --result FILE` writes (schema 2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loadtest.recording.result import SCHEMA
from loadtest.run_warnings import RunWarning
from loadtest.scenarios import SCENARIOS, Scenario


class UnreadableError(ValueError):
    """The result is not one that we can read; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    One variant's part of a load run.

    variant: whose users the load was given. scenario: what the clients did, as it was tuned. model: "closed" or "open".
    started, ended: the measured window, in Unix seconds. users: clients that were to be there; connected, served: those
    that were, and those that had a verified reply within the window. jain: Jain's index of how alike the connected
    ones' shares of the verified replies were, 1/connected to 1; None without any. longest_wait: seconds that a client
    had waited for a reply at the most by the end of the window; at_least: it had no reply yet, or some gave up. None in
    results kept before there were both.
    verified, errors: requests. connections: connects, by how they ended. breaks: connections that broke with no request
    open, by how. finished, unfinished: histograms by name (response, first_reply, ...) of durations in microseconds,
    and of the ages of what was unanswered when the window ended. generator_cpu, generator_busy: the busiest worker's
    share of a core, and the share of the time in which it worked or was kept from its core. variant: whose users they
    were; they may have met another server.
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
    warnings: tuple[RunWarning, ...]

    def about(self, candidate: str) -> "Load":
        """Return it with warnings that name `candidate`, whom users of another variant may have met."""
        if candidate == self.variant:
            return self
        name = re.compile(rf"(?<![\w-]){re.escape(self.variant)}(?![\w-])")
        warnings = (each._replace(detail=name.sub(lambda _: candidate, each.detail)) for each in self.warnings)
        return replace(self, warnings=tuple(warnings))

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.ended - self.started


def read(result: Mapping[str, Any]) -> Load:
    """Return the one variant's part of a load run's result; UnreadableError if it has not the shape agreed."""
    if not isinstance(result, Mapping) or result.get("schema") != SCHEMA:
        raise UnreadableError(f"the load's result is none of schema {SCHEMA}")
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
            warnings=tuple(RunWarning(each["name"], each["detail"], each["hint"]) for each in result["warnings"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"the load's result can't be read: {error!r}") from error
    if load.seconds <= 0:
        raise UnreadableError(f"the load measured for {load.seconds:g} s only")
    return load


def _scenario(raw: Mapping[str, Any]) -> Scenario:
    """Return the scenario as it was recorded."""
    return replace(SCENARIOS[raw["name"]], **raw)


def _histograms(raw: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    return {name: {int(duration): count for duration, count in each.items()} for name, each in raw.items()}
