"""Lesson 4: the GIL, with two threads that compute."""

import os
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import psutil

from loadtest.client.outcomes import split_address
from loadtest.compare.analysis.measures import Measure, RunMeasures
from loadtest.compare.candidates import LAB
from loadtest.compare.measure import machine, sampler
from loadtest.compare.measure.run import RunFailedError
from loadtest.compare.plan import Workload
from loadtest.lab.processes import Interrupt
from loadtest.lessons.bench import Bench
from loadtest.lessons.lesson import Change, Lesson, Text
from loadtest.lessons.result import Figure, Result
from loadtest.run_checks import STOLEN
from loadtest.run_warnings import warning
from loadtest.scenarios import SCENARIOS

SPEED: Final = Figure("requests_per_second")

SECONDS: Final = 2.0
TIMES: Final = 6

_REQUEST: Final = b"WORK 200000 done\n"  # 10 to 20 ms
_REPLY: Final = b"OK done\n"
_REPLIES_WITHIN: Final = 20.0
_OTHERS: Final = 0.15  # of a core: what other programs may take


def measure(bench: Bench, clients: int) -> Result:
    """Measure how much more clients get than one: at a thread each in one process, and at a process each."""
    server, cores = LAB["threaded"], bench.laboratory.cores
    usable = len(cores.server | cores.rest or machine.usable_cores()) or os.cpu_count() or 1
    with bench.servers(server, clients) as servers:

        def three() -> tuple[RunMeasures, RunMeasures]:
            one, threads, processes = (
                play(some, bench.laboratory.interrupt) for some in (servers[:1], servers[:1] * clients, servers)
            )
            return SPEED.ratio(threads, one), SPEED.ratio(processes, one)

        found = bench.repeat(server.name, TIMES, 3 * SECONDS, three, lambda each: SPEED.of_run(each[0]))
    threads, processes = zip(*found, strict=True)
    return Result((SPEED.row("threads", threads), SPEED.row("processes", processes)), {"cores": usable})


def play(servers: Sequence[str], interrupt: Interrupt) -> RunMeasures:
    """Return the speed of a client at each of the servers, with a warning if others took part of the cores."""
    workload = Workload("cpu-bound", len(servers), 0, round(SECONDS))
    us = psutil.Process()
    try:
        children = sampler.Server(tuple(us.children(recursive=True)))
        before = sampler.take_reading(children, us)
        found = Measure(speed(servers, interrupt))
        after = sampler.take_reading(children, us)
    except psutil.Error as error:
        raise RunFailedError(f"a server left: {error}") from error
    usage = sampler.between([before, after], before.at, after.at, None)
    taken = (
        ("busy-machine", "other programs used", usage.others_cpu, _OTHERS),
        ("stolen-time", "the virtual machine's host kept back", usage.stolen, STOLEN),
    )
    warnings = (
        warning(name, f"{who} {seconds / (after.at - before.at):.0%} of a core meanwhile")
        for name, who, seconds, most in taken
        if seconds > most * (after.at - before.at)
    )
    scenario = SCENARIOS[workload.scenario]
    return RunMeasures(0, "threaded", workload, scenario, requests_per_second=found, warnings=tuple(warnings))


def speed(servers: Sequence[str], interrupt: Interrupt) -> float:
    """Return requests per second: a client at each of the servers asks again and again, for some seconds."""
    replies, began = 0, time.monotonic()
    with ExitStack() as clients, selectors.DefaultSelector() as waiting:
        try:
            for address in servers:
                client = clients.enter_context(socket.create_connection(split_address(address)))
                client.sendall(_REQUEST)
                waiting.register(client, selectors.EVENT_READ, client)
            while waiting.get_map():
                interrupt.check()
                if time.monotonic() - began > SECONDS + _REPLIES_WITHIN:
                    raise RunFailedError("a server does not answer")
                for key, _ in waiting.select(0.05):
                    client = key.data
                    if (reply := client.recv(4096)) != _REPLY:
                        raise RunFailedError(f"a server answered {reply!r}")
                    replies += 1
                    if time.monotonic() - began < SECONDS:
                        client.sendall(_REQUEST)
                    else:
                        waiting.unregister(client)
        except OSError as error:
            raise RunFailedError(f"a server left: {error}") from error
    return replies / (time.monotonic() - began)


def holds(result: Result) -> bool:
    """Whether threads get hardly more than one, where there is a second core and processes get more."""
    return result.numbers["cores"] > 1 and result["threads"] < 1.2 and result["processes"] > 1.4


ENGLISH: Final = Text(
    title="The GIL",
    question="The server threaded has a thread for each client and may use every core. One client sends a WORK, which"
    " computes in pure Python, waits for the reply and sends the next one: it gets R replies a second. How many times"
    " R do {change} such clients get together?",
    unit="×",
    asked="how many times R",
    why="Only the thread that holds the global interpreter lock (GIL) runs Python code, so the {change} threads take"
    " turns: by default, of 5 ms. Together they got {threads} × R on {cores} cores, while {change} processes, each"
    " with a GIL of its own, got {processes} × R. Threads help where they wait; to compute on several cores, take"
    " processes, as the server prefork does, or a Python without the GIL (3.13t or later).",
    why_not="The {change} threads should get hardly more than one, and a process each clearly more. Here it was"
    " {threads} × R and {processes} × R. If processes didn't get clearly more either, no second core was free, and"
    " nothing can be said about the GIL: {cores} may be used here, but one core is too few, two may be halves of one"
    " (hyperthreads), and other programs take their part. If threads did get clearly more, this Python runs without"
    " the GIL.",
    change="The number of clients: what do more threads get, and what more processes?",
    rows={"threads": "{change} threads", "processes": "{change} processes"},
)

RUSSIAN: Final = Text(
    title="GIL",
    question="Сервер threaded обслуживает каждого клиента в отдельном потоке, и все ядра в его распоряжении. Один"
    " клиент отправляет запрос WORK, который считает на чистом Python, ждёт ответа и отправляет следующий: он получает"
    " R ответов в секунду. Во сколько раз больше ответов получают вместе несколько таких клиентов ({change})?",
    unit="×",
    asked="во сколько раз больше R",
    why="Код на Python выполняет только тот поток, который держит глобальную блокировку интерпретатора (GIL), поэтому"
    " потоки ({change}) работают по очереди: по умолчанию, по 5 мс. Вместе они дали R × {threads}, хотя ядер доступно"
    " {cores}, а столько же процессов, каждый со своим GIL, — R × {processes}. Потоки помогают там, где нужно ждать;"
    " чтобы считать на нескольких ядрах, берите процессы, как в сервере prefork, или Python без GIL (3.13t и новее).",
    why_not="Потоки ({change}) должны дать вместе почти столько же, сколько один, а отдельные процессы заметно больше."
    " Здесь вышло R × {threads} и R × {processes}. Если и процессы дали ненамного больше, значит, свободного второго"
    " ядра не было, и судить о GIL нельзя: доступно ядер: {cores}, но одного мало, два могут быть половинами одного"
    " (hyper-threading), а часть времени забирают другие программы. Если же заметно больше дали потоки, этот Python"
    " работает без GIL.",
    change="Число клиентов: что дают дополнительные потоки, а что процессы?",
    rows={"threads": "потоки ({change})", "processes": "процессы ({change})"},
)

LESSON: Final = Lesson(
    number=4,
    texts={"en": ENGLISH, "ru": RUSSIAN},
    code=(("servers/models/threaded.py", "serve"), ("servers/work.py", "burn")),
    change=Change(usual=2, to=4, least=2, most=8),
    seconds=40,
    measure=measure,
    holds=holds,
)
