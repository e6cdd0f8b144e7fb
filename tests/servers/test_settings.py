"""Settings: the command line, the environment, and one line that says what is wrong with them."""

import os

import pytest

from servers.session import Deadlines
from servers.settings import parse
from servers.variants import VARIANTS, Variant

NUMBERS = {
    "--port": "65535",
    "--metrics-port": "65535",
    "--backlog": "65535",
    "--max-connections": "1000000",
}
SECONDS = ("--idle-deadline", "--line-deadline", "--write-deadline", "--grace")


def twin(option: str) -> str:
    return "TCPLAB_" + option.removeprefix("--").replace("-", "_").upper()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: str(variant.name))
def test_the_defaults(variant: Variant) -> None:
    chosen = parse([variant.name], {})
    assert chosen.variant is variant
    assert (chosen.host, chosen.port) == ("127.0.0.1", variant.port)
    assert (chosen.metrics_host, chosen.metrics_port) == ("127.0.0.1", variant.metrics_port)
    assert (chosen.backlog, chosen.max_connections, chosen.grace) == (1024, None, 5.0)
    assert chosen.deadlines == Deadlines(idle=300.0, line=30.0, write=30.0, linger=1.0)
    assert chosen.loop == "uvloop"
    assert chosen.switch_interval == 0.005


@pytest.mark.parametrize(
    ("option", "value", "attribute", "expected"),
    [
        ("--host", "0.0.0.0", "host", "0.0.0.0"),
        ("--port", "0", "port", 0),
        ("--port", "4000", "port", 4000),
        ("--metrics-host", "::1", "metrics_host", "::1"),
        ("--metrics-port", "4001", "metrics_port", 4001),
        ("--backlog", "7", "backlog", 7),
        ("--max-connections", "8", "max_connections", 8),
        ("--grace", "0.25", "grace", 0.25),
        ("--switch-interval", "0.0005", "switch_interval", 0.0005),
        ("--loop", "asyncio", "loop", "asyncio"),
        ("--loop", "uvloop", "loop", "uvloop"),
        ("--loop", "rloop", "loop", "rloop"),
    ],
)
def test_each_option_and_its_twin_in_the_environment(option: str, value: str, attribute: str, expected: object) -> None:
    assert getattr(parse(["asyncio", option, value], {}), attribute) == expected
    assert getattr(parse(["asyncio"], {twin(option): value}), attribute) == expected


@pytest.mark.parametrize(
    ("option", "value", "expected"), [("--workers", "7", 7), ("--listen", "reuseport", "reuseport")]
)
def test_an_option_of_some_variants_only(option: str, value: str, expected: object) -> None:
    """In the environment it may be set for all servers."""
    name = option.removeprefix("--")
    assert parse(["prefork", option, value], {}).own[name] == expected
    assert parse(["prefork"], {twin(option): value}).own[name] == expected
    assert parse(["asyncio"], {twin(option): value}).own == {}


def test_prefork_has_a_worker_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert parse(["prefork"], {}).own == {"workers": 3, "listen": "shared"}


@pytest.mark.parametrize("name", ["idle", "line", "write"])
def test_each_deadline(name: str) -> None:
    option = f"--{name}-deadline"
    assert getattr(parse(["single", option, "1.5"], {}).deadlines, name) == 1.5
    assert getattr(parse(["single"], {twin(option): "1.5"}).deadlines, name) == 1.5


def test_the_command_line_wins() -> None:
    environment = {"TCPLAB_PORT": "1", "TCPLAB_GRACE": "2", "TCPLAB_LOOP": "asyncio"}
    chosen = parse(["asyncio", "--port", "3", "--grace", "4", "--loop", "uvloop"], environment)
    assert (chosen.port, chosen.grace, chosen.loop) == (3, 4.0, "uvloop")


def test_an_empty_environment_value_is_none() -> None:
    """Compose hands on an unset variable as an empty one."""
    assert parse(["single"], {"TCPLAB_PORT": "", "TCPLAB_GRACE": ""}) == parse(["single"], {})


def test_a_pool_has_a_number_of_threads() -> None:
    assert parse(["pool"], {}).own == {"threads": 32}
    assert parse(["pool"], {"TCPLAB_THREADS": "5"}).own == {"threads": 5}
    assert parse(["pool", "--threads", "4"], {"TCPLAB_THREADS": "5"}).own == {"threads": 4}
    assert parse(["threaded"], {"TCPLAB_THREADS": "5"}).own == {}


def test_an_unused_loop_in_the_environment_is_fine() -> None:
    assert parse(["single"], {"TCPLAB_LOOP": "asyncio"}).variant.name == "single"


BAD = [
    *((option, value) for option in NUMBERS for value in ("x", "-1", "1.5", "1_0", "+5", " 5", "٣", str(10**20))),
    *((option, str(int(most) + 1)) for option, most in NUMBERS.items()),
    ("--backlog", "0"),
    ("--max-connections", "0"),
    *((option, value) for option in SECONDS for value in ("x", "0", "-1", "nan", "inf", "86401", "5s")),
    *(("--switch-interval", value) for value in ("x", "0", "0.0000001", "-1", "nan", "86401")),
    ("--loop", "fast"),
]


def refusal(capsys: pytest.CaptureFixture[str], arguments: list[str], environment: dict[str, str]) -> str:
    """Return the one line that is said before the exit with status 2."""
    with pytest.raises(SystemExit) as end:
        parse(arguments, environment)
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    return said.err


@pytest.mark.parametrize(("option", "value"), BAD)
def test_a_bad_value_is_named_in_one_line(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    line = refusal(capsys, ["asyncio", f"{option}={value}"], {})
    assert option in line
    assert value in line
    assert "see --help" in line
    line = refusal(capsys, ["asyncio"], {twin(option): value})
    assert twin(option) in line
    assert value in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "variant"),
        (["forking"], "forking"),
        (["forking"], "single"),
        (["single", "--threads", "4"], "--threads is for pool only"),
        (["single", "--max", "4"], "--max"),
        (["single", "threaded"], "threaded"),
        (["single", "--port"], "--port"),
        (["single", "--loop", "asyncio"], "--loop"),
        (["threaded", "--loop", "uvloop"], "--loop"),
    ],
)
def test_a_bad_command_line_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], named: str) -> None:
    assert named in refusal(capsys, arguments, {})


def test_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--help"], {})
    said = capsys.readouterr()
    assert (end.value.code, said.err) == (0, "")
    for option in (*NUMBERS, *SECONDS, "--host", "--metrics-host", "--loop"):
        assert f"\n  {option} " in said.out
    for variant in VARIANTS:
        assert variant.name in said.out
