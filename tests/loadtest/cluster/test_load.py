"""
The load in real Locust processes, with real sockets, against servers that keep their own record.

Each stub has one of the lab's user classes; which one doesn't matter.
"""

import json
import signal
import socket
import textwrap
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from loadtest.recording.aggregator import SETTLED
from loadtest.recording.histogram import quantile
from tests.support.load.cluster import Cluster
from tests.support.load.locust import (
    ALL,
    Locust,
    assert_conserved,
    durations,
    headless,
    locustfile,
    post,
    run,
    shows,
    total,
    users,
    warnings,
)
from tests.support.processes import eventually, free_ports
from tests.support.stubs.recording import Stub, after, honest, right


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-u", "-5"), "tcplab: -5 users are too few; give -u a number from 0"),
        (("--exporter-host", "nonsense.invalid"), "Choose another --exporter-host"),
    ],
)
def test_a_bad_option_is_one_clear_line(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    locust = run(tmp_path, *options, seconds=2)
    assert locust.process.returncode not in {0, None}
    assert said in locust.log
    assert "Traceback" not in locust.log
    assert "another load running" not in locust.log


def test_clients_stay_for_a_last_look(tmp_path: Path) -> None:
    """Who reads a server's threads ten times a second finds those of all clients once more after the window."""
    with Stub(honest) as stub:
        locust = run(
            tmp_path, "-u", "4", "--scenario", "saturate", "--think", "0.01", targets=dict.fromkeys(ALL, stub.address)
        )
        assert locust.ended() == 0, locust.log
        ended = locust.outcome()["window"]["ended"]
        left = time.time() - time.monotonic() + stub.when[1]
    assert 0.2 < left - ended < 1.0


SHORT_OF_BREATH = "from loadtest.cluster import master\nmaster.BREATH = 30\n"
"""Locustfile lines: between a report, a second after the start, and its counting there are 30 s."""


def test_a_window_ends_before_a_report_is_counted(tmp_path: Path) -> None:
    own = locustfile(tmp_path, SHORT_OF_BREATH, users())
    arguments = ("-u", "4", "-r", "100", "--scenario", "saturate", "--think", "0.01")
    with Stub(honest) as stub:
        targets = dict.fromkeys(ALL, stub.address)
        with headless(tmp_path, *arguments, seconds=4, locustfile=own, targets=targets) as locust:
            eventually(lambda: len(stub.texts) > 800, "two seconds have passed")
            assert sum_of(locust, "tcplab_load_sent_total") == 0
            assert locust.ended() == 0, locust.log
    outcome = locust.outcome()
    for part in outcome["variants"].values():
        assert_conserved(part)
    verified = sum(part["verified"] for part in outcome["variants"].values())
    # All but those of a moment after the window's end. Without that report there would be 0.75 of them at most.
    assert 0.8 * len(stub.took) < verified <= len(stub.took)


def test_two_workers_report_exactly_what_the_stub_answered(tmp_path: Path) -> None:
    port, web = free_ports(2)
    with Stub(honest) as stub, ExitStack() as stack:
        targets = dict.fromkeys(ALL, stub.address)
        master = stack.enter_context(
            Locust(
                tmp_path,
                *("--master", "--autostart", "--expect-workers", "2", "--master-bind-host", "127.0.0.1"),
                *("--master-bind-port", port, "--web-host", "127.0.0.1", "--web-port", web),
                *("--result", str(tmp_path / "result.json"), "--clients", "4", "-r", "100", "--size", "200"),
                targets=targets,
            )
        )
        workers = [
            stack.enter_context(Locust(tmp_path, "--worker", "--master-port", port, targets=targets, name=f"worker{n}"))
            for n in (1, 2)
        ]
        eventually(lambda: len(stub.texts) > 150, "load flows")
        asked = len(stub.texts)
        post(web, "/stop", {})
        eventually(lambda: sum_of(master, "tcplab_load_users") == 0, "the last counts are in")
        totals = master.metrics()
        outcome = master.outcome()
        assert master.stop(signal.SIGTERM) == 0, master.log
        assert [worker.ended() for worker in workers] == [0, 0]

    sent = sum(totals["tcplab_load_sent_total", variant] for variant in ALL)
    connected = sum(totals["tcplab_load_connections_total", "connected", variant] for variant in ALL)
    verified = sum(totals["tcplab_load_requests_total", "verified", variant] for variant in ALL)
    abandoned = sum(totals["tcplab_load_abandoned_total", variant] for variant in ALL)
    assert sent == len(stub.texts) == verified + abandoned
    by_worker = {key[1]: value for key, value in totals.items() if key[0] == "tcplab_load_worker_requests_total"}
    assert by_worker.keys() == {"0", "1"}
    assert min(by_worker.values()) > 0
    assert sum(by_worker.values()) == verified
    # A client that is stopped while it connects has no connection yet, though the stub may have accepted it.
    assert stub.connections - 4 * len(ALL) <= connected <= stub.connections
    assert len(stub.took) - abandoned <= verified <= len(stub.took)
    assert max(Counter(stub.texts).values()) == 1
    assert {len(text) for text in stub.texts} == {200}

    # The window's result is a part of that: the users go on for a moment after its end.
    variants = outcome["variants"].values()
    assert outcome["generator"]["workers"] == 2
    assert [part["users"] for part in variants] == [4] * len(ALL)
    for part in variants:
        assert_conserved(part)
        assert (part["connected"], part["served"]) == (4, 4)
        assert not any(part["errors"].values())
    assert asked - 4 * len(ALL) <= sum(part["sent"] for part in variants) <= sent
    assert not warnings(outcome) & {"conservation", "worker-lost"}
    # Locust's own statistics are of the same requests.
    assert "TCP      asyncio first reply" in master.log


def sum_of(locust: Locust, name: str) -> float:
    """Return the sum of a metric over all its labels."""
    return sum(value for key, value in locust.metrics().items() if key[0] == name)


def test_the_warmup_is_thrown_away(tmp_path: Path) -> None:
    """The stub is slow for its first 40 requests: none of that shows in the window, though the requests were made."""
    with Stub(after(lambda number: 0.05 if number <= 40 else 0.001)) as stub:
        locust = run(
            tmp_path,
            *("AsyncioUser", "-u", "4", "-r", "100", "--scenario", "saturate", "--think", "0.01", "--warmup", "2"),
            seconds=4,
            targets={"asyncio": stub.address},
        )
        outcome = locust.outcome()
        made = len(stub.texts)
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    assert outcome["warmup_seconds"] == 2
    assert outcome["window"]["seconds"] == pytest.approx(2, abs=0.3)
    assert 0 < part["sent"] < made - 40
    assert part["served"] == part["connected"] == 4
    assert part["connections"]["connected"] == total(part["histograms"]["connect"]) == 0
    slow = sum(number for microseconds, number in durations(part, "response").items() if microseconds >= 45_000)
    assert slow < 20, "of those 40, 36 would have come after a client's first one; a busy machine makes some slow too"


def test_clients_of_a_full_server_are_counted_waiting(tmp_path: Path) -> None:
    """A stub that serves one connection to its end: the others are connected, not served, and count as waiting."""
    turn = threading.Lock()

    def one_at_a_time(_: Stub, connection: socket.socket, line: bytes) -> bool:
        with turn, connection:
            while line:
                connection.sendall(right(line.removesuffix(b"\n")))
                line = connection.recv(65536)
        return False

    with Stub(one_at_a_time) as stub:
        arguments = ("-u", "10", "-r", "100", "--scenario", "saturate", "--think", "0.005")
        with Stub(honest) as other:
            targets = {"single": stub.address, "asyncio": other.address}
            locust = run(tmp_path, *arguments, "SingleUser", "AsyncioUser", seconds=3, targets=targets)
    outcome = locust.outcome()
    part = outcome["variants"]["single"]
    assert (part["users"], part["connected"], part["served"]) == (5, 5, 1)
    assert 4 <= part["unanswered"] <= 5
    assert total(part["censored"]["first_reply"]) == 4
    assert all(int(age) > 2_000_000 for age in part["censored"]["first_reply"])
    assert_conserved(part)
    [unserved] = [each for each in outcome["warnings"] if each["name"] == "unserved"]
    assert (unserved["degree"], unserved["variants"]) == ("note", ["single"])
    assert "warning unserved: some clients never had a reply: single served 1 of 5" in locust.log


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_run_keeps_what_it_measured(how: signal.Signals, tmp_path: Path) -> None:
    with Stub(honest) as stub:
        arguments = ("AsyncioUser", "-u", "3", "-r", "100", "--scenario", "saturate")
        with headless(tmp_path, *arguments, targets={"asyncio": stub.address}) as locust:
            eventually(lambda: len(stub.texts) > 500, "load flows")
            assert locust.stop(how) == 0
            part = locust.outcome()["variants"]["asyncio"]
            assert part["verified"] > 400
            assert_conserved(part)
            assert "Traceback" not in locust.log
            assert "Exception" not in locust.log


def test_live_metrics_survive_a_reset_of_statistics(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with Stub(after(lambda _: 0.0015)) as stub:
        web = ("--autostart", "--web-host", "127.0.0.1", "--web-port", port)
        settings = ("-u", "4", "-r", "100", "--scenario", "saturate", "--think", "0.01", "AsyncioUser")
        with Locust(tmp_path, *web, *settings, targets={"asyncio": stub.address}) as locust:
            key = ("tcplab_load_requests_total", "verified", "asyncio")
            eventually(lambda: locust.metrics()[key] > 100, "replies are counted")
            recent = locust.metrics()["tcplab_load_recent_seconds", "0.5", "response", "asyncio"]
            assert 0.0015 <= recent < 0.015

            def entries() -> list[dict[str, Any]]:
                statistics = json.loads(post(port, "/stats/requests", None))
                return [entry for entry in statistics["stats"] if entry["name"] == "asyncio reply"]

            eventually(entries, "the next batch is in Locust's own statistics")
            [entry] = entries()
            assert 1.5 <= entry["median_response_time"] < 15.0
            assert entry["median_response_time"] != round(entry["median_response_time"])
            assert entry["method"] == "TCP"
            post(port, "/stats/reset", {})
            before = locust.metrics()
            eventually(lambda: locust.metrics()[key] > before[key] + 50, "the counter goes on after a reset")
            now = locust.metrics()
            assert now["tcplab_load_running",] == now["tcplab_load_workers",] == 1
            began = ("tcplab_load_run_start_timestamp_seconds",)
            assert 0 < time.time() - now[began] < 60
            for gauge in ("users", "clients_connected", "clients_served"):
                assert now[f"tcplab_load_{gauge}", "asyncio"] == 4
                assert now[f"tcplab_load_{gauge}", "single"] == 0

            page = post(port, "/", None).decode()
            for option in ("scenario", "think", "size", "warmup"):
                assert f'"{option}"' in page, "the web UI shows it"
            post(port, "/stop", {})
            eventually(lambda: locust.metrics()["tcplab_load_running",] == 0, "the web UI stops it")
            eventually(lambda: locust.metrics()["tcplab_load_users", "asyncio"] == 0, "users are gone")
            ended = locust.metrics()
            assert began not in ended
            sums = [value for name, value in ended.items() if name[0] == "tcplab_load_requests_total"]
            abandoned = ended["tcplab_load_abandoned_total", "asyncio"]
            assert ended["tcplab_load_sent_total", "asyncio"] == sum(sums) + abandoned

            form = {"user_count": "2", "spawn_rate": "9", "host": "", "scenario": "saturate", "size": "99"}
            refused = json.loads(post(port, "/swarm", form | {"think": "soon", "warmup": "0"}))
            assert not refused["success"]
            assert "'soon' is not a number of seconds" in refused["message"]
            assert json.loads(post(port, "/swarm", form | {"think": "0.01", "warmup": "0"}))["success"]
            eventually(lambda: locust.metrics()["tcplab_load_clients_served", "asyncio"] == 2, "it starts again")
            assert len(stub.texts[-1]) == 99
            assert locust.metrics()[began] > now[began]
            assert locust.stop(signal.SIGTERM) == 0


def test_the_web_ui_sets_rate_and_shape(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with Stub(honest) as stub:
        web = ("--autostart", "--class-picker", "--web-host", "127.0.0.1", "--web-port", port)
        settings = ("--clients", "2", "--scenario", "saturate", "--rate", "40", "AsyncioUser")
        with Locust(tmp_path, *web, *settings, targets={"asyncio": stub.address}) as locust:
            asked = ("tcplab_load_target_rate",)
            eventually(lambda: locust.metrics()[asked] == 40, "it runs at the rate that was asked for")
            assert "one-after-another" in post(port, "/", None).decode(), "the class picker offers the shapes"
            form = {"user_count": "2", "spawn_rate": "9", "scenario": "saturate", "size": "64", "warmup": ""}
            post(port, "/stop", {})
            closed = form | {"user_classes": "AsyncioUser", "shape_class": "Default", "rate": "", "think": "0.01"}
            assert json.loads(post(port, "/swarm", closed))["success"]
            eventually(lambda: locust.metrics()["tcplab_load_clients_served", "asyncio"] == 2, "it starts again")
            assert locust.metrics()[asked] == 0
            post(port, "/stop", {})
            shaped = closed | {"shape_class": "steps", "think": "", "rate": "30"}
            assert json.loads(post(port, "/swarm", shaped))["success"]
            eventually(lambda: locust.metrics()["tcplab_load_users", "asyncio"] == 1, "a fifth of two clients")
            assert locust.metrics()[asked] == 30
            assert locust.stop(signal.SIGTERM) == 0
        assert "Traceback" not in locust.log


def test_the_page_may_change_a_shapes_load(tmp_path: Path) -> None:
    """Its form chooses no shape then: the one that ran once stopped the load a second later."""
    [port] = free_ports(1)
    with Stub(honest) as stub:
        web = ("--autostart", "--class-picker", "--web-host", "127.0.0.1", "--web-port", port)
        with Locust(tmp_path, *web, "--shape", "tour", "AsyncioUser", targets={"asyncio": stub.address}) as locust:
            users = ("tcplab_load_users", "asyncio")
            eventually(lambda: locust.metrics()[users] == 10, "the tour's first stage")
            assert json.loads(post(port, "/swarm", {"user_count": "4", "spawn_rate": "9"}))["success"]
            eventually(lambda: locust.metrics()[users] == 4, "the number of clients is the page's")
            time.sleep(3)
            assert locust.metrics()[users] == 4
            assert locust.metrics()["tcplab_load_running",] == 1
            assert locust.stop(signal.SIGTERM) == 0
        assert "Traceback" not in locust.log


def test_workers_that_start_together_have_not_joined(tmp_path: Path) -> None:
    """`docker compose up --scale locust-worker=3`: some seconds lie between the first and the last."""
    with ExitStack() as stack:
        stub = stack.enter_context(Stub(after(lambda _: 0.001)))
        cluster = stack.enter_context(
            Cluster(tmp_path, dict.fromkeys(ALL, stub.address), "--clients", "3", "-r", "100")
        )
        for _ in range(3):
            cluster.start_worker()
            time.sleep(2)
        eventually(lambda: cluster.users() == [len(ALL)] * 3, "three workers carry all users")
        time.sleep(SETTLED + 1)
        assert shows(cluster.master.metrics(), "worker-joined") == 0
        abandoned = sum_of(cluster.master, "tcplab_load_abandoned_total")
        cluster.start_worker()
        eventually(lambda: shows(cluster.master.metrics(), "worker-joined") == 1, "a later one is marked")
        cluster.stop()
        eventually(cluster.master.result.exists, "it has a result")
        outcome = cluster.master.outcome()
    assert abandoned == 0
    assert outcome["generator"]["joined_workers"] == 1


def test_forked_processes_have_an_event_loop_each(tmp_path: Path) -> None:
    """They once shared one epoll and got each other's events: most replies came a second late."""
    with Stub(honest) as stub:
        arguments = (
            "AsyncioUser",
            "--processes",
            "2",
            "-u",
            "4",
            "-r",
            "100",
            "--scenario",
            "saturate",
            "--think",
            "0.02",
        )
        locust = run(tmp_path, *arguments, seconds=4, targets={"asyncio": stub.address})
    part = locust.outcome()["variants"]["asyncio"]
    assert_conserved(part)
    assert (part["served"], part["connections"]["connected"]) == (4, 4)
    slow = quantile(durations(part, "response"), 0.99)
    assert slow is not None
    assert slow.microseconds < 300_000


@pytest.mark.parametrize(
    ("arguments", "environment", "says_so"),
    [
        (["--scenario", "nope"], {}, "argument --scenario: invalid choice: 'nope'"),
        (["--think", "x"], {}, "argument --think: 'x' is not a number of seconds from 0 to 3600"),
        (["--rate", "0"], {}, "argument --rate: '0' is not a number of requests per second from 0.01 to 1000000"),
        (["--rate", "5", "--think", "1"], {}, "tcplab: a rate sets when requests fall due, a think time how long"),
        (["--arrivals", "evenly"], {}, "argument --arrivals: invalid choice: 'evenly'"),
        (["--scenario", "rates"], {}, "tcplab: rates asks at a rate: give --rate, in requests per second"),
        (["--scenario", "rates", "--rate", "5", "--think", "1"], {}, "tcplab: a rate sets when requests fall due"),
        (["--shape", "round"], {}, "argument --shape: invalid choice: 'round'"),
        (["--shape", "spike", "-u", "9"], {}, "tcplab: a shape sets the number of clients: use --clients instead of"),
        (["--size", "5"], {}, "argument --size: '5' is not a whole number from 40 to 65000"),
        (["--warmup", "-1"], {}, "argument --warmup: '-1' is not a number of seconds"),
        (["--clients", "0"], {}, "argument --clients: '0' is not a whole number from 1"),
        (["--result", "/no/such/folder/x"], {}, "argument --result: cannot write '/no/such/folder/x'"),
        (["--host", "127.0.0.1:9001"], {}, "set TCPLAB_SINGLE, TCPLAB_THREADED, TCPLAB_ASYNCIO"),
        ([], {"TCPLAB_SCENARIO": "nope"}, "invalid choice: 'nope'"),
        ([], {"TCPLAB_SIZE": "big"}, "'big' is not a whole number"),
        ([], {"TCPLAB_ASYNCIO": "nowhere"}, "tcplab: TCPLAB_ASYNCIO: 'nowhere' is not host:port"),
        ([], {"TCPLAB_ASYNCIO": ""}, "tcplab: TCPLAB_ASYNCIO: it is set, and empty; give it host:port, or unset it"),
        ([], {"TCPLAB_SINGLE": " "}, "tcplab: TCPLAB_SINGLE: it is set, and empty; give it host:port, or unset it"),
        ([], {"TCPLAB_EXPORTER_PORT": "99999"}, "'99999' is not a whole number from 0 to 65535"),
    ],
)
def test_a_bad_setting_is_one_clear_line(
    arguments: list[str], environment: dict[str, str], says_so: str, tmp_path: Path
) -> None:
    with Locust(tmp_path, "--headless", "-t", "1s", *arguments, environment=environment) as locust:
        assert locust.ended() != 0
        lines = [line for line in locust.log.splitlines() if line and "INFO" not in line]
    assert len(lines) == 1, lines
    assert says_so in lines[0]


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with Locust(tmp_path, "--headless", "-t", "1s", environment={"TCPLAB_EXPORTER_PORT": port}) as locust:
            assert locust.ended() != 0
            [line] = [line for line in locust.log.splitlines() if line and "INFO" not in line]
    assert line.startswith(f"tcplab: cannot serve the load's metrics on 127.0.0.1:{port}: Address already in use.")


def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    with Stub(honest) as stub:
        locust = run(
            tmp_path,
            *("AsyncioUser", "ThreadedUser"),
            seconds=2,
            targets={"asyncio": stub.address, "threaded": stub.address},
            environment={
                "TCPLAB_SCENARIO": "saturate",
                "TCPLAB_SIZE": "50",
                "TCPLAB_THINK": "",
                "TCPLAB_RATE": "80",
                "TCPLAB_ARRIVALS": "periodic",
                "TCPLAB_CLIENTS": "2",
                "LOCUST_SPAWN_RATE": "100",
            },
        )
    outcome = locust.outcome()
    assert outcome["scenario"]["name"] == "saturate"
    assert (outcome["target_rate"], outcome["arrivals"]) == (80, "periodic")
    assert (outcome["scenario"]["size"], outcome["scenario"]["think"]) == (50, 0)
    assert {name: part["users"] for name, part in outcome["variants"].items()} == {"asyncio": 2, "threaded": 2}
    assert {len(text) for text in stub.texts} == {50}
    assert "all-at-once" in warnings(outcome)


def test_ones_own_locustfile_may_play_a_scenario(tmp_path: Path) -> None:
    """Started in another folder, without the lab's locustfile."""
    own = tmp_path / "own.py"
    with Stub(honest) as stub:
        own.write_text(
            textwrap.dedent(f"""
                import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})
                from loadtest.client.scenario_user import ScenarioUser
                from loadtest.scenarios import SCENARIOS

                class ClientConnection(ScenarioUser):
                    host = "{stub.address}"
                    scenario = SCENARIOS["churn"]
            """)
        )
        arguments = ("--headless", "-u", "2", "-r", "100", "-t", "4s", "--json-file", str(tmp_path / "stats"))
        with Locust(tmp_path, *arguments, locustfile=own, cwd=tmp_path) as locust:
            assert locust.ended() == 0, locust.log
    [statistics] = json.loads((tmp_path / "stats.json").read_text())
    assert statistics["name"] == "ClientConnection first reply"
    assert 100 < statistics["num_requests"] <= len(stub.texts)
