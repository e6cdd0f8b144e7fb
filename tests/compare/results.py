"""Makes results as a comparison keeps them, to be tabled and drawn."""

from copy import deepcopy
from dataclasses import asdict
from typing import Any

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
    doubts = changes.pop("load_doubts", [])
    part.update(changes)
    return {
        "schema": 1,
        "scenario": asdict(tuned),
        "model": "open" if tuned.paced else "closed",
        "asked_rate": 10_000.0 if tuned.paced else None,
        "window": {"started": 1000.0, "ended": 1010.0, "seconds": 10.0},
        "warmup_seconds": 1.0,
        "generator": generator,
        "doubts": doubts,
        "variants": {variant: part},
    }


def cell(variant: str, scenario: str = "saturate", clients: int = 50, **changes: Any) -> dict[str, Any]:
    """Make a cell that went well: a server at 100 % of its core and 40 MB, a generator at 50 %."""
    usage = {
        "server_cpu": changes.pop("server_cpu", 10.0),
        "generator_cpu": 5.0,
        "others_cpu": changes.pop("others_cpu", 0.0),
        "stolen": changes.pop("stolen", 0.0),
        "resident": changes.pop("resident", 40_000_000),
        "idle": 25_000_000,
    }
    return {
        "number": 1,
        "variant": variant,
        "case": {"scenario": scenario, "clients": clients, "warmup": 1, "seconds": 10},
        "status": "done",
        "reason": "",
        "load": load(variant, scenario, clients, **changes),
        "usage": usage,
        "took": 13.0,
    }


def failed(variant: str, reason: str, clients: int = 50) -> dict[str, Any]:
    """Make a cell that failed."""
    case = {"scenario": "saturate", "clients": clients, "warmup": 1, "seconds": 10}
    return {"number": 1, "variant": variant, "case": case, "status": "failed", "reason": reason}


def comparison(*cells: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a whole comparison with `cells`."""
    return {
        "schema": 1,
        "kind": "comparison",
        "started": "2026-11-23T09:00:00+00:00",
        "ended": "2026-11-23T09:02:00+00:00",
        "complete": True,
        "interrupted": False,
        "plan": {"seed": 7, "variants": ["single", "threaded", "asyncio"], "cases": [cells[0]["case"]]},
        "machine": MACHINE,
        "commit": "abc",
        "settings": {},
        "pinned": {"server": [1], "generator": [0]},
        "doubts": [],
        "ceiling": None,
        "cells": list(cells),
        **changes,
    }


def ceiling(requests_per_second: float, *doubts: dict[str, str]) -> dict[str, Any]:
    """Make a generator's ceiling at 50 clients."""
    return {
        "requests_per_second": requests_per_second,
        "cpu_us_per_request": 7.25,
        "clients": 50,
        "doubts": list(doubts),
    }


def from_before(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as it was kept before there was the open model: without the keys that came with it, or later."""
    old = deepcopy(result)
    del old["ceiling"]
    for each in old["cells"]:
        run = each["load"]
        del run["model"], run["asked_rate"], run["scenario"]["paced"], run["scenario"]["dawdle"]
        for name in ("busy_ratio", "starved_ratio", "stolen_ratio", "lost_workers", "joined_workers"):
            del run["generator"][name]
        for part in run["variants"].values():
            del part["breaks"], part["unsent"], part["fairness"]
    return old
