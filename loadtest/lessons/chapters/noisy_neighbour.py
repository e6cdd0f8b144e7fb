"""Lesson 8: how long others wait beside a client that computes."""

from typing import Final

from loadtest.compare.analysis.summary import Summary
from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result
from loadtest.scenarios import SCENARIOS

P50: Final = Figure("response_p50_us", 1000)
WORK: Final = Figure("neighbour_us", 1000)

SERVERS: Final = ("asyncio", "threaded")
TIMES: Final = 3

_NOISY: Final = SCENARIOS["noisy-neighbour"]
_SWITCH_MS: Final = 5.0  # sys.getswitchinterval()

# Few requests of each client, which so has its reply before the next one is due, also where a WORK takes long.
_LOAD: Final = Workload(_NOISY.name, 40, 1, 5, rate=100.0)


def measure(bench: Bench, asked: str) -> Result:
    """Measure the others' response times at both servers, the one that was asked about first."""
    order = sorted(SERVERS, key=lambda name: name != asked)
    found: dict[str, Summary] = {name: bench.runs(P50, LAB[name], _LOAD, TIMES) for name in order}
    work = WORK.value(found["asyncio"])
    return Result(
        rows=tuple(P50.row(name, each) for name, each in found.items()),
        numbers={"work": work, "turn": _SWITCH_MS},
    )


def holds(result: Result) -> bool:
    """Whether most others wait for about a whole WORK at the event loop, and for a turn at threads."""
    work = float(result.numbers["work"])
    return work / 3 < result["asyncio"] < 4 * work and 0.5 * _SWITCH_MS < result["threaded"] < 3 * _SWITCH_MS < work / 2


ENGLISH: Final = Text(
    title="A noisy neighbour",
    question="40 clients of the server {change} ask for an ECHO now and then, 100 times a second together, which takes"
    " well under a millisecond alone. One more client sends a WORK again and again: a million rounds of pure Python,"
    " some 0.1 s each. How long does an ECHO take beside it? (The median: half of them take longer.)",
    unit="ms",
    asked="milliseconds",
    why="At asyncio all clients share one thread, which turns to another one only at an await, and a WORK has none:"
    " whoever asks meanwhile waits for the rest of its {work} ms, and often for all of the next one too, in the median"
    " {asyncio} ms. At threaded the interpreter takes the GIL from the thread that computes as soon as another one has"
    " waited for it for {turn} ms (sys.getswitchinterval()), and the ECHO is answered in the middle of the WORK:"
    " {threaded} ms. So one long computation holds up every client of an event loop: give it to a process of its own,"
    " or cut it into pieces with an await between.",
    why_not="An ECHO should take about as long as one WORK ({work} ms) at asyncio, and some {turn} ms at threaded,"
    " where the thread that computes has to give the GIL away by then; here it was {asyncio} ms and {threaded} ms."
    " That happens if other programs take part of the server's core, or with a Python without the GIL, where threads"
    " hardly wait for each other. End other programs, and run the lesson again.",
    change="The server: threaded in place of asyncio, or the reverse.",
)

RUSSIAN: Final = Text(
    title="Шумный сосед",
    question="40 клиентов сервера {change} время от времени отправляют ECHO, все вместе 100 раз в секунду; сам по себе"
    " ECHO занимает намного меньше миллисекунды. Ещё один клиент раз за разом отправляет WORK: миллион шагов на чистом"
    " Python, примерно 0,1 с каждый раз. Сколько времени рядом с ним занимает ECHO? (Медиана: половина ждёт дольше.)",
    unit="мс",
    asked="миллисекундах",
    why="У asyncio все клиенты в одном потоке, который переключается на другого клиента только на await, а в WORK его"
    " нет: клиент, чей запрос пришёл в это время, ждёт остаток от его {work} мс, а часто ещё и весь следующий WORK, и"
    " медиана равна {asyncio} мс. У threaded интерпретатор отбирает GIL у потока, который считает, как только другой"
    " поток прождал {turn} мс (sys.getswitchinterval()), и ECHO получает ответ посреди WORK: {threaded} мс. Значит,"
    " один долгий расчёт задерживает всех клиентов цикла событий: выносите его в отдельный процесс или делите на"
    " части, между которыми есть await.",
    why_not="У asyncio ECHO должен занимать примерно столько же, сколько один WORK ({work} мс), а у threaded около"
    " {turn} мс, после которых поток, который считает, обязан отдать GIL; здесь вышло {asyncio} мс и {threaded} мс."
    " Так бывает, если ядро сервера занимают и другие программы или если это Python без GIL, где потоки почти не ждут"
    " друг друга. Закройте другие программы и запустите урок ещё раз.",
    change="Сервер: threaded вместо asyncio или наоборот.",
)

LESSON: Final = Lesson(
    number=8,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/asyncio_streams.py", "converse"), ("servers/work.py", "burn")),
    change=Change(usual="asyncio", to="threaded", choices=SERVERS),
    seconds=46,
    measure=measure,
    holds=holds,
)
