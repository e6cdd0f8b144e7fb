"""The command: python -m loadtest lesson."""

import argparse
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loadtest import atomic_write
from loadtest.compare import store
from loadtest.compare.cores import leave_to_servers
from loadtest.compare.measure import machine
from loadtest.compare.measure.run import ROOT, RunFailedError
from loadtest.compare.options import add_output
from loadtest.compare.refusal import Parser, refuse
from loadtest.lab.processes import INTERRUPTED, Children, Interrupt, say, supervise
from loadtest.lessons.bench import Bench, FreezingLaboratory
from loadtest.lessons.lesson import Lesson, lessons
from loadtest.lessons.picture import Picture
from loadtest.lessons.result import Result, Row
from loadtest.lessons.words import WORDS, beside, prediction, quoted, shown, spread, usual
from loadtest.run_warnings import RunWarning

_WIDE: Final = 100
_BAR: Final = 20

_NOTED: Final = frozenset({"unserved"})  # a lesson's text tells of it: clients that wait are what it is about


def lesson(arguments: Sequence[str], laboratory: type[FreezingLaboratory] = FreezingLaboratory) -> int:
    """List the lessons, or run one; return the exit status."""
    known = lessons()
    options = _parse(arguments, known)
    if options.number is None:
        _list(known.values(), options.lang)
        return 0
    chosen = known[options.number]
    try:
        value = chosen.change.usual if options.change is None else chosen.change.parse(options.change)
    except ValueError as error:
        return refuse(f"--change: {error}")
    run = Flow(chosen, options.lang, value)
    predicted = None if options.predict is None else prediction(options.predict, run.text.unit)
    if options.predict is not None and predicted is None:
        return refuse(f"--predict: {run.words.bad.format(text=quoted(options.predict))}")
    try:
        store.try_out(options.output)
    except ValueError as error:
        return refuse(str(error))
    run.introduce()
    try:
        predicted = run.ask() if options.predict is None and sys.stdin.isatty() else predicted
    except KeyboardInterrupt:
        say("")
        return INTERRUPTED

    def measure(children: Children, folder: Path, interrupt: Interrupt) -> int:
        cores = leave_to_servers(machine.share_out(machine.usable_cores()))
        try:
            result = run.measure(laboratory(folder, cores, children, interrupt))
        except RunFailedError as error:
            say("")
            return refuse(str(error), 1)
        return run.show(result, predicted, options.output)

    return supervise("tcplab", run.words.ending, measure)


def _parse(arguments: Sequence[str], numbers: Collection[int]) -> argparse.Namespace:
    """Return the options; a bad one prints a line on stderr and exits with status 2."""
    parser = Parser(
        prog="python -m loadtest lesson",
        allow_abbrev=False,
        description="Learn by predicting: a lesson asks a question, you predict a number, the lab measures it within a"
        " minute, and the text says why it is so. Without a number: list the lessons.",
        epilog="Exit status: 0, whatever was predicted; 1 if there is no figure, or the picture can't be kept; 2 for a"
        f" bad option; {INTERRUPTED} after Ctrl-C.",
    )
    parser.add_argument("number", type=int, nargs="?", choices=numbers, metavar="NUMBER", help="which lesson")
    parser.add_argument("--lang", choices=WORDS, default=usual(), help="language (by default that of LC_ALL or LANG)")
    parser.add_argument("--predict", metavar="VALUE", help="your prediction, instead of a question at the terminal")
    parser.add_argument("--change", metavar="VALUE", help="another value of what the lesson lets you change")
    add_output(parser, "the picture")
    options = parser.parse_args(arguments)
    for name in ("predict", "change"):
        if options.number is None and getattr(options, name) is not None:
            parser.error(f"--{name} is for one lesson: give its number too, such as 1")
    return options


def _list(known: Iterable[Lesson], language: str) -> None:
    for each in known:
        run = Flow(each, language, each.change.usual)
        say(f"{each.number}  {run.text.title}")
        say(_wrapped(run.question, "   "))
    other = "ru" if language == "en" else "en"
    say(f"\n{WORDS[language].how.format(command=_command(1, language), other=_command(1, other))}")


