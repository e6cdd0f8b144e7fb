"""The comparison as Markdown, for a pull request: the verdict, a table for each scenario, the warnings, the command."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from loadtest.compare.analysis import regression
from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.summary import Summary, by_scenario
from loadtest.compare.escaping import markdown, visible
from loadtest.compare.plan import amount
from loadtest.compare.report import besides_runs, headline, intervals
from loadtest.compare.report.formatting import AT_LEAST, COLUMNS, bare, runs, served, spread
from loadtest.compare.report.html.page import TITLE, command, where
from loadtest.compare.report.notes import incomplete, indicative, is_verdict, warnings
from loadtest.compare.report.ranking import by_workload, rankings, sentence, workload_in_words

_HEADINGS: Final = {name: heading for name, heading, _ in COLUMNS}


def text(result: Mapping[str, Any]) -> str:
    """Return the whole Markdown."""
    found = headline.Headline.of(result)
    every = found.every
    parts = [f"### {TITLE}", *_since(result), markdown(where(result))]
    parts += [f"**{markdown(line)}**" for line in (incomplete(result), indicative(every)) if line]
    rows = found.rows()
    if rows:
        parts.append("\n".join(f"- {markdown(line)}" for line in found.comparisons()))
        parts.append("\n".join(_rates(found.headings(), rows)))
        parts.append(markdown(headline.signs(" ".join((found.question(), *found.notes())))))
    if is_verdict(every):
        parts.append("\n".join(_verdict(every)))
    for scenario, some in by_scenario(every):
        parts.append(f"**{scenario.name}**: {markdown(scenario.sentence)}")
        parts.append("\n".join(_table(some)))
    for title, some_lines in besides_runs.lines(result):
        parts.append("\n".join((f"**{title}**", "", *(f"- {markdown(line)}" for line in some_lines))))
    warned = warnings(result, every)
    if warned:
        parts.append(
            "\n".join(f"- Warning, {markdown(each.warning.name)}: {markdown(each.sentence)}" for each in warned)
        )
    # Indented, in one line, so that no text in the command can end the block.
    parts.append(f"To measure it again:\n\n    {visible(command(result))}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _since(result: Mapping[str, Any]) -> Iterable[str]:
    """Yield what became of servers since an earlier revision: in a line, as a chart, and what is unclear, and why."""
    pairs = regression.of_revisions(result)
    if pairs or regression.is_untold(result, pairs):
        yield f"**{markdown(intervals.headline(pairs))}**"
        yield "\n".join(f"    {visible(line)}" for line in intervals.chart(pairs))
        yield "\n".join(f"- {markdown(line)}" for line in intervals.reasons(pairs))


def _rates(heads: Sequence[str], rows: Sequence[headline.Row]) -> Iterable[str]:
    """Yield the lines of a table: the rate that each candidate sustains."""
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'--:|' * (len(heads) - 1)}"
    for row in rows:
        yield f"| {' | '.join(markdown(headline.signs(cell)) for cell in row.cells)} |"


def _verdict(every: Sequence[Summary]) -> Iterable[str]:
    """Yield a line for each load and measure that is judged."""
    for some in by_workload(every):
        for ranking in rankings(some):
            if ranking.is_verdict:
                yield f"- {workload_in_words(some)}, {ranking.words}: {markdown(sentence(ranking))}"


def _table(some: Sequence[Summary]) -> Iterable[str]:
    """Yield the lines of a table: the measures that are fair in the scenario."""
    names = fair(some[0].scenario)
    yield f"| server | clients | served | valid runs | {' | '.join(_HEADINGS[name] for name in names)} |"
    yield f"|---|--:|--:|--:|{'--:|' * len(names)}"
    for each in some:
        cells = [
            markdown(each.candidate.label),
            amount(each.workload).replace(" clients", "").replace(" client", ""),
            served(each) if each.shown else "-",
            runs(each),
        ]
        yield f"| {' | '.join([*cells, *(_cell(each, name) for name in names)])} |"


def _cell(each: Summary, name: str) -> str:
    between = spread(each, name)
    return bare(each, name, AT_LEAST) + (f" ({between})" if between else "")
