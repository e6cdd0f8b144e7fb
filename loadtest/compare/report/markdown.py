"""The comparison as Markdown, for a pull request: the verdict, a table for each scenario, the warnings, the command."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtest.compare.analysis import regression
from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.summary import Summary, by_scenario, by_workload
from loadtest.compare.escaping import markdown, visible
from loadtest.compare.plan import amount
from loadtest.compare.report import besides_runs, differences, headline
from loadtest.compare.report.formatting import AT_LEAST, HEADINGS, bare, runs, served, spread
from loadtest.compare.report.html.page import TITLE, command, where
from loadtest.compare.report.notes import incomplete, indicative, is_verdict, warnings
from loadtest.compare.report.ranking import rankings, sentence, workload_in_words


def text(result: Mapping[str, Any]) -> str:
    """Return the whole Markdown."""
    found = headline.Headline.of(result)
    every = found.every
    parts = [f"### {TITLE}", *_since(result), markdown(where(result))]
    parts += [f"**{markdown(line)}**" for line in (incomplete(result), indicative(every)) if line]
    rows = found.rows()
    if rows:
        parts.append("\n".join(f"- {markdown(line)}" for line in found.comparisons()))
        parts.append(_grid(found.headings(), ([markdown(headline.signs(cell)) for cell in row.cells] for row in rows)))
        parts.append(markdown(headline.signs(" ".join((found.question(), *found.notes())))))
    if is_verdict(every):
        parts.append("\n".join(_verdict(every)))
    for scenario, some in by_scenario(every):
        parts.append(f"**{scenario.name}**: {markdown(scenario.sentence)}")
        parts.append(_table(some))
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
        yield f"**{markdown(differences.headline(pairs))}**"
        yield "\n".join(f"    {visible(line)}" for line in differences.chart(pairs))
        yield "\n".join(f"- {markdown(line)}" for line in differences.reasons(pairs))


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, whose first column is words."""
    head, *lines = (f"| {' | '.join(cells)} |" for cells in (heads, *rows))
    return "\n".join((head, f"|---|{'--:|' * (len(heads) - 1)}", *lines))


def _verdict(every: Sequence[Summary]) -> Iterable[str]:
    """Yield a line for each load and measure that is judged."""
    for some in by_workload(every):
        for ranking in rankings(some):
            if ranking.is_verdict:
                yield f"- {workload_in_words(some)}, {ranking.words}: {markdown(sentence(ranking))}"


def _table(some: Sequence[Summary]) -> str:
    """Return the measures that are fair in the scenario."""
    names = fair(some[0].scenario)
    rows = [
        (
            markdown(each.candidate.label),
            amount(each.workload).replace(" clients", "").replace(" client", ""),
            served(each) if each.shown else "-",
            runs(each),
            *(_cell(each, name) for name in names),
        )
        for each in some
    ]
    return _grid(("server", "clients", "served", "valid runs", *(HEADINGS[name] for name in names)), rows)


def _cell(each: Summary, name: str) -> str:
    between = spread(each, name)
    return bare(each, name, AT_LEAST) + (f" ({between})" if between else "")
