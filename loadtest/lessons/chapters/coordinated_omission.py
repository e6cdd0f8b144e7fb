"""Lesson 6: a freeze, as a closed and an open load see it."""

from typing import Final

from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result

P99: Final = Figure("response_p99_us", 1000)
RATE: Final = Figure("requests_per_second")

CLIENTS: Final = 4
WINDOW: Final = 5
WARMUP: Final = 1
TIMES: Final = 3

_THINK: Final = 0.005
_PER_SECOND: Final = 600.0  # about what these clients ask in the closed load


def measure(bench: Bench, seconds: float) -> Result:
    """Measure what both loads report about the same server, which is stopped for so many seconds."""
    freeze = WARMUP + (WINDOW - seconds) / 2, seconds
    loads = {
        "closed": Workload("saturate", CLIENTS, WARMUP, WINDOW, think=_THINK),
        "open": Workload("saturate", CLIENTS, WARMUP, WINDOW, rate=_PER_SECOND),
    }
    found = {
        name: bench.runs(P99, LAB["asyncio"], load, TIMES, name=name, freeze=freeze) for name, load in loads.items()
    }
    return Result(
        rows=tuple(P99.row(name, each) for name, each in found.items()),
        numbers={
            "clients": CLIENTS,
            "window": WINDOW,
            "rate": round(_PER_SECOND),
            "requests": round(RATE.of_runs(found["closed"]) * WINDOW),
            "frozen": round(_PER_SECOND * seconds),
            "expected": (seconds - WINDOW / 100) * 1000,
        },
    )


def holds(result: Result) -> bool:
    """Whether the open load reports the freeze as arithmetic has it, and the closed one hides it."""
    expected = result.numbers["expected"]
    return 0.85 * expected < result["open"] < 1.15 * expected and result["closed"] < expected / 10


ENGLISH: Final = Text(
    title="Coordinated omission",
    question="A server stands still for {change} s (SIGSTOP) while a load measures it for 5 s: 4 clients, each of"
    " which waits for its reply, pauses for 5 ms and asks again. What p99 of the response time, in milliseconds, does"
    " this load report? (The 99th percentile: 99 of 100 replies are faster.)",
    unit="ms",
    asked="in milliseconds",
    why="A client that waits asks nothing (a closed load): only {clients} of {requests} requests met the freeze, under"
    " 1 %, and p99 leaves them out ({closed} ms). The lab also ran an open load: {rate} requests a second by a"
    " timetable, {frozen} of them in the freeze, each timed from when it was due: p99 is {open} ms. The closed load"
    " omits its requests just while the server is slow: this is coordinated omission.",
    why_not="An open load should report a p99 of about {expected} ms, the freeze less 1 % of the {window} s, and a"
    " closed one hardly anything, because only {clients} of {requests} requests met the freeze. Here it was {open} ms"
    " and {closed} ms. That happens if the freeze wasn't wholly within the measured seconds, as on a machine where the"
    " load starts slowly, or if so few requests were sent that {clients} are over 1 % of them. End other programs, and"
    " run the lesson again.",
    change="How long the server stands still, in seconds: which of the two p99s changes with it?",
    rows={"closed": "closed load", "open": "open load"},
)

RUSSIAN: Final = Text(
    title="Скоординированный пропуск (coordinated omission)",
    question="Сервер замирает на {change} с (SIGSTOP), а генератор нагрузки измеряет время ответа 5 с: 4 клиента,"
    " каждый ждёт ответа, делает паузу 5 мс и отправляет следующий запрос. Какой p99 времени ответа он покажет, в"
    " миллисекундах? (99-й процентиль: 99 из 100 ответов быстрее.)",
    unit="мс",
    asked="в миллисекундах",
    why="Клиент, который ждёт ответа, ничего не отправляет (закрытая нагрузка): на остановку пришлось лишь {clients}"
    " из {requests} запросов, меньше 1 %, и p99 их не учитывает ({closed} мс). Вторая нагрузка была открытой: {rate}"
    " запросов в секунду по расписанию, из них {frozen} во время остановки, и время каждого отсчитывается от его"
    " срока: p99 — {open} мс. Закрытая нагрузка не отправляет запросы именно тогда, когда сервер медлит: это и есть"
    " скоординированный пропуск.",
    why_not="Открытая нагрузка должна показать p99 около {expected} мс, то есть остановку минус 1 % от {window} с, а"
    " закрытая почти ничего, ведь на остановку пришлось лишь {clients} из {requests} запросов. Здесь вышло {open} мс и"
    " {closed} мс. Так бывает, если остановка не целиком попала в измеренные секунды, например потому, что нагрузка"
    " медленно запускается, или если запросов так мало, что {clients} — это больше 1 %. Закройте другие программы и"
    " запустите урок ещё раз.",
    change="На сколько секунд замирает сервер: какой из двух p99 меняется вслед за этим?",
    rows={"closed": "закрытая нагрузка", "open": "открытая нагрузка"},
)

LESSON: Final = Lesson(
    number=6,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("loadtest/lessons/freezer.py", "freeze"),),
    change=Change(usual=3.0, to=1.0, least=0.5, most=4.0),
    seconds=50,
    measure=measure,
    holds=holds,
)
