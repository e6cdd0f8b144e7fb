"""Which cores the servers of a comparison get, and which its load: chosen, or as asked for."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from loadtest import run_warnings
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.machine import Cores, share_out, siblings
from loadtest.compare.plan import SHARES

_SETS: Final = re.compile(r"server=(?P<server>[0-9,-]+),load=(?P<load>[0-9,-]+)")
_PART: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")

Together = Callable[[int], frozenset[int]]
"""Returns the hyperthreads that share a core's hardware, itself included."""


def asked(text: str) -> Cores:
    """Return the cores from "1,0" (server, load), or "server=0-3,load=4-5"; ValueError if they aren't apart."""
    sets = _SETS.fullmatch(text)
    parts = [sets["server"], sets["load"]] if sets else text.split(",")
    found = [_cores(part) for part in parts]
    if len(found) != 2 or not all(found) or (found[0] & found[1]):
        raise ValueError(f"{text!r} is not two different cores, such as 1,0, nor two sets, such as server=0-3,load=4-5")
    return Cores(found[0], found[1])


def _cores(text: str) -> frozenset[int]:
    """Return the cores of a list such as "0-3,6"; none if it can't be read."""
    found: set[int] = set()
    for part in text.split(","):
        matched = _PART.fullmatch(part)
        if not matched:
            return frozenset()
        first = int(matched[1])
        found.update(range(first, int(matched[2] or first) + 1))
    return frozenset(found)


def share(wanted: Cores | None, sizes: Sequence[int], usable: Sequence[int], together: Together = siblings) -> Cores:
    """Return the cores, with so many for servers as `sizes` has (() for one); ValueError if the machine lacks them."""
    if wanted is None and not sizes:
        return share_out(usable)
    most = max(sizes, default=1)
    server = wanted.server if wanted else _chosen(most, usable, together)
    # First those that share no hardware with the servers'.
    free = sorted({*usable} - server, key=lambda core: (bool(together(core) & server), core))
    load = wanted.generator if wanted else frozenset(free[:1])
    missing = sorted((server | load).difference(usable))
    if missing:
        raise ValueError(
            f"core {missing[0]} is not one of the cores that may be used here ({', '.join(map(str, usable))})"
        )
    if len(server) < most or not load:
        raise ValueError(
            f"servers on {most} cores, and a core for the load, are {most + 1}: here {len(server | load)} may be used,"
            " which can't tell how a server scales; use a machine with more, or fewer --server-cores"
        )
    warning = None
    if any(together(core) & load for core in server):
        detail = "server and generator ran on two hyperthreads of the same core: each slows the other down"
        warning = run_warnings.warning("shared-core", detail)
    return Cores(server, load, frozenset(free), warning)


def _chosen(number: int, usable: Iterable[int], together: Together) -> frozenset[int]:
    """Return so many cores for servers: the last ones, a whole core each as far as they go, one left for the load."""
    first, *others = sorted(usable) or [0]
    order = whole_first([first, *reversed(others)], together)[1:]
    return frozenset(sorted(order, key=lambda core: core in together(first))[:number])


def whole_first(cores: Iterable[int], together: Together = siblings) -> list[int]:
    """Return cores so that hyperthreads of one that is there already come last."""
    first: list[int] = []
    second: list[int] = []
    for core in cores:
        (second if together(core).intersection(first) else first).append(core)
    return first + second


def shares(sizes: Iterable[int]) -> tuple[float, ...]:
    """Return the rates to try for servers on these numbers of cores, as shares of what the slowest reaches."""
    return tuple(sorted({round(size * share, 3) for size in sizes for share in SHARES}))


def of(candidate: Candidate, whole: Cores, together: Together = siblings) -> Cores:
    """Return the cores for a run of a candidate: as many of the servers' as it may use."""
    order = whole_first(sorted(whole.server, reverse=True), together)
    return replace(whole, server=frozenset(order[: candidate.cores])) if candidate.cores else whole


def leave_to_servers(cores: Cores) -> Cores:
    """Move this process off the servers' cores; return the cores, none where that is forbidden."""
    try:
        if cores.rest:
            os.sched_setaffinity(0, cores.rest)
    except OSError:  # a sandbox may forbid it, also for children
        return share_out(())
    return cores
