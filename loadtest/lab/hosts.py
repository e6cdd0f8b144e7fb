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
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from loadtest.lab import streams
from loadtest.lab.local import HOST, LOOK_EVERY, ROOT, cannot_listen, start_servers, watch
from loadtest.lab.processes import Child, Children, Interrupt, describe, python_environment, say, supervise
from loadtest.settings import JOINED
from servers.variants import DEFAULT

MASTER_PORT: Final = 5557
"""The port on which Locust's master listens for load processes."""

_LOCUST: Final = (sys.executable, "-m", "locust", "--locustfile", str(ROOT / "loadtest" / "locustfile.py"))


def main(arguments: Sequence[str]) -> int:
    """Run the part of the lab that the arguments name; return the exit status."""
    streams.prepare()
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.lab.hosts",
        description="Runs one part of the lab on this machine, without Docker.",
        epilog="Options after -- go to Locust: master ... -- --headless --run-time 60s --expect-workers 8",
    )
    parser.add_argument("part", choices=["servers", "master", "workers"], help="the part to run here")
    for name, text in (("servers", "address of the servers' machine"), ("master", "address of the load's master")):
        default = os.environ.get(f"TCPLAB_{name.upper()}", "")
        parser.add_argument(f"--{name}", metavar="ADDRESS", default=default, help=text)
    parser.add_argument(
        "--number", type=int, default=len(os.sched_getaffinity(0)), help="load processes to start (default: one a core)"
    )
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:end])
    options.locust = arguments[end + 1 :]
    if not options.servers:
        return _fail("say where the servers are: --servers ADDRESS, or TCPLAB_SERVERS")
    if options.part == "servers":
        return _servers(options)
    if not options.master:
        return _fail("say where the master is: --master ADDRESS, or TCPLAB_MASTER")
    return _master(options) if options.part == "master" else _workers(options)


def _fail(line: str) -> int:
    sys.stderr.write(f"tcplab hosts: {line}\n")
    return 2


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
        environment = python_environment(TCPLAB_SERVERS=options.servers)
        os.execve(sys.executable, [*_LOCUST, *bind, *web, *options.locust], environment)  # noqa: S606
    return _fail(f"cannot listen on {options.master}, port {MASTER_PORT}, for load processes: {why}")


def _workers(options: argparse.Namespace) -> int:
    if options.number < 1:
        return _fail(f"{options.number} load processes are too few; give --number from 1")
    try:
        socket.getaddrinfo(options.master, MASTER_PORT, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:  # the latter for a..b
        return _fail(f"the master's address {options.master!r} is unknown: {getattr(error, 'strerror', None) or error}")
    return supervise("tcplab hosts", "Ending the load processes", partial(_run_workers, options))


def _run_workers(options: argparse.Namespace, children: Children, folder: Path, interrupt: Interrupt) -> int:
    """Run load processes until all have ended."""
    join = (*_LOCUST, "--worker", "--master-host", options.master, "--master-port", str(MASTER_PORT), *options.locust)
    environment = python_environment(TCPLAB_SERVERS=options.servers)
    workers = [
        children.add(Child(f"worker-{number}", join, folder, cwd=ROOT, env=environment))
        for number in range(1, options.number + 1)
    ]
    say(
        f"{options.number} load process(es) join the master at {options.master}:{MASTER_PORT}; they wait five minutes"
        " for it to start. Ctrl-C ends them."
    )
    running, joined = workers.copy(), 0
    failures: set[str] = set()  # the last line of each that failed
    while running:
        interrupt.sleep(LOOK_EVERY)
        there = sum(JOINED in each.err.read_text(errors="replace") for each in workers)
        if there > joined:
            joined = there
            say(f"{joined} of {options.number} have joined the master.")
        for child in running.copy():
            status = child.status()
            if status is None:
                continue
            running.remove(child)
            line = child.tail(lines=1)
            if not status:
                say(f"{child.name} ended, because the master ended.")
            elif line not in failures:
                failures.add(line)
                sys.stderr.write(f"tcplab hosts: {child.name} ended by itself, {describe(status)}: {line}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
