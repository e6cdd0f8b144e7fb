"""Lesson 8: how long others wait beside a client that computes."""

from typing import Final

from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text, asked_first
from loadtest.lessons.result import Figure, Result
from loadtest.scenarios import SCENARIOS

P50: Final = Figure("response_p50_us", 1000)
WORK: Final = Figure("neighbour_us", 1000)

SERVERS: Final = ("asyncio", "threaded")
TIMES: Final = 3

_NOISY: Final = SCENARIOS["noisy-neighbour"]
_SWITCH_MS: Final = 5.0  # sys.getswitchinterval()

# Few requests per client, so that most get their reply before the next one is due.
_LOAD: Final = Workload(_NOISY.name, 40, 1, 5, rate=100.0)


def measure(bench: Bench, asked: str) -> Result:
    """Measure the others' response times at both servers, the one that was asked about first."""
    found = {name: bench.runs(P50, LAB[name], _LOAD, TIMES) for name in asked_first(asked, SERVERS)}
    work = WORK.of_runs(found["asyncio"])
    return Result(
        rows=tuple(P50.row(name, each) for name, each in found.items()),
        numbers={"work": work, "turn": _SWITCH_MS},
    )


def holds(result: Result) -> bool:
    """Whether others wait for a good part of a WORK or more at the event loop, and for a turn, far less, at threads."""
    work, threaded = result.numbers["work"], result["threaded"]
    turn = 0.5 * _SWITCH_MS < threaded < 3 * _SWITCH_MS
    return work / 3 < result["asyncio"] < 4 * work and turn and threaded < result["asyncio"] / 2


ENGLISH: Final = Text(
    title="A noisy neighbour",
    question="40 clients of the server {change} ask for an ECHO now and then, 100 times a second together, which takes"
    " well under a millisecond alone. One more client sends a WORK again and again: a million rounds of pure Python,"
    " about 0.1 s each. How long does an ECHO take beside it, in milliseconds? (The median: half of them take longer.)",
    unit="ms",
    asked="in milliseconds",
    why="At asyncio one thread serves all, and turns to another client only at an await: a WORK ({work} ms) has none,"
    " so an ECHO waits at least for its end ({asyncio} ms). At threaded the interpreter takes the GIL away once"
    " another thread has waited for {turn} ms (sys.getswitchinterval()): the ECHO is answered in the middle of the"
    " WORK, after {threaded} ms. So give long computations to another process, or cut them into pieces with an await"
    " between.",
    why_not="At asyncio an ECHO should wait for a good part of a WORK ({work} ms) or more; at threaded about {turn}"
    " ms, after which the thread that computes has to give the GIL away. Here it was {asyncio} ms and {threaded} ms."
    " That happens if a WORK takes hardly longer than {turn} ms on this machine, if other programs take part of the"
    " server's core, or with a Python without the GIL, where threads hardly wait for each other. End other programs,"
    " and run the lesson again.",
    change="The server: threaded in place of asyncio, or the reverse.",
)

RUSSIAN: Final = Text(
    title="Шумный сосед",
    question="40 клиентов сервера {change} время от времени отправляют ECHO, все вместе 100 раз в секунду; сам по себе"
    " ECHO занимает намного меньше миллисекунды. Ещё один клиент раз за разом отправляет WORK: миллион итераций на"
    " чистом Python, примерно 0,1 с каждый раз. Сколько миллисекунд рядом с ним занимает ECHO? (Медиана: половина ждёт"
    " дольше.)",
    unit="мс",
    asked="в миллисекундах",
    why="У asyncio всех обслуживает один поток, который переключается на другого клиента только на await: внутри WORK"
    " ({work} мс) его нет, и ECHO ждёт как минимум конца WORK ({asyncio} мс). У threaded интерпретатор отбирает GIL,"
    " как только другой поток прождал {turn} мс (sys.getswitchinterval()): ECHO получает ответ посреди WORK, через"
    " {threaded} мс. Поэтому выносите долгие расчёты в отдельный процесс или делите их на части, между которыми есть"
    " await.",
    why_not="У asyncio ECHO должен ждать заметную часть WORK ({work} мс) или дольше, а у threaded около {turn} мс,"
    " после которых поток, который считает, обязан отдать GIL. Здесь вышло {asyncio} мс и {threaded} мс. Так бывает,"
    " если WORK на этой машине занимает ненамного больше {turn} мс, если ядро сервера занимают и другие программы или"
    " если это Python без GIL, где потоки почти не ждут друг друга. Закройте другие программы и запустите урок ещё"
    " раз.",
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
