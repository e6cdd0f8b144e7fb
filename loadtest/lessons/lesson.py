"""A lesson as plain data, and where the lessons are."""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.compare.measure.run import ROOT
from loadtest.lessons import chapters
from loadtest.lessons.bench import Bench
from loadtest.lessons.result import Result
from loadtest.lessons.words import quoted


@dataclass(frozen=True, slots=True)
class Text:
    """
    A lesson's words in one language.

    unit: of the prediction, behind a number ("s"). asked: the same in words ("in seconds"). question: may name
    {change}. why, why_not: also each row by its name ({single}) and each of the result's numbers. why: three short
    sentences, for a result in which the claim holds; why_not: what it says here, and why it may not hold.
    change: which one thing to change; the command follows. rows: the rows' names, where they are no server's; may name
    {change}.
    """

    title: str
    question: str
    unit: str
    asked: str
    why: str
    why_not: str
    change: str
    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """
    The one thing that may be changed. usual: its value. to: the other one that the lesson proposes.

    choices: its values, if it is a name. least, most: if it is a number; whole if `usual` is.
    """

    usual: Any
    to: Any
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = 0

    def parse(self, text: str) -> Any:  # noqa: ANN401 - a name or a number
        """Return the value; ValueError with a line on a bad one."""
        if text in self.choices:
            return text
        if self.choices:
            raise ValueError(f"{quoted(text)} can't be chosen; choose from {', '.join(self.choices)}")
        kind = type(self.usual)
        try:
            value = kind(text.replace(",", ".") if kind is float else text)
        except ValueError:
            value = None
        if value is None or not self.least <= value <= self.most:
            whole = "a whole number" if kind is int else "a number"
            raise ValueError(f"{quoted(text)} can't be chosen; give {whole} from {self.least:g} to {self.most:g}")
        return value


@dataclass(frozen=True, slots=True)
class Lesson:
    """
    One lesson.

    texts: by language. code: the functions that it is about, each a file in the checkout and a function's name.
    seconds: about how long it measures. measure: measures it with the bench and a value of `change`. holds: whether its
    claim does, in a complete result.
    """

    number: int
    texts: Mapping[str, Text]
    code: tuple[tuple[str, str], ...]
    change: Change
    seconds: int
    measure: Callable[[Bench, Any], Result]
    holds: Callable[[Result], bool]

    def lines(self) -> Iterator[str]:
        """Yield the code's lines, from the source, functions of a file under its name."""
        before = ""
        for file, name in self.code:
            yield from ([""] if before else [])
            yield from ([f"# {file}"] if file != before else [])
            yield from _source(ROOT / file, name)
            before = file


def asked_first(asked: str, names: Sequence[str]) -> list[str]:
    """Return the names, that of the server that was asked about before the others."""
    return sorted(names, key=lambda name: name != asked)


def _source(file: Path, name: str) -> Iterator[str]:
    """Yield the lines of a function of a file, without its docstring."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    functions = (each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    [node] = [each for each in functions if each.name == name]
    first = node.body[0] if ast.get_docstring(node) is None else node.body[1]
    yield from lines[node.lineno - 1 : node.body[0].lineno - 1]
    yield from lines[first.lineno - 1 : node.end_lineno]


def lessons() -> dict[int, Lesson]:
    """Return the lessons by number, in order: those of the files in chapters/."""
    names = [each.name for each in pkgutil.iter_modules(chapters.__path__, f"{chapters.__name__}.")]
    found: list[Lesson] = [importlib.import_module(name).LESSON for name in names]
    return {each.number: each for each in sorted(found, key=lambda each: each.number)}
