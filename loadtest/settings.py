"""What a user may set for a load run: Locust options, each with a twin in the environment."""

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from loadtest.host_names import names
from loadtest.pacing import ARRIVALS
from loadtest.scenarios import DEFAULT, MAX_SIZE, MIN_SIZE, SCENARIOS, Scenario
from loadtest.shapes import SHAPES
from servers.variants import VARIANTS, Variant

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

OF_A_RUN: Final = ("scenario", "think", "rate", "sweep", "arrivals", "size", "warmup")
"""The options that a run keeps from its beginning to its end."""

MAX_USERS: Final = 100_000 * len(VARIANTS)
"""The most users that may be asked for, and the most per second: so many for each variant."""

CLIENTS: Final = 30
"""Clients of each variant, unless their number is chosen."""

LINGER: Final = 0.25
"""
Seconds that the clients go on after the window.

A comparison reads the server's threads ten times a second. So it reads them once more before clients leave, and their
threads end.
"""

AUTO: Final = "auto"
"""The shape that depends on what else is chosen: see `shape`."""

PORT: Final = 9104
"""Default port of the load's /metrics."""

JOINED: Final = "Joined the master at "
"""What a worker logs once its master has let it in; lab/hosts.py looks for it."""


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Settings of one run.

    scenario: tuned as asked. rate: requests per second in total, in the open model; None in the closed one. sweep:
    rates, one after another, each for an equal part of the window; () for one rate alone. arrivals: how requests fall
    due, one of ARRIVALS. warmup: seconds whose figures are thrown away, at most. result: where the JSON goes, if
    anywhere.
    """

    scenario: Scenario
    rate: float | None
    arrivals: str
    warmup: float
    result: Path | None
    sweep: tuple[float, ...] = ()


def add_options(parser: "LocustArgumentParser") -> None:
    """Add the lab's options to Locust's parser. Those about the run appear in the web UI too."""

    def option(name: str, kind: Callable[[str], Any], default: object, text: str, **more: object) -> None:
        variable = "TCPLAB_" + name.removeprefix("--").replace("-", "_").upper()
        if not os.environ.get(variable, "-").strip():
            del os.environ[variable]  # Compose passes what is not set as an empty string
        parser.add_argument(name, type=kind, default=default, env_var=variable, help=text, **more)

    option("--scenario", str, DEFAULT, "what the clients do", choices=list(SCENARIOS))
    # Kept as text: the web UI gives back what it is given in the same type, and an empty field is no number.
    option("--think", _as_text(_seconds), None, "mean seconds between a reply and the next request (scenario's own)")
    option(
        "--rate", _as_text(_rate), None, "requests per second in total, due whether or not servers keep up (open model)"
    )
    option("--sweep", _as_text(_rates), None, "rates instead of one, with commas: each for an equal part of the run")
    option("--arrivals", str, ARRIVALS[0], "how they fall due: at random, or evenly", choices=list(ARRIVALS))
    option("--size", _as_text(message_size), None, "bytes of a message's text (scenario's own)")
    option("--warmup", _as_text(_seconds), "0", "seconds at the start whose figures are thrown away, at most")
    hidden = partial(option, include_in_web_ui=False)
    shape_help = (
        "how the clients change over time; auto: the tour, unless scenario, pace or number of clients is chosen"
    )
    hidden("--shape", str, "none", shape_help, choices=["none", AUTO, *SHAPES])
    hidden("--result", _writable, None, "file for the run's result, as JSON")
    hidden("--clients", _clients, None, f"clients per variant, unless -u is given ({CLIENTS})")
    hidden("--exporter-host", str, "127.0.0.1", "address to serve the load's /metrics on")
    hidden("--exporter-port", _port, PORT, "its port; 0 picks a free one")
    hidden("--web-hosts", _names, "", "more names of the web UI, with commas, besides localhost and --web-host")


def read(options: Mapping[str, Any]) -> Settings:
    """
    Return the settings of a run.

    The numbers may be strings. ValueError, with a line to show, if one is bad.
    """
    name = options["scenario"]
    if name not in SCENARIOS:
        raise ValueError(f"the scenario is {name!r}; choose from {', '.join(SCENARIOS)}")
    arrivals = options["arrivals"]
    if arrivals not in ARRIVALS:
        raise ValueError(f"the arrivals are {arrivals!r}; choose from {', '.join(ARRIVALS)}")
    try:
        think, rate = _optional(_seconds, options.get("think")), _optional(_rate, options.get("rate"))
        warmup = _optional(_seconds, options.get("warmup")) or 0.0
        size = _optional(message_size, options.get("size"))
        sweep = _optional(_rates, options.get("sweep")) or ()
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise ValueError(f"think, rate, sweep, warmup and size are numbers: {error}") from None
    result = options.get("result")
    if sweep and rate is not None:
        raise ValueError("--sweep has the rates: omit --rate")
    if sweep and 0 < (options.get("run_time") or 0) <= warmup:
        raise ValueError("--sweep shares the run time after the warm-up among its rates: make -t longer than --warmup")
    if sweep:
        rate = sweep[0]
    if SCENARIOS[name].paced and rate is None:
        raise ValueError(f"{name} asks at a rate: give --rate, in requests per second")
    scenario = SCENARIOS[name].tuned(think=think, size=size, paced=rate is not None)
    return Settings(scenario, rate, arrivals, warmup, Path(result) if result else None, sweep)


def shape(options: Mapping[str, Any]) -> str | None:
    """
    Return the name of the chosen shape, None for a steady load.

    AUTO is the tour if all else is as the lab has it. Its 300 clients are too many for other scenarios and paces, and
    a number of clients is meant as it is said.
    """
    chosen: str = options["shape"]
    if chosen == AUTO:
        others = ("think", "rate", "sweep", "clients", "num_users")
        as_usual = options["scenario"] == DEFAULT and not any(options[name] for name in others)
        return "tour" if as_usual else None
    return None if chosen == "none" else chosen


def target(variant: Variant, environment: Mapping[str, str] = os.environ) -> str:
    """
    Return "host:port" of a variant: TCPLAB_<NAME>, or its port on the host TCPLAB_SERVERS, or on loopback.

    ValueError if TCPLAB_<NAME> is empty: a script's variable that was never set would load another server.
    """
    host = environment.get("TCPLAB_SERVERS") or "127.0.0.1"
    chosen = environment.get(f"TCPLAB_{variant.name.upper()}")
    if chosen is not None and not chosen.strip():
        raise ValueError("it is set, and empty; give it host:port, or unset it")
    return chosen or f"{host}:{variant.port}"


def _optional(kind: Callable[[str], _Value], value: object) -> _Value | None:
    return None if value in (None, "") else kind(str(value))


def _as_text(kind: Callable[[str], object]) -> Callable[[str], str]:
    """Return what checks a text as `kind` does, and leaves it a text."""

    def check(text: str) -> str:
        kind(text)
        return text

    return check


def _number(low: float, high: float, what: str) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what} from {low:g} to {high:.0f}")
        return number

    return convert


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > 20 or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return convert


_seconds: Final = _number(0, 3600, "seconds")
_rate: Final = _number(0.01, 1_000_000, "requests per second")


def _rates(text: str) -> tuple[float, ...]:
    return tuple(_rate(part) for part in text.split(","))


message_size: Final = _whole(MIN_SIZE, MAX_SIZE)
_clients: Final = _whole(1, 100_000)
_port: Final = _whole(0, 65535)
users: Final = _whole(0, MAX_USERS)
spawn_rate: Final = _number(0.001, MAX_USERS, "users per second")


def _names(text: str) -> str:
    try:
        names(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _writable(text: str) -> str:
    folder = Path(text).resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: its folder is missing or read-only")
    return text
