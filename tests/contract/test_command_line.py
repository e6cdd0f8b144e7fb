"""Options and the environment: an error is one line, with status 2."""

import subprocess

import pytest

from servers.variants import VARIANTS
from tests.support.fixtures import Launch
from tests.support.processes import ROOT
from tests.support.servers import MODELS, PATIENCE, Model, command_line, environment

OPTIONS = [
    "--host",
    "--port",
    "--metrics-host",
    "--metrics-port",
    "--backlog",
    "--max-connections",
    "--idle-deadline",
    "--line-deadline",
    "--write-deadline",
    "--grace",
    "--switch-interval",
    "--loop",
    "--threads",
    "--workers",
    "--listen",
]


def run(*arguments: str, **extra: str) -> tuple[int, str, str]:
    """Run a server that must not start; return its status, stdout and stderr."""
    done = subprocess.run(
        command_line(*arguments),
        cwd=ROOT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["nonsense"],
            "invalid choice: 'nonsense' (choose from 'single', 'threaded', 'asyncio', 'protocol', 'pool', 'prefork')",
        ),
        (["single", "--port", "70000"], "--port: '70000' is not a whole number from 0 to 65535"),
        (["single", "--port", "x"], "--port: 'x' is not a whole number"),
        (["single", "--metrics-port", "-1"], "--metrics-port"),
        (["single", "--backlog", "0"], "--backlog: '0' is not a whole number from 1 to 65535"),
        (["single", "--max-connections", "0"], "--max-connections: '0' is not a whole number"),
        (["threaded", "--max-connections", "999999999"], "--max-connections"),
        (["single", "--idle-deadline", "never"], "--idle-deadline: 'never' is not a number of seconds"),
        (["single", "--line-deadline", "0"], "--line-deadline: '0' is not a number of seconds"),
        (["single", "--write-deadline", "nan"], "--write-deadline: 'nan' is not a number of seconds"),
        (["single", "--grace", "-1"], "--grace"),
        (["asyncio", "--loop", "trio"], "--loop: invalid choice: 'trio'"),
        (["single", "--loop", "uvloop"], "--loop chooses asyncio's event loop; single has none"),
        (["threaded", "--loop", "asyncio"], "--loop chooses asyncio's event loop; threaded has none"),
        (["pool", "--threads", "0"], "--threads: '0' is not a whole number from 1 to 10000"),
        (["threaded", "--threads", "4"], "--threads is for pool only"),
        (["prefork", "--workers", "0"], "--workers: '0' is not a whole number from 1 to 1024"),
        (["prefork", "--listen", "both"], "--listen: invalid choice: 'both' (choose from 'shared', 'reuseport')"),
        (["asyncio", "--workers", "2"], "--workers is for prefork only"),
        (["single", "--listen", "reuseport"], "--listen is for prefork only"),
        (["single", "--colour", "red"], "unrecognized arguments: --colour red"),
        (["single", "--host", "no.such.host.invalid"], "cannot serve on no.such.host.invalid:9001"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_told_in_a_line(arguments: list[str], says: str) -> None:
    status, out, error = run(*arguments)
    assert (status, out) == (2, "")
    assert says.replace("'", "") in error.replace("'", "")
    assert error.count("\n") == 1
    assert error.endswith("\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [("TCPLAB_PORT", "x"), ("TCPLAB_GRACE", "soon"), ("TCPLAB_LOOP", "trio"), ("TCPLAB_MAX_CONNECTIONS", "-5")],
)
def test_a_bad_environment_value_is_named(name: str, value: str) -> None:
    status, out, error = run("asyncio", **{name: value})
    assert (status, out) == (2, "")
    assert name in error
    assert error.count("\n") == 1


def test_help_names_every_option_and_every_port() -> None:
    status, out, error = run("--help")
    assert (status, error) == (0, "")
    assert [option for option in OPTIONS if option not in out] == []
    assert [v.name for v in VARIANTS if f"{v.name} {v.port}/{v.metrics_port}" not in " ".join(out.split())] == []


def test_the_environment_fills_in_the_command_line(launch: Launch) -> None:
    extra = {"TCPLAB_MAX_CONNECTIONS": "7", "TCPLAB_BACKLOG": "5", "TCPLAB_PORT": "1", "TCPLAB_LOOP": "asyncio"}
    seen = launch(MODELS[1], "--backlog", "9", environment_extra=extra).metrics()
    assert (seen("connections_limit"), seen("accept_queue_limit")) == (7, 9)


@pytest.mark.parametrize("model", [MODELS[1], next(each for each in MODELS if each.several_processes)], ids=str)
def test_the_switch_interval_is_set_and_exported(launch: Launch, model: Model) -> None:
    assert launch(model, *model.in_one_process).metrics()("switch_interval_seconds") == 0.005
    seen = launch(model, *model.in_one_process, "--switch-interval", "0.0005").metrics()
    assert seen("switch_interval_seconds") == 0.0005


def test_an_empty_variable_counts_as_not_set(launch: Launch) -> None:
    seen = launch(MODELS[0], environment_extra={"TCPLAB_BACKLOG": "", "TCPLAB_GRACE": ""}).metrics()
    assert seen("accept_queue_limit") == 1024


def test_says_one_line_when_it_is_ready(model: Model, launch: Launch) -> None:
    server = launch(model)
    port, metrics = server.address[1], server.metrics_url
    assert server.ready == f"{model.variant} ready: tcp 127.0.0.1:{port}, metrics {metrics}\n"
    assert metrics.endswith("/metrics")
