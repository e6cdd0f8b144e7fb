"""The lab without Docker: the three servers on their usual ports, and Locust with its web UI, until Ctrl-C."""

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.processes import (
    INTERRUPTED,
    READY,
    Child,
    ChildFailedError,
    Children,
    Interrupt,
    InterruptedByUserError,
    python_environment,
)
from loadtest.settings import PORT as LOAD_METRICS_PORT
from servers.variants import VARIANTS, Variant

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
WEB_PORT = 8089

_READY_WITHIN = 20.0
_LOOK_EVERY = 0.2


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port of loopback, and who of us wants it."""

    number: int
    user: str


def ports(variants: Iterable[Variant] = VARIANTS) -> list[Port]:
    """Return every port that the lab listens on."""
    wanted = [Port(WEB_PORT, "Locust's web UI"), Port(LOAD_METRICS_PORT, "the load's metrics")]
    for variant in variants:
        wanted += [
            Port(variant.port, f"the {variant.name} server"),
            Port(variant.metrics_port, f"the {variant.name} server's metrics"),
        ]
    return wanted


def taken(wanted: Iterable[Port]) -> list[Port]:
    """Return those ports that cannot be listened on now."""
    return [port for port in wanted if not _free(port.number)]


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: past connections don't count
        try:
            trial.bind((HOST, port))
            trial.listen(1)
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """Return who listens on `port`, in words; "" if the system does not tell us."""
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f" by {psutil.Process(each.pid).name()} (process {each.pid})"
    return ""


def server_command(variant: Variant) -> list[str]:
    """Return the command that starts `variant` on its usual ports of loopback."""
    serving = ["--host", HOST, "--port", str(variant.port)]
    metrics = ["--metrics-host", HOST, "--metrics-port", str(variant.metrics_port)]
    return [sys.executable, "-m", "servers", variant.name, *serving, *metrics]


def load_command() -> list[str]:
    """Return the command that starts Locust with its web UI and lets it begin at once, with its default load."""
    return [
        *(sys.executable, "-m", "locust", "--locustfile", "loadtest/locustfile.py"),
        *("--web-host", HOST, "--web-port", str(WEB_PORT), "--autostart"),
        *("--exporter-host", HOST, "--exporter-port", str(LOAD_METRICS_PORT)),
    ]


def main() -> int:
    """Run the lab until somebody or something ends it; return the exit status."""
    for port in taken(ports()):
        sys.stderr.write(
            f"tcplab local: port {port.number}, for {port.user}, is in use{_holder(port.number)}; end that first"
            " (a lab in Docker: docker compose down)\n"
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="tcplab-") as folder:
        return _run(Path(folder))


def _run(folder: Path) -> int:
    with Children() as children, Interrupt(children) as interrupt:
        servers: list[Child] = []
        try:
            for variant in VARIANTS:
                command = server_command(variant)
                child = Child(f"{variant.name}-server", command, folder, cwd=ROOT, env=python_environment())
                servers.append(children.add(child))
            for server in servers:
                server.wait_for_line(READY, _READY_WITHIN, interrupt)
            load = children.add(Child("locust", load_command(), folder, cwd=ROOT, env=_load_environment()))
            _wait_for_port(WEB_PORT, load, interrupt)
            _say(where_to_look())
            while True:
                for child in (load, *servers):
                    child.check()
                interrupt.sleep(_LOOK_EVERY)
        except ChildFailedError as error:
            sys.stderr.write(f"tcplab local: {error}\ntcplab local: ending the others\n")
            return 1
        except InterruptedByUserError:
            _say("\nEnding the load, then the servers (Ctrl-C again kills them) ...")
            return INTERRUPTED
        finally:
            children.end()


def _load_environment() -> dict[str, str]:
    """Return Locust's environment; targets meant for another lab do not count here."""
    targets = {f"TCPLAB_{variant.name.upper()}": f"{HOST}:{variant.port}" for variant in VARIANTS}
    return python_environment(**targets)


def _wait_for_port(port: int, child: Child, interrupt: Interrupt) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        child.check()
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise ChildFailedError(f"{child.name} does not answer on port {port}: {child.tail()}")
        interrupt.sleep(0.05)


def where_to_look() -> str:
    """Return what a user reads once the lab runs."""
    lines = [
        "The lab runs, under load. Ctrl-C ends it.",
        "",
        f"  Locust's web UI      http://{HOST}:{WEB_PORT}",
        f"  the load's metrics   http://{HOST}:{LOAD_METRICS_PORT}/metrics",
    ]
    for variant in VARIANTS:
        metrics = f"http://{HOST}:{variant.metrics_port}/metrics"
        lines.append(f"  {variant.name:9} server     nc {HOST} {variant.port}    its metrics: {metrics}")
    example = VARIANTS[-1]
    return "\n".join([*lines, "", f"Try: printf 'ECHO hi\\nQUIT\\n' | nc {HOST} {example.port}"])


def _say(text: str) -> None:
    """Print now; a terminal that was closed is no reason to leave processes behind."""
    with suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m loadtest.local", description="The three servers, and Locust with its web UI, until Ctrl-C."
    ).parse_args()
    sys.exit(main())
