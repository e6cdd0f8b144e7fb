"""Which charts a comparison has, and what each of them draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from textwrap import shorten
from typing import Final, NamedTuple

from loadtest.compare.analysis.measures import CLOSED_LOOP, is_paced, of_throughput, seeks_top_speed, stays
from loadtest.compare.analysis.summary import Summary, by_scenario
from loadtest.compare.plan import amount, clients
from loadtest.compare.report.charts import bars, curves
from loadtest.compare.report.charts.curves import Series
from loadtest.compare.report.charts.svg import Chart, Ink, Point
from loadtest.compare.report.formatting import AT_LEAST, UNITS, duration, run_count, served, slowest_of, who
from loadtest.compare.report.headline import at_one_rate
from loadtest.compare.report.ranking import missing, place
from loadtest.compare.slo import parse
from loadtest.scenarios import Scenario

_LESS: Final = "less is better"
_Axis = tuple[str, Callable[[Summary], float]]  # its name, and where a summary stands on it
_CLIENTS: Final[_Axis] = ("clients", lambda each: each.workload.clients)

_PICTURED: Final = (
    ("response_p99_us", "rates"),
    ("cpu_us", "rates"),
    ("resident_bytes", "crowd"),
    ("first_p99_us", "conversation"),
    ("first_p99_us", "slow-client"),
    ("requests_per_second", "saturate"),
    ("cpu_us", "saturate"),
    ("requests_per_second", "io-bound"),
    ("resident_bytes", "saturate"),
)
_MOST_PICTURED: Final = 6
_LONG: Final = 160
_SHORT: Final = 36  # letters that fit beside a name


class _Kind(NamedTuple):
    """A chart of one measure, for each scenario that it suits. low: the measure where a range of durations begins."""

    measure: str
    title: str
    says: str
    suits: Callable[[Scenario], bool]
    low: str = ""

    @property
    def of_lines(self) -> str:
        """The title of a chart with lines, of which each shows one measure."""
        return f"{self.title}, p99" if self.low else self.title


_KINDS: Final = (
    _Kind("requests_per_second", "Throughput, requests/s", "more is better", lambda each: not is_paced(each)),
    _Kind("response_p99_us", "Response", f"later replies, {_LESS}", lambda each: each.requests != 1, "response_p50_us"),
    _Kind(
        "first_p99_us",
        "Wait for the first reply",
        f"from connecting on, {_LESS}",
        lambda each: not stays(each),
        "first_p50_us",
    ),
    _Kind("cpu_us", "CPU of the server, µs per request", _LESS, lambda each: seeks_top_speed(each) or each.paced),
    _Kind("turns", "Context switches per request", _LESS, lambda each: each.paced),
    _Kind("waited_us", "Ready without a core, µs per request", _LESS, lambda each: each.paced),
    _Kind("resident_bytes", "Memory of the server, MB", f"the most in the window, {_LESS}", stays),
)


class Part(Enum):
    """The page's parts, of which each chart stands in one."""

    CURVE = auto()
    MANY = auto()
    MEMORY = auto()
    OTHER = auto()
    TOP_SPEED = auto()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart, what it is about (a measure's name), in which scenario, and where it stands."""

    chart: Chart
    measure: str
    scenario: str
    part: Part


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts for which there is something to draw; left_out: those for which there is nothing, and why."""

    drawn: tuple[Drawn, ...]
    left_out: tuple[str, ...]

    def of(self, part: Part) -> list[Chart]:
        """Return the charts of a part of the page."""
        return [each.chart for each in self.drawn if each.part is part]

    def pictured(self) -> list[Chart]:
        """Return the few that tell the story, the most telling first."""
        places = {each: place for place, each in enumerate(_PICTURED)}
        ordered = sorted(self.drawn, key=lambda each: places.get((each.measure, each.scenario), len(places)))
        return [each.chart for each in ordered[:_MOST_PICTURED]]


def of_measures(every: Sequence[Summary], known: Mapping[str, Ink], slo: str = "") -> Charts:
    """
    Return the charts of the measures: against the number of clients or the rate, or in rows where there is but one.

    known: how each candidate is drawn. slo: the objective of response times against the rate, as typed.
    """
    drawn, left_out, many = [], [], at_one_rate(every)
    for kind in _KINDS:
        for scenario, some in by_scenario(every):
            if not kind.suits(scenario):
                continue
            if kind.measure in of_throughput(scenario):
                left_out.append(f"{kind.title}, {scenario.name}: {CLOSED_LOOP}")
            elif any(each[kind.measure].value is not None for each in some):
                part = _part(kind, some[0])
                drawn.append(Drawn(_chart(kind, scenario, some, known, slo), kind.measure, scenario.name, part))
                there = [each for each in many if each in some] if part is Part.CURVE else []
                if there:
                    says = f"{scenario.name} at {there[0].workload.rate:,g}/s: {kind.says}"
                    chart = _against(kind, _CLIENTS, says, there, known)
                    drawn.append(Drawn(chart, kind.measure, scenario.name, Part.MANY))
            else:
                left_out.append(f"{kind.title}, {scenario.name}: {'; '.join(_why(kind.measure, some))}")
    loads = {scenario.name: len({each.workload.load for each in some}) for scenario, some in by_scenario(every)}
    drawn.sort(key=lambda each: loads[each.scenario] < 2)
    return Charts(tuple(drawn), tuple(left_out))


def _part(kind: _Kind, first: Summary) -> Part:
    if kind.measure == "resident_bytes":
        return Part.MEMORY
    if first.workload.rate:
        return Part.CURVE
    return Part.TOP_SPEED if seeks_top_speed(first.scenario) else Part.OTHER


def _chart(kind: _Kind, scenario: Scenario, some: Sequence[Summary], known: Mapping[str, Ink], slo: str) -> Chart:
    """Return a chart against what differs in a scenario's loads: rate, size or clients; if nothing does, in rows."""
    rated = [each for each in some if each.workload.rate]
    if rated:
        return _against_rates(kind, scenario, rated, known, slo)
    most = max(each.workload.clients for each in some)
    if len({each.workload.size for each in some}) > 1:
        says = f"{scenario.name}, {clients(most)}, by a message's size: {kind.says}"
        there = [each for each in some if each.workload.clients == most]
        return _against(kind, ("bytes", lambda each: each.workload.size or scenario.size), says, there, known)
    if len({each.workload.clients for each in some}) > 1:
        return _against(kind, _CLIENTS, f"{scenario.name}: {kind.says}", some, known)
    title, draw = (f"{kind.title}, p50 to p99", bars.ranges) if kind.low else (kind.title, bars.bars)
    return draw(title, f"{scenario.name}, {clients(most)}: {kind.says}", *_rows(kind, some, known))


def _against_rates(
    kind: _Kind, scenario: Scenario, some: Sequence[Summary], known: Mapping[str, Ink], slo: str
) -> Chart:
    """Return a chart against the rate, of each candidate with the number of clients with which it had most rates."""
    rates = {each.workload.rate for each in some}
    if len(rates) < 2:
        says = f"{scenario.name} at {some[0].workload.rate:,g}/s: {kind.says}"
        return bars.bars(kind.of_lines, says, *_rows(kind, some, known))
    counts, swept = dict[int, list[str]](), []
    for group in _by_candidate(some, known):
        most = max((list(each) for _, each in groupby(group, key=lambda each: each.workload.clients)), key=len)
        counts.setdefault(most[0].workload.clients, []).append(most[0].candidate.label)
        swept += most
    usual = max(counts, key=lambda count: len(counts[count]))
    others = "; ".join(f"{', '.join(names)}: {count:,}" for count, names in counts.items() if count != usual)
    says = f"{scenario.name}, {clients(usual)}{f' ({others})' if others else ''}: {kind.says}"
    objective = parse(slo) if slo and kind.measure == "response_p99_us" else None
    limit = (float(objective.limit_us), slo) if objective and objective.quantile == 0.99 else None
    axis: _Axis = ("requests/s", lambda each: each.workload.rate or 0.0)
    return _against(kind, axis, says, some, known, swept=swept, limit=limit)


def _against(
    kind: _Kind,
    axis: _Axis,
    says: str,
    some: Sequence[Summary],
    known: Mapping[str, Ink],
    *,
    swept: Sequence[Summary] = (),
    limit: tuple[float, str] | None = None,
) -> Chart:
    """Return a chart with a line for each candidate. swept: those on the lines, if not all. limit: an objective."""
    name, place = axis
    loads = sorted({place(each) for each in some})
    series = []
    unit = 1.0 if kind.low else UNITS[kind.measure]
    for group in _by_candidate(swept or some, known):
        points = {place(each): _point(kind.measure, unit, each) for each in group if each.shown}
        series.append(Series(known[group[0].candidate.name], tuple(points.get(load) for load in loads)))
    notes = _why(kind.measure, some)
    return curves.against(name, loads, series, kind.of_lines, says, durations=bool(kind.low), limit=limit, notes=notes)


def _by_candidate(some: Sequence[Summary], known: Mapping[str, Ink]) -> Iterable[list[Summary]]:
    """Yield each candidate's summaries, in the order of the plan."""
    names = list(known)
    ordered = sorted(some, key=lambda each: names.index(each.candidate.name))
    for _, group in groupby(ordered, key=lambda each: each.candidate.name):
        yield list(group)


def _point(measure: str, unit: float, each: Summary) -> Point:
    estimate = each[measure]
    several = len(estimate.values) > 1
    value, low, high, most = (
        None if one is None else one / unit
        for one in (
            estimate.value,
            estimate.low if several else None,
            estimate.high if several else None,
            estimate.at_most,
        )
    )
    excluded = (getattr(run, measure).value for run in each.excluded)
    return Point(
        value,
        each.served,
        low,
        high,
        open=estimate.at_least,
        most=most,
        excluded=tuple(one / unit for one in excluded if one is not None),
        words=_words(each, measure),
    )


def _words(each: Summary, measure: str) -> str:
    """Return a point in words: whose it is, its load, the value with bounds, the runs, and the clients served."""
    shown = place(each, measure)
    if measure == "response_p99_us":
        names = {"p50": "response_p50_us", "p99": measure, "p99.9": "response_p999_us"}
        shown = ", ".join(f"{name} {place(each, one)}" for name, one in names.items())
    runs = run_count(each.runs)
    return f"{each.candidate.label}, {amount(each.workload)}: {shown}; {runs}, {served(each)} served"


def _rows(kind: _Kind, some: Sequence[Summary], known: Mapping[str, Ink]) -> tuple[list[bars.Row], tuple[str, ...]]:
    """Return the rows of a chart, and its notes."""
    return [_row(kind, each, known[each.candidate.name]) for each in some], _why(kind.measure, some)


def _row(kind: _Kind, each: Summary, ink: Ink) -> bars.Row:
    estimate, low = each[kind.measure], each[kind.low] if kind.low else None
    point = _point(kind.measure, 1.0, each)
    if estimate.value is None:
        words = missing(each, kind.measure)
        return bars.Row(ink, point, "", words if len(words) < _SHORT else "see below")
    if low is None:
        return bars.Row(ink, point, place(each, kind.measure), served(each))
    words = " – ".join((AT_LEAST if end.at_least else "") + duration(end.value or 0.0) for end in (low, estimate))
    words += f" ({slowest_of(estimate)})" if estimate.slowest_of else ""
    return bars.Row(ink, point, words, served(each), start=low.value)


def _why(measure: str, some: Sequence[Summary]) -> tuple[str, ...]:
    """Return why some are not drawn, each reason once, and which are no p99."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for each in some:
        if each[measure].value is None:
            named = reasons.setdefault(each[measure].why, {})
            rate = f"{each.workload.rate:,g}/s" if each.workload.rate else ""
            named.setdefault(each.candidate.label, []).append(rate or f"{each.workload.clients:,}")
    said = tuple(
        "; ".join(f"{name} at {' and '.join(counts)}" for name, counts in named.items()) + f": {shorten(why, _LONG)}"
        for why, named in reasons.items()
    )
    few = [each for each in some if each[measure].slowest_of]
    return (*said, f"too few replies for a p99, so the slowest: {who(few)}") if few else said
