"""Lesson 3: what a thread costs in memory, in the process and in the kernel."""

import resource
from pathlib import Path
from typing import Final

from loadtest.client.outcomes import split_address
from loadtest.compare.candidates import LAB
from loadtest.compare.measure.idle_clients import IdleClients
from loadtest.compare.measure.memory import Memory, price
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text, asked_first
from loadtest.lessons.result import Result, Row
from loadtest.run_warnings import RunWarning

CLIENTS: Final = 1000
SERVERS: Final = ("threaded", "asyncio")
TIMES: Final = 3

_MYTH_KB: Final = 1000.0
_USUAL_STACK: Final = 2 << 20  # what glibc takes where the limit is "unlimited"


def measure(bench: Bench, asked: str) -> Result:
    """Measure a silent client's memory at both servers, the one that was asked about first."""
    runs = {name: bench.weigh(LAB[name], CLIENTS, TIMES) for name in asked_first(asked, SERVERS)}
    found = {name: price(each) for name, each in runs.items()}
    rows = {
        name: _between(name, each, bench) if each.container_why else _row(name, each, len(runs[name]))
        for name, each in found.items()
    }
    why = next((each.container_why for each in found.values() if each.container_why), "")
    process = (found["threaded"].silent.value or 0.0) / 1000
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return Result(
        rows=tuple(rows.values()),
        numbers={
            "reserved": (_USUAL_STACK if stack == resource.RLIM_INFINITY else stack) / 2**20,
            "process": process,
            "kernel": (rows["threaded"].value or 0.0) - process,
        },
        warnings=(_roughly(why),) if why else (),
    )


def _row(name: str, memory: Memory, runs: int) -> Row:
    """Return a client's memory in kB, as its server's control group was charged for it."""
    total = memory.container_silent["total"]
    value, low, high = (None if each is None else each / 1000 for each in (total.value, total.low, total.high))
    return Row(name, value, low, high, runs=runs, interval=True, why=total.why)


def _between(name: str, memory: Memory, bench: Bench) -> Row:
    """
    Return a client's memory in kB between bounds, of which the upper one is shown.

    In the kernel it is at least what stacks and page tables grow by on the whole system; at most that and what Slab
    does, where both ends of each connection are (measure/cgroups.py has both beside the group's part).
    """
    if memory.silent.value is None:
        return Row(name, why=memory.silent.why)
    with bench.servers(LAB[name], 1) as [address], IdleClients(*split_address(address)) as clients:
        before = _kernel()
        clients.grow(CLIENTS)
        clients.speak(0, CLIENTS, 1)  # so that each has been accepted, and has its thread
        grown = [max(0.0, (now - then) / CLIENTS) for now, then in zip(_kernel(), before, strict=True)]
    process = memory.silent.value / 1000
    return Row(name, process + sum(grown), process + grown[0], process + sum(grown))


def _kernel() -> tuple[int, int]:
    """Return what the whole system has in kernel stacks and page tables, and in Slab, in kB."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    sizes = {name: int(size) for name, size, *_ in lines}
    return sizes["KernelStack:"] + sizes["PageTables:"], sizes["Slab:"]


def _roughly(why: str) -> RunWarning:
    return RunWarning(
        "kernel-by-system",
        f"the kernel's part was read from the whole system's counters ({why}), with both ends of each connection: the"
        " figure is an upper bound",
        "run the lesson as root on Linux with control groups",
    )


def holds(result: Result) -> bool:
    """Whether a thread takes a small part of a megabyte, and more than a client of the event loop."""
    return result["asyncio"] < result["threaded"] < _MYTH_KB / 3


ENGLISH: Final = Text(
    title="What a thread costs",
    question="1,000 clients connect to the server {change} and say nothing; threaded starts a thread for each, asyncio"
    " serves all in one. Some say that a thread takes a megabyte (1,000 kB). How much memory does each client take, in"
    " the server's process and in the kernel together, in kilobytes?",
    unit="kB",
    asked="in kilobytes",
    why="A thread's stack may grow to {reserved} MiB here (ulimit -s), but it gets memory page by page, when it first"
    " writes there: with Python's objects that is {process} kB. The kernel adds a stack of its own, page tables (the"
    " map of that memory) and the socket, {kernel} kB: 1,000 threads take about {threaded} MB, not 1,000. A client of"
    " asyncio has no thread, only some small objects and the socket: {asyncio} kB.",
    why_not="A waiting thread should take some tens of kB, far from a megabyte, and a client of asyncio less. Here it"
    " was {threaded} kB ({process} kB in the process, {kernel} kB in the kernel) at threaded and {asyncio} kB at"
    " asyncio. That happens where the system hands out memory in larger pages (64 kB, or huge pages), or with another"
    " C library. The stack's limit here is {reserved} MiB.",
    change="The server: asyncio in place of threaded, or the reverse.",
)

RUSSIAN: Final = Text(
    title="Сколько стоит поток",
    question="К серверу {change} подключаются 1000 клиентов и молчат; threaded запускает для каждого поток, asyncio"
    " обслуживает всех в одном потоке. Говорят, что поток занимает мегабайт (1000 кБ). Сколько памяти уходит на одного"
    " клиента в процессе сервера и в ядре вместе, в килобайтах?",
    unit="кБ",
    asked="в килобайтах",
    why="Стек потока здесь может вырасти до {reserved} МиБ (ulimit -s), но память выделяется постранично, при первой"
    " записи: вместе с объектами Python это {process} кБ. Ядро добавляет свой стек, таблицы страниц (карту этой"
    " памяти) и сокет, {kernel} кБ: 1000 потоков занимают около {threaded} МБ, а не 1000. У клиента asyncio потока"
    " нет, только несколько небольших объектов и сокет: {asyncio} кБ.",
    why_not="Поток в ожидании должен занимать десятки кБ, что намного меньше мегабайта, а клиент asyncio ещё меньше."
    " Здесь вышло {threaded} кБ у threaded ({process} кБ в процессе, {kernel} кБ в ядре) и {asyncio} кБ у asyncio. Так"
    " бывает, если система выделяет память большими страницами (64 кБ или huge pages) или используется другая"
    " библиотека C. Предел стека здесь {reserved} МиБ.",
    change="Сервер: asyncio вместо threaded или наоборот.",
)

LESSON: Final = Lesson(
    number=3,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/threaded.py", "serve"), ("servers/models/asyncio_streams.py", "serve")),
    change=Change(usual="threaded", to="asyncio", choices=SERVERS),
    seconds=30,
    measure=measure,
    holds=holds,
)
