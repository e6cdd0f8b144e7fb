"""Which cores the servers of a comparison get, and which its load: chosen, or as asked for."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from loadtest import run_warnings
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.machine import Cores, share_out, siblings
from loadtest.compare.plan import SHARES

_SETS: Final = re.compile(r"server=(?P<server>[0-9,-]+),load=(?P<load>[0-9,-]+)")
_PART: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


Together = Callable[[int], frozenset[int]]
"""Returns the hyperthreads that share a core's hardware, itself included."""


class Asked(NamedTuple):
    """The cores that were asked for: of the servers, and of the load."""

    server: frozenset[int]
    load: frozenset[int]


def asked(text: str) -> Asked:
    """
    Return the cores from "SERVER,LOAD", a core for each, or from "server=0-3,load=4-5".

    ValueError with a line on anything else, or if both have a core.
    """
    sets = _SETS.fullmatch(text)
    parts = [sets["server"], sets["load"]] if sets else text.split(",")
    found = [_cores(part) for part in parts]
    if len(found) != 2 or not all(found) or (found[0] & found[1]):
        raise ValueError(f"{text!r} is not two different cores, such as 1,0, nor two sets, such as server=0-3,load=4-5")
    return Asked(*found)


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


def share(wanted: Asked | None, sizes: Sequence[int], usable: Sequence[int], together: Together = siblings) -> Cores:
    """
    Return the cores of servers and load; sizes: how many cores the servers are to have, () for one.

    together: tells the hyperthreads of a core.

    ValueError with a line if the machine doesn't have them.
    """
    if wanted is None and not sizes:
        return share_out(usable)
    most = max(sizes, default=1)
    server = wanted.server if wanted else _chosen(most, usable, together)
    load = wanted.load if wanted else _apart(server, usable, together)
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
        warning = run_warnings.warning(
            "shared-core",
            "server and generator ran on two hyperthreads of the same core: each slows the other down",
        )
    return Cores(server, load, frozenset(usable) - server, warning)


def _chosen(number: int, usable: Iterable[int], together: Together) -> frozenset[int]:
    """Return so many cores for servers: the last ones, a whole core each as far as they go, one left for the load."""
    free = sorted(usable)
    first = free[0] if free else 0
    order = whole_first([core for core in reversed(free) if core not in together(first)], together)
    beside = [core for core in reversed(free) if core not in order and core != first]
    return frozenset([*order, *beside][:number])


def _apart(server: frozenset[int], usable: Iterable[int], together: Together) -> frozenset[int]:
    """Return a core for the load that shares no hardware with the servers', if there is one."""
    free = [core for core in sorted(usable) if core not in server]
    alone = [core for core in free if not together(core) & server]
    return frozenset((alone or free)[:1])


def whole_first(cores: Iterable[int], together: Together = siblings) -> list[int]:
    """Return cores so that hyperthreads of one that is there already come last."""
    first: list[int] = []
    second: list[int] = []
    for core in cores:
        (second if together(core).intersection(first) else first).append(core)
    return [*first, *second]


def shares(sizes: Iterable[int]) -> tuple[float, ...]:
    """Return the rates to try for servers on these numbers of cores, as shares of what the slowest reaches."""
    return tuple(sorted({round(size * share, 3) for size in sizes for share in SHARES}))


def of(candidate: Candidate, whole: Cores, together: Together = siblings) -> Cores:
    """Return the cores for a run of a candidate: as many of the servers' as it may use."""
    if not candidate.cores or not whole.server:
        return whole
    some = frozenset(whole_first(sorted(whole.server, reverse=True), together)[: candidate.cores])
    return whole if some == whole.server else Cores(some, whole.generator, whole.rest, whole.warning)


def leave_to_servers(cores: Cores) -> Cores:
    """Move this process off the servers' cores; return the cores, none where that is forbidden."""
    try:
        if cores.rest:
            os.sched_setaffinity(0, cores.rest)
    except OSError:  # a sandbox may forbid it, also for children
        return share_out(())
    return cores
