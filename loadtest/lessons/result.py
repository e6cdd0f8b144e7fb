"""What a lesson has measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.compare.analysis.measures import LATENCIES, Measure, RunMeasures
from loadtest.compare.analysis.summary import estimate
from loadtest.run_warnings import RunWarning, TakesOut, takes_out


@dataclass(frozen=True, slots=True)
class Row:
    """
    A measured figure, in the lesson's unit.

    name: whose it is, such as a server's. value: the median of the runs; None with the reason `why`. low, high: their
    range, or a 99 % `interval`; None for an open end. runs: how many are in it; 0 if low and high are bounds. left_out:
    how many are not. at_least: the true value is that or more. warnings: about the runs, each name once. spoilt: every
    run has a warning that would leave it out of a comparison: the figure is a hint at best.
    """

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 0
    left_out: int = 0
    interval: bool = False
    at_least: bool = False
    warnings: tuple[RunWarning, ...] = ()
    spoilt: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of loadtest.compare's measures, such as first_p50_us; divisor: what of its unit makes one of the lesson's."""

    measure: str
    divisor: float = 1.0

    def row(self, name: str, runs: Sequence[RunMeasures]) -> Row:
        """Return the figure over runs; over the spoilt ones if there are no others."""
        sound = [each for each in runs if not self._is_spoilt(each)]
        found = estimate([self._of(each) for each in sound or runs])
        return Row(
            name,
            found.value,
            found.low,
            found.high,
            runs=len(found.values),
            left_out=len(runs) - len(sound or runs),
            interval=found.is_interval,
            at_least=found.at_least,
            warnings=tuple({each.name: each for run in runs for each in run.warnings}.values()),
            spoilt=not sound,
            why=found.why,
        )

    def of_runs(self, runs: Sequence[RunMeasures]) -> float:
        """Return the figure over runs alone; 0.0 if there is none."""
        return self.row("", runs).value or 0.0

    def of_run(self, run: RunMeasures) -> float | None:
        """Return the figure of one run; None if there is none."""
        return self._of(run).value

    def ratio(self, run: RunMeasures, to: RunMeasures) -> RunMeasures:
        """Return a run whose measure is a multiple of that of another run beside it, with the warnings of both."""
        ours: Measure = getattr(run, self.measure)
        other: Measure = getattr(to, self.measure)
        if ours.value is None or not other.value or other.at_least:
            found = Measure(why=ours.why or other.why or "what it is compared with is a lower bound")
        else:
            found = Measure(ours.value / other.value, at_least=ours.at_least)
        changes: dict[str, Any] = {self.measure: found}
        return replace(run, warnings=(*run.warnings, *to.warnings), **changes)

    def _of(self, run: RunMeasures) -> Measure:
        found: Measure = getattr(run, self.measure)
        return replace(found, value=None if found.value is None else found.value / self.divisor)

    def _is_spoilt(self, run: RunMeasures) -> bool:
        kept = {TakesOut.NOTHING} if self.measure in LATENCIES else {TakesOut.NOTHING, TakesOut.LATENCIES}
        return any(takes_out(each.name) not in kept for each in run.warnings)


@dataclass(frozen=True, slots=True)
class Result:
    """
    A lesson's figures.

    rows: in the order in which they are drawn; the first is the one that was to be predicted. numbers: what else the
    texts name, an int if it is shown whole. warnings: about the machine.
    """

    rows: tuple[Row, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[RunWarning, ...] = ()

    def __getitem__(self, name: str) -> float:
        """Return a row's value; KeyError if there is no such row, or it has none."""
        return {each.name: each.value for each in self.rows if each.value is not None}[name]

    @property
    def asked(self) -> Row:
        """The figure that was to be predicted."""
        return self.rows[0]

    @property
    def complete(self) -> bool:
        """Whether every row has a value."""
        return all(each.value is not None for each in self.rows)
