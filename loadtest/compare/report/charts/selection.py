"""Which charts a comparison has, and what each of them draws."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from textwrap import shorten
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis.measures import CLOSED_LOOP, is_paced, of_throughput, seeks_top_speed, stays
from loadtest.compare.analysis.summary import Summary, by_scenario
from loadtest.compare.plan import amount, clients
from loadtest.compare.report.charts import bars, curves
from loadtest.compare.report.charts.curves import Curve, Point, Series
from loadtest.compare.report.charts.distributions import Distribution, distributions
from loadtest.compare.report.charts.svg import Chart, Ink
from loadtest.compare.report.formatting import AT_LEAST, UNITS, duration, run_count, served, slowest_of, who
from loadtest.compare.report.headline import at_one_rate
from loadtest.compare.report.ranking import missing, place
from loadtest.compare.slo import parse
from loadtest.scenarios import Scenario


class _Kind(NamedTuple):
    """A chart that each scenario has which it suits. measure: the one it is about; low: where a range begins."""

    title: str
    says: str
    suits: Callable[[Scenario], bool]
    measure: str
    low: str = ""


_KINDS: Final = (
    _Kind(
        "Throughput, requests/s",
        "more is better",
        lambda scenario: not is_paced(scenario),
        "requests_per_second",
    ),
    _Kind(
        "Response",
        "later replies, less is better",
        lambda scenario: scenario.requests != 1,
        "response_p99_us",
        "response_p50_us",
    ),
    _Kind(
        "Wait for the first reply",
        "from connecting on, less is better",
        lambda scenario: not stays(scenario),
        "first_p99_us",
        "first_p50_us",
    ),
    _Kind(
        "CPU of the server, µs per request",
        "less is better",
        lambda scenario: seeks_top_speed(scenario) or scenario.paced,
        "cpu_us",
    ),
    _Kind(
        "Context switches per request",
        "less is better",
        lambda scenario: scenario.paced,
        "turns",
    ),
    _Kind(
        "Ready without a core, µs per request",
        "less is better",
        lambda scenario: scenario.paced,
        "waited_us",
    ),
    _Kind(
        "Memory of the server, MB",
        "the most in the window, less is better",
        stays,
        "resident_bytes",
    ),
)

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
    part: Part = Part.OTHER


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
                part = _part(kind, scenario, rated=bool(some[0].workload.rate))
                drawn.append(Drawn(_chart(kind, scenario, some, known, slo), kind.measure, scenario.name, part))
                there = [each for each in many if each in some] if part is Part.CURVE else []
                if there:
                    says = f"{scenario.name} at {there[0].workload.rate:,g}/s: {kind.says}"
                    chart = _against_clients(kind, says, there, known)
                    drawn.append(Drawn(chart, kind.measure, scenario.name, Part.MANY))
            else:
                left_out.append(f"{kind.title}, {scenario.name}: {'; '.join(_why(kind.measure, some))}")
    drawn.sort(
        key=lambda each: (
            len({summary.workload.load for summary in every if summary.workload.scenario == each.scenario}) < 2
        )
    )
    return Charts(tuple(drawn), tuple(left_out))


def _part(kind: _Kind, scenario: Scenario, *, rated: bool) -> Part:
    if kind.measure == "resident_bytes":
        return Part.MEMORY
    if rated:
        return Part.CURVE
    return Part.TOP_SPEED if seeks_top_speed(scenario) else Part.OTHER


def _against_clients(kind: _Kind, says: str, some: Sequence[Summary], known: Mapping[str, Ink]) -> Chart:
    """Return a chart with a line for each candidate, at two or more numbers of clients."""
    return _against(kind, ("clients", lambda each: each.workload.clients), says, some, known)


def _against_sizes(kind: _Kind, scenario: Scenario, some: Sequence[Summary], known: Mapping[str, Ink]) -> Chart:
    """Return a chart with a line for each candidate, at two or more sizes of a message, with most clients."""
    most = max(each.workload.clients for each in some)
    says = f"{scenario.name}, {clients(most)}, by a message's size: {kind.says}"
    there = [each for each in some if each.workload.clients == most]
    return _against(kind, ("bytes", lambda each: each.workload.size or scenario.size), says, there, known)


def _against(
    kind: _Kind,
    axis: tuple[str, Callable[[Summary], int]],
    says: str,
    some: Sequence[Summary],
    known: Mapping[str, Ink],
) -> Chart:
    """Return a chart with a line for each candidate; axis: its name, and where a summary stands on it."""
    name_of_axis, place = axis
    counts = sorted({place(each) for each in some})
    series = [
        Series(known[name], _points(kind, {place(each): each for each in group}, counts))
        for name, group in _by_candidate(some, known)
    ]
    notes = _why(kind.measure, some)
    return curves.against(name_of_axis, counts, series, _of_lines(kind), says, durations=bool(kind.low), notes=notes)


def _chart(kind: _Kind, scenario: Scenario, some: Sequence[Summary], known: Mapping[str, Ink], slo: str) -> Chart:
    rated = [each for each in some if each.workload.rate]
    if rated:
        return _against_rates(kind, scenario, rated, known, slo)
    if len({each.workload.size for each in some}) > 1:
        return _against_sizes(kind, scenario, some, known)
    counts = sorted({each.workload.clients for each in some})
    if len(counts) > 1:
        return _against_clients(kind, f"{scenario.name}: {kind.says}", some, known)
    says = f"{scenario.name}, {clients(counts[0])}: {kind.says}"
    notes = _why(kind.measure, some)
    marks = [_mark(kind, each, known[each.candidate.name]) for each in some]
    title = f"{kind.title}, p50 to p99" if kind.low else kind.title
    draw = bars.ranges if kind.low else bars.bars
    return draw(title, says, marks, notes)


def _of_lines(kind: _Kind) -> str:
    """Return the title of a chart with lines, of which each shows one measure."""
    return f"{kind.title}, p99" if kind.low else kind.title


def _against_rates(
    kind: _Kind, scenario: Scenario, some: Sequence[Summary], known: Mapping[str, Ink], slo: str
) -> Chart:
    """Return a chart against the rate, of each candidate with the number of clients with which it had most rates."""
    series, counts = [], dict[int, list[str]]()
    rates = sorted({each.workload.rate or 0.0 for each in some})
    for name, group in _by_candidate(some, known):
        by_clients = [list(each) for _, each in groupby(group, key=lambda each: each.workload.clients)]
        most = max(by_clients, key=len)
        found = {each.workload.rate or 0.0: each for each in most}
        series.append(Series(known[name], _points(kind, found, rates)))
        counts.setdefault(most[0].workload.clients, []).append(most[0].candidate.label)
    usual = max(counts, key=lambda count: len(counts[count]))
    others = "; ".join(f"{', '.join(names)}: {count:,}" for count, names in counts.items() if count != usual)
    said = clients(usual) + (f" ({others})" if others else "")
    notes = _why(kind.measure, some)
    if len(rates) < 2:
        marks = [_mark(kind, each, known[each.candidate.name]) for each in some]
        return bars.bars(_of_lines(kind), f"{scenario.name} at {rates[0]:,g}/s: {kind.says}", marks, notes)
    about = f"{scenario.name}, {said}: {kind.says}"
    objective = parse(slo) if slo and kind.measure == "response_p99_us" else None
    limit = (float(objective.limit_us), slo) if objective and objective.quantile == 0.99 else None
    lines = bool(kind.low)
    return curves.against(
        "requests/s", rates, series, _of_lines(kind), about, durations=lines, limit=limit, notes=notes
    )


def _by_candidate(some: Sequence[Summary], known: Mapping[str, Ink]) -> Iterable[tuple[str, list[Summary]]]:
    """Yield each candidate's name with its summaries, in the order of the plan."""
    names = list(known)
    ordered = sorted(some, key=lambda each: names.index(each.candidate.name))
    for name, group in groupby(ordered, key=lambda each: each.candidate.name):
        yield name, list(group)


