"""The lab's servers under conditions of their own: event loops, switch intervals, Pythons, numbers of cores."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, cycle
from typing import Final, NamedTuple

from loadtest.compare.candidates import LAB, Candidate
from loadtest.compare.plan import cores as in_words
from loadtest.scenarios import SCENARIOS
from servers.variants import by_name

LOOPS: Final = ("uvloop", "asyncio", "rloop")
"""As the servers' --loop takes them."""

STAYING: Final = tuple(name for name, each in SCENARIOS.items() if each.requests is None)
"""The scenarios in which clients stay."""

USUAL_INTERVAL: Final = 0.005
"""Python's own switch interval, in seconds."""

COLOURS: Final = ("#44AA99", "#CC6677", "#999933", "#AA4499", "#6699CC", "#997700", "#BB5566", "#7F8C2D")
"""For those made here, in order (most of them from Paul Tol's colour schemes)."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,15}")


class Python(NamedTuple):
    """An interpreter. name: for a reader. program: a path, or what the shell's PATH has."""

    name: str
    program: str


def python(text: str) -> Python:
    """Return the interpreter from "NAME=PROGRAM"; ValueError with a line on a bad one."""
    name, found, program = text.partition("=")
    if not found or not _NAME.fullmatch(name) or not program.strip():
        raise ValueError(
            f"{text!r} is not a Python: give NAME=PROGRAM, such as 3.14t=python3.14t; a name has up to 16 of a-z, 0-9,"
            " . and -"
        )
    return Python(name, program.strip())


def chosen_by(loops: Sequence[str], intervals: Sequence[float]) -> list[str]:
    """Return the variants that these are about, where none are named; [] without loops and intervals."""
    return [*(("asyncio", "protocol") if loops else ()), *(("threaded",) if intervals else ())]


def under(
    some: Iterable[Candidate],
    *,
    loops: Sequence[str] = (),
    intervals: Sequence[float] = (),
    pythons: Sequence[Python] = (),
    cores: Sequence[int] = (),
) -> list[Candidate]:
    """
    Return the lab's servers under each of these conditions that concerns them; without any, as they are.

    ValueError with a line if two Pythons have one name.

    A loop concerns those with an event loop, a switch interval those that serve from several threads, a Python and a
    number of cores all.
    """
    names = [each.name for each in pythons]
    if len(set(names)) < len(names):
        raise ValueError(f"two Pythons have the same name: {', '.join(names)}")
    found = chain.from_iterable(_on_loops(each, loops) for each in some)
    found = chain.from_iterable(_at_intervals(each, intervals) for each in found)
    found = chain.from_iterable(_on_pythons(each, pythons) for each in found)
    found = chain.from_iterable(_on_cores(each, cores) for each in found)
    return _coloured({each.name: each for each in found}.values())


def _on_loops(candidate: Candidate, loops: Sequence[str]) -> Iterator[Candidate]:
    if not loops or by_name(candidate.variant).connection == "blocking":
        yield candidate
        return
    usual = LAB[candidate.variant]
    for loop in loops:
        name = f"{usual.name}-{'stdlib' if loop == 'asyncio' else loop}"
        if loop == "uvloop":
            yield usual
        elif name in LAB:
            yield LAB[name]
        else:
            its = "the standard library's loop" if loop == "asyncio" else loop
            yield replace(
                usual,
                name=name,
                title=f"{usual.name} on {its}",
                sentence=f"The same server as {usual.name} on {its}, in place of uvloop.",
                options=("--loop", loop),
            )


def _at_intervals(candidate: Candidate, intervals: Sequence[float]) -> Iterator[Candidate]:
    variant = by_name(candidate.variant)
    if not intervals or variant.connection != "blocking" or variant.clients == 1:
        yield candidate
        return
    for seconds in intervals:
        options = (*candidate.options, "--switch-interval", f"{seconds:g}")
        if seconds == USUAL_INTERVAL:
            yield replace(candidate, options=options)
            continue
        told = f"{seconds * 1e3:g} ms"
        yield _apart(replace(candidate, options=options), told.replace(" ", ""), f"switch interval {told}")


def _on_pythons(candidate: Candidate, pythons: Sequence[Python]) -> Iterator[Candidate]:
    if not pythons:
        yield candidate
    for each in pythons:
        yield _apart(replace(candidate, python=each.program), each.name, f"Python {each.name}")


def _on_cores(candidate: Candidate, cores: Sequence[int]) -> Iterator[Candidate]:
    if not cores:
        yield candidate
    for each in cores:
        # Its own default would be the same; so the result names it.
        workers = ("--workers", str(each)) if "workers" in by_name(candidate.variant).options else ()
        told = in_words(each)
        some = replace(candidate, cores=each, options=(*candidate.options, *workers))
        yield _apart(some, told.replace(" ", "-"), told)


def _apart(candidate: Candidate, ending: str, condition: str) -> Candidate:
    """Return a candidate told apart by a condition in its name, its title and its label."""
    return replace(
        candidate,
        name=f"{candidate.name}-{ending}",
        title=f"{candidate.title}, {condition}",
        sentence=f"{candidate.sentence} {condition[0].upper()}{condition[1:]}.",
        condition=f"{candidate.condition}, {condition}" if candidate.condition else condition,
    )


def _coloured(some: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates; each one that LAB does not have gets a colour that is not used there."""
    free = cycle(COLOURS)
    return [each if each.name in LAB else replace(each, colour=next(free)) for each in some]
