"""
The generated parts of the READMEs: the table of servers, the models' code, and measured figures.

The figures come from figures.toml, so that no figure is typed twice.
"""

import ast
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from servers.variants import Variant

HERE: Final = Path(__file__).resolve().parent
FIGURES: Final = HERE / "figures.toml"


@dataclass(frozen=True, slots=True)
class Language:
    """
    The words of the generated parts in one language.

    point: the decimal mark. servers, unlimited: for the table of servers. headings: by measure and clients.
    intervals: what the brackets hold, by figures.toml's `interval`. units: translated ones.
    The rest are patterns for str.format.
    """

    point: str
    servers: str
    unlimited: str
    server: str
    measured: str
    runs: str
    fewer: str
    low: str
    intervals: Mapping[str, str]
    headings: Mapping[tuple[str, int | None], str]
    units: Mapping[str, str]


ENGLISH: Final = Language(
    point=".",
    servers="server | model | connection | clients at once | port | port of `/metrics`",
    unlimited="up to `--max-connections`",
    server="server",
    measured="Measured at commit {commit} on {date}, with {python} on {cores} cores ({processor}, {kernel}).",
    runs="Medians of {runs} valid runs or more, each in a fresh process; in brackets {interval}.",
    fewer="only {runs} runs",
    low="{low} at least",
    intervals={"99 %": "the 99 % interval", "extremes": "the least and the most"},
    headings={
        ("served", 50): "served at once, of 50 clients",
        ("cpu", 1): "CPU per request, 1 client",
        ("cpu", 50): "CPU per request, 50 clients",
        ("conversation", 30): "p99, 30 clients that pause (`conversation`)",
        ("slow-client", 30): "p99, 30 clients, one stops for two seconds (`slow-client`)",
        ("process silent", None): "process: a silent client",
        ("process spoken", None): "process: a client that has spoken",
        ("process empty", None): "process: no clients",
        ("group silent", None): "group: a silent client",
        ("group spoken", None): "group: a client that has spoken",
        ("group empty", None): "group: no clients",
        ("kernel silent", None): "group: a silent client, the kernel's part",
    },
    units={},
)

RUSSIAN: Final = Language(
    point=",",
    servers="сервер | модель | соединение | клиентов одновременно | порт | порт `/metrics`",
    unlimited="до `--max-connections`",
    server="сервер",
    measured="Измерено на коммите {commit}, {date}: {python}, ядер процессора: {cores} ({processor}, {kernel}).",
    runs="Медианы по корректным запускам (не менее {runs}, каждый в новом процессе); в скобках — {interval}.",
    fewer="всего запусков: {runs}",
    low="не меньше {low}",
    intervals={"99 %": "99-процентный доверительный интервал", "extremes": "наименьшее и наибольшее значения"},
    headings={
        ("served", 50): "обслуживалось одновременно, из 50 клиентов",
        ("cpu", 1): "процессорное время на запрос, 1 клиент",
        ("cpu", 50): "процессорное время на запрос, 50 клиентов",
        ("conversation", 30): "p99, 30 клиентов с паузами (`conversation`)",
        ("slow-client", 30): "p99, 30 клиентов, один замирает на две секунды (`slow-client`)",
        ("process silent", None): "процесс: молчащий клиент",
        ("process spoken", None): "процесс: клиент после запроса",
        ("process empty", None): "процесс: без клиентов",
        ("group silent", None): "группа: молчащий клиент",
        ("group spoken", None): "группа: клиент после запроса",
        ("group empty", None): "группа: без клиентов",
        ("kernel silent", None): "группа: молчащий клиент, в том числе ядро",
    },
    units={"us": "мкс", "ms": "мс", "s": "с", "kB": "кБ", "MB": "МБ"},
)

MAIN: Final = replace(
    ENGLISH,
    headings={
        ("served", 50): "of 50 clients, served at once",
        ("slow-client", 30): "wait for the first reply (p99), while one of 30 clients stalls for two seconds",
        ("group silent", None): "server and kernel memory for each client that is connected and silent",
        ("cpu", 50): "CPU per request, 50 clients",
    },
)
"""The main README's words. Its table shows the figures that have a heading here, in this order."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; figures.toml says what the fields mean."""

    measure: str
    server: str
    value: float
    unit: str = ""
    clients: int | None = None
    low: float | None = None
    high: float | None = None
    at_least: bool = False
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """The figures that one command has measured."""

    command: str
    runs: int
    interval: str
    figures: Sequence[Mapping[str, Any]]


def parts(language: Language) -> dict[str, Callable[[Sequence[Variant]], Iterator[str]]]:
    """Return the generated parts of a server README, by the name of their marks."""
    return {
        "servers": partial(_servers, language),
        "single": partial(_code, "single", ["serve", "converse"]),
        "threaded": partial(_code, "threaded", ["serve"]),
        "asyncio": partial(_code, "asyncio_streams", ["serve", "converse"]),
        "measured": partial(_measured, language),
        "saturate": partial(_experiment, language, "saturate"),
        "first_reply": partial(_experiment, language, "first_reply"),
        "memory": partial(_experiment, language, "memory"),
    }


def _servers(language: Language, variants: Sequence[Variant]) -> Iterator[str]:
    yield ""
    yield f"| {language.servers} |"
    yield "|---|---|---|---|---|---|"
    for each in variants:
        model = f"[`models/{each.module}.py`](models/{each.module}.py)"
        clients = each.clients or language.unlimited
        yield f"| `{each.name}` | {model} | `{each.connection}` | {clients} | {each.port} | {each.metrics_port} |"
    yield ""


