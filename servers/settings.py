"""A server's options: from the command line, else from TCPLAB_... in the environment."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from servers.metrics.process import usable_cores
from servers.session import Deadlines
from servers.variants import VARIANTS, Variant, by_name

RESERVED_DESCRIPTORS: Final = 128
"""Descriptors kept for other uses than clients: listening sockets, scrapes, refused clients that still linger."""

MAX_CONNECTIONS: Final = 10_000

LOOPS: Final = ("uvloop", "asyncio", "rloop")
"""The event loops; asyncio is the standard library's, the others are packages of that name."""

OWN: Final = frozenset(name for variant in VARIANTS for name in variant.options)
"""The options that only some variants have."""


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One server's settings.

    host, port, metrics_host, metrics_port: where it listens; port 0 picks a free one.
    backlog: length of the accept queue. max_connections: clients served at once; None: as many as the descriptors
    allow, 10,000 at most. deadlines, grace: seconds. loop: one of LOOPS. switch_interval: seconds that a
    thread may keep the GIL while others wait for it. own: the variant's own options, by name.
    """

    variant: Variant
    host: str
    port: int
    metrics_host: str
    metrics_port: int
    backlog: int
    max_connections: int | None
    deadlines: Deadlines
    grace: float
    loop: str
    switch_interval: float
    own: Mapping[str, Any]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print the error in one line and exit with status 2."""
        print(f"{self.prog}: {message} (see --help)", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; a bad one prints a line on stderr and exits with status 2."""
    parser = _parser()
    _take_environment(parser, environment)
    options = parser.parse_args(arguments)
    variant = by_name(options.variant)
    if options.loop is not None and variant.connection == "blocking":
        parser.error(f"--loop chooses asyncio's event loop; {variant.name} has none")
    for name in OWN:
        if getattr(options, name) is not None and name not in variant.options:
            having = ", ".join(each.name for each in VARIANTS if name in each.options)
            parser.error(f"--{name} is for {having} only")
    return Settings(
        variant=variant,
        host=options.host,
        port=variant.port if options.port is None else options.port,
        metrics_host=options.metrics_host,
        metrics_port=variant.metrics_port if options.metrics_port is None else options.metrics_port,
        backlog=options.backlog,
        max_connections=options.max_connections,
        deadlines=Deadlines(options.idle_deadline, options.line_deadline, options.write_deadline),
        grace=options.grace,
        loop=options.loop or options.default_loop,
        switch_interval=options.switch_interval,
        own={name: getattr(options, name) or getattr(options, f"default_{name}") for name in variant.options},
    )


def _parser() -> argparse.ArgumentParser:
    ports = ", ".join(f"{v.name} {v.port}/{v.metrics_port}" for v in VARIANTS)
    parser = _Parser(
        prog="python -m servers",
        allow_abbrev=False,
        description="Serve the lab's wire protocol over TCP with one concurrency model.",
        epilog="Each option can also be set in the environment, as TCPLAB_PORT and so on. Default ports: " + ports,
    )
    parser.add_argument("variant", choices=[v.name for v in VARIANTS], help="the concurrency model")

    def option(name: str, kind: Callable[[str], Any], default: object, text: str) -> None:
        parser.add_argument(name, type=kind, default=default, metavar=name.rpartition("-")[2].upper(), help=text)

    option("--host", str, "127.0.0.1", "address to serve on (%(default)s)")
    option("--port", _whole(0, 65535), None, "TCP port; 0 picks a free one")
    option("--metrics-host", str, "127.0.0.1", "address to serve /metrics on (%(default)s)")
    option("--metrics-port", _whole(0, 65535), None, "port of /metrics; 0 picks a free one")
    option("--backlog", _whole(1, 65535), 1024, "length of the accept queue (%(default)s)")
    option("--max-connections", _whole(1, 1_000_000), None, "clients served at once; more are refused (10000)")
    option("--idle-deadline", _seconds(0.01), 300.0, "seconds a client may stay silent (%(default)g)")
    option("--line-deadline", _seconds(0.01), 30.0, "seconds from a line's first byte to its end (%(default)g)")
    option("--write-deadline", _seconds(0.01), 30.0, "seconds a client may leave replies unread (%(default)g)")
    option("--grace", _seconds(0.01), 5.0, "seconds to finish what has begun after SIGTERM (%(default)g)")
    text = "seconds that a thread may keep the GIL while others wait (%(default)g)"
    option("--switch-interval", _seconds(1e-6), sys.getswitchinterval(), text)
    loops = ", ".join(each.name for each in VARIANTS if each.connection != "blocking")
    parser.add_argument("--loop", choices=LOOPS, help=f"event loop, for {loops} (uvloop)")
    option("--threads", _whole(1, 10_000), None, "threads that serve, for pool (32)")
    option("--workers", _whole(1, 1024), None, "processes that serve, for prefork (the cores it may use)")
    parser.add_argument(
        "--listen", choices=["shared", "reuseport"], help="listening sockets of prefork: one, or one a worker (shared)"
    )
    parser.set_defaults(
        default_loop="uvloop", default_threads=32, default_workers=usable_cores(), default_listen="shared"
    )
    return parser


def _take_environment(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Replace the defaults by the environment's values; an error names the variable."""
    for action in parser._actions:  # argparse has no public way to list them
        name = "TCPLAB_" + action.dest.upper()
        value = environment.get(name)
        if not action.option_strings or not value or action.dest == "help":
            continue
        if action.choices is not None and value not in action.choices:
            parser.error(f"{name}={value}: choose from {', '.join(action.choices)}")
        try:
            parsed = action.type(value) if callable(action.type) else value
        except argparse.ArgumentTypeError as error:
            parser.error(f"{name}: {error}")
        # TCPLAB_LOOP may be set for all servers, so it is no error for the variants without an event loop; as with OWN.
        own = action.dest == "loop" or action.dest in OWN
        parser.set_defaults(**{f"default_{action.dest}" if own else action.dest: parsed})


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return convert


def _seconds(low: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not low <= seconds <= 86_400:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {low:g} to 86400")
        return seconds

    return convert
