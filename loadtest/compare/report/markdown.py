"""The comparison as Markdown, for a pull request: the verdict, a table for each scenario, the doubts, the command."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.judge.entries import Entry, by_scenario, entries
from loadtest.compare.judge.verdict import WORDS, fair
from loadtest.compare.report import extras
from loadtest.compare.report.answers import load, loads, rankings, sentence
from loadtest.compare.report.page import TITLE, command, where
from loadtest.compare.report.remarks import doubts, incomplete, indicative, is_verdict
from loadtest.compare.report.words import AT_LEAST, COLUMNS, bare, runs, served, spread

_HEADINGS: Final = {name: heading for name, heading, _ in COLUMNS}


def text(result: Mapping[str, Any]) -> str:
    """Return the whole of it."""
    every = entries(result)
    parts = [f"### {TITLE}", _plain(where(result))]
    parts += [f"**{_plain(line)}**" for line in (incomplete(result), indicative(every)) if line]
    if is_verdict(every):
        parts.append("\n".join(_verdict(every)))
    for scenario, some in by_scenario(every):
        parts.append(f"**{scenario.name}**: {_plain(scenario.sentence)}")
        parts.append("\n".join(_table(some)))
    for title, some_lines in extras.lines(result):
        parts.append("\n".join((f"**{title}**", "", *(f"- {_plain(line)}" for line in some_lines))))
    doubted = doubts(result, every)
    if doubted:
        parts.append("\n".join(f"- Doubt, {each.doubt.name}: {_plain(each.sentence)}" for each in doubted))
    # A fence that the command can't end: it may hold anything that a shell takes.
    parts.append(f"To measure it again:\n\n    {command(result).replace(chr(10), ' ')}")
    return "\n\n".join(parts) + "\n"


def _verdict(every: Sequence[Entry]) -> Iterable[str]:
    """Yield a line for each load and figure that is judged."""
    for some in loads(every):
        for ranking in rankings(some):
            if ranking.is_verdict:
                yield f"- {load(some)}, {WORDS[ranking.figure]}: {_plain(sentence(ranking))}"


def _table(some: Sequence[Entry]) -> Iterable[str]:
    """Yield the lines of a table: the figures that are fair in the scenario."""
    names = fair(some[0].scenario)
    yield f"| server | clients | served | sound runs | {' | '.join(_HEADINGS[name] for name in names)} |"
    yield f"|---|--:|--:|--:|{'--:|' * len(names)}"
    for each in some:
        cells = [_cell(each, name) for name in names]
        yield f"| {each.subject.name} | {each.case.clients:,} | {served(each)} | {runs(each)} | {' | '.join(cells)} |"


def _cell(each: Entry, name: str) -> str:
    between = spread(each, name)
    return bare(each, name, AT_LEAST) + (f" ({between})" if between else "")


def _plain(words: str) -> str:
    """Return words that Markdown, and HTML within it, leave as they are."""
    for sign in "\\`*_<>|#[]":
        words = words.replace(sign, f"\\{sign}")
    return " ".join(words.split())
