"""What a user may set for a load run: Locust options, each with a twin in the environment."""

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest.scenarios import DEFAULT, MAX_SIZE, MIN_SIZE, SCENARIOS, Scenario
from loadtest.shapes import SHAPES
from servers.variants import Variant

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

PORT: Final = 9104
"""Default port of the load's /metrics."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Settings of one run.

    scenario: tuned as asked. rate: requests per second in total, in the open model; None in the closed one. warmup:
    seconds whose figures are thrown away. result: where the JSON goes, if anywhere.
    """

    scenario: Scenario
    rate: float | None
    warmup: float
    result: Path | None


def add_options(parser: "LocustArgumentParser") -> None:
    """Add the lab's options to Locust's parser. Those about the run appear in the web UI too."""

    def option(name: str, kind: Callable[[str], Any], default: object, text: str, **more: object) -> None:
        variable = "TCPLAB_" + name.removeprefix("--").replace("-", "_").upper()
        if not os.environ.get(variable, "-").strip():
            del os.environ[variable]  # Compose passes what is not set as an empty string
        parser.add_argument(name, type=kind, default=default, env_var=variable, help=text, **more)

    option("--scenario", str, DEFAULT, "what the clients do", choices=list(SCENARIOS))
    option("--think", _seconds, None, "mean seconds between a reply and the next request (scenario's own)")
    option("--rate", _rate, None, "requests per second in total, due whether or not the servers keep up (open model)")
    option("--size", _size, 64, "bytes of a message")
    option("--warmup", _seconds, 0.0, "seconds at the start whose figures are thrown away")
    option(
        "--shape", str, "none", "how the clients change over time", choices=["none", *SHAPES], include_in_web_ui=False
    )
    option("--result", _writable, None, "file for the run's result, as JSON", include_in_web_ui=False)
    option("--clients", _clients, 30, "clients per variant, unless -u is given", include_in_web_ui=False)
    option("--exporter-host", str, "127.0.0.1", "address to serve the load's /metrics on", include_in_web_ui=False)
    option("--exporter-port", _port, PORT, "its port; 0 picks a free one", include_in_web_ui=False)


def read(options: Mapping[str, Any]) -> Settings:
    """
    Return the settings of a run.

    The values may be strings, for so the web UI leaves them. ValueError, with a line to show, if one is bad.
    """
    name = options["scenario"]
    if name not in SCENARIOS:
        raise ValueError(f"the scenario is {name!r}; choose from {', '.join(SCENARIOS)}")
    try:
        think = _optional_seconds(options.get("think"))
        rate = options.get("rate") or None
        rate = None if rate is None else _rate(str(rate))
        warmup = _optional_seconds(options.get("warmup")) or 0.0
        size = int(options["size"])
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise ValueError(f"think, rate, warmup and size are numbers: {error}") from None
    result = options.get("result")
    scenario = SCENARIOS[name].tuned(think=think, size=size, paced=rate is not None)
    return Settings(scenario, rate, warmup, Path(result) if result else None)


def target(variant: Variant, environment: Mapping[str, str] = os.environ) -> str:
    """Return "host:port" of a variant: TCPLAB_<NAME>, or its port on loopback."""
    return environment.get(f"TCPLAB_{variant.name.upper()}") or f"127.0.0.1:{variant.port}"


def _optional_seconds(value: object) -> float | None:
    return None if value in (None, "") else _seconds(str(value))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.01 <= rate <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests per second from 0.01 to 1000000")
    return rate


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return convert


_size: Final = _whole(MIN_SIZE, MAX_SIZE)
_clients: Final = _whole(1, 100_000)
_port: Final = _whole(0, 65535)


def _writable(text: str) -> str:
    folder = Path(text).resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: its folder is missing or read-only")
    return text