def _points(kind: _Kind, found: Mapping[float, Summary], loads: Sequence[float]) -> tuple[Point | None, ...]:
    """Return a candidate's points, one for each load."""
    unit = 1.0 if kind.low else UNITS[kind.measure]
    return tuple(
        _point(kind.measure, unit, found[load]) if load in found and found[load].shown else None for load in loads
    )


def _point(measure: str, unit: float, each: Summary) -> Point:
    estimate = each[measure]
    several = len(estimate.values) > 1
    return Point(
        value=None if estimate.value is None else estimate.value / unit,
        served=each.served,
        low=estimate.low / unit if several and estimate.low is not None else None,
        high=estimate.high / unit if several and estimate.high is not None else None,
        open=estimate.at_least,
        most=None if estimate.at_most is None else estimate.at_most / unit,
        excluded=_excluded(each, measure, unit),
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


def _excluded(each: Summary, measure: str, unit: float = 1.0) -> tuple[float, ...]:
    values = (getattr(run, measure).value for run in each.excluded)
    return tuple(value / unit for value in values if value is not None)


def _mark(kind: _Kind, each: Summary, ink: Ink) -> bars.Mark:
    estimate, low = each[kind.measure], each[kind.low] if kind.low else None
    excluded = _excluded(each, kind.measure)
    if estimate.value is None:
        words = missing(each, kind.measure)
        return bars.Mark(ink, None, "", words if len(words) < _SHORT else "see below", excluded=excluded)
    if low is None:
        words = place(each, kind.measure)
    else:
        words = " – ".join(
            (AT_LEAST if found.at_least else "") + duration(found.value or 0.0) for found in (low, estimate)
        )
        words += f" ({slowest_of(estimate)})" if estimate.slowest_of else ""
    several = len(estimate.values) > 1
    return bars.Mark(
        ink,
        estimate.value,
        words,
        served(each),
        low=low.value if low else None,
        least=estimate.low if several else None,
        most=estimate.high if several else None,
        open=estimate.at_least,
        excluded=excluded,
        words=_words(each, kind.measure),
    )


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


def of_distributions(result: Mapping[str, Any], every: Sequence[Summary], known: Mapping[str, Ink]) -> Charts:
    """Return the charts of durations against percentiles, for each load: later replies, and first ones apart."""
    merged = distributions(result)
    drawn, left_out = [], []
    for scenario, some in by_scenario(every):
        closed = of_throughput(scenario)
        left_out += [
            f"{kind.title}, {scenario.name}: {CLOSED_LOOP}"
            for kind in _DISTRIBUTIONS
            if kind.suits(scenario) and kind.measure in closed
        ]
        if any(each.workload.rate for each in some):
            left_out.append(f"{scenario.name}: at each of many rates; compare.json has them")
            continue
        for count, group in groupby(some, key=lambda each: each.workload.clients):
            load = list(group)
            for kind in _DISTRIBUTIONS:
                if not kind.suits(scenario) or kind.measure in closed:
                    continue
                pairs = [(each, merged.get((each.candidate.name, scenario.name, count), {})) for each in load]
                found = [curve for each, parts in pairs if (curve := _curve(kind, each, parts, known))]
                says = f"{scenario.name}, {clients(count)}: {kind.says}"
                lacking = [each for each in load if all(curve.ink.name != each.candidate.label for curve in found)]
                notes = tuple(f"{each.candidate.label}: {_lacks(kind, each)}" for each in lacking)
                if found:
                    drawn.append(
                        Drawn(curves.by_percentile(kind.title, says, found, notes), kind.measure, scenario.name)
                    )
                else:
                    left_out.append(
                        f"{kind.title}, {scenario.name}, {clients(count)}: {'; '.join(dict.fromkeys(notes))}"
                    )
    return Charts(tuple(drawn), tuple(left_out))


class _Series(NamedTuple):
    title: str
    says: str
    suits: Callable[[Scenario], bool]
    measure: str
    series: str
    other: str = ""


_DISTRIBUTIONS: Final = (
    _Series(
        "Later replies",
        "response solid, service dashed",
        lambda scenario: scenario.requests != 1,
        "response_p99_us",
        "response",
        "service",
    ),
    _Series(
        "First replies",
        "from connecting to the reply",
        lambda scenario: not stays(scenario),
        "first_p99_us",
        "first_reply",
    ),
)


def _curve(kind: _Series, each: Summary, parts: Mapping[str, Distribution], known: Mapping[str, Ink]) -> Curve | None:
    """Return one candidate's curve; None where its measure is left out, or where there is too little for a curve."""
    if each[kind.measure].value is None or kind.series not in parts:
        return None
    points = parts[kind.series].curve()
    if len(points) < 2:
        return None
    some, everyone = each.served
    return Curve(
        known[each.candidate.name],
        points,
        parts[kind.other].curve() if kind.other else (),
        parts[kind.series].open_from(),
        f"{parts[kind.series].samples:,} in {run_count(each.runs)}; served {some} of {everyone}",
    )


def _lacks(kind: _Series, each: Summary) -> str:
    return each[kind.measure].why or "too few for a curve"
