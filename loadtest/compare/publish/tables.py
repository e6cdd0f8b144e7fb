"""The published tables, in Markdown, from a result alone: what it hasn't measured is in none."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from loadtest.compare.analysis.measures import waited_for
from loadtest.compare.analysis.summary import Estimate, Summary
from loadtest.compare.analysis.sustained import Sustained, common_rate, sweeps
from loadtest.compare.plan import MIN_RUNS
from loadtest.compare.publish.published import Published, on_several_loops
from loadtest.compare.publish.words import Language

KB: Final = 1e3
MS: Final = 1e3  # microseconds

Column = tuple[str, Mapping[str, str]]
"""A heading, and cells by candidate."""

Table = Callable[[Published, Language], Iterator[str]]


def source(one: Published, language: Language, *, machine: str = "") -> str:
    """Return the commit, the date and the command of a result. machine: the words for its machine, if they are due."""
    words = list(one.result["command"][4:])
    if "--output" in words:
        place = words.index("--output")
        del words[place : place + 2]
    command = " ".join(["compare", *map(shlex.quote, words)])
    said = language.source.format(commit=one.result["commit"], date=one.result["started"][:10], command=command)
    return f"{said} {machine.format(machine=_machine(one))}" if machine else said


def _machine(one: Published) -> str:
    about = one.result["machine"]
    return f"{about['cpu'] or about['architecture']}, {about['usable_cores']} cores, {about['python']}"


def measured(one: Published, language: Language, root: Path) -> Iterator[str]:
    """Yield where and when it was measured, and whether that still holds."""
    result, about = one.result, one.result["machine"]
    yield language.measured.format(
        commit=result["commit"],
        date=result["started"][:10],
        python=about["python"],
        cores=about["usable_cores"],
        processor=about["cpu"] or about["architecture"],
        kernel=about["system"],
    )
    if one.renewed:
        yield language.renewed.format_map(one.renewed)
    changed = one.changed(root)
    files = ", ".join(f"`{name}`" for name in changed)
    yield language.unknown if not one.code else language.changed.format(files=files) if changed else language.holds


def answer(one: Published, language: Language) -> Iterator[str]:
    """Yield what the main README shows: the sustained rate, figures at one rate, memory."""
    yield from _of_rates(
        one, language, [(language.headings["memory"], _priced(one, language, _PRICES["group silent"]))]
    )


def rates(one: Published, language: Language) -> Iterator[str]:
    """Yield what each model sustains, and its figures at one rate that all sustain."""
    yield from _of_rates(one, language, [])


def models(one: Published, language: Language) -> Iterator[str]:
    """Yield the same of a comparison of more models, which has nothing else."""
    if one.result["plan"]["name"] == "chosen" and _is_of(one, "rates"):
        yield from _of_rates(one, language, [])


def database(one: Published, language: Language) -> Iterator[str]:
    """Yield up to which rate each model has its requests wait for a database."""
    if _is_of(one, "database"):
        yield from _of_rates(one, language, [])


def _is_of(one: Published, scenario: str) -> bool:
    return any(each.workload.scenario == scenario for each in one.sustained)


def neighbour(one: Published, language: Language) -> Iterator[str]:
    """Yield how long clients wait beside one that computes, and how long that takes."""
    some = [each for each in one.summaries if each.scenario.neighbour and each.runs]
    if not some:
        return
    measures = {"p50": "response_p50_us", "p99": "response_p99_us", "p999": "response_p999_us", "work": "neighbour_us"}
    served = {_name(each): language.count(each.served[0]) for each in some}
    columns: list[Column] = [
        (language.heading("served many", some[0].workload.clients), served),
        *(
            (language.headings[f"beside {name}"], {_name(each): _cell(each[measure], MS, language) for each in some})
            for name, measure in measures.items()
        ),
    ]
    yield from _table(columns, language)
    yield from _runs(some, language, language.at.format(rate=language.number(some[0].workload.rate or 0)))


def sizes(one: Published, language: Language) -> Iterator[str]:
    """Yield top speed and CPU per request by a message's size."""
    some = [each for each in one.summaries if each.workload.size and each.runs]
    if not some or on_several_loops(one.candidates):  # that one is about the loops
        return
    columns: list[Column] = []
    for size in sorted({each.workload.size or 0 for each in some}):
        these = [each for each in some if each.workload.size == size]
        for name, measure in (("size top", "requests_per_second"), ("size cpu", "cpu_us")):
            heading = language.headings[name].format(size=language.count(size))
            columns.append((heading, {_name(each): _cell(each[measure], 1, language) for each in these}))
    yield from _table(columns, language)
    yield from _runs(some, language)


