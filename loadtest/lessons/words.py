"""The words around a lesson, in each language."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

from loadtest.compare.report import formatting
from loadtest.lessons.result import Row

_LONG: Final = 40

_UNITS: Final[Sequence[Mapping[str, float]]] = (
    {"s": 1.0, "с": 1.0, "ms": 1e-3, "мс": 1e-3, "us": 1e-6, "мкс": 1e-6},
    {"MB": 1e6, "МБ": 1e6, "kB": 1e3, "кБ": 1e3},
    {"%": 1.0},
    {"×": 1.0},
)
"""The units that a prediction may have, beside others of the same: how much of a base each is."""


class Words:
    """The flow's words, in English. Those with {} are filled in. decimals: the signs for comma and point."""

    decimals = ",."
    lesson = "Lesson {number}. {title}"
    code = "The code it is about:"
    ask = "Your prediction, {asked} (Enter: none): "
    bad = "{text} is not a number: type one such as 12 or 0.5; write 1000, not 1,000"
    measuring = "Measuring, about {seconds} s (Ctrl-C stops):"
    progress = "  [{bar}] {name}, run {number} of {times}, about {left} s left ... "
    nothing = "no figure"
    predicted = "Your prediction: {value}"
    measured = "Measured: {value} ({spread})"
    of_runs = "range of {runs} runs: {low} to {high}"
    of_one = "one run"
    at_least = "≥: it is that or more, for some replies were still missing when a run ended."
    interval = "{runs} runs; 99 % interval (99 of 100 such intervals hold the true value): {low} to {high}"
    bounds = "it is between {low} and {high}"
    legend = "o: the median; [ ]: the range or interval"
    right = "You were right: it is within the range, or nearly."
    open_end = "You may be right: the lab can only tell that it is {value} or more."
    less = "Too low: {times} your prediction was measured."
    more = "Too high: it is {times} what was measured."
    why = "Why"
    not_so = "Not so on this machine"
    warning = "Warning ({about}): {detail}."
    hint = "What to do: {hint}."
    again = "end other programs, and run the lesson again"
    spoilt = "In doubt (?): every run was disturbed, as the warnings say ({who}). Take the figure as a hint only."
    left_out = "Runs of {who} left out, because they were disturbed or failed: {number}."
    no_figure = "{who} has no figure: {why}"
    change = "Change one thing, and predict again"
    picture = "Picture: {file}"
    no_picture = "The picture could not be kept in {file}: {why}; name a folder: --output (Docker: TCPLAB_UID)"
    ending = "interrupted: ending servers and load"
    how = "Run one: {command} (по-русски: {other})"

    def times(self, _whole: int | None) -> str:
        """Return "times", as it follows a whole number; None: any other one."""
        return "times"


