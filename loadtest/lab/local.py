"""The lab without Docker: the servers on their usual ports, and Locust with its web UI, until Ctrl-C."""

import argparse
import os
import socket
import sys
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import psutil

from loadtest.lab import streams
from loadtest.lab.processes import (
    READY,
    Child,
    ChildFailedError,
    Children,
    Interrupt,
    python_environment,
    say,
    supervise,
)
from loadtest.settings import AUTO
from loadtest.settings import PORT as LOAD_METRICS_PORT
from servers.variants import DEFAULT, Variant

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"

READY_WITHIN = 20.0
"""Seconds until a child must be ready."""

LOOK_EVERY = 0.2
"""Seconds between two checks of the children."""


class Lab(NamedTuple):
    """What runs, and on which loopback ports. web, load_metrics: Locust's web UI and the load's /metrics."""

    variants: tuple[Variant, ...] = DEFAULT
    web: int = 8089
    load_metrics: int = LOAD_METRICS_PORT


def cannot_listen(host: str, port: int) -> str:
    """Return the system's reason why no process can listen on this address; "" if one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # like servers: old connections don't matter
        try:
            trial.bind((host, port))
            trial.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _holder(port: int) -> str:
    """Return the process that listens on `port`, in words; "" if unknown."""
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f" by {psutil.Process(each.pid).name()} (process {each.pid})"
    return ""


def main(lab: Lab) -> int:
    """Run the lab until it ends or is interrupted; return the exit status."""
    streams.prepare()
    wanted = {lab.web: "Locust's web UI", lab.load_metrics: "the load's metrics"}
    for each in lab.variants:
        wanted |= {each.port: f"the {each.name} server", each.metrics_port: f"the {each.name} server's metrics"}
    for port, user in wanted.items():
        if cannot_listen(HOST, port):
            sys.stderr.write(
                f"tcplab local: port {port}, for {user}, is in use{_holder(port)}; end that process first"
                " (a lab in Docker: docker compose down)\n"
            )
            return 2
    return supervise("tcplab local", "Ending the load, then the servers", partial(_run, lab))


def start_servers(
    variants: Iterable[Variant], host: str, children: Children, folder: Path, interrupt: Interrupt
) -> list[Child]:
    """Start a server for each variant on its usual ports of `host`; return them once all are ready."""
    servers = []
    for each in variants:
        serving = ("--host", host, "--port", str(each.port))
        metrics = ("--metrics-host", host, "--metrics-port", str(each.metrics_port))
        command = [sys.executable, "-m", "servers", each.name, *serving, *metrics]
        server = Child(f"{each.name}-server", command, folder, cwd=ROOT, env=python_environment())
        servers.append(children.add(server))
    for server in servers:
        server.wait_for_line(READY, READY_WITHIN, interrupt)
    return servers


def _run(lab: Lab, children: Children, folder: Path, interrupt: Interrupt) -> NoReturn:
    servers = start_servers(lab.variants, HOST, children, folder, interrupt)
    # The environment's targets may be another lab's.
    targets = {f"TCPLAB_{each.name.upper()}": f"{HOST}:{each.port}" for each in lab.variants}
    environment = python_environment(**targets, TCPLAB_SHAPE=os.environ.get("TCPLAB_SHAPE") or AUTO)
    command = (
        *(sys.executable, "-m", "locust", "--locustfile", "loadtest/locustfile.py"),
        *("--web-host", HOST, "--web-port", str(lab.web), "--autostart", "--class-picker"),
        *("--exporter-host", HOST, "--exporter-port", str(lab.load_metrics)),
    )
    load = children.add(Child("locust", command, folder, cwd=ROOT, env=environment))
    _wait_for_port(lab.web, load, interrupt)
    say(
        "The lab runs, under load. Ctrl-C ends it.\n\n"
        f"  Locust's web UI      http://{HOST}:{lab.web}\n"
        f"  the load's metrics   http://{HOST}:{lab.load_metrics}/metrics"
    )
    for each in lab.variants:
        metrics = f"http://{HOST}:{each.metrics_port}/metrics"
        say(f"  {each.name:9} server     nc {HOST} {each.port}    its metrics: {metrics}")
    say(f"\nTry: printf 'ECHO hi\\nQUIT\\n' | nc {HOST} {lab.variants[-1].port}")
    watch((load, *servers), interrupt)


def _wait_for_port(port: int, child: Child, interrupt: Interrupt) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        child.check()
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise ChildFailedError(f"{child.name} does not answer on port {port}: {child.tail()}")
        interrupt.sleep(0.05)


def watch(children: Collection[Child], interrupt: Interrupt) -> NoReturn:
    """Watch children until one ends (ChildFailedError), or the user interrupts (InterruptedByUserError)."""
    while True:
        for child in children:
            child.check()
        interrupt.sleep(LOOK_EVERY)


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m loadtest.lab.local", description="The servers, and Locust with its web UI, until Ctrl-C."
    ).parse_args()
    sys.exit(main(Lab()))
