"""What a load run found: reads the JSON that `locust ... --result FILE` writes (schema 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.belief import Doubt

SCHEMA = 1


class UnreadableError(ValueError):
    """The result is not one that we can read; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """
    One variant's part of a load run.

    started, ended: the measured window, in Unix seconds. users: clients that were to be there; connected,
    served: those that were, and those that had a verified reply within the window. verified, errors: requests.
    finished, unfinished: histograms by name (response, first_reply, ...) of durations in microseconds, and of the
    ages of what was unanswered when the window ended. generator_cpu: the busiest worker's share of a core. scenario:
    the settings, as recorded.
    """

    started: float
    ended: float
    users: int
    connected: int
    served: int
    verified: int
    errors: Mapping[str, int]
    finished: Mapping[str, Mapping[int, int]]
    unfinished: Mapping[str, Mapping[int, int]]
    generator_cpu: float
    scenario: Mapping[str, Any]
    doubts: tuple[Doubt, ...]

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.ended - self.started


def read(result: Mapping[str, Any], variant: str) -> Load:
    """Return `variant`'s part of a load run's result; UnreadableError if it has not the shape agreed."""
    try:
        if result["schema"] != SCHEMA:
            raise UnreadableError(f"the load's result has schema {result['schema']}, not {SCHEMA}")
        part, window = result["variants"][variant], result["window"]
        load = Load(
            started=float(window["started"]),
            ended=float(window["ended"]),
            users=part["users"],
            connected=part["connected"],
            served=part["served"],
            verified=part["verified"],
            errors=part["errors"],
            finished=_histograms(part["histograms"]),
            unfinished=_histograms(part["censored"]),
            generator_cpu=float(result["generator"]["cpu_ratio"]),
            scenario=result["scenario"],
            doubts=tuple(Doubt(each["name"], each["detail"], each["remedy"]) for each in result["doubts"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"the load's result lacks {error}") from error
    if load.seconds <= 0:
        raise UnreadableError(f"the load measured for {load.seconds:g} s only")
    return load


def _histograms(raw: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    return {name: {int(duration): count for duration, count in each.items()} for name, each in raw.items()}
