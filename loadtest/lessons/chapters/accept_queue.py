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
RATE: Final = Figure("requests_per_second")

CONVERSATION: Final = SCENARIOS["conversation"]

_TURN: Final = 0.07  # seconds of a conversation, to choose a warm-up in which everybody has had a turn


def measure(bench: Bench, clients: int) -> Result:
    """Measure a new client's wait at the server that serves one at a time, and beside it at threads."""
    single = bench.runs(FIRST, LAB["single"], Workload("conversation", clients, math.ceil(clients * _TURN), 10), 3)
    threaded = bench.runs(FIRST, LAB["threaded"], Workload("conversation", clients, 1, 2), 1)
    length = (CONVERSATION.requests or 1) / (RATE.value(single) or 1.0)
    return Result(
        rows=(FIRST.row("single", single), FIRST.row("threaded", threaded)),
        numbers={
            "others": clients - 1,
            "milliseconds": length * 1000,
            "round": (clients - 1) * length,
            "expected": (clients - 1) * length - CONVERSATION.away,
            "short": FIRST.value(threaded) * 1000,
        },
    )


def holds(result: Result) -> bool:
    """Whether the wait is what the arithmetic says, and far longer than at threads."""
    expected = float(result.numbers["expected"])
    return 0.7 * expected < result["single"] < 1.4 * expected and result["single"] > 10 * result["threaded"]


ENGLISH: Final = Text(
    title="The accept queue",
    question="A server talks to one client at a time. {change} clients use it: each connects, asks 5 times with about"
    " 15 ms between a reply and the next request, leaves, comes back 1 s later, and so on. How long does a client"
    " wait from connecting to its first reply? (The median: half of them wait longer.)",
    unit="s",
    asked="seconds",
    why="The operating system accepts each connection at once and puts it into a queue, the accept queue, from which"
    " the server's accept() takes the next client only when the one before has left. A conversation takes"
    " {milliseconds} ms, nearly all of it the client's own pauses, so that all {others} others take {others} ×"
    " {milliseconds} ms = {round} s; of these a client spends 1 s away and waits for the rest, some {expected} s"
    " ({single} s were measured). With a thread for each client (threaded) nobody waits for another one's pauses:"
    " {short} ms.",
    why_not="By arithmetic a client should wait some {expected} s: {others} others × {milliseconds} ms for a"
    " conversation, less the 1 s that it is away; here it was {single} s, and {threaded} s with a thread for each"
    " client. That happens if the server isn't busy all the time, or if other programs slow down the server or the"
    " load. End them, and run the lesson again.",
    change="The number of clients. Is the wait of twice as many twice as long?",
)

RUSSIAN: Final = Text(
    title="Очередь соединений (accept queue)",
    question="Сервер обслуживает клиентов по одному. Клиентов {change}: каждый подключается, отправляет 5 запросов с"
    " паузами около 15 мс после каждого ответа, отключается, через 1 с возвращается, и так далее. Сколько клиент ждёт"
    " от подключения до первого ответа? (Медиана: половина ждёт дольше.)",
    unit="с",
    asked="секундах",
    why="Операционная система сразу устанавливает каждое соединение и ставит его в очередь (accept queue), а accept()"
    " в сервере берёт оттуда следующего клиента, только когда отключится предыдущий. Один сеанс занимает"
    " {milliseconds} мс, почти всё это паузы самого клиента, поэтому все остальные занимают сервер на {others} ×"
    " {milliseconds} мс = {round} с; из этого времени клиент 1 с отсутствует, а остальное, около {expected} с, ждёт"
    " (измерено {single} с). Когда у каждого клиента свой поток (threaded), чужих пауз никто не ждёт: {short} мс.",
    why_not="По расчёту клиент должен ждать около {expected} с: {others} остальных × {milliseconds} мс на сеанс минус"
    " 1 с, когда его нет; здесь вышло {single} с, а с потоком на каждого клиента {threaded} с. Так бывает, если"
    " сервер был занят не всё время или если серверу либо нагрузке мешали другие программы. Закройте их и запустите"
    " урок ещё раз.",
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
