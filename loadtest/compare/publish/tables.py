"""The published tables, in Markdown, from a result alone: what it hasn't measured is in none."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from loadtest.compare.analysis.measures import waited_for
from loadtest.compare.analysis.summary import Estimate, Summary
from loadtest.compare.analysis.sustained import Sustained, common_rate, sweeps
from loadtest.compare.plan import MIN_RUNS, Workload
from loadtest.compare.publish.published import Published, on_several_loops
from loadtest.compare.publish.words import Language

Column = tuple[str, Mapping[str, str]]
"""A heading, and cells by candidate."""


def source(one: Published, language: Language) -> str:
    """Return the commit, the date and the command of a result."""
    words = list(one.result["command"][4:])
    if "--output" in words:
        place = words.index("--output")
        del words[place : place + 2]
    command = " ".join(["compare", *map(shlex.quote, words)])
    return language.text("source", commit=one.result["commit"], date=one.result["started"][:10], command=command)


def machine(one: Published) -> str:
    """Return the machine and the Python of a result."""
    about = one.result["machine"]
    return f"{about['cpu'] or about['architecture']}, {about['usable_cores']} cores, {about['python']}"


def measured(one: Published, language: Language, root: Path) -> Iterator[str]:
    """Yield where and when it was measured, and whether that still holds."""
    about, date = one.result["machine"], one.result["started"][:10]
    processor = about["cpu"] or about["architecture"]
    yield language.text("measured", commit=one.result["commit"], date=date, processor=processor, **about)
    if one.renewed:
        yield language.text("renewed", **one.renewed)
    files = ", ".join(f"`{name}`" for name in one.changed(root))
    yield language.text("unknown" if not one.code else "changed" if files else "holds", files=files)


def rates(one: Published, language: Language, memory: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield what each model sustains, its figures at one rate that all sustain, and its memory, by server."""
    found = one.sustained
    if not found:
        return
    at = common_rate(found)
    there = {_key(each): each for each in one.summaries if each.workload.rate == at and each.runs}
    shown = "" if at is None else language.number(at)
    names = ("clients", "sustained", "p50", "p99", "cpu", "memory")
    head = {name: language.headings[name].format(rate=shown) for name in names}
    left = dict(memory or {})  # of a server with several rows the first has it

    def row(each: Sustained | Summary, sustained: str, same: Summary | None) -> dict[str, str]:
        replies = waited_for(same.scenario) if same else ""
        measures = {"p50": f"{replies}_p50_us", "p99": f"{replies}_p99_us", "cpu": "cpu_us"}
        return {
            language.text("server"): f"`{each.candidate.name}`",
            head["clients"]: language.count(each.workload.clients),
            head["sustained"]: sustained,
            **{head[name]: _cell(same, measure, language) if same else "" for name, measure in measures.items()},
            head["memory"]: left.pop(each.candidate.name, ""),
        }

    rows = [row(each, _rate(each, language), there.get(_key(each))) for each in found]
    for summary in one.summaries:
        some, every = summary.served
        if _key(summary) not in {*map(_key, found)} and summary.workload.rate and some < every:
            rows.append(row(summary, language.text("served", some=some, every=every), None))
    filled = [heading for heading in rows[0] if any(each[heading] for each in rows)]
    yield from _grid([{heading: each[heading] for heading in filled} for each in rows])
    yield ""
    kept = min(len(each.sweeps) for each in found)
    yield language.text("sustained", slo=f"`{one.result['plan']['slo']}`", spread=_spread(kept, language))


def answer(one: Published, language: Language) -> Iterator[str]:
    """Yield what the main README shows: the sustained rate, figures at one rate, memory."""
    yield from rates(one, language, _priced(one, language, "group silent"))


def models(one: Published, language: Language) -> Iterator[str]:
    """Yield the same of a comparison of more models, which has nothing else."""
    if one.result["plan"]["name"] == "chosen" and _is_of(one, "rates"):
        yield from rates(one, language)


def database(one: Published, language: Language) -> Iterator[str]:
    """Yield up to which rate each model has its requests wait for a database."""
    if _is_of(one, "database"):
        yield from rates(one, language)


def _is_of(one: Published, scenario: str) -> bool:
    return any(each.workload.scenario == scenario for each in one.sustained)


