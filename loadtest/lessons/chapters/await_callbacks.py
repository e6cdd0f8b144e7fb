"""Lesson 5: what await costs, against callbacks."""

from dataclasses import replace
from typing import Final

from loadtest.compare.analysis.measures import RunMeasures
from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload, under_load
from loadtest.lessons.bench import OVERHEAD, Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result, Row
from loadtest.run_warnings import RUN_WARNINGS, TakesOut, takes_out

CPU: Final = Figure("cpu_us")
PER_CENT: Final = Figure("cpu_us", 0.01)

CLIENTS: Final = 50
TIMES: Final = 5
LOOPS: Final = ("uvloop", "asyncio")

_LOAD: Final = Workload("saturate", CLIENTS, 1, 2)


def measure(bench: Bench, loop: str) -> Result:
    """Measure the CPU of a request at both servers on the loop, in turn."""
    streams, protocol = (replace(LAB[name], options=("--loop", loop)) for name in ("asyncio", "protocol"))

    def both() -> tuple[RunMeasures, RunMeasures]:
        [ours], [other] = (bench.put(each, [_LOAD]) for each in (streams, protocol))
        return ours, other

    found = bench.repeat(
        "asyncio, protocol",
        TIMES,
        2 * (under_load([_LOAD]) + OVERHEAD),
        both,
        lambda pair: PER_CENT.of_run(CPU.ratio(*pair)),
    )
    row = PER_CENT.row("asyncio", [CPU.ratio(*pair) for pair in found])
    there = CPU.of_runs([other for _, other in found])
    return Result(
        rows=(_about_cpu(row), Row("protocol", 100.0, 100.0, 100.0, runs=row.runs)),
        numbers={"there": there, "more": there * ((row.value or 0.0) - 100) / 100},
    )


def _about_cpu(row: Row) -> Row:
    """Return a row without warnings that are not about CPU per request: at full speed the load is near its limit."""
    about = (
        each
        for each in row.warnings
        if "cpu" in RUN_WARNINGS[each.name].effect.moves or takes_out(each.name) is TakesOut.RUN
    )
    return replace(row, warnings=tuple(about))


def holds(result: Result) -> bool:
    """Whether every pair of runs says that await takes more, and their median clearly so."""
    return result["asyncio"] > 105 and (result.asked.low or 0.0) > 100


ENGLISH: Final = Text(
    title="await and callbacks",
    question="Two servers run on the same event loop (--loop {change}) and have the same 50 clients, which send an"
    " ECHO of 64 bytes as fast as replies come. At protocol the loop calls a function for each request; at asyncio a"
    " coroutine awaits it. A request costs protocol 100 % CPU time. How many per cent does it cost asyncio?",
    unit="%",
    asked="in per cent of protocol's CPU time",
    why="At protocol the loop reads the bytes and calls receive() with them; when that returns, the request is done."
    " At asyncio the loop puts them into a StreamReader's buffer, and only in its next round resumes the task that"
    " awaits them: {asyncio} % of protocol's {there} us of CPU. The other {more} us are the price of code that reads"
    " from top to bottom.",
    why_not="A request should take more CPU time with await than with callbacks. Here it took {asyncio} % of the"
    " {there} us that it takes with callbacks, but the runs differ too much among themselves, or the difference is too"
    " small, to tell the two apart. That happens if other programs take part of the server's core, or if the"
    " processor's speed changes from second to second, as on many virtual machines. End other programs, and run the"
    " lesson again.",
    change="The event loop: asyncio is the standard library's, uvloop is one on libuv.",
)

RUSSIAN: Final = Text(
    title="await и обратные вызовы",
    question="У двух серверов один и тот же цикл событий (--loop {change}) и одинаковые 50 клиентов, которые"
    " отправляют ECHO по 64 байта, не делая пауз после ответа. В protocol цикл событий на каждый запрос вызывает"
    " функцию, в asyncio запроса ждёт корутина (await). Если процессорное время запроса в protocol принять за 100 %,"
    " сколько процентов оно составит в asyncio?",
    unit="%",
    asked="в процентах от времени protocol",
    why="В protocol цикл событий читает байты и сразу передаёт их в receive(); когда тот вернул управление, запрос"
    " обработан. В asyncio цикл кладёт байты в буфер StreamReader, и лишь на следующей итерации цикла возобновляется"
    " задача, которая их ждёт: {asyncio} % от {there} мкс процессорного времени в protocol. Лишние {more} мкс — цена"
    " кода, который читается сверху вниз.",
    why_not="С await запрос должен занимать больше процессорного времени, чем с обратными вызовами. Здесь вышло"
    " {asyncio} % от {there} мкс, но прогоны слишком расходятся между собой или разница слишком мала, чтобы делать"
    " вывод. Так бывает, если ядро сервера занимают другие программы или если частота процессора всё время меняется,"
    " как на многих виртуальных машинах. Закройте другие программы и запустите урок ещё раз.",
    change="Цикл событий: asyncio — из стандартной библиотеки, uvloop — на основе libuv.",
)

LESSON: Final = Lesson(
    number=5,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/asyncio_streams.py", "converse"), ("servers/models/asyncio_protocol.py", "receive")),
    change=Change(usual="uvloop", to="asyncio", choices=LOOPS),
    seconds=50,
    measure=measure,
    holds=holds,
)
