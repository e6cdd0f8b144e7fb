"""The last line of a comparison: what to do next, by what was found."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from loadtest.compare.analysis import regression
from loadtest.compare.analysis.pairwise import all_pairs
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.plan import MIN_RUNS
from loadtest.compare.report.headline import Headline
from loadtest.compare.report.notes import warnings

_THOROUGH: Final = "python -m loadtest compare --thorough (45 minutes)"


def text(result: Mapping[str, Any]) -> str:
    """Return the line."""
    return f"Next: {next(_steps(result))}."


def _steps(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may be done next, the most urgent first."""
    if result["interrupted"]:
        yield "measure again, to the end: this was interrupted, and may lack one side of a pair"
    if not result["complete"]:
        yield "see above what failed and why, correct it, and measure again"
    found = Headline.of(result)
    spoilt = next((each.warning for each in warnings(result, found.every) if each.left_out or not each.about), None)
    if spoilt:
        yield f"{spoilt.hint} ({spoilt.name}, above)"
    since = regression.of_revisions(result)
    if any(map(regression.is_worse, since)):
        yield "look on the page at what is worse, find its cause between the two revisions, and measure again"
    pairs = since or all_pairs(found.every)
    answers = {each.significance.answer for each in pairs}
    if Answer.CANNOT_TELL in answers:
        untold = (each.significance for each in pairs if each.significance.answer is Answer.CANNOT_TELL)
        runs = max(max(each.runs) for each in untold)
        yield f"what can't be told takes more runs of its load: --repeats {2 * runs}, or longer ones: --seconds"
    if since and answers <= {Answer.DIFFERENT, Answer.EQUIVALENT}:
        yield "let every pull request be measured like this: loadtest/compare/gate.yml"
    if found.is_untold:
        yield f"so few sweeps can't tell them all apart, ten may: {_THOROUGH}"
    if result["plan"]["name"] == "indicative":
        yield f"open the page; for a verdict {_THOROUGH}; to see why, make lesson N=7"
    if Answer.INDICATIVE in answers:
        yield f"for a verdict take {MIN_RUNS} runs of each: --repeats {MIN_RUNS}"
    yield "open the page, which has charts and the method"
