"""Shows a scorecard: on the terminal line by line, and as Markdown."""

import shlex
from collections.abc import Sequence
from typing import Final

from loadtest.check.commands import COMMANDS
from loadtest.check.row import Row
from loadtest.check.scorecard import FAILED, NOT_ASKED, PASSED, Result, Scorecard
from loadtest.compare.escaping import markdown, visible

_WIDTH: Final = 16
_LABELS: Final = {PASSED: "passed  ", FAILED: "FAILED  "}


def begun(row: Row) -> str:
    """Return the start of a row's line, while it is asked."""
    return f"  {row.name:{_WIDTH}}  "


def line(result: Result) -> str:
    """Return the rest of a row's line; of a failure, what was sent, came and was expected too."""
    if result.status == NOT_ASKED:
        return f"not asked: {visible(_reason(result))}"
    told = f"{_LABELS[result.status]}{result.asks}"
    if result.status == FAILED:
        indent = " " * (_WIDTH + 4)
        told += "".join(f"\n{indent}{name:8}  {visible(text)}" for name, text in _details(result))
    return told


def _reason(result: Result) -> str:
    """Return why a row was not asked; "" if it was."""
    return f"{result.failed_row} failed" if result.failed_row else result.why


def verdict(card: Scorecard) -> str:
    """Return the answer in a sentence or two."""
    failed, passed, left = card.of(FAILED), card.of(PASSED), card.of(NOT_ASKED)
    asked = len(failed) + len(passed)
    if failed:
        names = ", ".join(result.name for result in failed)
        told = f"{card.name}: {len(failed)} of {asked} rows failed: {names}."
    else:
        told = f"{card.name}: {'all ' if asked > 1 else ''}{asked} rows passed."
    if left:
        told += f" {len(left)} {'was' if len(left) == 1 else 'were'} not asked"
        if any(result.why.startswith("--commands") for result in left):
            unnamed = [name for name in COMMANDS if name not in card.commands]
            told += f" (if it knows more than ECHO, add --commands {' '.join([*card.commands, *unnamed])})"
        told += "."
    return f"Interrupted. {told}" if card.interrupted else told


def next_step(card: Scorecard, server: str) -> str:
    """Return what to do next. server: the option --server."""
    if card.of(FAILED):
        return "Correct the first failed row first; then check again."
    few = "--clients 1 " if card.serves == 1 else ""
    models = "single" if card.serves == 1 else "threaded asyncio"
    return (
        f"Its place among the models: python -m loadtest compare --variants {models} {few}--repeats 10 --server"
        f" {visible(shlex.quote(server))}"
    )


def page(card: Scorecard) -> str:
    """Return the scorecard as Markdown."""
    lines = [f"# {markdown(verdict(card))}", "", f"{markdown(card.server)}, {markdown(card.started)}.", ""]
    for result in card.of(FAILED):
        lines += [f"## {result.name}", "", result.asks, "", "| | |", "|---|---|"]
        lines += [f"| {name} | {markdown(text)} |" for name, text in _details(result)]
        lines.append("")
    lines += ["## All rows", "", "| row | what is asked | result |", "|---|---|---|"]
    for result in card.results:
        status = f"**{result.status}**" if result.status == FAILED else result.status
        why = _reason(result)
        lines.append(f"| {result.name} | {result.asks} | {status}{f': {markdown(why)}' if why else ''} |")
    return "\n".join(lines) + "\n"


def _details(result: Result) -> Sequence[tuple[str, str]]:
    return ("sent", result.sent), ("came", result.came), ("expected", result.expected)
