"""Makes results of comparisons, for tests of analysis and reports."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.compare import revision
from loadtest.compare.candidates import LAB
from loadtest.compare.schema import SCHEMA
from loadtest.recording.histogram import bucket
from loadtest.scenarios import SCENARIOS

MACHINE = {
    "cpu": "Imagined CPU",
    "cores": 2,
    "usable_cores": 2,
    "memory_bytes": 8_000_000_000,
    "governor": "performance",
    "system": "Linux 6.1",
    "architecture": "x86_64",
    "python": "CPython 3.13.1",
    "packages": {"locust": "2.47.0", "uvloop": "0.23.0", "prometheus-client": "0.26.0"},
    "container": False,
}


def load(variant: str, scenario: str, clients: int, **changes: Any) -> dict[str, Any]:
    """Make a load run of 10 s in the closed model: `clients` clients, 100,000 requests, 1 ms each, all served."""
    durations = {"1000": 99_500, "3000": 500}
    part = {
        "users": clients,
        "connected": clients,
        "served": clients,
        "fairness": {"jain": 1.0, "longest_wait_seconds": 0.003, "longest_wait_at_least": False},
        "sent": 100_000,
        "verified": 100_000,
        "unanswered": 0,
        "errors": {},
        "connections": {"connected": clients},
        "breaks": {"corrupt": 0, "closed": 0, "reset": 0},
        "late_sends": 0,
        "unsent": 0,
        "histograms": {"response": durations, "service": durations, "connect": {}, "first_reply": {}},
        "censored": {},
        "neighbour": {"histograms": {"service": {"90000": 100}}} if SCENARIOS[scenario].neighbour else None,
    }
    generator = {
        "workers": 1,
        "cpu_ratio": changes.pop("generator_cpu", 0.5),
        "busy_ratio": changes.pop("generator_busy", 0.5),
        "starved_ratio": 0.0,
        "stolen_ratio": 0.0,
        "lag_p99_seconds": 0.001,
        "lost_workers": 0,
        "joined_workers": 0,
    }
    tuned = SCENARIOS[scenario].tuned(**changes.pop("tuned", {}))
    # As the load writes them; a comparison's own warnings have neither.
    warnings = [{**each, "degree": "doubt", "variants": [variant]} for each in changes.pop("load_warnings", [])]
    part.update(changes)
    return {
        "schema": 2,
        "scenario": tuned.as_json(),
        "model": "open" if tuned.paced else "closed",
        "target_rate": 10_000.0 if tuned.paced else None,
        "window": {"started": 1000.0, "ended": 1010.0, "seconds": 10.0},
        "warmup_seconds": 1.0,
        "generator": generator,
        "warnings": warnings,
        "variants": {variant: part},
    }


def workload(scenario: str, clients: int) -> dict[str, Any]:
    """Make a workload, as the result keeps it."""
    return {"scenario": scenario, "clients": clients, "warmup": 1, "seconds": 10, "think": None}


def one_run(candidate: str, scenario: str = "saturate", clients: int = 50, **changes: Any) -> dict[str, Any]:
    """Make a run that went well: a server at 100 % of its core, 40 MB and 3 threads, a generator at 50 %."""
    usage = {
        "server_cpu": changes.pop("server_cpu", 10.0),
        "generator_cpu": 5.0,
        "others_cpu": changes.pop("others_cpu", 0.0),
        "stolen": changes.pop("stolen", 0.0),
        "resident": changes.pop("resident", 40_000_000),
        "idle": 25_000_000,
        "threads": changes.pop("threads", 3),
        "foreign": changes.pop("foreign", 0.0),
    }
    return {
        "number": 1,
        "candidate": candidate,
        "workload": workload(scenario, clients),
        "repeat": changes.pop("repeat", 1),
        "status": "done",
        "reason": "",
        "load": load(candidate, scenario, clients, **changes),
        "usage": usage,
        "took": 13.0,
    }


def several_runs(
    number: int, candidate: str, scenario: str = "saturate", clients: int = 50, **changes: Any
) -> list[dict[str, Any]]:
    """Make so many runs; where a change is a list, each run has its own."""
    return [
        one_run(
            candidate,
            scenario,
            clients,
            repeat=place + 1,
            **{name: value[place] if isinstance(value, list) else value for name, value in deepcopy(changes).items()},
        )
        for place in range(number)
    ]


def swept(
    candidate: str, replies: Mapping[float, int], clients: int = 50, repeat: int = 1, **changes: Any
) -> list[dict[str, Any]]:
    """Make the runs of one process that was swept: every reply at a rate took so many microseconds."""
    runs = []
    for rate, took in replies.items():
        durations = {str(bucket(took)): 10_000}
        histograms = {"response": durations, "service": durations, "connect": {}, "first_reply": {}}
        made = one_run(candidate, "rates", clients, repeat=repeat, histograms=histograms, **deepcopy(changes))
        made["workload"]["rate"] = made["load"]["target_rate"] = rate
        runs.append(made)
    return runs


def measured_since(now: Sequence[int], before: Sequence[int], **changes: Any) -> dict[str, Any]:
    """Make a comparison of asyncio with its earlier revision; the numbers: requests of each run."""
    runs = [
        *several_runs(len(now), "asyncio", verified=list(now), **changes),
        *several_runs(len(before), "threaded", verified=list(before), **changes),
    ]
    found = comparison(*runs)
    here, there = revision.both(LAB["asyncio"], Path("/before"), "0123456789ab", Path("/now"))
    found["plan"]["candidates"] = [here.as_json(), there.as_json()]
    for run in found["runs"]:
        run["candidate"] = here.name if run["candidate"] == "asyncio" else there.name
    return found


def failed(candidate: str, reason: str, clients: int = 50) -> dict[str, Any]:
    """Make a run that failed."""
    return {
        "number": 1,
        "candidate": candidate,
        "workload": workload("saturate", clients),
        "repeat": 1,
        "status": "failed",
        "reason": reason,
    }


def _first_of_its_sweep(run: Mapping[str, Any], some: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of the process that played a run; runs with a rate and the same repeat share one."""

    def swept(each: Mapping[str, Any]) -> tuple[Any, ...]:
        workload = each["workload"]
        return (
            each["candidate"],
            workload["scenario"],
            workload["clients"],
            each["repeat"],
            workload.get("rate") is None,
        )

    same = (each["number"] for each in some if swept(each) == swept(run))
    return int(run["number"] if run["workload"].get("rate") is None else min(same))


