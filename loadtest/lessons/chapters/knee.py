"""Lesson 7: the knee, response time against rate."""

import statistics
from dataclasses import replace
from typing import Final

from loadtest.compare.analysis.measures import RunMeasures
from loadtest.compare.candidates import LAB
from loadtest.compare.measure.run import RunFailedError
from loadtest.compare.plan import REACH, Workload, rounded, under_load
from loadtest.lessons.bench import OVERHEAD, Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result, Row
from loadtest.run_warnings import TakesOut, takes_out

P50: Final = Figure("response_p50_us", 1000)
TIMES_AS_LONG: Final = Figure("response_p50_us")

TIMES: Final = 4
LOW: Final = 30
MIDDLE: Final = 60

_SERVER: Final = LAB["asyncio"]
_LOAD: Final = Workload("rates", 50, 1, 2)


def measure(bench: Bench, share: int) -> Result:
    """Measure the response time at shares (per cent) of what the server reaches, each time of what it then reaches."""
    reached: list[float] = []

    def swept() -> list[RunMeasures]:
        [most] = bench.put(_SERVER, [replace(_LOAD, rate=REACH)])
        if not most.requests_per_second.value:
            raise RunFailedError(f"the server answered nothing: {most.requests_per_second.why}")
        reached.append(most.requests_per_second.value)
        rates = (float(round(each / 100 * reached[-1])) for each in (LOW, MIDDLE, share))
        # What disturbed the first disturbs what is a share of it; that its latencies are late says nothing of theirs.
        also = tuple(each for each in most.warnings if takes_out(each.name) is TakesOut.RUN)
        runs = bench.put(_SERVER, [replace(_LOAD, rate=rate) for rate in rates])
        return [replace(each, warnings=(*each.warnings, *also)) for each in runs]

    def ratio(runs: list[RunMeasures]) -> float | None:
        return TIMES_AS_LONG.of_run(TIMES_AS_LONG.ratio(runs[-1], runs[0]))

    seconds = under_load([_LOAD]) + under_load([_LOAD] * 3) + 2 * OVERHEAD
    low, middle, high = zip(*bench.repeat(_SERVER.name, TIMES, seconds, swept, ratio), strict=True)
    rows = [
        TIMES_AS_LONG.row(name, [TIMES_AS_LONG.ratio(*pair) for pair in zip(runs, low, strict=True)])
        for name, runs in {"high": high, "middle": middle}.items()
    ]
    return Result(
        rows=(*rows, Row("low", 1.0, 1.0, 1.0, runs=len(low))),
        numbers={
            "reached": rounded(statistics.median(reached)),
            "free": 100 - share,
            "wait": _queue(share) / _queue(LOW),
            "low_ms": P50.of_runs(low),
            "high_ms": P50.of_runs(high),
        },
    )


def _queue(share: float) -> float:
    """Return the mean wait of an M/G/1 queue whose server is busy for this share (per cent), up to a factor."""
    return share / (100 - share)


def holds(result: Result) -> bool:
    """Whether the time rises little at first and then much, but not more than a queue explains."""
    high, middle = result["high"], result["middle"]
    return high - middle > 2 * max(0.1, middle - 1) and high < 2 * result.numbers["wait"]


ENGLISH: Final = Text(
    title="The knee",
    question="50 clients of the server asyncio ask at random moments for an ECHO or for some computing, together at a"
    " set rate. First the lab finds the highest rate that the server reaches. How many times as long does a reply take"
    " at {change} % of that as at 30 %? (The medians.)",
    unit="×",
    asked="how many times as long",
    why="Requests come at random, so now and then several come at once and wait in a queue, although the server could"
    " do more ({reached} requests/s). By queueing theory the mean wait grows as busy time divided by free time: 30 :"
    " 70 at 30 %, {change} : {free} at {change} %, {wait} times as much. A reply took {low_ms} ms at 30 %, {middle}"
    " times as long at 60 %, and {high} times at {change} % ({high_ms} ms): the curve has a knee.",
    why_not="The time should rise little up to 60 % of what the server reaches ({reached} requests/s), and then much."
    " Here it was {middle} times and {high} times that of 30 % ({low_ms} ms at 30 %, {high_ms} ms at {change} %). That"
    " happens if other programs take part of the server's core: then {change} % of what it reached at one moment are"
    " more or less than that at the next. End them, and run the lesson again.",
    change="The high rate, in per cent of the highest: how does the time change?",
    rows={"high": "at {change} %", "middle": "at 60 %", "low": "at 30 %"},
)

RUSSIAN: Final = Text(
    title="Колено кривой (knee)",
    question="50 клиентов сервера asyncio в случайные моменты отправляют ECHO или запрос, который требует вычислений,"
    " все вместе с заданной частотой. Сначала стенд находит наибольшую частоту, с которой справляется сервер. Во"
    " сколько раз дольше приходится ждать ответа при {change} % от неё, чем при 30 %? (Сравниваются медианы.)",
    unit="×",
    asked="во сколько раз дольше",
    why="Запросы приходят случайно, иногда сразу несколько, и тогда ждут в очереди, хотя сервер мог бы больше (его"
    " предел — {reached} запросов в секунду). По теории очередей среднее ожидание растёт как отношение занятого"
    " времени к свободному: 30 : 70 при 30 %, {change} : {free} при {change} %, то есть × {wait}. Ответ занял {low_ms}"
    " мс при 30 %, × {middle} при 60 % и × {high} при {change} % ({high_ms} мс): у кривой есть колено.",
    why_not="До 60 % от того, что может сервер ({reached} запросов в секунду), время должно расти медленно, а потом"
    " быстро. Здесь вышло × {middle} при 60 % и × {high} при {change} % ({low_ms} мс при 30 %, {high_ms} мс при"
    " {change} %). Так бывает, если ядро сервера занимают и другие программы: тогда {change} % от измеренного только"
    " что — это уже больше или меньше, чем {change} %. Закройте их и запустите урок ещё раз.",
    change="Высокая частота, в процентах от наибольшей: как изменится время?",
    rows={"high": "при {change} %", "middle": "при 60 %", "low": "при 30 %"},
)

LESSON: Final = Lesson(
    number=7,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/asyncio_streams.py", "converse"),),
    change=Change(usual=90, to=80, least=75, most=95),
    seconds=55,
    measure=measure,
    holds=holds,
)
