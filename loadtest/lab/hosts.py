"""
One part of the lab on a machine, without Docker: the servers, the load's master, or load processes that join it.

    python -m loadtest.lab.hosts servers --servers 10.0.0.5
    python -m loadtest.lab.hosts master  --servers 10.0.0.5 --master 10.0.0.2
    python -m loadtest.lab.hosts workers --servers 10.0.0.5 --master 10.0.0.2 --number 4

Use the same addresses on every machine. There are no defaults, because a load process that used loopback would load
another server than the rest. TCPLAB_SERVERS and TCPLAB_MASTER set the options, too.
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from loadtest.lab.local import HOST, LOOK_EVERY, ROOT, cannot_listen, start_servers, watch
from loadtest.lab.processes import Child, Children, Interrupt, describe, python_environment, say, supervise
from loadtest.settings import JOINED
from servers.variants import DEFAULT

MASTER_PORT: Final = 5557
"""The port on which Locust's master listens for load processes."""

_LOCUST: Final = (sys.executable, "-m", "locust", "--locustfile", str(ROOT / "loadtest" / "locustfile.py"))


def main(arguments: Sequence[str]) -> int:
    """Run the part of the lab that the arguments name; return the exit status."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = _parser().parse_args(arguments[:end])
    options.locust = arguments[end + 1 :]
    lacking = [name for name in NEEDS[options.part] if not getattr(options, name)]
    if lacking:
        return _fail(
            f"say where the {lacking[0]} {_VERBS[lacking[0]]}: --{lacking[0]} ADDRESS, or TCPLAB_{lacking[0].upper()}"
        )
    return PARTS[options.part](options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.lab.hosts",
        description="Runs one part of the lab on this machine, without Docker.",
        epilog="Options after -- go to Locust: master ... -- --headless --run-time 60s --expect-workers 8",
    )
    parser.add_argument("part", choices=list(PARTS), help="the part to run here")
    for name, text in (("servers", "address of the servers' machine"), ("master", "address of the load's master")):
        parser.add_argument(
            f"--{name}", metavar="ADDRESS", default=os.environ.get(f"TCPLAB_{name.upper()}", ""), help=text
        )
    parser.add_argument(
        "--number", type=int, default=len(os.sched_getaffinity(0)), help="load processes to start (default: one a core)"
    )
    return parser


def _fail(line: str) -> int:
    sys.stderr.write(f"tcplab hosts: {line}\n")
    return 2


def _environment(options: argparse.Namespace) -> dict[str, str]:
    return python_environment(TCPLAB_SERVERS=options.servers)


def _servers(options: argparse.Namespace) -> int:
    for variant in DEFAULT:
        for port in (variant.port, variant.metrics_port):
            if why := cannot_listen(options.servers, port):
                return _fail(f"cannot listen on {options.servers}, port {port}, for the {variant.name} server: {why}")

    def run(children: Children, folder: Path, interrupt: Interrupt) -> NoReturn:
        servers = start_servers(DEFAULT, options.servers, children, folder, interrupt)
        ports = ", ".join(f"{each.name} {each.port} (metrics {each.metrics_port})" for each in DEFAULT)
        say(f"The servers run on {options.servers}: {ports}. Ctrl-C ends them.")
        watch(servers, interrupt)

    return supervise("tcplab hosts", "Ending the servers", run)


def _master(options: argparse.Namespace) -> int:
    """Replace this process by the master; return only on failure."""
    why = cannot_listen(options.master, MASTER_PORT)
    if not why:
        bind = ("--master", "--master-bind-host", options.master, "--master-bind-port", str(MASTER_PORT))
        web = () if "--headless" in options.locust else ("--web-host", HOST, "--autostart", "--class-picker")
        os.execve(sys.executable, [*_LOCUST, *bind, *web, *options.locust], _environment(options))  # noqa: S606
    return _fail(f"cannot listen on {options.master}, port {MASTER_PORT}, for load processes: {why}")


def _workers(options: argparse.Namespace) -> int:
    if options.number < 1:
        return _fail(f"{options.number} load processes are too few; give --number from 1")
    try:
        socket.getaddrinfo(options.master, MASTER_PORT, proto=socket.IPPROTO_TCP)
    except OSError as error:
        return _fail(f"the master's address {options.master!r} is unknown: {error.strerror}")
    return supervise("tcplab hosts", "Ending the load processes", partial(_run_workers, options))


def _run_workers(options: argparse.Namespace, children: Children, folder: Path, interrupt: Interrupt) -> int:
    """Run load processes until all have ended."""
    join = (*_LOCUST, "--worker", "--master-host", options.master, "--master-port", str(MASTER_PORT), *options.locust)
    running = [
        children.add(Child(f"worker-{number}", join, folder, cwd=ROOT, env=_environment(options)))
        for number in range(1, options.number + 1)
    ]
    say(
        f"{options.number} load process(es) join the master at {options.master}:{MASTER_PORT}; they wait five minutes"
        " for it to start. Ctrl-C ends them."
    )
    joined: set[str] = set()
    printed: set[str] = set()
    failed = False
    while running:
        interrupt.sleep(LOOK_EVERY)
        connected = {each.name for each in running if JOINED in each.err.read_text(errors="replace")}
        if connected - joined:
            joined |= connected
            say(f"{len(joined)} of {options.number} have joined the master.")
        for child in [each for each in running if each.status() is not None]:
            running.remove(child)
            failed |= _report_end(child, printed)
    return 1 if failed else 0


def _report_end(child: Child, printed: set[str]) -> bool:
    """Print how a load process ended, each last line once. Return whether it failed."""
    status = child.status()
    if not status:
        say(f"{child.name} ended, because the master ended.")
        return False
    line = child.tail(lines=1)
    if line not in printed:
        printed.add(line)
        sys.stderr.write(f"tcplab hosts: {child.name} ended by itself, {describe(status)}: {line}\n")
    return True


PARTS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "servers": _servers,
    "master": _master,
    "workers": _workers,
}
NEEDS: Final = {"servers": ("servers",), "master": ("servers", "master"), "workers": ("servers", "master")}
"""The addresses that each part needs."""

_VERBS: Final = {"servers": "are", "master": "is"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