def interpreter(**changes: Any) -> dict[str, Any]:
    """Make a server's Python: one with a GIL, unless changed."""
    usual = {"implementation": "CPython", "version": "3.14.7", "build": "gil", "gil": True, "switch_interval": 0.005}
    return {**usual, **changes}


def comparison(*some: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a whole comparison with these runs, of the lab's servers that they name."""
    some = tuple({**each, "number": number} for number, each in enumerate(some, 1))
    some = tuple({**each, "process": _first_of_its_sweep(each, some)} for each in some)
    names = [name for name in LAB if any(each["candidate"] == name for each in some)]
    loads = {(each["workload"]["scenario"], each["workload"]["clients"]): each["workload"] for each in some}
    return {
        "schema": SCHEMA,
        "kind": "comparison",
        "command": ["python", "-m", "loadtest", "compare", "--seconds", "10"],
        "started": "2026-11-23T09:00:00+00:00",
        "ended": "2026-11-23T09:02:00+00:00",
        "complete": True,
        "interrupted": False,
        "plan": {
            "name": "chosen",
            "seed": 7,
            "candidates": [LAB[name].as_json() for name in names],
            "tasks": [
                {"workload": each, "candidates": names, "repeats": max(every["repeat"] for every in some)}
                for each in loads.values()
            ],
            "ceiling": None,
            "memory": False,
            "slo": "",
        },
        "machine": MACHINE,
        "commit": "abc",
        "settings": {},
        "pinned": {"server": [1], "generator": [0]},
        "warnings": [],
        "ceiling": None,
        "runs": list(some),
        **changes,
    }


def warning(name: str) -> dict[str, str]:
    """Make a warning of the load's."""
    return {"name": name, "detail": f"{name} was seen", "hint": "do it again"}


def weighed(candidate: str, kilobytes: float) -> dict[str, Any]:
    """Make the record of a server's memory per client: half of it for a silent one."""
    price = {"base": 25e6, "r2": 0.9991, "why": ""}
    silent, spoken = (
        {"value": value * 1e3, "low": value * 990, "high": value * 1010, **price}
        for value in (kilobytes / 2, kilobytes)
    )
    return {
        "candidate": candidate,
        "problem": "",
        "runs": [],
        "silent": silent,
        "spoken": spoken,
        "threads": {"value": 1.0, "low": 1.0, "high": 1.0, "base": 3.0, "r2": 1.0, "why": ""},
        "container_silent": charged(kilobytes / 2),
        "container_spoken": charged(kilobytes),
        "container_why": "",
        "connected": 1000,
        "served": 1000,
        "spoke": 1000,
        "note": "",
    }


def charged(kilobytes: float) -> dict[str, Any]:
    """Make the record of a server's control group: the process's memory, and as much again in the kernel."""
    price = {"r2": 0.9993, "why": ""}
    return {
        part: {"value": times * kilobytes * 1e3, "low": None, "high": None, "base": times * 17e6, **price}
        for part, times in (("anon", 1), ("kernel", 1), ("sock", 0), ("total", 2))
    }


def uncharged(candidate: str, kilobytes: float, why: str) -> dict[str, Any]:
    """Make the record of a server without a control group, with the reason."""
    return {**weighed(candidate, kilobytes), "container_silent": {}, "container_spoken": {}, "container_why": why}


def unweighed(candidate: str) -> dict[str, Any]:
    """Make the record of a server that serves only one client."""
    why = "1 of 1,001 clients have spoken and been answered: too few for a slope"
    unknown = {"value": None, "low": None, "high": None, "base": None, "r2": None, "why": why}
    note = "1 of 1,001 clients served; the others waited in the accept queue"
    kept = weighed(candidate, 0.0)
    spoken = dict.fromkeys(kept["container_spoken"], unknown)
    return {**kept, "spoken": unknown, "container_spoken": spoken, "served": 1, "note": note}


def thorough(repeats: int = 10) -> dict[str, Any]:
    """Make a comparison as large as a thorough one, with measures like real ones, always the same."""
    chance = random.Random(4)
    some = []
    for (scenario, clients), each in _TOLD.items():
        for repeat in range(1, (3 if scenario == "crowd" else repeats) + 1):
            some += [_as_told(chance, name, scenario, clients, repeat, told) for name, told in each.items()]
    made = comparison(
        *some,
        ceiling=ceiling(150_000.0),
        memory=[unweighed("single"), weighed("threaded", 41.0), weighed("asyncio", 9.0)],
    )
    made["plan"]["name"] = "thorough"
    return made


class Told(NamedTuple):
    """What a run gave: requests/s, response p50, first reply p50 (microseconds), MB, CPU us, clients served."""

    rate: float
    response: float
    first: float
    megabytes: float
    cpu: float
    served: int


# As measured on a machine with two cores, rounded.
_TOLD: dict[tuple[str, int], dict[str, Told]] = {
    ("saturate", 1): {
        "single": Told(27_000, 33, 0, 25, 12.1, 1),
        "threaded": Told(26_800, 33, 0, 25, 12.2, 1),
        "asyncio": Told(17_000, 55, 0, 29, 21.0, 1),
        "asyncio-stdlib": Told(12_000, 78, 0, 28, 40.0, 1),
    },
    ("saturate", 50): {
        "single": Told(27_000, 33, 0, 25, 12.1, 1),
        "threaded": Told(61_000, 800, 0, 27, 16.1, 50),
        "asyncio": Told(52_000, 930, 0, 30, 18.9, 50),
        "asyncio-stdlib": Told(25_000, 1_950, 0, 29, 39.0, 50),
    },
    ("saturate", 1000): {
        "single": Told(27_000, 33, 0, 25, 12.1, 1),
        "threaded": Told(40_000, 19_000, 0, 66, 24.0, 615),
        "asyncio": Told(50_500, 19_500, 0, 41, 19.2, 1000),
        "asyncio-stdlib": Told(24_200, 41_000, 0, 40, 40.1, 1000),
    },
    ("conversation", 30): {
        "single": Told(11, 180, 9_900_000, 25, 90, 28),
        "threaded": Told(93, 210, 400, 26, 95, 30),
        "asyncio": Told(93, 205, 420, 30, 97, 30),
    },
    ("churn", 50): {
        "single": Told(13_000, 0, 3_600, 25, 76, 50),
        "threaded": Told(7_900, 0, 6_100, 27, 120, 50),
        "asyncio": Told(6_900, 0, 7_200, 30, 143, 50),
        "asyncio-stdlib": Told(5_200, 0, 9_400, 29, 190, 50),
    },
    **{
        ("crowd", count): {
            "single": Told(0.25, 200, 0, 25, 100, 1),
            "threaded": Told(count / 4, 210 + count / 9, 0, 25 + count * 0.041, 100, count),
            "asyncio": Told(count / 4, 220 + count / 20, 0, 29 + count * 0.009, 90, count),
        }
        for count in (1, 10, 100, 1000, 5000)
    },
    ("slow-client", 30): {
        "single": Told(6, 180, 8_500_000, 25, 90, 17),
        "threaded": Told(100, 210, 400, 26, 95, 30),
        "asyncio": Told(100, 205, 420, 30, 97, 30),
    },
}


def _as_told(
    chance: random.Random, candidate: str, scenario: str, clients: int, repeat: int, told: Told
) -> dict[str, Any]:
    """Make a run: some per cent off what is told of all, with durations that have a long tail."""
    off = chance.gauss(1, 0.02)
    requests = max(1, round(told.rate * off * 10))
    histograms = {
        "response": _durations(chance, told.response / off, requests) if told.response else {},
        "service": _durations(chance, told.response / off * 0.97, requests) if told.response else {},
        "connect": {},
        "first_reply": _durations(chance, told.first / off, max(10, requests // 5)) if told.first else {},
    }
    changes: dict[str, Any] = {}
    if scenario in {"saturate", "churn"}:
        changes["generator_cpu"] = min(0.97, told.rate / 60_000)
    if told.served < clients and told.first:
        changes["censored"] = {"first_reply": {str(int(told.first)): 20}}
    if (candidate, scenario, repeat) in {("asyncio", "saturate", 2), ("threaded", "saturate", 3)} and clients == 50:
        changes["load_warnings"] = [warning("stolen-time")]
        off *= 0.85
    return one_run(
        candidate,
        scenario,
        clients,
        repeat=repeat,
        verified=requests,
        served=told.served,
        histograms=histograms,
        server_cpu=min(10.0, told.cpu * requests / 1e6 * chance.gauss(1, 0.01)),
        resident=round(told.megabytes * 1e6 * chance.gauss(1, 0.01)),
        threads=clients + 2 if candidate == "threaded" else 3,
        **changes,
    )


def _durations(chance: random.Random, middle: float, number: int) -> dict[str, int]:
    """Make a histogram of so many durations with this median."""
    drawn = min(number, 400)
    counts: Counter[str] = Counter()
    for place in range(drawn):
        value = middle * chance.lognormvariate(0, 0.25) * (3 if place % 100 == 0 else 1)
        counts[str(bucket(max(1, round(value))))] += number // drawn
    return dict(counts)


def ceiling(requests_per_second: float, *warnings: dict[str, str]) -> dict[str, Any]:
    """Make a generator's ceiling at 50 clients."""
    return {
        "requests_per_second": requests_per_second,
        "cpu_us_per_request": 7.25,
        "clients": 50,
        "warnings": list(warnings),
    }
