"""
The load against Locust as in its documentation, both with the null server.

A B A B, each in fresh processes, the server on one core and the load on the other: CPU per request and requests per
second while 50 clients never pause; memory and loop lag while 10,000 are connected. Then the load beside itself: 45,000
Poisson requests per second over 50 connections, and the closed loop.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.candidate import Candidate, running
from tests.bench.ratios import report

ROOT: Final = Path(__file__).resolve().parents[2]

PAIRS: Final = 7
CROWD_PAIRS: Final = 3
RATE_PAIRS: Final = 5
CLIENTS: Final = 50
CROWD: Final = 10_000
RATE: Final = 45_000

START: Final = 3.0
"""Seconds until Locust has started and its clients have connected."""

SECONDS: Final = 6.0
CROWD_START: Final = 15.0
CROWD_SECONDS: Final = 12.0

LOAD: Final = ("loadtest/locustfile.py", "AsyncioUser")
PUNCTUAL_LOAD: Final = ("tests/bench/punctual_load.py", "AsyncioUser")
BASELINE: Final = ("tests/bench/baseline_load.py", "PlainUser")
BASELINE_CROWD: Final = ("tests/bench/baseline_crowd.py", "CrowdUser")

File = tuple[str, str]


@contextmanager
def load(file: File, port: int, folder: Path, core: int, *options: str) -> Iterator[Candidate]:
    """Run a locustfile's user class on a core, to its end."""
    path, user = file
    command = [sys.executable, "-m", "locust", "--locustfile", path, "--headless", "--only-summary", *options, user]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TCPLAB_", "LOCUST_"))}
    ours = {"TCPLAB_ASYNCIO": f"127.0.0.1:{port}", "TCPLAB_EXPORTER_PORT": "0"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=clean | ours, stdout=log, stderr=log)
        try:
            os.sched_setaffinity(process.pid, {core})
            yield Candidate(process.pid, 0)
            assert process.wait(60) == 0, (folder / "log").read_text()
        finally:
            process.kill()
            process.wait()


def speed(file: File, cores: Sequence[int]) -> dict[str, float]:
    """CPU per request and throughput while every client always has a request under way."""
    with tempfile.TemporaryDirectory() as name, running(["loadtest.lab.null_server"], cores[0]) as sink:
        folder = Path(name)
        users = ("--users", str(CLIENTS), "--spawn-rate", str(CLIENTS))
        seconds = ("--run-time", f"{START + SECONDS + 2:.0f}s", "--json-file", str(folder / "statistics"))
        scenario = ("--scenario", "saturate") if file is LOAD else ()
        with load(file, sink.port, folder, cores[1], *users, *seconds, *scenario) as process:
            time.sleep(START)
            used, began = process.cpu_seconds(), time.time()
            time.sleep(SECONDS)
            ratio = (process.cpu_seconds() - used) / (time.time() - began)
        entries = json.loads((folder / "statistics.json").read_text())
    # Whole seconds well within: Locust's own count, which the baseline has and the load adds to.
    inside = range(int(began) + 1, int(began + SECONDS))
    answered = sum(entry["num_reqs_per_sec"].get(str(second), 0) for entry in entries for second in inside)
    rate = answered / len(inside)
    return {"CPU us/request": ratio / rate * 1e6, "requests/s": rate}


def crowd(file: File, cores: Sequence[int], clients: int = CROWD) -> dict[str, float]:
    """Memory and loop lag of a load process with many clients that ask every 20 seconds."""
    with tempfile.TemporaryDirectory() as name, running(["loadtest.lab.null_server"], cores[0]) as sink:
        folder = Path(name)
        users = ("--users", str(clients), "--spawn-rate", "2000")
        scenario = ("--scenario", "crowd") if file is LOAD else ()
        seconds = ("--run-time", f"{CROWD_START + CROWD_SECONDS:.0f}s", "--warmup", f"{CROWD_START:.0f}")
        result = ("--result", str(folder / "result.json"))
        with load(file, sink.port, folder, cores[1], *users, *seconds, *scenario, *result) as process:
            time.sleep(CROWD_START + CROWD_SECONDS - 2)
            resident = process.resident_bytes()
        found = json.loads((folder / "result.json").read_text())
    [variant] = found["variants"].values()
    assert variant["connected"] == clients, "not all have connected"
    return {"MB resident": resident / 1e6, "loop lag p99, ms": found["generator"]["lag_p99_seconds"] * 1e3}


