"""The command: python -m loadtest lesson."""

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from loadtest import atomic_write
from loadtest.compare import store
from loadtest.compare.cores import leave_to_servers
from loadtest.compare.escaping import visible
from loadtest.compare.measure import machine
from loadtest.compare.measure.run import ROOT, RunFailedError
from loadtest.compare.options import add_output
from loadtest.compare.refusal import Parser
from loadtest.lab.processes import INTERRUPTED, Children, Interrupt, say, supervise
from loadtest.lessons.bench import Bench, FreezingLaboratory
from loadtest.lessons.lesson import Lesson, Text, lessons
from loadtest.lessons.picture import Picture
from loadtest.lessons.result import NOTED, Result
from loadtest.lessons.words import WORDS, Words, beside, prediction, quoted, shown, spread, usual
from loadtest.run_warnings import RunWarning

_WIDE: Final = 100
_BAR: Final = 20


def lesson(arguments: Sequence[str], laboratory: type[FreezingLaboratory] = FreezingLaboratory) -> int:
    """List the lessons, or run one; return the exit status."""
    options, known = _parse(arguments), lessons()
    words = WORDS[options.lang]
    if options.number is None:
        _list(known, options.lang)
        return 0
    chosen = known[options.number]
    try:
        value = chosen.change.usual if options.change is None else chosen.change.parse(options.change)
    except ValueError as error:
        return _refuse(f"--change: {error}")
    predicted = None if options.predict is None else prediction(options.predict, chosen.texts[options.lang].unit)
    if options.predict is not None and predicted is None:
        return _refuse(f"--predict: {words.bad.format(text=quoted(options.predict))}")
    try:
        store.try_out(options.output)
    except ValueError as error:
        return _refuse(str(error))
    run = Flow(chosen, options.lang, value)
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
            return _refuse(str(error), 1)
        return run.show(result, predicted, options.output)

    return supervise("tcplab", words.ending, measure)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; a bad one prints a line on stderr and exits with status 2."""
    parser = Parser(
        prog="python -m loadtest lesson",
        allow_abbrev=False,
        description="Learn by predicting: a lesson asks a question, you predict a number, the lab measures it within a"
        " minute, and the text says why it is so. Without a number: list the lessons.",
        epilog="Exit status: 0, whatever was predicted; 1 if there is no figure, or the picture can't be kept; 2 for a"
        f" bad option; {INTERRUPTED} after Ctrl-C.",
    )
    parser.add_argument("number", type=int, nargs="?", choices=lessons(), metavar="NUMBER", help="which lesson")
    parser.add_argument("--lang", choices=WORDS, default=usual(), help="language (by default that of LC_ALL or LANG)")
    parser.add_argument("--predict", metavar="VALUE", help="your prediction, instead of a question at the terminal")
    parser.add_argument("--change", metavar="VALUE", help="another value of what the lesson lets you change")
    add_output(parser, "the picture")
    options = parser.parse_args(arguments)
    for name in ("predict", "change"):
        if options.number is None and getattr(options, name) is not None:
            parser.error(f"--{name} is for one lesson: give its number too, such as 1")
    return options


def _list(known: Mapping[int, Lesson], language: str) -> None:
    for each in known.values():
        words = each.texts[language]
        say(f"{each.number}  {words.title}")
        say(_wrapped(_question(each, words, each.change.usual, WORDS[language]), "   "))
    command, other = (_command(min(known), None, each) for each in (language, "ru" if language == "en" else "en"))
    say(f"\n{WORDS[language].how.format(command=command, other=other)}")


@dataclass(frozen=True, slots=True)
class Flow:
    """A lesson with a learner. value: what `lesson.change` is set to."""

    lesson: Lesson
    language: str
    value: Any

    @property
    def text(self) -> Text:
        """The lesson's words."""
        return self.lesson.texts[self.language]

    @property
    def words(self) -> Words:
        """The words around it."""
        return WORDS[self.language]

    def introduce(self) -> None:
        """Show the question and the code."""
        say(f"{self._title}\n\n{_wrapped(_question(self.lesson, self.text, self.value, self.words))}\n")
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
        asked = result.asked
        say("")
        if predicted is not None:
            say(self.words.predicted.format(value=self._amount(predicted)))
        if asked.value is not None:
            value = f"{'≥ ' if asked.at_least else ''}{self._amount(asked.value)}"
            say(self.words.measured.format(value=value, spread=spread(asked, self.words)))
            if asked.at_least:
                say(self.words.at_least)
        if predicted is not None and asked.value is not None:
            most = max(each.value or 0.0 for each in result.rows)
            say(beside(predicted, asked, most, self.words))
        names = [self._name(each.name) for each in result.rows]
        mine = self.words.predicted.partition(":")[0]
        drawn = Picture(self._title, result.rows, names, mine, predicted, self.text.unit, self._shown)
        say(f"\n{drawn.text()}\n  {self.words.legend}\n")
        self._warn(result)
        if result.complete:
            told = {each.name: each.value or 0.0 for each in result.rows} | dict(result.numbers)
            filled = {name: shown(number, self.words) for name, number in {**told, "change": self.value}.items()}
            holds = self.lesson.holds(result)
            say(f"{self.words.why if holds else self.words.not_so}:")
            say(f"{_wrapped((self.text.why if holds else self.text.why_not).format(**filled), '  ')}\n")
        other = self.lesson.change.to if self.value != self.lesson.change.to else self.lesson.change.usual
        say(f"{self.words.change}:\n{_wrapped(self.text.change, '  ')}")
        say(f"    {_command(self.lesson.number, other, self.language)}\n")
        kept = self._keep(drawn, folder)
        return kept if result.complete else 1

    def _keep(self, drawn: Picture, folder: Path) -> int:
        """Write the picture, or say why that's impossible; return the exit status."""
        file = folder / f"lesson-{self.lesson.number}.svg"
        try:
            atomic_write.write(file, drawn.document())
        except OSError as error:
            return _refuse(self.words.no_picture.format(file=store.shown(file), why=error.strerror or error), 1)
        say(self.words.picture.format(file=store.shown(file)))
        return 0

    def _warn(self, result: Result) -> None:
        """Show what may be wrong with the figures, each warning once."""
        told: dict[str, tuple[RunWarning, list[str]]] = {each.name: (each, []) for each in result.warnings}
        for row in result.rows:
            for each in row.warnings:
                if each.name not in NOTED:
                    told.setdefault(each.name, (each, []))[1].append(self._name(row.name))
        for warning, who in told.values():
            about = f"{warning.name}: {', '.join(who)}" if who else warning.name
            say(_wrapped(self.words.warning.format(about=about, detail=warning.detail)))
        for row in result.rows:
            if row.value is None:
                say(_wrapped(self.words.no_figure.format(who=self._name(row.name), why=row.why)))
            elif row.left_out:
                say(_wrapped(self.words.left_out.format(who=self._name(row.name), number=row.left_out)))
        if spoilt := [self._name(row.name) for row in result.rows if row.spoilt]:
            say(_wrapped(self.words.spoilt.format(who=", ".join(spoilt))))
        if told:
            hint = next((each.hint for each in result.warnings), self.words.again)
            say(f"{_wrapped(self.words.hint.format(hint=hint))}\n")

    @property
    def _title(self) -> str:
        return self.words.lesson.format(number=self.lesson.number, title=self.text.title)

    def _begin(self, name: str, number: int, times: int, passed: float) -> None:
        done = min(_BAR, round(_BAR * passed / self.lesson.seconds))
        left = max(1, round(self.lesson.seconds - passed))
        bar = f"{'#' * done}{'.' * (_BAR - done)}"
        say(self.words.progress.format(bar=bar, name=self._name(name), number=number, times=times, left=left), end="")

    def _done(self, value: float | None) -> None:
        say(self.words.nothing if value is None else self._amount(value))

    def _name(self, name: str) -> str:
        return self.text.rows.get(name, name).format(change=shown(self.value, self.words))

    def _shown(self, value: float) -> str:
        return shown(value, self.words)

    def _amount(self, value: float) -> str:
        return f"{self._shown(value)} {self.text.unit}"


def _question(each: Lesson, text: Text, value: Any, words: Words) -> str:  # noqa: ANN401 - a name or a number
    return text.question.format(change=shown(value, words))


def _command(number: int, change: object, language: str) -> str:
    """Return the command that runs a lesson, in Docker or by make."""
    if not (ROOT / "Makefile").exists():  # the image has none
        more = "" if change is None else f" --change {_plain(change)}"
        return f"docker compose run --rm lesson {number}{more}{'' if language == 'en' else f' --lang {language}'}"
    more = "" if change is None else f" CHANGE={_plain(change)}"
    return f"make lesson N={number}{more}{'' if language == 'en' else f' L={language}'}"


def _plain(value: object) -> str:
    """Return a value as it is typed."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, indent: str = "") -> str:
    """Return text in lines that a terminal shows whole."""
    return textwrap.fill(text, _WIDE, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _refuse(why: str, status: int = 2) -> int:
    sys.stderr.write(f"tcplab: {visible(' '.join(why.split()))}\n")
    return status
