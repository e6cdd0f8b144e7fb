"""Failures before a server is ready: it prints one line, and not that it is ready."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers.variants import VARIANTS
from tests.support.alive import alive
from tests.support.processes import ROOT
from tests.support.servers import PATIENCE, Model, Server, command_line, environment


def refusal(*arguments: str, prefix: tuple[str, ...] = (), **extra: str) -> str:
    """Return the one line of a server that does not start."""
    done = subprocess.run(
        [*prefix, *command_line(*arguments)],
        cwd=ROOT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


@pytest.mark.parametrize("variant", ["asyncio", "protocol", "prefork"])
@pytest.mark.parametrize("loop", ["uvloop", "rloop"])
def test_without_a_loop_it_says_what_to_do(tmp_path: Path, variant: str, loop: str) -> None:
    (tmp_path / f"{loop}.py").write_text("raise ImportError")
    line = refusal(variant, "--loop", loop, "--port", "0", "--metrics-port", "0", PYTHONPATH=str(tmp_path))
    told = f"{loop} is not installed; install it (python -m pip install {loop}), or choose --loop asyncio"
    assert line == f"python -m servers: {told}\n"


def test_missing_packages_name_the_right_environment() -> None:
    bare = [sys.executable, "-S", "-m", "servers", "asyncio"]
    done = subprocess.run(
        bare, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    told = "python -m servers: this Python lacks prometheus-client; run make local, then use .venv/bin/python\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: str(kind.name))
def test_a_signal_while_it_imports_is_no_crash(tmp_path: Path, kind: signal.Signals) -> None:
    """The imports take most of the start."""
    (tmp_path / "prometheus_client.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)")
    with subprocess.Popen(
        command_line("single", "--port", "0", "--metrics-port", "0"),
        cwd=ROOT,
        env=environment(PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == b"importing\n"
        starting.send_signal(kind)
        assert starting.communicate(timeout=PATIENCE) == (b"", b"")
        assert starting.returncode == -kind


def test_a_signal_at_any_start_moment_ends_quietly(model: Model) -> None:
    """The moments are drawn from the time that starting takes."""
    began = time.monotonic()
    with Server(model):
        takes = time.monotonic() - began
    luck = random.Random(5)
    for _ in range(10):
        with subprocess.Popen(
            model.command("--port", "0", "--metrics-port", "0"),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as starting:
            time.sleep(luck.uniform(0.3, 1.1) * takes)
            starting.terminate()
            _, said = starting.communicate(timeout=PATIENCE)
            assert said == b""
            assert starting.returncode in {0, -signal.SIGTERM}


def test_a_killed_server_restarts_on_its_ports(model: Model) -> None:
    with Server(model) as first:
        port, metrics = str(first.address[1]), str(first.metrics_port)
        left = first.client()
        left.ask(b"ECHO in\n", b"OK in\n")
        first.terminate(signal.SIGKILL)
        first.ended(status=-signal.SIGKILL)
    began = time.monotonic()
    with Server(model, "--port", port, "--metrics-port", metrics) as again:
        assert time.monotonic() - began < 5
        assert again.address == first.address
        left.close()
        alive(again)


@pytest.mark.parametrize("variant", [variant.name for variant in VARIANTS])
@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
def test_a_port_in_use_is_told_with_advice(variant: str, option: str) -> None:
    other = "--port" if option == "--metrics-port" else "--metrics-port"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal(variant, option, port, other, "0")
    assert f"127.0.0.1:{port} (Address already in use); choose another {option}" in line


@pytest.fixture(scope="module")
def unprivileged() -> tuple[str, ...]:
    """Return a command prefix that forbids ports under 1024, also for root and in containers."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    prefix: tuple[str, ...] = ()
    if first.exists() and int(first.read_text()) <= 80:
        prefix = ("unshare", "--net")  # a new network namespace has the kernel's defaults
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            pytest.skip("here every user may use every port, and no new network namespace can be made")
    if os.geteuid() == 0:
        prefix += ("setpriv", "--bounding-set=-net_bind_service")
    return prefix


@pytest.mark.parametrize("variant", [variant.name for variant in VARIANTS])
@pytest.mark.parametrize("option", ["", "metrics-"])
def test_a_forbidden_port_is_told_with_advice(variant: str, option: str, unprivileged: tuple[str, ...]) -> None:
    other = "--port" if option else "--metrics-port"
    where = (f"--{option}host", "0.0.0.0", f"--{option}port", "80")
    other_host = "--host" if option else "--metrics-host"
    line = refusal(variant, *where, other_host, "0.0.0.0", other, "0", prefix=unprivileged)
    assert f"0.0.0.0:80 (Permission denied); choose another --{option}port" in line


@pytest.mark.parametrize("variant", [variant.name for variant in VARIANTS])
def test_a_server_that_cannot_report_ready_says_why(variant: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command_line(variant, "--port", "0", "--metrics-port", "0"),
            cwd=ROOT,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        b"python -m servers: cannot write to stdout that it is ready (No space left on device);"
        b" redirect stdout to where it can be written\n"
    )


@pytest.mark.parametrize("option", ["--host", "--metrics-host"])
@pytest.mark.parametrize(
    "host", ["no.such.host.invalid", "192.0.2.1", "a..b", "x" * 70], ids=["unknown", "elsewhere", "empty part", "long"]
)
def test_a_bad_address_is_told_by_its_option(option: str, host: str) -> None:
    line = refusal("single", "--port", "0", "--metrics-port", "0", option, host)
    assert host in line
    assert f"choose another {option}" in line


@pytest.mark.parametrize(
    ("descriptors", "options", "said"),
    [
        (128, (), "128 descriptors are too few for a server; raise the limit with ulimit -n"),
        (
            160,
            ("--max-connections", "33"),
            "--max-connections 33 needs more than 160 descriptors; raise ulimit -n, or ask for 32",
        ),
    ],
)
def test_too_few_descriptors_are_told_with_advice(descriptors: int, options: tuple[str, ...], said: str) -> None:
    limited = ("bash", "-c", f'ulimit -n {descriptors}; exec "$@"', "limited")
    line = refusal("threaded", "--port", "0", "--metrics-port", "0", *options, prefix=limited)
    assert line == f"python -m servers: {said}\n"