class _Russian(Words):
    decimals = "\N{NO-BREAK SPACE},"
    lesson = "Урок {number}. {title}"
    code = "Код, о котором речь:"
    ask = "Ваш прогноз, {asked} (Enter — без прогноза): "
    bad = "{text} — не число: введите, например, 12 или 0,5, а тысячу как 1000"
    measuring = "Идёт измерение, примерно {seconds} с (Ctrl-C — прервать):"
    progress = "  [{bar}] {name}, прогон {number} из {times}, осталось около {left} с ... "
    nothing = "нет результата"
    predicted = "Ваш прогноз: {value}"
    measured = "Измерено: {value} ({spread})"
    of_runs = "разброс по прогонам ({runs}): от {low} до {high}"
    of_one = "один прогон"
    at_least = "≥ — столько или больше: к концу прогона некоторые ответы ещё не пришли."
    interval = (
        "прогонов: {runs}; 99 %-й доверительный интервал (99 из 100 таких интервалов содержат истинное"
        " значение): от {low} до {high}"
    )
    bounds = "значение между {low} и {high}"
    legend = "o — медиана, [ ] — разброс или интервал"
    right = "Верно: прогноз попал в разброс или почти попал."
    open_end = "Возможно, верно: удалось узнать лишь, что значение не меньше {value}."
    less = "Прогноз занижен: на самом деле в {times} больше."
    more = "Прогноз завышен: на самом деле в {times} меньше."
    why = "Почему так"
    not_so = "На этой машине вышло иначе"
    warning = "Предупреждение ({about}): {detail}."
    hint = "Что делать: {hint}."
    again = "закройте другие программы и запустите урок ещё раз"
    spoilt = "Под вопросом (?): помехи были в каждом прогоне ({who}), см. предупреждения. Это лишь грубая оценка."
    left_out = "Не учтены из-за помех или сбоев: {who}, прогонов: {number}."
    no_figure = "Для {who} результата нет: {why}"
    change = "Измените что-то одно и сделайте новый прогноз"
    picture = "Картинка: {file}"
    no_picture = "Картинку не удалось записать в {file}: {why}; укажите другую папку: --output (Docker: TCPLAB_UID)"
    ending = "прервано, останавливаем серверы и нагрузку"
    how = "Запустить урок: {command} (in English: {other})"

    def times(self, whole: int | None) -> str:
        few = whole is None or (whole % 10 in {2, 3, 4} and whole % 100 // 10 != 1)
        return "раза" if few else "раз"


WORDS: Final[Mapping[str, Words]] = {"en": Words(), "ru": _Russian()}


def usual(environment: Mapping[str, str] = os.environ) -> str:
    """Return the language of the environment, if there are words in it; English otherwise."""
    chosen = environment.get("LC_ALL") or environment.get("LANG") or ""
    return next((each for each in WORDS if chosen.startswith(each)), "en")


def shown(value: float | str, words: Words) -> str:
    """Return a number with three significant figures, an int whole; a text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        plain = f"{value:,}"
    elif abs(value) >= 1000:
        plain = formatting.number(value)
    else:
        plain = f"{float(f'{value:.3g}'):.9f}".rstrip("0").rstrip(".")
    return plain.translate(str.maketrans(",.", words.decimals))


def spread(row: Row, words: Words) -> str:
    """Return the range of a row's runs, or their interval, in words."""
    if row.low is None or row.runs == 1:
        return words.of_one
    high = "…" if row.high is None else shown(row.high, words)
    pattern = words.interval if row.interval else words.of_runs if row.runs else words.bounds
    return pattern.format(runs=row.runs, low=shown(row.low, words), high=high)


def quoted(text: str) -> str:
    """Return a text that was typed, in quotes, its beginning if it is long."""
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]}…")


def prediction(text: str, unit: str) -> float | None:
    """Return the number that was typed, with a point or a comma, and perhaps another unit; None for a bad one."""
    typed = re.fullmatch(r"(\d{1,12}(?:[.,]\d{1,12})?) *(\D*)", text)
    if typed is None or re.fullmatch(r"[1-9]\d{0,2},\d{3}", typed[1]):
        return None  # 1,000 may be a thousand, or 1.0
    sizes = next(each for each in _UNITS if unit in each)
    size = sizes.get(typed[2] or unit)
    return None if size is None else float(typed[1].replace(",", ".")) * size / sizes[unit]


def beside(predicted: float, row: Row, most: float, words: Words) -> str:
    """Return how a prediction compares with what was measured; most: the largest; 1 % of it is as good as 0."""
    value = row.value or 0.0
    low, high = row.low if row.low is not None else value, row.high if row.high is not None else value
    near = max(value / 10, most / 100)
    if min(low, value - near) <= predicted <= max(high, value + near):
        return words.right
    if predicted > value and row.low is not None and row.high is None:
        return words.open_end.format(value=shown(value if row.at_least else low, words))
    if predicted < value:
        return words.less.format(times=_times(value / predicted if predicted else 0.0, words))
    return words.more.format(times=_times(predicted / value if value else 0.0, words))


def _times(factor: float, words: Words) -> str:
    """Return a factor in words, with two figures; 0.0: something divided by 0."""
    if not factor:
        return f"∞ {words.times(0)}"
    rough = float(f"{factor:.2g}")
    whole = int(rough) if rough.is_integer() else None
    return f"{shown(whole or rough, words)} {words.times(whole)}"