def _key(each: Sustained | Summary) -> tuple[str, int]:
    return each.candidate.name, each.workload.clients


def _rate(each: Sustained, language: Language) -> str:
    rate = each.rate
    if rate.value is None:
        return language.text("unclear")
    if not rate.value:
        return language.text("none", value=language.number(each.rates[0]))
    value = language.number(rate.value)
    shown = language.text("more", value=value) if rate.at_least else value
    return shown if rate.low == rate.value and rate.high is None else shown + _range(rate, 1, language)


def neighbour(one: Published, language: Language) -> Iterator[str]:
    """Yield how long clients wait beside one that computes, and how long that takes."""
    some = [each for each in one.summaries if each.scenario.neighbour and each.runs]
    measures = {
        "served many": "served",
        "beside p50": "response_p50_us",
        "beside p99": "response_p99_us",
        "beside p999": "response_p999_us",
        "beside work": "neighbour_us",
    }
    yield from _medians(some, _columns(some, measures, language), language)


def sizes(one: Published, language: Language) -> Iterator[str]:
    """Yield top speed and CPU per request by a message's size."""
    some = [each for each in one.summaries if each.workload.size and each.runs]
    if not on_several_loops(one.result):  # that one is about the loops
        measures = {"size top": "requests_per_second", "size cpu": "cpu_us"}
        yield from _medians(some, _columns(some, measures, language), language)


def many(one: Published, language: Language) -> Iterator[str]:
    """Yield the figures with few and many clients at one rate, each in a process of its own."""
    swept = {(run["candidate"], Workload(**run["workload"]).load) for runs in sweeps(one.result) for run in runs}
    alone = [each for each in one.summaries if each.workload.rate and each.runs]
    alone = [each for each in alone if (each.candidate.name, each.workload.load) not in swept]
    numbers: dict[float | None, set[int]] = {}
    for each in alone:
        numbers.setdefault(each.workload.rate, set()).add(each.workload.clients)
    rate = max(numbers, key=lambda rate: len(numbers[rate]), default=None)
    if rate and len(numbers[rate]) > 1:
        some = [each for each in alone if each.workload.rate == rate]
        measures = {"served many": "served", "p99 many": "response_p99_us", "cpu many": "cpu_us"}
        yield from _medians(some, _columns(some, measures, language), language)


def saturate(one: Published, language: Language) -> Iterator[str]:
    """Yield top speed and CPU per request of clients that never pause."""
    some = [each for each in one.summaries if each.workload.scenario == "saturate" and each.runs]
    some = [each for each in some if each.workload.rate is None and each.workload.size is None]
    most = [each for each in some if each.workload.clients == some[-1].workload.clients]
    fair = [each for each in some if each.served[0] == each.served[1]]
    columns = _columns(fair, {"top": "requests_per_second", "top cpu": "cpu_us"}, language)
    yield from _medians(some, [*_columns(most, {"served many": "served"}, language), *columns], language)


def first_reply(one: Published, language: Language) -> Iterator[str]:
    """Yield what a new client waits for its first reply."""
    some = [each for each in one.summaries if each.workload.scenario in ("conversation", "slow-client")]
    some = [each for each in some if each.runs and each.workload.rate is None]
    yield from _medians(some, _columns(some, {"": "first_p99_us"}, language), language)


def memory(one: Published, language: Language) -> Iterator[str]:
    """Yield what a client takes of a server's memory."""
    columns = [(language.headings[name], _priced(one, language, name)) for name in _PRICES]
    shown = [(heading, cells) for heading, cells in columns if cells]
    if not shown:
        return
    yield from _table(shown, language)
    records = _weighed(one)
    clients = language.number(max(each["connected"] for each in records))
    yield ""
    yield language.text("memory", clients=clients, runs=min(len(each["runs"]) for each in records))


_PRICES: Final[Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]]] = {
    "process silent": lambda record: record["silent"],
    "process spoken": lambda record: record["spoken"],
    "process empty": lambda record: {"value": (record["silent"]["base"] or 0) / 1000 or None, "low": None},
    "group silent": lambda record: record["container_silent"].get("total"),
    "group spoken": lambda record: record["container_spoken"].get("total"),
    "kernel silent": lambda record: record["container_silent"].get("kernel"),
}
"""By column, what of a server's record it shows, in thousands."""