def main_parts() -> dict[str, Callable[[Sequence[Variant]], Iterator[str]]]:
    """Return the generated parts of the main README, by the name of their marks."""
    return {"answer": _answer, "models": _side_by_side}


def _code(module: str, functions: Sequence[str], _: Sequence[Variant]) -> Iterator[str]:
    """Yield a code block with a model's functions."""
    yield ""
    yield "```python"
    for number, name in enumerate(functions):
        if number:
            yield from ("", "")
        yield from _function(module, name)
    yield "```"
    yield ""


def _side_by_side(_: Sequence[Variant]) -> Iterator[str]:
    """Yield each model's `serve`, then two `converse` in columns, which have no room for comments."""
    yield ""
    yield "```python"
    for module in ("single", "threaded", "asyncio_streams"):
        yield f"# {module}.py"
        yield from _function(module, "serve")
        yield ""
    left, right = (
        [line.partition("  #")[0] for line in _function(module, "converse")] for module in ("single", "asyncio_streams")
    )
    width = max(map(len, left))
    yield f"{'# single.py and threaded.py':{width}}  # asyncio_streams.py"
    for one, other in zip(left, right, strict=True):
        yield f"{one:{width}}  {other}"
    yield "```"
    yield ""


def _function(module: str, name: str) -> Iterator[str]:
    """Yield a function's source lines without its docstring."""
    text = (HERE / "models" / f"{module}.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    [node] = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    first = node.body[0] if ast.get_docstring(node) is None else node.body[1]
    yield from lines[node.lineno - 1 : node.body[0].lineno - 1]
    yield from lines[first.lineno - 1 : node.end_lineno]


def _measured(language: Language, _: Sequence[Variant]) -> Iterator[str]:
    """Yield the commit, machine and Python of all figures."""
    yield ""
    yield language.measured.format_map(_data())
    yield ""


def _experiment(language: Language, name: str, _: Sequence[Variant]) -> Iterator[str]:
    """Yield an experiment's figures and the command that repeats it."""
    experiment, figures = _read(name)
    if experiment.interval not in language.intervals:
        raise ValueError(f"{FIGURES.name}, {name}: {experiment.interval!r} is none of {', '.join(language.intervals)}")
    yield ""
    yield from _table(language, figures)
    yield ""
    yield language.runs.format(runs=experiment.runs, interval=language.intervals[experiment.interval])
    yield ""
    yield f"    {experiment.command}"
    yield ""


def _answer(_: Sequence[Variant]) -> Iterator[str]:
    """Yield the figures that the main README shows."""
    found = [figure for name in ("saturate", "first_reply", "memory") for figure in _read(name)[1]]
    yield ""
    yield from _table(MAIN, [each for key in MAIN.headings for each in found if (each.measure, each.clients) == key])
    yield ""
    yield MAIN.measured.format_map(_data())
    yield ""


def _read(name: str) -> tuple[Experiment, list[Figure]]:
    """Return an experiment and its figures; ValueError if the data are malformed."""
    try:
        experiment = Experiment(**_data().get(name, {}))
        return experiment, [Figure(**each) for each in experiment.figures]
    except TypeError as error:
        raise ValueError(f"{FIGURES.name}, {name}: {error}") from error


def _table(language: Language, figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a row for each server and a column for each measure."""
    servers = dict.fromkeys(each.server for each in figures)
    keys = dict.fromkeys((each.measure, each.clients) for each in figures)
    columns = [
        _column(key, [each for each in figures if (each.measure, each.clients) == key], language) for key in keys
    ]
    yield f"| {language.server} | {' | '.join(heading for heading, _ in columns)} |"
    yield "|---" + "|--:" * len(columns) + "|"
    for server in servers:
        yield f"| `{server}` | {' | '.join(cells.get(server, '') for _, cells in columns)} |"


def _column(key: tuple[str, int | None], figures: Sequence[Figure], language: Language) -> tuple[str, dict[str, str]]:
    """Return a column's heading and its cells by server; the heading has the unit if all cells share it."""
    if key not in language.headings:
        raise ValueError(f"servers/readme.py has no heading for {key}, which {FIGURES.name} has")
    names = {each.unit: language.units.get(each.unit, each.unit) for each in figures}
    heading = language.headings[key]
    if len(names) == 1:
        heading = ", ".join(filter(None, [heading, *names.values()]))
        names = dict.fromkeys(names, "")
    return heading, {each.server: _cell(each, names[each.unit], language) for each in figures}


def _cell(figure: Figure, unit: str, language: Language) -> str:
    """Return a figure with its bound, interval, unit and (if fewer than usual) runs."""
    low, high = figure.low, figure.high
    if low is None:
        interval = ""
    elif high is None:
        interval = f" ({language.low.format(low=_number(low, language))})"
    else:
        interval = f" ({_number(low, language)}–{_number(high, language)})"
    bound = "≥ " if figure.at_least else ""
    runs = f", {language.fewer.format(runs=figure.runs)}" if figure.runs else ""
    return f"{bound}{_number(figure.value, language)}{interval} {unit}".rstrip() + runs


def _number(value: float, language: Language) -> str:
    return f"{value:g}".replace(".", language.point)


def _data() -> dict[str, Any]:
    return tomllib.loads(FIGURES.read_text(encoding="utf-8"))
