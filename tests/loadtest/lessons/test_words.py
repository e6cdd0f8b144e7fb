"""Predictions as they are typed, numbers as they are shown, and how the two compare."""

import pytest

from loadtest.lessons.lesson import lessons
from loadtest.lessons.result import Row
from loadtest.lessons.words import WORDS, Words, beside, prediction, shown, spread, usual

ROW = Row("single", 2.0, 1.9, 2.3, runs=3)
BOTH = pytest.mark.parametrize("language", WORDS)


@pytest.mark.parametrize(
    ("typed", "number"),
    [("12", 12.0), ("12.5", 12.5), ("0,5", 0.5), ("0", 0.0), ("0,125", 0.125), ("1000", 1000.0), ("1.000", 1.0)],
)
def test_a_prediction_has_a_point_or_comma(typed: str, number: float) -> None:
    assert prediction(typed, "ms") == number


@pytest.mark.parametrize(
    ("typed", "unit", "number"),
    [
        ("3 s", "ms", 3000.0),
        ("1,1с", "мс", 1100.0),
        ("500 us", "ms", 0.5),
        ("250 ms", "s", 0.25),
        ("1 MB", "kB", 1000.0),
        ("120 %", "%", 120.0),
        ("3×", "×", 3.0),
    ],
)
def test_a_prediction_may_have_a_unit(typed: str, unit: str, number: float) -> None:
    assert prediction(typed, unit) == pytest.approx(number)


def test_every_word_is_translated() -> None:
    every = {name for name in vars(Words) if not name.startswith("__")}
    assert every <= vars(type(WORDS["ru"])).keys()


@BOTH
def test_every_lessons_unit_is_known(language: str) -> None:
    for each in lessons().values():
        assert prediction(f"7 {each.texts[language].unit}", each.texts[language].unit) == 7.0


@pytest.mark.parametrize(
    "typed",
    ["", "much", "-1", "1,000", "12,000", "1 000", "1e3", "nan", "inf", "12 kB", "12 parsecs", "1.2.3", "9" * 13],
)
def test_anything_else_is_no_prediction(typed: str) -> None:
    assert prediction(typed, "ms") is None


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (0.000899, "0.000899", "0,000899"),
        (0.1, "0.1", "0,1"),
        (2.0, "2", "2"),
        (62.96, "63", "63"),
        (53.21, "53.2", "53,2"),
        (1234.5, "1,230", "1\N{NO-BREAK SPACE}230"),
        (1000, "1,000", "1\N{NO-BREAK SPACE}000"),
        ("asyncio, x.y", "asyncio, x.y", "asyncio, x.y"),
    ],
)
def test_numbers_are_shown_as_a_language_does(value: float | str, english: str, russian: str) -> None:
    assert shown(value, WORDS["en"]) == english
    assert shown(value, WORDS["ru"]) == russian


@pytest.mark.parametrize(
    ("predicted", "english", "russian"),
    [
        (2.0, "You were right", "Верно"),
        (1.8, "You were right", "Верно"),
        (2.3, "You were right", "Верно"),
        (1.0, "Too low: 2 times your prediction was measured", "занижен: на самом деле в 2 раза больше"),
        (0.4, "Too low: 5 times your prediction was measured", "занижен: на самом деле в 5 раз больше"),
        (0.18, "Too low: 11 times your prediction was measured", "занижен: на самом деле в 11 раз больше"),
        (0.0, "Too low: ∞ times your prediction was measured", "занижен: на самом деле в ∞ раз больше"),
        (5.0, "Too high: it is 2.5 times what was measured", "завышен: на самом деле в 2,5 раза меньше"),
        (44.0, "Too high: it is 22 times what was measured", "завышен: на самом деле в 22 раза меньше"),
        (
            2468.0,
            "Too high: it is 1,200 times what was measured",
            "завышен: на самом деле в 1\N{NO-BREAK SPACE}200 раз меньше",
        ),
        (500.0, "Too high: it is 250 times what was measured", "завышен: на самом деле в 250 раз меньше"),
    ],
)
def test_a_prediction_is_set_beside_the_measurement(predicted: float, english: str, russian: str) -> None:
    assert english in beside(predicted, ROW, 2.0, WORDS["en"])
    assert russian in beside(predicted, ROW, 2.0, WORDS["ru"])


@pytest.mark.parametrize(
    ("predicted", "at_least", "said"),
    [
        (5.0, True, "You may be right: the lab can only tell that it is 2 or more."),
        (5.0, False, "You may be right: the lab can only tell that it is 1.9 or more."),
        (1.95, True, "You were right: it is within the range, or nearly."),
        (1.0, True, "Too low: 2 times your prediction was measured."),
    ],
)
def test_above_an_open_range_nothing_is_too_high(predicted: float, at_least: bool, said: str) -> None:
    row = Row("single", 2.0, 1.9, None, runs=3, at_least=at_least)
    assert beside(predicted, row, 2.0, WORDS["en"]) == said
    assert "Прогноз завышен" not in beside(predicted, row, 2.0, WORDS["ru"])


def test_nothing_is_right_where_hardly_anything_is() -> None:
    assert "You were right" in beside(0.0, Row("asyncio", 1.0, 0.9, 1.1, runs=3), 1400.0, WORDS["en"])


@pytest.mark.parametrize(
    ("row", "english", "russian"),
    [
        (ROW, "range of 3 runs: 1.9 to 2.3", "разброс по прогонам (3): от 1,9 до 2,3"),
        (Row("a", 2.0, 1.9, None, runs=3), "range of 3 runs: 1.9 to …", "разброс по прогонам (3): от 1,9 до …"),
        (Row("a", 2.0, 2.0, 2.0, runs=1), "one run", "один прогон"),
        (Row("a", 2.0, 1.0, 2.0), "it is between 1 and 2", "значение между 1 и 2"),
        (
            Row("a", 2.0, 1.9, 2.3, runs=10, interval=True),
            "10 runs; 99 % interval (99 of 100 such intervals hold the true value): 1.9 to 2.3",
            "прогонов: 10; 99 %-й доверительный интервал (99 из 100 таких интервалов содержат истинное значение):"
            " от 1,9 до 2,3",
        ),
    ],
)
def test_few_runs_have_a_range(row: Row, english: str, russian: str) -> None:
    assert spread(row, WORDS["en"]) == english
    assert spread(row, WORDS["ru"]) == russian


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_environments(environment: dict[str, str], language: str) -> None:
    assert usual(environment) == language
