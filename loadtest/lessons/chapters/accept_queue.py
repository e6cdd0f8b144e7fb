"""Lesson 1: who waits in the accept queue, and for how long."""

import math
from typing import Final

from loadtest.compare.candidates import LAB
from loadtest.compare.plan import Workload
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result
from loadtest.scenarios import SCENARIOS

FIRST: Final = Figure("first_p50_us", 1e6)

CONVERSATION: Final = SCENARIOS["conversation"]
PAUSES: Final = (CONVERSATION.requests or 1) - 1
LENGTH: Final = PAUSES * CONVERSATION.think
"""Seconds that a conversation takes at least."""

_TURN: Final = 0.07  # seconds of a conversation, to choose a warm-up in which everybody has had a turn


def measure(bench: Bench, clients: int) -> Result:
    """Measure a new client's wait at the server that serves one at a time, and beside it at threads."""
    single = bench.runs(FIRST, LAB["single"], Workload("conversation", clients, math.ceil(clients * _TURN), 10), 3)
    threaded = bench.runs(FIRST, LAB["threaded"], Workload("conversation", clients, 1, 2), 1)
    return Result(
        rows=(FIRST.row("single", single), FIRST.row("threaded", threaded)),
        numbers={
            "others": clients - 1,
            "pauses": PAUSES,
            "milliseconds": LENGTH * 1000,
            "round": (clients - 1) * LENGTH,
            "expected": (clients - 1) * LENGTH - CONVERSATION.away,
            "short": FIRST.of_runs(threaded) * 1000,
        },
    )


def holds(result: Result) -> bool:
    """Whether the wait is about what the clients' pauses say, and far longer than at threads."""
    expected = result.numbers["expected"]
    return 0.75 * expected < result["single"] < 1.4 * expected and result["single"] > 10 * result["threaded"]


ENGLISH: Final = Text(
    title="The accept queue",
    question="A server talks to one client at a time. {change} clients use it: each connects, asks 5 times with about"
    " 15 ms between a reply and the next request, leaves, comes back 1 s later, and so on. How long does a client wait"
    " from connecting to its first reply, in seconds? (The median: half of them wait longer.)",
    unit="s",
    asked="in seconds",
    why="The operating system answers each connect itself and keeps the client in a queue, the accept queue, until"
    " those before it have left and the server calls accept(). {others} others with {pauses} pauses of 15 ms each take"
    " {round} s: a client is away for 1 s of that and waits for the rest, {expected} s plus the time of the replies"
    " ({single} s). With a thread for each client (threaded) nobody waits for another one's pauses: {short} ms.",
    why_not="By its pauses a conversation takes {milliseconds} ms, so a client should wait about {expected} s:"
    " {others} others × {milliseconds} ms, less the 1 s that it is away. Here it was {single} s, and {threaded} s with"
    " a thread for each client. That happens if the server isn't busy all the time, or if other programs slow down the"
    " server or the load. End them, and run the lesson again.",
    change="The number of clients. Is the wait of twice as many twice as long?",
)

RUSSIAN: Final = Text(
    title="Очередь соединений (accept queue)",
    question="Сервер обслуживает клиентов по одному. Клиентов {change}: каждый подключается, отправляет 5 запросов с"
    " паузами около 15 мс после каждого ответа, отключается, через 1 с возвращается, и так далее. Сколько клиент ждёт"
    " от подключения до первого ответа, в секундах? (Медиана: половина ждёт дольше.)",
    unit="с",
    asked="в секундах",
    why="Операционная система сама устанавливает соединение и держит его в очереди (accept queue), пока не отключится"
    " предыдущий клиент и сервер не вызовет accept(). Остальные ({others}) с {pauses} паузами по 15 мс занимают сервер"
    " на {round} с: клиент из них 1 с отсутствует, а остальное ждёт, {expected} с и время самих ответов ({single} с)."
    " Когда у каждого клиента свой поток (threaded), чужих пауз никто не ждёт: {short} мс.",
    why_not="Из-за пауз один сеанс занимает {milliseconds} мс, поэтому клиент должен ждать около {expected} с:"
    " {others} остальных × {milliseconds} мс минус 1 с, когда его нет. Здесь вышло {single} с, а с потоком на каждого"
    " клиента {threaded} с. Так бывает, если сервер был занят не всё время или если серверу либо нагрузке мешали"
    " другие программы. Закройте их и запустите урок ещё раз.",
    change="Число клиентов. Если их вдвое больше, вдвое ли дольше ждать?",
)

LESSON: Final = Lesson(
    number=1,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/single.py", "serve"), ("servers/models/single.py", "converse")),
    change=Change(usual=30, to=60, least=25, most=100),
    seconds=50,
    measure=measure,
    holds=holds,
)
