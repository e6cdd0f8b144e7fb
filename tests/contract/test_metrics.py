"""A server's metrics: every family from zero on, with exact counts."""

from servers.variants import VARIANTS
from tests.support.fixtures import Launch
from tests.support.servers import Model, Samples

COUNTERS = {
    "connections_ended_total": (
        "outcome",
        {"quit", "closed", "reset", "idle", "dripping", "unread", "overlong", "shutdown", "failed", "refused"},
    ),
    "requests_total": ("command", {"echo", "sleep", "work", "quit"}),
    "errors_total": (
        "kind",
        {
            "unknown",
            "argument",
            "overlong",
            "unfinished",
            "idle",
            "dripping",
            "unread",
            "full",
            "threads",
            "descriptors",
            "internal",
        },
    ),
}
FAMILIES = {
    "connections_open": "gauge",
    "connections_limit": "gauge",
    "connections_waiting": "gauge",
    "connection_wait_seconds": "histogram",
    "connections_ended": "counter",
    "accept_queue_connections": "gauge",
    "accept_queue_limit": "gauge",
    "requests": "counter",
    "errors": "counter",
    "service_seconds": "histogram",
    "received_bytes": "counter",
    "sent_bytes": "counter",
    "threads": "gauge",
    "usable_cores": "gauge",
    "machine_cores": "gauge",
    "cpu_seconds": "counter",
    "scrape_cpu_seconds": "counter",
    "resident_memory_bytes": "gauge",
    "idle_memory_bytes": "gauge",
    "gc_pause_seconds": "histogram",
    "interpreter_info": "gauge",
    "gil_enabled": "gauge",
    "switch_interval_seconds": "gauge",
}
OF_WORKERS = {
    "worker_connections_open": "gauge",
    "worker_connections_ended": "counter",
    "worker_requests": "counter",
    "worker_restarts": "counter",
}
CONTAINER = {"container_memory_bytes", "container_throttled_periods", "container_throttled_seconds"}


def of_the_lab(samples: Samples) -> dict[str, str]:
    return {
        name.removeprefix("tcplab_"): family.type
        for name, family in samples.families.items()
        if name.startswith("tcplab_")
    }


def test_every_family_starts_at_zero_with_help(model: Model, launch: Launch) -> None:
    seen = launch(model).metrics()
    expected = FAMILIES | (OF_WORKERS if model.several_processes else {})
    assert {name: kind for name, kind in of_the_lab(seen).items() if name not in CONTAINER} == expected
    for name, family in seen.families.items():
        assert len(family.documentation) > 20, f"{name} has no help text"
    for name, (label, values) in COUNTERS.items():
        assert seen.by(name, label) == dict.fromkeys(values, 0.0)
    assert {seen(name) for name in ("received_bytes_total", "sent_bytes_total", "service_seconds_count")} == {0.0}
    assert seen("connections_open") == seen("accept_queue_connections") == 0
    assert "process_resident_memory_bytes" in seen.families


def test_counts_exactly_what_happened(model: Model, launch: Launch) -> None:
    server = launch(model)
    request = b"ECHO a\nSLEEP 50 b\nWORK 10 c\nnonsense\nSLEEP x\nECHO d\nQUIT\n"
    reply = (
        b"OK a\nOK b\nOK c\nERR unknown request; there are ECHO, SLEEP, WORK and QUIT\n"
        b"ERR SLEEP takes milliseconds from 0 to 10000, then the text\nOK d\nOK\n"
    )
    with server.client() as client:
        client.ask(request, reply)
        client.expect_end()
    with server.client() as client:
        client.send(b"ECHO half")
        client.half_close()
        client.expect(b"ERR the last line has no line end\n")
    with server.client() as client:
        client.ask(b"ECHO e\n", b"OK e\n")
        client.reset()
    seen = server.wait_for_ends(3)
    ended = seen.by("connections_ended_total", "outcome")
    assert {name: count for name, count in ended.items() if count} == {"quit": 1, "closed": 1, "reset": 1}
    assert seen.by("requests_total", "command") == {"echo": 3, "sleep": 1, "work": 1, "quit": 1}
    errors = seen.by("errors_total", "kind")
    assert {kind: count for kind, count in errors.items() if count} == {"unknown": 1, "argument": 1, "unfinished": 1}
    assert seen("received_bytes_total") == len(request) + 9 + 7
    assert seen("sent_bytes_total") == len(reply) + 34 + 5
    assert seen("service_seconds_count") == 6
    assert seen("service_seconds_sum") >= 0.05
    assert seen("service_seconds_bucket", le="0.02") == 5, "all but the SLEEP of 50 ms"


def test_no_series_comes_or_goes(model: Model, launch: Launch) -> None:
    server = launch(model)
    before = server.metrics().values.keys()
    for said in (b"ECHO a\nSLEEP 1 b\nWORK 1 c\nnonsense\nSLEEP x\nQUIT\n", b"x" * 70_000, b"ECHO half"):
        with server.client() as client:
            client.send(said)
            client.half_close()
            assert len(client.receive(1000)) < 1000, "it has ended"
    seen = server.wait_for_ends(3)
    assert all(seen.by("requests_total", "command").values())
    assert sum(seen.by("errors_total", "kind").values()) == 4
    assert seen.values.keys() == before
    in_a_container = 6  # tests/observability/test_series.py counts these too
    assert len(before) + in_a_container < 150


def test_no_counter_goes_down_when_clients_leave(model: Model, launch: Launch) -> None:
    server = launch(model)
    totals = []
    for number in range(10):
        with server.client() as client:
            client.ask(b"ECHO %d\n" % number, b"OK %d\n" % number)
            totals.append(server.metrics()("requests_total", command="echo"))
        totals.append(server.wait_for_ends(number + 1)("requests_total", command="echo"))
    assert totals == [float(n) for number in range(1, 11) for n in (number, number)]


def test_a_blocked_server_can_still_be_scraped(launch: Launch) -> None:
    server = launch(Model("single", VARIANTS[0].name))
    with server.client() as first, server.client() as second:
        first.ask(b"ECHO mine\n", b"OK mine\n")
        second.send(b"ECHO waiting\n")
        seen = server.wait_for(lambda now: now("accept_queue_connections") == 1, "the second waits")
        assert seen("connections_open") == 1
        assert seen("accept_queue_limit") == 1024
        assert seen("service_seconds_count") == 1


def test_idle_memory_is_from_before_the_first_client(model: Model, launch: Launch) -> None:
    server = launch(model)
    before = server.metrics()("idle_memory_bytes")
    with server.client() as client:
        client.ask(b"ECHO a\n", b"OK a\n")
        first = server.metrics()("idle_memory_bytes")
        assert abs(first - before) < 3e6, "a scrape, and what a loop loads when it starts"
        text = b"x" * 60_000
        client.send((b"ECHO " + text + b"\n") * 50)
        client.expect((b"OK " + text + b"\n") * 50)
        seen = server.wait_for(lambda now: now("resident_memory_bytes") > first, "it has grown")
        assert seen("idle_memory_bytes") == first