def _of_rates(one: Published, language: Language, further: Sequence[Column]) -> Iterator[str]:
    found = one.sustained
    if not found:
        return
    at = common_rate(found)
    there = {
        (each.candidate.name, each.workload.clients): each
        for each in one.summaries
        if each.workload.rate == at and each.runs
    }
    rows: list[dict[str, str]] = []
    names: list[str] = []
    for each in found:
        key = (each.candidate.name, each.workload.clients)
        names.append(each.candidate.name)
        rows.append(
            {
                "clients": language.count(each.workload.clients),
                "sustained": _rate(each, language),
                **_at_one_rate(there.get(key), language),
            }
        )
    swept = {(each.candidate.name, each.workload.clients) for each in found}
    for summary in one.summaries:
        some, every = summary.served
        if (summary.candidate.name, summary.workload.clients) not in swept and summary.workload.rate and some < every:
            names.append(summary.candidate.name)
            words = language.served.format(some=some, every=every)
            rows.append({"clients": language.number(summary.workload.clients), "sustained": words})
    shown = "" if at is None else language.number(at)
    keys = [key for key in ("clients", "sustained", "p50", "p99", "cpu") if any(row.get(key) for row in rows)]
    columns = [language.headings[key].format(rate=shown) for key in keys] + [
        heading for heading, cells in further if cells
    ]
    yield _head([language.server, *columns])
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        first = names.index(name) == number
        more = [cells.get(name, "") if first else "" for _, cells in further if cells]
        yield _row([f"`{name}`", *(row.get(key, "") for key in keys), *more])
    yield ""
    kept = min(len(each.sweeps) for each in found)
    yield language.sustained.format(slo=f"`{one.result['plan']['slo']}`", spread=_spread(kept, language))


def _rate(each: Sustained, language: Language) -> str:
    rate = each.rate
    if rate.value is None:
        return language.unclear
    if not rate.value:
        return language.none.format(value=language.number(each.rates[0]))
    value = language.number(rate.value)
    shown = language.more.format(value=value) if rate.at_least else value
    if rate.low is None or len(rate.values) < 2 or (rate.low == rate.value and rate.high in {None, rate.value}):
        return shown
    high = language.number(rate.high) if rate.high is not None else "…"
    return f"{shown} ({language.number(rate.low)}–{high})"


def _at_one_rate(each: Summary | None, language: Language) -> dict[str, str]:
    if each is None:
        return {}
    replies = waited_for(each.scenario)
    return {
        "p50": _cell(each[f"{replies}_p50_us"], MS, language),
        "p99": _cell(each[f"{replies}_p99_us"], MS, language),
        "cpu": _cell(each["cpu_us"], 1, language),
    }


def many(one: Published, language: Language) -> Iterator[str]:
    """Yield the figures with few and many clients at one rate, each in a process of its own."""
    swept = {_key(run["candidate"], run["workload"]) for runs in sweeps(one.result) for run in runs}
    alone = [each for each in one.summaries if each.workload.rate and each.runs]
    alone = [each for each in alone if _key(_name(each), asdict(each.workload)) not in swept]
    numbers: dict[float, set[int]] = {}
    for each in alone:
        numbers.setdefault(each.workload.rate or 0.0, set()).add(each.workload.clients)
    rate = max(numbers, key=lambda rate: len(numbers[rate]), default=0.0)
    counts = sorted(numbers.get(rate, ()))
    if len(counts) < 2:
        return
    alone = [each for each in alone if each.workload.rate == rate]
    columns: list[Column] = []
    for clients in counts:
        some = [each for each in alone if each.workload.clients == clients]
        columns += [
            (
                language.heading("served many", clients),
                {_name(each): language.count(each.served[0]) for each in some},
            ),
            (
                language.heading("p99 many", clients),
                {_name(each): _cell(each["response_p99_us"], MS, language) for each in some},
            ),
            (
                language.heading("cpu many", clients),
                {_name(each): _cell(each["cpu_us"], 1, language) for each in some},
            ),
        ]
    yield from _table(columns, language)
    yield from _runs(alone, language, language.at.format(rate=language.number(rate)))


def _key(candidate: str, workload: Mapping[str, Any]) -> tuple[str, int, float]:
    return candidate, workload["clients"], workload["rate"]


def saturate(one: Published, language: Language) -> Iterator[str]:
    """Yield top speed and CPU per request of clients that never pause."""
    some = [each for each in one.summaries if each.workload.scenario == "saturate" and each.runs]
    some = [each for each in some if each.workload.rate is None and each.workload.size is None]
    if not some:
        return
    columns: list[Column] = []
    most = max(each.workload.clients for each in some)
    served = {_name(each): language.count(each.served[0]) for each in some if each.workload.clients == most}
    columns.append((language.heading("served many", most), served))
    for clients in sorted({each.workload.clients for each in some}):
        these = [each for each in some if each.workload.clients == clients and each.served[0] == each.served[1]]
        for name, measure in (("top", "requests_per_second"), ("top cpu", "cpu_us")):
            heading = language.heading(name, clients)
            columns.append((heading, {_name(each): _cell(each[measure], 1, language) for each in these}))
    yield from _table(columns, language)
    yield from _runs(some, language)