def pace(cores: Sequence[int], *options: str) -> tuple[dict[str, float], float]:
    """
    Return the load's CPU per request, and the percentage of sends that left 100 us late by its own fault.

    options: Locust's, for the pace of CLIENTS clients that stay.
    """
    with tempfile.TemporaryDirectory() as name, running(["loadtest.lab.null_server"], cores[0]) as sink:
        folder = Path(name)
        users = ("--users", str(CLIENTS), "--spawn-rate", str(CLIENTS), "--scenario", "saturate", *options)
        seconds = ("--run-time", f"{START + SECONDS + 2:.0f}s", "--warmup", f"{START:.0f}")
        result = ("--result", str(folder / "result.json"))
        with load(PUNCTUAL_LOAD, sink.port, folder, cores[1], *users, *seconds, *result) as process:
            time.sleep(START + 2)
            used, began = process.cpu_seconds(), time.time()
            time.sleep(SECONDS - 2)
            ratio = (process.cpu_seconds() - used) / (time.time() - began)
        found = json.loads((folder / "result.json").read_text())
    [variant] = found["variants"].values()
    assert variant["served"] == CLIENTS, "not all were served"
    rate = variant["verified"] / found["window"]["seconds"]
    return {"CPU us/request": ratio / rate * 1e6}, 100 * variant["late_sends"] / variant["sent"]


def at_a_rate(cores: Sequence[int]) -> None:
    """Print the open loop beside the closed one, and how many sends are late."""
    opened: list[dict[str, float]] = []
    closed: list[dict[str, float]] = []
    late: list[float] = []
    for pair in range(RATE_PAIRS):
        print(f"\rload: at a rate, pair {pair + 1} of {RATE_PAIRS} ", end="", file=sys.stderr, flush=True)
        cost, share = pace(cores, "--rate", str(RATE))
        opened.append(cost)
        late.append(share)
        closed.append(pace(cores)[0])
    print("\r", end="", file=sys.stderr)
    print(f"ours: {RATE:,} Poisson requests per second; baseline: the load's own closed loop")
    report("load", CLIENTS, opened, closed)
    print(
        f"{'load':9} {CLIENTS:6}  {'% sent over 100 us late':25} {'':6}"
        f"  {min(late):6.2f} to {max(late):<6.2f} {statistics.median(late):12.2f}"
    )


def alternate(
    measure: Callable[[File, Sequence[int]], dict[str, float]],
    baseline: File,
    pairs: int,
    clients: int,
    cores: Sequence[int],
) -> None:
    """Print ours beside the baseline's."""
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for pair in range(pairs):
        print(f"\rload: {measure.__name__}, pair {pair + 1} of {pairs} ", end="", file=sys.stderr, flush=True)
        ours.append(measure(LOAD, cores))
        theirs.append(measure(baseline, cores))
    print("\r", end="", file=sys.stderr)
    report("load", clients, ours, theirs)


def run(cores: Sequence[int]) -> None:
    """Run it: the null server on the first core, the load on the second."""
    print(
        f"the load, 64-byte messages, each unique and each reply compared; sink on core {cores[0]}, load on {cores[1]}"
    )
    print(
        "baseline in speed: a gevent user with one send, one recv and one request.fire in each task, in Locust itself;"
    )
    print("baseline in the crowd: the same user, which asks every 20 seconds")
    print(f"{'':9} {'conns':>6}  {'figure':25} {'ratio':>6}  {'least to most':16} {'ours':>12} {'baseline':>12}")
    alternate(speed, BASELINE, PAIRS, CLIENTS, cores)
    alternate(crowd, BASELINE_CROWD, CROWD_PAIRS, CROWD, cores)
    at_a_rate(cores)
