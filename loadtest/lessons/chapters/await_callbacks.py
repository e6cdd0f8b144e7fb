"""Lesson 5: what await costs, against callbacks."""

from dataclasses import replace
from typing import Final

from loadtest.compare.analysis.measures import RunMeasures
from loadtest.compare.analysis.summary import summarize
from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload, under_load
from loadtest.lessons.bench import OVERHEAD, Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result, Row
from loadtest.run_warnings import RUN_WARNINGS, TakesOut

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
        lambda pair: PER_CENT.shown(CPU.ratio(*pair)),
    )
    row = PER_CENT.row("asyncio", summarize(streams, [CPU.ratio(*pair) for pair in found]))
    there = CPU.value(summarize(protocol, [other for _, other in found]))
    return Result(
        rows=(_about_cpu(row), Row("protocol", 100.0, 100.0, 100.0, runs=row.runs)),
        numbers={"there": there, "more": there * ((row.value or 0.0) - 100) / 100},
    )


def _about_cpu(row: Row) -> Row:
    """Return a row without warnings that are not about CPU per request: at full speed the load is near its limit."""
    about = (
        each
        for each in row.warnings
        if "cpu" in RUN_WARNINGS[each.name].moves or RUN_WARNINGS[each.name].takes_out is TakesOut.RUN
    )
    return replace(row, warnings=tuple(about))


def holds(result: Result) -> bool:
    """Whether every pair of runs says that await takes more, and their median clearly so."""
    return result["asyncio"] > 105 and (result.asked.low or 0.0) > 100


ENGLISH: Final = Text(
    title="await and callbacks",
    question="Two servers have the same event loop ({change}) and the same 50 clients, which send an ECHO of 64 bytes"
    " as fast as replies come. At protocol the loop calls a function for each request that comes, at asyncio a"
    " coroutine awaits it. Call the CPU time of a request at protocol 100 %: how many per cent of that does one take"
    " at asyncio?",
    unit="%",
    asked="per cent of protocol's CPU time",
    why="At protocol the loop reads the bytes and calls receive() with them, and when that returns, the request is"
    " done. At asyncio the loop puts them into a StreamReader's buffer and marks a Future as done, and only in its"
    " next round it resumes the task that awaits it, which takes the bytes from the buffer: with that a request took"
    " {asyncio} % of the {there} us of CPU that it takes at protocol. The other {more} us buy code that reads from top"
    " to bottom, and they are few beside what most requests do: a query to a database takes a thousand us and more.",
    why_not="A request should take more CPU time with await than with callbacks; here it took {asyncio} % of the"
    " {there} us that it takes with callbacks, and the runs differ too much among themselves, or the difference is too"
    " small, to tell the two apart. That happens if other programs take part of the server's core, or if the machine's"
    " speed changes from second to second, as on many virtual ones. End other programs, and run the lesson again.",
    change="The event loop: asyncio is the standard library's, in Python, uvloop is one in C.",
)

RUSSIAN: Final = Text(
    title="await и обратные вызовы",
    question="У двух серверов один и тот же цикл событий ({change}) и одинаковые 50 клиентов, которые отправляют ECHO"
    " по 64 байта, не делая пауз после ответа. В protocol цикл событий на каждый запрос вызывает функцию, в asyncio"
    " запроса ждёт корутина (await). Если процессорное время запроса в protocol принять за 100 %, сколько процентов"
    " оно составит в asyncio?",
    unit="%",
    asked="процентах от времени protocol",
    why="В protocol цикл событий читает байты и сразу передаёт их в receive(), и когда тот вернул управление, запрос"
    " обработан. В asyncio цикл кладёт байты в буфер StreamReader и завершает Future, и лишь на следующей итерации"
    " возобновляется задача, которая ждала его в await и забирает байты из буфера: в итоге запрос занял {asyncio} % от"
    " тех {there} мкс процессорного времени, которые уходят на него в protocol. Лишние {more} мкс — цена кода, который"
    " читается сверху вниз, и обычно она мала рядом с самой работой: запрос к базе данных занимает от тысячи мкс.",
    why_not="С await запрос должен занимать больше процессорного времени, чем с обратными вызовами; здесь вышло"
    " {asyncio} % от {there} мкс, но прогоны слишком расходятся между собой или разница слишком мала, чтобы делать"
    " вывод. Так бывает, если ядро сервера занимают другие программы или если скорость машины всё время меняется, как"
    " у многих виртуальных. Закройте другие программы и запустите урок ещё раз.",
    change="Цикл событий: asyncio — из стандартной библиотеки, на Python, uvloop — на C.",
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