def _weighed(one: Published) -> list[Mapping[str, Any]]:
    return [each for each in one.result.get("memory", []) if each.get("silent")]


def _priced(one: Published, language: Language, name: str) -> dict[str, str]:
    """Return a column's cells by candidate."""
    cells = {}
    for record in _weighed(one):
        found = _PRICES[name](record)
        if found and found["value"] is not None:
            value, low, high = (language.number((found.get(key) or 0) / 1e3) for key in ("value", "low", "high"))
            cells[record["candidate"]] = value if found["low"] is None else f"{value} ({low}–{high})"
    return cells


def machines(every: Sequence[Published], language: Language) -> Iterator[str]:
    """Yield what each model sustains, on each machine."""
    rows: dict[str, dict[str, str]] = {}
    for one in every:
        if _is_of(one, "rates") and one.machine not in rows:
            rows[one.machine] = {language.text("machine"): f"{machine(one)} ({one.result['started'][:10]})"}
            for each in one.sustained:
                heading = f"`{each.candidate.name}`, {language.count(each.workload.clients)}"
                rows[one.machine][heading] = _rate(each, language)
    yield from _grid([*rows.values()])


def _columns(some: Iterable[Summary], measures: Mapping[str, str], language: Language) -> list[Column]:
    """Return a column for each load and measure; measures: by heading, "" for that of the scenario."""
    columns: list[Column] = []
    for _, group in groupby(some, key=lambda each: each.workload.load):
        [*these] = group
        for name, measure in measures.items():
            heading = language.heading(name or these[0].workload.scenario, these[0].workload)
            if heading in dict(columns):
                raise ValueError(f"two of its loads have one heading, {heading!r}: measure and publish them apart")
            columns.append((heading, {each.candidate.name: _cell(each, measure, language) for each in these}))
    return columns


def _medians(some: Sequence[Summary], columns: Sequence[Column], language: Language) -> Iterator[str]:
    """Yield a table, and what its figures are of, if there are any."""
    if not some:
        return
    yield from _table(columns, language)
    counts = sorted({each.runs for each in some})
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    said = language.text("runs", runs=many, spread=_spread(counts[0], language))
    rate = some[0].workload.rate
    yield ""
    yield f"{language.text('at', rate=language.number(rate))} {said}" if rate else said


def _table(columns: Sequence[Column], language: Language) -> Iterator[str]:
    names = dict.fromkeys(name for _, cells in columns for name in cells)
    rows = [{heading: cells.get(name, "") for heading, cells in columns} for name in names]
    yield from _grid([{language.text("server"): f"`{name}`", **row} for name, row in zip(names, rows, strict=True)])


def _grid(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield rows of cells by heading."""
    headings = dict.fromkeys(heading for row in rows for heading in row)
    if headings:
        yield f"| {' | '.join(headings)} |\n|---{'|--:' * (len(headings) - 1)}|"
    for row in rows:
        yield f"| {' | '.join(row.get(heading, '') for heading in headings)} |"


def _spread(runs: int, language: Language) -> str:
    """Return what the brackets hold."""
    return language.text("interval") if runs >= MIN_RUNS else language.text("extremes")


def _cell(each: Summary, measure: str, language: Language) -> str:
    """Return a measure with its bound, and its interval or range; latencies in milliseconds."""
    if measure == "served":
        return language.count(each.served[0])
    found, unit = each[measure], 1e3 if measure.endswith("_us") and measure != "cpu_us" else 1
    if found.value is None:
        return "" if found.at_most is None else f"≤ {language.number(found.at_most / unit)}"
    shown = ("≥ " if found.at_least else "") + language.number(found.value / unit)
    return shown + _range(found, unit, language)


def _range(found: Estimate, unit: float, language: Language) -> str:
    """Return an interval or range in brackets; "" if there is none, or it isn't to be seen."""
    if found.low is None or len(found.values) < 2:
        return ""
    high = "…" if found.high is None else language.number(found.high / unit)
    low = language.number(found.low / unit)
    return "" if low == high else f" ({low}–{high})"


TABLES: Final[Mapping[str, Callable[[Published, Language], Iterator[str]]]] = {
    each.__name__: each
    for each in (answer, rates, many, saturate, first_reply, memory, models, neighbour, database, sizes)
}
"""The tables of one machine, by the name of their marks."""