def first_reply(one: Published, language: Language) -> Iterator[str]:
    """Yield what a new client waits for its first reply."""
    some = [
        each
        for each in one.summaries
        if each.workload.scenario in ("conversation", "slow-client") and each.runs and each.workload.rate is None
    ]
    if not some:
        return
    columns: list[Column] = []
    for scenario, clients in dict.fromkeys((each.workload.scenario, each.workload.clients) for each in some):
        these = [each for each in some if (each.workload.scenario, each.workload.clients) == (scenario, clients)]
        heading = language.heading(scenario, clients)
        columns.append((heading, {_name(each): _cell(each["first_p99_us"], MS, language) for each in these}))
    yield from _table(columns, language)
    yield from _runs(some, language)


def memory(one: Published, language: Language) -> Iterator[str]:
    """Yield what a client takes of a server's memory."""
    columns = [(language.headings[name], _priced(one, language, price)) for name, price in _PRICES.items()]
    shown = [(heading, cells) for heading, cells in columns if cells]
    records = _weighed(one)
    if not shown:
        return
    yield from _table(shown, language)
    yield ""
    clients = language.number(max(each["connected"] for each in records))
    yield language.memory.format(clients=clients, runs=min(len(each["runs"]) for each in records))


_Price = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

_PRICES: Final[Mapping[str, _Price]] = {
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


def _priced(one: Published, language: Language, price: _Price) -> dict[str, str]:
    """Return a column's cells by candidate."""
    cells = {}
    for record in _weighed(one):
        found = price(record)
        if found and found["value"] is not None:
            shown = language.number(found["value"] / KB)
            if found["low"] is not None:
                shown += f" ({language.number(found['low'] / KB)}–{language.number(found['high'] / KB)})"
            cells[record["candidate"]] = shown
    return cells


def machines(every: Sequence[Published], language: Language) -> Iterator[str]:
    """Yield what each model sustains, on each machine."""
    columns: dict[str, dict[str, str]] = {}
    swept = [one for one in every if _is_of(one, "rates")]
    swept = list({one.machine: one for one in reversed(swept)}.values())[::-1]
    for one in swept:
        for each in one.sustained:
            heading = f"`{each.candidate.name}`, {language.count(each.workload.clients)}"
            columns.setdefault(heading, {})[one.machine] = _rate(each, language)
    if not swept:
        return
    yield _head([language.machine, *columns])
    for one in swept:
        name = f"{_machine(one)} ({one.result['started'][:10]})"
        yield _row([name, *(cells.get(one.machine, "") for cells in columns.values())])


def _table(columns: Sequence[Column], language: Language) -> Iterator[str]:
    names = list(dict.fromkeys(name for _, cells in columns for name in cells))
    yield _head([language.server, *(heading for heading, _ in columns)])
    for name in names:
        yield _row([f"`{name}`", *(cells.get(name, "") for _, cells in columns)])


def _runs(some: Sequence[Summary], language: Language, before: str = "") -> Iterator[str]:
    counts = sorted({each.runs for each in some})
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
    yield ""
    said = language.runs.format(runs=many, spread=_spread(counts[0], language))
    yield f"{before} {said}".lstrip()


def _spread(runs: int, language: Language) -> str:
    """Return what the brackets hold."""
    return language.interval if runs >= MIN_RUNS else language.extremes


def _cell(found: Estimate, unit: float, language: Language) -> str:
    """Return a measure with its bound, and its interval or range."""
    if found.value is None:
        return "" if found.at_most is None else f"≤ {language.number(found.at_most / unit)}"
    shown = ("≥ " if found.at_least else "") + language.number(found.value / unit)
    if found.low is None or len(found.values) < 2:
        return shown
    high = "…" if found.high is None else language.number(found.high / unit)
    low = language.number(found.low / unit)
    return shown if low == high else f"{shown} ({low}–{high})"


def _name(each: Summary) -> str:
    return each.candidate.name


def _head(cells: Sequence[str]) -> str:
    return f"{_row(cells)}\n|---{'|--:' * (len(cells) - 1)}|"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES: Final[Mapping[str, Table]] = {
    "answer": answer,
    "rates": rates,
    "many": many,
    "saturate": saturate,
    "first_reply": first_reply,
    "memory": memory,
    "models": models,
    "neighbour": neighbour,
    "database": database,
    "sizes": sizes,
}
"""The tables of one machine, by the name of their marks."""
