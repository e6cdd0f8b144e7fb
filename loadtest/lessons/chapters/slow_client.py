"""Lesson 2: who waits for one slow client."""

from typing import Final

from loadtest.compare.candidates import LAB, TEXTBOOK
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text, asked_first
from loadtest.lessons.result import Figure, Result
from loadtest.scenarios import SCENARIOS

FIRST: Final = Figure("first_p50_us", 1000)

SLOW: Final = SCENARIOS["slow-client"]

CLIENTS: Final = 30

_STALL_MS: Final = SLOW.stall * 1000


def measure(bench: Bench, asked: str) -> Result:
    """Measure a new client's wait at each server, the one that was asked about first."""
    # At single waits differ most, and a round of the slow client takes 2.5 s.
    plays = {"single": (Workload(SLOW.name, CLIENTS, 3, 9), 2), "threaded": (Workload(SLOW.name, CLIENTS, 1, 4), 1)}
    plays["asyncio"] = plays["threaded"]
    rows = [FIRST.row(name, bench.runs(FIRST, LAB[name], *plays[name])) for name in asked_first(asked, TEXTBOOK)]
    # During a stall all others come back; on average half of their time away is then still to come.
    return Result(tuple(rows), {"stall": SLOW.stall, "rest": _STALL_MS - SLOW.away * 500})


def holds(result: Result) -> bool:
    """Whether most clients of the one server wait for what is left of the pause, and hardly at all elsewhere."""
    elsewhere, rest = max(result["threaded"], result["asyncio"]), result.numbers["rest"]
    return 0.7 * rest < result["single"] < 1.15 * rest and elsewhere < _STALL_MS / 20


ENGLISH: Final = Text(
    title="One slow client",
    question="30 clients use the server {change}: each connects, asks twice, leaves, and comes back 0.5 s later. One"
    " of them is slow: in the middle of its second request it stops for 2 s. How long does another client wait from"
    " connecting to its first reply, in milliseconds? (The median: half of them wait longer.)",
    unit="ms",
    asked="in milliseconds",
    why="The server single waits in receive() for the rest of the slow client's request, and accepts nobody meanwhile."
    " A client that comes during the stop waits for the rest of the {stall} s, by arithmetic about {rest} ms; the"
    " measured median of all visits is {single} ms. At threaded only the slow client's own thread waits, others"
    " {threaded} ms; at asyncio, await lets the one thread serve others meanwhile ({asyncio} ms).",
    why_not="Clients of single should wait for about {rest} ms of the slow client's {stall} s, those of the others"
    " hardly at all. Here it was {single} ms at single, {threaded} ms at threaded and {asyncio} ms at asyncio. That"
    " happens if other programs take CPU from the servers or the load, or if by chance many came to single while the"
    " slow client was away. End other programs, and run the lesson again.",
    change="The server: threaded has a thread for each client, asyncio one event loop for all, single neither.",
)

RUSSIAN: Final = Text(
    title="Один медленный клиент",
    question="Сервером {change} пользуются 30 клиентов: каждый подключается, отправляет два запроса, отключается и"
    " через 0,5 с возвращается. Один из них медленный: посередине второго запроса он замирает на 2 с. Сколько обычный"
    " клиент ждёт от подключения до первого ответа, в миллисекундах? (Медиана: половина ждёт дольше.)",
    unit="мс",
    asked="в миллисекундах",
    why="Сервер single ждёт в receive() остаток запроса медленного клиента и в это время никого не принимает. Кто"
    " пришёл во время остановки, ждёт остаток от {stall} с, по расчёту около {rest} мс; измеренная медиана по всем"
    " визитам — {single} мс. В threaded ждёт лишь поток самого медленного клиента, остальные {threaded} мс; в asyncio"
    " благодаря await единственный поток тем временем обслуживает других ({asyncio} мс).",
    why_not="Клиенты single должны ждать около {rest} мс из {stall} с паузы медленного клиента, а клиенты остальных"
    " серверов почти не ждать. Здесь вышло {single} мс у single, {threaded} мс у threaded и {asyncio} мс у asyncio."
    " Так бывает, если серверам или нагрузке не хватало процессора из-за других программ или если случайно многие"
    " пришли к single, пока медленного клиента не было. Закройте другие программы и запустите урок ещё раз.",
    change="Сервер: у threaded по потоку на клиента, у asyncio один цикл событий на всех, у single нет ни того, ни"
    " другого.",
)

LESSON: Final = Lesson(
    number=2,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/single.py", "converse"), ("servers/models/asyncio_streams.py", "converse")),
    change=Change(usual="single", to="asyncio", choices=TEXTBOOK),
    seconds=42,
    measure=measure,
    holds=holds,
)
