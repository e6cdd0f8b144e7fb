import pytest

from loadtest.belief import Doubt
from loadtest.compare.figures import Figure, Row, row
from tests.compare.results import cell, failed


def rate(shown: Row) -> tuple[float | None, bool]:
    return shown.requests_per_second.value, shown.requests_per_second.at_least


@pytest.mark.parametrize(
    ("server_seconds", "generator", "at_least"),
    [(9.5, 0.89, False), (9.4, 0.5, True), (10.0, 0.90, True), (5.0, 0.95, True)],
)
def test_a_top_speed_is_the_servers_only_where_the_server_was_the_limit(
    server_seconds: float, generator: float, at_least: bool
) -> None:
    shown = row(cell("asyncio", server_cpu=server_seconds, generator_cpu=generator))
    assert rate(shown) == (10_000.0, at_least)


def test_a_generator_at_its_limit_is_a_doubt_with_a_remedy() -> None:
    (doubt,) = row(cell("asyncio", generator_cpu=0.97)).doubts
    assert doubt.name == "generator-limited"
    assert "97%" in doubt.detail
    assert doubt.remedy


def test_the_loads_own_doubt_about_its_cpu_is_not_said_twice() -> None:
    own = Doubt("generator-cpu", "97 %", "more workers")
    assert row(cell("asyncio", generator_cpu=0.97, load_doubts=[own._asdict()])).doubts == (own,)


def test_cpu_and_memory() -> None:
    shown = row(cell("asyncio"))
    assert shown.cpu_us == Figure(100.0)
    assert shown.resident_bytes == Figure(40_000_000)


def test_one_client_served_alone_gets_no_speed_and_no_latency() -> None:
    shown = row(cell("single", served=1, censored={"first_reply": {"11000000": 49}}))
    assert (shown.served, shown.connected) == (1, 50)
    for figure in (shown.requests_per_second, shown.p50_us, shown.p99_us, shown.cpu_us):
        assert figure.value is None
        assert "the others waited" in figure.why
    assert shown.first_p99_us == Figure(11_000_000, at_least=True)
    assert shown.resident_bytes.value == 40_000_000


def test_one_client_alone_with_the_server_gets_its_figures() -> None:
    assert row(cell("single", clients=1)).p50_us == Figure(1000)


def test_unanswered_requests_open_the_quantile_that_they_touch_and_no_other() -> None:
    shown = row(cell("threaded", censored={"response": {"2500000": 2000}}))
    assert shown.p50_us == Figure(1000)
    assert shown.p99_us == Figure(2_500_000, at_least=True)


def test_first_replies_of_the_warmup_count_as_the_fastest() -> None:
    """Without them, the 10 of 50 that still wait would look like all there are."""
    shown = row(cell("threaded", served=40, censored={"first_reply": {"11000000": 10}}))
    assert shown.first_p50_us.value is None
    assert "warm-up" in shown.first_p50_us.why
    assert shown.first_p99_us == Figure(11_000_000, at_least=True)


def test_first_replies_in_conversation_are_those_of_the_window() -> None:
    histograms = {"response": {"200": 100}, "first_reply": {"9000000": 20}}
    shown = row(cell("single", "conversation", 30, histograms=histograms, verified=120))
    assert shown.first_p50_us == Figure(9_000_000)
    assert shown.paced


def test_nothing_answered() -> None:
    shown = row(cell("asyncio", verified=0, served=0, clients=1, histograms={"response": {}}))
    assert shown.requests_per_second.value is None
    assert shown.cpu_us.why == "no request was answered within the window"


def test_other_work_and_stolen_time_are_doubts() -> None:
    names = [doubt.name for doubt in row(cell("asyncio", others_cpu=3.0, stolen=0.5)).doubts]
    assert names == ["busy-machine", "stolen-time"]


def test_clients_that_did_not_connect_are_a_doubt() -> None:
    (doubt,) = row(cell("asyncio", connected=48)).doubts
    assert (doubt.name, doubt.detail) == ("not-connected", "48 of 50 clients connected")


def test_a_failed_cell_has_its_reason_and_no_figures() -> None:
    shown = row(failed("threaded", "the server died"))
    assert shown.problem == "failed: the server died"
    assert shown.requests_per_second.value is None
