"""What can go wrong before a server is ready: it says so in one line, and does not say that it is ready."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.contract.lab import PATIENCE, ROOT, command_line, environment


def refusal(*arguments: str, prefix: tuple[str, ...] = (), **extra: str) -> str:
    """Return the one line that a server says which does not start."""
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


@pytest.mark.parametrize("variant", ["asyncio", "protocol"])
def test_without_uvloop_it_names_the_other_loop(tmp_path: Path, variant: str) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError")
    line = refusal(variant, "--port", "0", "--metrics-port", "0", PYTHONPATH=str(tmp_path))
    assert line == "python -m servers: uvloop is not installed; install it, or choose --loop asyncio\n"


def test_an_interrupt_while_it_starts_is_no_crash(tmp_path: Path) -> None:
    """It is met in the imports, where it spends most of that time."""
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
        starting.send_signal(signal.SIGINT)
        assert starting.communicate(timeout=PATIENCE) == (b"", b"")
        assert starting.returncode == -signal.SIGINT


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
            "--max-connections 33 needs more descriptors than 160; raise ulimit -n, or ask for 32",
        ),
    ],
)
def test_too_few_descriptors_are_told_with_what_to_do(descriptors: int, options: tuple[str, ...], said: str) -> None:
    limited = ("bash", "-c", f'ulimit -n {descriptors}; exec "$@"', "limited")
    line = refusal("threaded", "--port", "0", "--metrics-port", "0", *options, prefix=limited)
    assert line == f"python -m servers: {said}\n"
