"""Every lesson: its texts in both languages, and its flow with recorded results, without a person."""

import importlib
import pkgutil
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.lessons import chapters
from loadtest.lessons.command import Flow
from loadtest.lessons.lesson import Lesson, lessons
from loadtest.lessons.result import Result
from loadtest.lessons.words import WORDS, shown

LESSONS = list(lessons().values())
RECORDED = {
    importlib.import_module(f"{chapters.__name__}.{name}").LESSON.number: importlib.import_module(
        f"tests.loadtest.lessons.recorded.{name}"
    )
    for _, name, _ in pkgutil.iter_modules(chapters.__path__)
}
HELD: dict[int, Result] = {number: each.HELD for number, each in RECORDED.items()}
NOT_HELD: dict[int, list[Result]] = {number: each.NOT_HELD for number, each in RECORDED.items()}
LANGUAGES = tuple(WORDS)
BOTH = pytest.mark.parametrize("language", LANGUAGES)
EVERY = pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: str(each.number))


def flow(lesson: Lesson, language: str) -> Flow:
    return Flow(lesson, language, lesson.change.usual)


def plain(text: str) -> str:
    """Return text without the line ends of a terminal's width."""
    return " ".join(text.split())


def filled(lesson: Lesson, text: str, result: Result, language: str) -> str:
    numbers: dict[str, Any] = {**{each.name: each.value for each in result.rows}, **result.numbers}
    numbers["change"] = lesson.change.usual
    return plain(text.format(**{name: shown(value, WORDS[language]) for name, value in numbers.items()}))


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_each_file_has_a_number_of_its_own() -> None:
    files = [each for each in Path(chapters.__path__[0]).glob("*.py") if each.stem != "__init__"]
    assert len(LESSONS) == len(files)


@EVERY
def test_it_takes_a_minute_at_most(lesson: Lesson) -> None:
    assert 0 < lesson.seconds <= 60


@EVERY
@BOTH
def test_texts_name_only_what_is_measured(lesson: Lesson, language: str) -> None:
    text = lesson.texts[language]
    assert names(text.question) <= {"change"}
    known = {each.name for each in HELD[lesson.number].rows} | HELD[lesson.number].numbers.keys() | {"change"}
    for each in (text.why, text.why_not):
        assert names(each) <= known
        assert HELD[lesson.number].asked.name in names(each), "it says what was measured"
    assert text.rows.keys() <= known
    assert HELD[lesson.number].numbers.keys() <= names(text.why) | names(text.why_not), "none is measured in vain"
    assert names(text.why) == names(lesson.texts["en"].why)


@EVERY
@BOTH
def test_three_sentences_say_why(lesson: Lesson, language: str) -> None:
    said = filled(lesson, lesson.texts[language].why, HELD[lesson.number], language)
    sentences = [each for each in said.split(". ") if each]
    assert len(sentences) == 3
    assert max(len(re.findall(r"[^\W\d_][\w'().]*", each)) for each in sentences) <= 30


@EVERY
def test_the_code_is_the_sources(lesson: Lesson) -> None:
    lines = [line for line in lesson.lines() if line]
    assert 3 <= len(lines) <= 20
    assert sum("def " in line for line in lines) >= len(lesson.code)


@EVERY
def test_what_may_be_changed_can_be(lesson: Lesson) -> None:
    change = lesson.change
    assert change.parse(str(change.to)) == change.to != change.usual
    with pytest.raises(ValueError, match="can't be chosen"):
        change.parse("nothing")


@EVERY
@BOTH
def test_a_claim_that_holds_is_explained(
    lesson: Lesson, language: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = HELD[lesson.number]
    assert lesson.holds(result)
    assert flow(lesson, language).show(result, 12.5, tmp_path) == 0
    said = plain(capsys.readouterr().out)
    words, text = WORDS[language], lesson.texts[language]
    assert filled(lesson, text.why, result, language) in said
    assert words.why in said
    assert words.not_so not in said
    value = result.asked.value
    assert value is not None
    assert plain(f"{shown(value, words)} {text.unit}") in said
    assert plain(f"{shown(12.5, words)} {text.unit}") in said
    assert plain(shown(result.asked.low or 0.0, words)) in said
    assert (
        f"CHANGE={lesson.change.to:g}" in said
        if isinstance(lesson.change.to, float)
        else f"={lesson.change.to}" in said
    )
    assert (tmp_path / f"lesson-{lesson.number}.svg").exists()


@EVERY
@BOTH
def test_a_claim_that_fails_is_admitted(
    lesson: Lesson, language: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert NOT_HELD[lesson.number]
    for result in NOT_HELD[lesson.number]:
        assert not lesson.holds(result)
        assert flow(lesson, language).show(result, None, tmp_path) == 0
        said = plain(capsys.readouterr().out)
        words, text = WORDS[language], lesson.texts[language]
        assert filled(lesson, text.why_not, result, language) in said
        assert filled(lesson, text.why, result, language) not in said
        assert words.not_so in said


@EVERY
def test_a_missing_figure_is_not_explained(lesson: Lesson, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = HELD[lesson.number]
    without = replace(result.rows[-1], value=None, low=None, high=None, why="the load failed")
    assert flow(lesson, "en").show(replace(result, rows=(*result.rows[:-1], without)), 1.0, tmp_path) == 1
    said = plain(capsys.readouterr().out)
    assert "has no figure: the load failed" in said
    assert not any(words in said for words in (f"{WORDS['en'].why}:", WORDS["en"].not_so))
