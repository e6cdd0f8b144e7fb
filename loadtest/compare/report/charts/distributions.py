"""How long everything took, over all valid runs of one candidate under one load: merged, never averaged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtest.compare.analysis.measures import measures_of
from loadtest.compare.measure import load
from loadtest.recording.histogram import Histogram, bounded_quantile, merge
from loadtest.run_warnings import TakesOut, takes_out

BEYOND: Final = 10
"""Durations that must lie beyond a quantile, or it would be the luck of a few."""

_STEPS: Final = 16  # for each nine
_NINES: Final = 5

Key = tuple[str, str, int]
"""A candidate's name, the scenario and the number of clients."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Durations in microseconds, finished, and the ages of what was unanswered when its run's window ended."""

    finished: Histogram
    unfinished: Histogram

    @property
    def samples(self) -> int:
        """How many there are, finished or not."""
        return sum(self.finished.values()) + sum(self.unfinished.values())

    def curve(self) -> tuple[tuple[float, float], ...]:
        """Return (q, microseconds) from the median on, as far as BEYOND durations lie beyond."""
        farthest = 1 - BEYOND / max(1, self.samples)
        found = ((q, bounded_quantile(self.finished, self.unfinished, q)) for q in _QUANTILES if q <= farthest + 1e-12)
        return tuple((q, float(bounds.low)) for q, bounds in found if bounds)

    def open_from(self) -> float | None:
        """Return the first quantile of the curve that unanswered requests could raise, or None."""
        for q, _ in self.curve():
            bounds = bounded_quantile(self.finished, self.unfinished, q)
            if bounds and bounds.open:
                return q
        return None


_QUANTILES: Final = tuple(
    sorted({0.5, *(1 - 10 ** -(step / _STEPS) for step in range(_STEPS * _NINES + 1) if 10 ** -(step / _STEPS) < 0.5)})
)


def distributions(result: Mapping[str, Any]) -> dict[Key, dict[str, Distribution]]:
    """Return the distributions of response, service and first_reply of each candidate under each load."""
    found: dict[Key, list[load.Load]] = {}
    for run in _sound(result):
        key = run["candidate"], run["workload"]["scenario"], run["workload"]["clients"]
        found.setdefault(key, []).append(load.read(run["load"]))
    return {
        key: {
            series: Distribution(
                _merged(each.finished.get(series, {}) for each in runs),
                _merged(each.unfinished.get(series, {}) for each in runs),
            )
            for series in ("response", "service", "first_reply")
        }
        for key, runs in found.items()
    }


def _merged(every: Iterable[Mapping[int, int]]) -> Histogram:
    total: Histogram = {}
    for each in every:
        merge(total, each)
    return total


def _sound(result: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Yield the runs whose durations are the server's."""
    for run in result["runs"]:
        if (
            run["status"] == "done"
            and not run["workload"].get("rate")
            and all(takes_out(each.name) is TakesOut.NOTHING for each in measures_of(run).warnings)
        ):
            yield run