class Flow:
    """A lesson with a learner. value: what `lesson.change` is set to."""

    def __init__(self, lesson: Lesson, language: str, value: Any) -> None:  # noqa: ANN401 - a name or a number
        self.lesson = lesson
        self.language = language
        self.value = value
        self.text = lesson.texts[language]
        self.words = WORDS[language]
        self.question = self.text.question.format(change=self._shown(value))
        self.title = self.words.lesson.format(number=lesson.number, title=self.text.title)

    def introduce(self) -> None:
        """Show the question and the code."""
        say(f"{self.title}\n\n{_wrapped(self.question)}\n")
        say(f"{self.words.code}\n\n{textwrap.indent(chr(10).join(self.lesson.lines()), '    ')}\n")

    def ask(self) -> float | None:
        """Return the learner's prediction; None without one."""
        while True:
            try:
                typed = input(self.words.ask.format(asked=self.text.asked)).strip()
            except EOFError:
                say("")
                return None
            found = prediction(typed, self.text.unit)
            if found is not None or not typed:
                return found
            say(self.words.bad.format(text=quoted(typed)))

    def measure(self, laboratory: FreezingLaboratory) -> Result:
        """Measure; RunFailedError if that's impossible."""
        say(self.words.measuring.format(seconds=self.lesson.seconds))
        result = self.lesson.measure(Bench(laboratory, self._begin, self._done), self.value)
        shared = laboratory.cores.warning
        return replace(result, warnings=(shared, *result.warnings)) if shared else result

    def show(self, result: Result, predicted: float | None, folder: Path) -> int:
        """Show a result beside the prediction, and why it is so; return the exit status."""
        words, asked = self.words, result.asked
        say("")
        if predicted is not None:
            say(words.predicted.format(value=self._amount(predicted)))
        if asked.value is not None:
            value = f"{'≥ ' if asked.at_least else ''}{self._amount(asked.value)}"
            say(words.measured.format(value=value, spread=spread(asked, words)))
            if asked.at_least:
                say(words.at_least)
            if predicted is not None:
                say(beside(predicted, asked, max(each.value or 0.0 for each in result.rows), words))
        rows = [replace(each, name=self._name(each.name)) for each in result.rows]
        mine = words.predicted.partition(":")[0]
        drawn = Picture(self.title, rows, mine, predicted, self.text.unit, self._shown)
        say(f"\n{drawn.text()}\n  {words.legend}\n")
        self._warn(rows, result.warnings)
        if result.complete:
            holds = self.lesson.holds(result)
            told = {**{each.name: each.value or 0.0 for each in result.rows}, **result.numbers, "change": self.value}
            filled = {name: self._shown(number) for name, number in told.items()}
            say(f"{words.why if holds else words.not_so}:")
            say(f"{_wrapped((self.text.why if holds else self.text.why_not).format(**filled), '  ')}\n")
        change = self.lesson.change
        other = change.to if self.value != change.to else change.usual
        say(f"{words.change}:\n{_wrapped(self.text.change, '  ')}")
        say(f"    {_command(self.lesson.number, self.language, shown(other, WORDS['en']))}\n")
        file = folder / f"lesson-{self.lesson.number}.svg"
        try:
            atomic_write.write(file, drawn.document())
        except OSError as error:
            return refuse(words.no_picture.format(file=store.shown(file), why=error.strerror or error), 1)
        say(words.picture.format(file=store.shown(file)))
        return 0 if result.complete else 1

    def _warn(self, rows: Sequence[Row], warnings: Iterable[RunWarning]) -> None:
        """Show what may be wrong with the figures, each warning once; warnings: about the machine."""
        words = self.words
        told: dict[tuple[str, str], list[str]] = {(each.name, each.detail): [] for each in warnings}
        for row in rows:
            for each in row.warnings:
                if each.name not in _NOTED:
                    told.setdefault((each.name, each.detail), []).append(row.name)
        for (name, detail), who in told.items():
            about = f"{name}: {', '.join(who)}" if who else name
            say(_wrapped(words.warning.format(about=about, detail=detail)))
        for row in rows:
            if row.value is None:
                say(_wrapped(words.no_figure.format(who=row.name, why=row.why)))
            elif row.left_out:
                say(_wrapped(words.left_out.format(who=row.name, number=row.left_out)))
        if spoilt := ", ".join(row.name for row in rows if row.spoilt):
            say(_wrapped(words.spoilt.format(who=spoilt)))
        if told:
            hint = next((each.hint for each in warnings), words.again)
            say(f"{_wrapped(words.hint.format(hint=hint))}\n")

    def _begin(self, name: str, number: int, times: int, passed: float) -> None:
        done = min(_BAR, round(_BAR * passed / self.lesson.seconds))
        left = max(1, round(self.lesson.seconds - passed))
        bar = f"{'#' * done}{'.' * (_BAR - done)}"
        say(self.words.progress.format(bar=bar, name=self._name(name), number=number, times=times, left=left), end="")

    def _done(self, value: float | None) -> None:
        say(self.words.nothing if value is None else self._amount(value))

    def _name(self, name: str) -> str:
        return self.text.rows.get(name, name).format(change=self._shown(self.value))

    def _shown(self, value: float | str) -> str:
        return shown(value, self.words)

    def _amount(self, value: float) -> str:
        return f"{self._shown(value)} {self.text.unit}"


def _command(number: int, language: str, change: str = "") -> str:
    """Return the command that runs a lesson, in Docker or by make."""
    start, changed, spoken = "make lesson N=", " CHANGE=", " L="
    if not (ROOT / "Makefile").exists():  # the image has none
        start, changed, spoken = "docker compose run --rm lesson ", " --change ", " --lang "
    return f"{start}{number}{change and changed + change}{'' if language == 'en' else spoken + language}"


def _wrapped(text: str, indent: str = "") -> str:
    """Return text in lines that a terminal shows whole."""
    return textwrap.fill(text, _WIDE, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
