"""The page's first sections: who is better than whom, measure by measure, and the warnings."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.compare.analysis.pairwise import Pair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import Summary
from loadtest.compare.candidates import Candidate
from loadtest.compare.escaping import markup
from loadtest.compare.report import headline
from loadtest.compare.report.charts import svg
from loadtest.compare.report.formatting import run_count, served
from loadtest.compare.report.notes import SharedWarning, incomplete, indicative, is_verdict
from loadtest.compare.report.ranking import (
    Ranking,
    by_workload,
    factor,
    headlines,
    missing,
    pair_lines,
    place,
    rankings,
    relation,
    workload_in_words,
)


def answer(
    result: Mapping[str, Any], every: Sequence[Summary], known: Sequence[Candidate], warned: Sequence[SharedWarning]
) -> str:
    """Return what comes first: who is better than whom, and the warnings about it."""
    marks = looks(known)
    lines = []
    for about, ranking in headlines(every):
        chain = _chain(ranking, marks, tell=is_verdict(every))
        lines.append(f"<div>{markup(about)}<br>{markup(ranking.words)}</div><div>{chain}</div>")
    rates = _rates(result, marks)
    said = [_caution(text) for text in (incomplete(result), "" if rates else indicative(every)) if text]
    left_out = sum(len(each.excluded) for each in every)
    total = sum(len(each.shown) for each in every)
    if warned:
        names = ", ".join(dict.fromkeys(each.warning.name for each in warned))
        runs_out = f"{left_out} of {run_count(total)} left out of all medians. " if left_out else ""
        said.append(_caution(f"Excluded: {names}. {runs_out}", '<a href="#warnings">Which, and what to do</a>'))
    title = "The answer" if is_verdict(every) else "What was seen (no verdict)"
    key = "".join(f'<li>{marks[each.name]} <span class="faint">{markup(each.title)}</span></li>' for each in known)
    return (
        f'<section class="answer" id="answer"><h2>{title}</h2>{rates}<div class="about">{"".join(lines)}</div>'
        f'{"".join(said)}<ul class="key">{key}</ul></section>'
    )


def _rates(result: Mapping[str, Any], marks: Mapping[str, str]) -> str:
    """Return which rate each candidate sustains; "" where none was swept."""
    rows = headline.rows(result)
    if not rows:
        return ""
    head = "".join(f"<th>{markup(each)}</th>" for each in headline.headings(result))
    body = "".join(
        f"<tr><td>{marks[row.candidate]}</td>"
        + "".join(f"<td>{markup(headline.signs(cell))}</td>" for cell in row.cells[1:])
        + "</tr>"
        for row in rows
    )
    said = "".join(f"<li>{markup(line)}</li>" for line in headline.comparisons(result))
    notes = headline.signs(" ".join((headline.question(result), *headline.notes(result))))
    return (
        f'<ul>{said}</ul><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="faint">{markup(notes)}</p>'
    )


def _caution(text: str, link: str = "") -> str:
    return f'<p class="caution">{markup(text)}{link}</p>'


def looks(known: Sequence[Candidate]) -> dict[str, str]:
    """Return each candidate's name with its mark."""
    inks = svg.inks(known)
    return {
        each.name: f'<span class="who"><svg viewBox="0 0 12 12">{svg.mark(inks[each.name], 6, 6)}</svg>'
        f"{markup(each.label)}</span>"
        for each in known
    }


def _chain(ranking: Ranking, marks: Mapping[str, str], *, tell: bool = False) -> str:
    """
    Return a ranking: the best first, and between two neighbours by what factor, or that it can't be told.

    Without a verdict there is nothing between them, and they stand in the plan's order, which is no ranking.
    tell: whether to say that, where others have one.
    """
    steps = ranking.steps
    if not ranking.is_verdict:
        steps = tuple(sorted(steps, key=lambda each: list(marks).index(each.summary.candidate.name)))
    parts = [] if ranking.is_verdict or not tell else ['<span class="than">indicative:</span>']
    for at, step in enumerate(steps):
        if ranking.is_verdict and step.pair:
            parts.append(_than(step.pair, steps[at - 1].summary))
        parts.append(
            _link(
                step.summary,
                ranking.measure,
                place(step.summary, ranking.measure, spread=not ranking.is_verdict),
                marks,
            )
        )
    parts += [_link(each, ranking.measure, missing(each, ranking.measure), marks) for each in ranking.left_out]
    return f'<div class="chain">{"".join(parts)}</div>'


def _link(each: Summary, measure: str, words: str, marks: Mapping[str, str]) -> str:
    """Return a candidate with its measure and the clients served, or with why it has none."""
    among = ""
    if each[measure].value is not None:
        some, every = each.served
        css, only, end = ("warn", "only ", " served") if some < every else ("faint", "", "")
        among = f' <span class="among {css}">{only}{served(each)}{end}</span>'
    return f'<span class="link">{marks[each.candidate.name]} {markup(words)}{among}</span>'


def _than(pair: Pair, before: Summary) -> str:
    """Return what stands between two neighbours of a ranking: the factor, with its interval, or why there is none."""
    found = factor(pair, before)
    words = markup(relation(pair, before))
    if pair.significance.answer is Answer.DIFFERENT and found:
        return f'<span class="than"><b>{found.words}</b>{words.removeprefix(found.words)}</span>'
    return f'<span class="than" title="{markup(pair.significance.why)}">{words}</span>'


def measure_by_measure(every: Sequence[Summary], known: Sequence[Candidate]) -> str:
    """Return every fair measure of every load, judged; "" where there are too few runs."""
    if not is_verdict(every):
        return ""
    marks = looks(known)
    rows, every_pair = [], []
    for some in by_workload(every):
        judged = [ranking for ranking in rankings(some) if ranking.is_verdict]
        if not judged:
            continue
        rows.append(f'<tr class="load"><td colspan="2">{markup(workload_in_words(some))}</td></tr>')
        rows += [
            f'<tr><td>{markup(each.words)}</td><td class="left">{_chain(each, marks)}</td></tr>' for each in judged
        ]
        items = "".join(f"<li>{markup(line)}</li>" for line in pair_lines(some))
        every_pair.append(f"<h3>{markup(workload_in_words(some))}</h3><ul>{items}</ul>")
    return (
        '<h2>The verdict, figure by figure</h2><p class="faint">The best median first; in brackets the 99 % interval of'
        " the factor. Each is judged with its neighbour; all pairs are below.</p>"
        f'<div class="wide"><table><tbody>{"".join(rows)}</tbody></table></div>'
        f"<details><summary>Every pair</summary>{''.join(every_pair)}</details>"
    )


def warnings(warned: Sequence[SharedWarning]) -> str:
    """Return every warning, with what was seen and what to do."""
    if not warned:
        return '<h2 id="warnings">Warnings</h2><p>None.</p>'
    lines = "".join(
        f'<li><span class="warn">{markup(each.warning.name)}:</span> {markup(each.sentence)}'
        f' <span class="faint">Hint: {markup(each.warning.hint)}.</span></li>'
        for each in warned
    )
    return f'<h2 id="warnings">Warnings</h2><ul>{lines}</ul>'
