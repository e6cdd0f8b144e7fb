"""Lesson 2: who waits for one slow client."""

from typing import Final

from loadtest.compare.candidates import LAB, TEXTBOOK
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text
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
    order = sorted(TEXTBOOK, key=lambda name: name != asked)
    rows = [FIRST.row(name, bench.runs(FIRST, LAB[name], *plays[name])) for name in order]
    return Result(
        rows=tuple(rows),
        numbers={
            "clients": CLIENTS,
            "stall": SLOW.stall,
            "away": SLOW.away,
            "back": SLOW.away / 2,
            "rest": _STALL_MS - SLOW.away * 500,
        },
    )


def holds(result: Result) -> bool:
    """Whether most clients of the one server wait for most of the slow one's pause, and hardly at all elsewhere."""
    elsewhere = max(result["threaded"], result["asyncio"])
    return _STALL_MS / 3 < result["single"] < _STALL_MS and elsewhere < _STALL_MS / 20


ENGLISH: Final = Text(
    title="One slow client",
    question="30 clients use the server {change}: each connects, asks twice, leaves, and comes back 0.5 s later. One"
    " of them is slow: in the middle of its second request it stops for 2 s. How long does another client wait from"
    " connecting to its first reply? (The median: half of them wait longer.)",
    unit="ms",
    asked="milliseconds",
    why="The server single waits in receive() for the rest of the slow client's request, and meanwhile accepts"
    " nobody: the others stay away for {away} s between two visits, of which half is over on average, so they come"
    " back after {back} s and wait for what is left of the {stall} s, some {rest} ms ({single} ms were measured). The"
    " server threaded waits in receive() too, but in a thread that the slow client has to itself, so that a new"
    " client waits {threaded} ms. The server asyncio has one thread, but await lets the event loop serve others until"
    " the rest of the request comes: {asyncio} ms.",
    why_not="Clients of single should wait for most of the slow client's {stall} s, those of the others hardly at"
    " all; here it was {single} ms at single, {threaded} ms at threaded and {asyncio} ms at asyncio. That happens if"
    " other programs keep the servers or the load from their cores. End them, and run the lesson again.",
    change="The server: threaded has a thread for each client, asyncio one event loop for all, single neither.",
)

RUSSIAN: Final = Text(
    title="Один медленный клиент",
    question="Сервером {change} пользуются 30 клиентов: каждый подключается, отправляет два запроса, отключается и"
    " через 0,5 с возвращается. Один из них медленный: посередине второго запроса он замирает на 2 с. Сколько любой"
    " другой клиент ждёт от подключения до первого ответа? (Медиана: половина ждёт дольше.)",
    unit="мс",
    asked="миллисекундах",
    why="Сервер single ждёт в receive() остаток запроса медленного клиента и в это время никого не принимает:"
    " остальные отсутствуют между визитами {away} с, в среднем половина этого времени уже прошла, поэтому через"
    " {back} с они возвращаются и ждут остаток от {stall} с, около {rest} мс (измерено {single} мс). Сервер threaded"
    " тоже ждёт в receive(), но в отдельном потоке этого клиента, поэтому новый клиент ждёт лишь {threaded} мс. У"
    " сервера asyncio поток один, но await позволяет циклу событий обслуживать других, пока не придёт остаток"
    " запроса: {asyncio} мс.",
    why_not="Клиенты single должны ждать большую часть от {stall} с паузы медленного клиента, а клиенты остальных"
    " серверов почти не ждать; здесь вышло {single} мс у single, {threaded} мс у threaded и {asyncio} мс у asyncio."
    " Так бывает, если серверам или нагрузке не хватало процессора из-за других программ. Закройте их и запустите"
    " урок ещё раз.",
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
