from typing import Any

import pytest

from loadtest.compare.analysis.measures import Ceiling, Measure, RunMeasures, ceiling, excludes, is_paced, measures_of
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.measure import load
from loadtest.compare.measure.sampler import Usage
from loadtest.compare.plan import Workload
from loadtest.compare.report.formatting import AT_LEAST, bare
from loadtest.run_warnings import RunWarning
from tests.loadtest.compare import results
from tests.loadtest.compare.results import comparison, failed, interpreter, one_run, several_runs


def rate(shown: RunMeasures) -> tuple[float | None, bool]:
    return shown.requests_per_second.value, shown.requests_per_second.at_least


@pytest.mark.parametrize(
    ("server_seconds", "generator", "busy", "at_least"),
    [
        (9.5, 0.89, 0.89, False),
        (9.4, 0.5, 0.5, True),
        (10.0, 0.90, 0.5, True),
        (10.0, 0.5, 0.90, True),  # it was kept from its core
        (5.0, 0.95, 0.95, True),
    ],
)
def test_a_top_speed_needs_a_server_at_capacity(
    server_seconds: float, generator: float, busy: float, at_least: bool
) -> None:
    shown = measures_of(one_run("asyncio", server_cpu=server_seconds, generator_cpu=generator, generator_busy=busy))
    assert rate(shown) == (10_000.0, at_least)


@pytest.mark.parametrize(("used", "at_least"), [(39.0, False), (13.0, True)])
def test_of_four_cores_all_must_be_used(used: float, at_least: bool) -> None:
    assert rate(measures_of(one_run("prefork", server_cpu=used), cores=4)) == (10_000.0, at_least)


@pytest.mark.parametrize(
    ("scenario", "idle", "busy"),
    [
        ("saturate", True, True),
        ("churn", True, True),
        ("cpu-bound", True, True),
        ("io-bound", False, True),  # an idle server is no sign of a limit elsewhere: it is the requests that wait
        ("conversation", False, False),  # its clients' pauses set the rate
        ("slow-client", False, False),
        ("crowd", False, False),
    ],
)
def test_what_bounds_a_rate_follows_the_clients(scenario: str, idle: bool, busy: bool) -> None:
    assert rate(measures_of(one_run("asyncio", scenario, server_cpu=2.0))) == (10_000.0, idle)
    assert rate(measures_of(one_run("asyncio", scenario, generator_cpu=0.95))) == (10_000.0, busy)
    assert is_paced(measures_of(one_run("asyncio", scenario)).scenario) == (not busy)


def test_a_scenario_is_judged_as_it_was_tuned() -> None:
    assert is_paced(measures_of(one_run("asyncio", tuned={"think": 0.5})).scenario)
    assert is_paced(measures_of(one_run("asyncio", tuned={"paced": True})).scenario)
    once = measures_of(one_run("asyncio", "churn", tuned={"think": 0.5}))
    assert not is_paced(once.scenario)  # who asks once has no time to think


@pytest.mark.parametrize(("top", "at_least"), [(11_112, False), (11_111, True), (9_000, True)])
def test_a_speed_near_the_ceiling_is_a_bound(top: float, at_least: bool) -> None:
    shown = measures_of(one_run("asyncio"), Ceiling(top, 7.0, 50))
    assert rate(shown) == (10_000.0, at_least)
    assert [warning.name for warning in shown.warnings] == ["generator-limited"] * at_least
    if at_least:
        assert f"of the {top:,} requests/s that are the generator's own ceiling" in shown.warnings[0].detail


def test_pauses_make_the_ceiling_say_nothing() -> None:
    shown = measures_of(one_run("asyncio", "conversation"), Ceiling(10_000, 7.0, 50))
    assert rate(shown) == (10_000.0, False)
    assert shown.warnings == ()


def test_the_ceiling_is_what_the_sink_answered() -> None:
    own = RunWarning("generator-cpu", "97 %", "more workers")
    stolen = RunWarning("stolen-time", "5 %", "again")
    raw = results.load("single", "saturate", 50, generator_cpu=0.97, load_warnings=[own._asdict(), stolen._asdict()])
    usage = Usage(server_cpu=6.0, generator_cpu=9.5, others_cpu=0.0, stolen=0.5, resident=1, idle=1, threads=1)
    found = ceiling(Workload("saturate", 50, 1, 10), load.read(raw), usage)
    assert found == Ceiling(10_000.0, 95.0, 50, (stolen,))


def test_a_ceiling_not_reached_is_a_warning() -> None:
    usage = Usage(server_cpu=10.0, generator_cpu=7.0, others_cpu=0.0, stolen=0.0, resident=1, idle=1, threads=1)
    found = load.read(results.load("single", "saturate", 50))
    (warning,) = ceiling(Workload("saturate", 50, 1, 10), found, usage).warnings
    assert (warning.name, warning.detail.partition(":")[0]) == (
        "sink-limited",
        "the generator used 70% of its core only",
    )


def test_a_generator_at_its_limit_is_a_warning() -> None:
    (warning,) = measures_of(one_run("asyncio", generator_cpu=0.97)).warnings
    assert warning.name == "generator-limited"
    assert "97%" in warning.detail
    assert warning.hint


def test_a_generator_off_its_core_is_doubted_alike() -> None:
    (warning,) = measures_of(one_run("asyncio", generator_cpu=0.6, generator_busy=0.93)).warnings
    assert warning.name == "generator-limited"
    assert "used 60% of its core, and was kept from it: it was busy 93%" in warning.detail


def test_the_loads_cpu_warning_is_not_repeated() -> None:
    own = RunWarning("generator-cpu", "97 %", "more workers")
    assert measures_of(one_run("asyncio", generator_cpu=0.97, load_warnings=[own._asdict()])).warnings == (own,)


def test_the_generators_limit_is_one_warning() -> None:
    own = RunWarning("generator-cpu", "97 %", "more workers")
    shown = measures_of(one_run("asyncio", generator_cpu=0.97, load_warnings=[own._asdict()]), Ceiling(10_500, 7.0, 50))
    assert [(warning.name, warning.detail.partition(" of")[0]) for warning in shown.warnings] == [
        ("generator-limited", "this is 95%")
    ]


@pytest.mark.parametrize("candidate", ["mine", "asyncio-stdlib"])
def test_a_warning_calls_a_server_by_name(candidate: str) -> None:
    """The load knows it by the variant whose users it was given."""
    own = RunWarning(
        "disconnected", "a server ended its clients' connections: asyncio (4 closed): one that", "see asyncio"
    )
    kept = one_run(candidate)
    kept["load"] = results.load("asyncio", "saturate", 50, load_warnings=[own._asdict()])
    (found,) = measures_of(kept).warnings
    assert found.detail == f"a server ended its clients' connections: {candidate} (4 closed): one that"


def test_a_warning_about_the_ceiling_names_the_sink() -> None:
    own = RunWarning("unserved", "some clients never had a reply: single served 1 of 50", "again")
    usage = Usage(server_cpu=6.0, generator_cpu=9.5, others_cpu=0.0, stolen=0.0, resident=1, idle=1, threads=1)
    found = ceiling(Workload("saturate", 50, 1, 10), load.read(results.load("single", "saturate", 50)), usage)
    assert found.warnings == ()
    raw = results.load("single", "saturate", 50, load_warnings=[own._asdict()])
    (warning,) = ceiling(Workload("saturate", 50, 1, 10), load.read(raw), usage).warnings
    assert warning.detail == "some clients never had a reply: the sink served 1 of 50"


@pytest.mark.parametrize("name", ["starved", "loop-lag", "late-sends"])
def test_a_late_generator_leaves_cost_without_latencies(name: str) -> None:
    own = RunWarning(name, "7 ms", "more workers")
    found = measures_of(one_run("asyncio", load_warnings=[own._asdict()]))
    assert found.response_p99_us == Measure(why=f"it would hold the generator's own delay ({name})")
    assert found.service_p99_us.value is None
    assert found.cpu_us == Measure(100.0)
    assert found.requests_per_second == Measure(10_000.0)
    assert not excludes(found.warnings)


@pytest.mark.parametrize("scenario", ["saturate", "io-bound"])
def test_a_late_generator_bounds_an_idle_server(scenario: str) -> None:
    """A server that is always busy can't be faster, however late its load is."""
    own = RunWarning("starved", "7 ms", "more workers")

    def bounded(busy: float) -> bool:
        run = one_run("asyncio", scenario, server_cpu=busy, load_warnings=[own._asdict()])
        return measures_of(run).requests_per_second.at_least

    assert bounded(9.4)
    assert not bounded(9.6)


@pytest.mark.parametrize("name", ["sink-limited", "busy-machine", "stolen-time"])
def test_a_doubtful_ceiling_limits_nothing(name: str) -> None:
    excluded = Ceiling(9_000.0, 7.0, 50, (RunWarning(name, "d", "r"),))
    assert measures_of(one_run("asyncio"), excluded).requests_per_second == Measure(10_000.0)
    assert measures_of(one_run("asyncio"), Ceiling(9_000.0, 7.0, 50)).requests_per_second == Measure(
        10_000.0, at_least=True
    )


def test_stolen_time_seen_twice_is_one_warning() -> None:
    own = RunWarning("stolen-time", "5 %", "again")
    assert measures_of(one_run("asyncio", stolen=0.5, load_warnings=[own._asdict()])).warnings == (own,)


def test_the_loads_other_warnings_are_kept() -> None:
    names = ["late-sends", "rate", "corrupt", "worker-joined"]
    own = [{"name": name, "detail": "d", "hint": "r"} for name in names]
    assert [warning.name for warning in measures_of(one_run("asyncio", load_warnings=own)).warnings] == names


def test_cpu_and_memory() -> None:
    shown = measures_of(one_run("asyncio"))
    assert shown.cpu_us == Measure(100.0)
    assert shown.resident_bytes == Measure(40_000_000)


def test_a_cost_of_few_ticks_is_none() -> None:
    found = measures_of(one_run("asyncio", "crowd", server_cpu=0.09)).cpu_us
    assert found == Measure(why="the server used 90 ms of its core in the window: too little to be told")
    assert measures_of(one_run("asyncio", "crowd", server_cpu=0.1)).cpu_us == Measure(1.0)


def test_one_client_of_many_gets_no_measures() -> None:
    shown = measures_of(one_run("single", served=1, censored={"first_reply": {"11000000": 49}}))
    assert (shown.served, shown.connected) == (1, 50)
    speeds = (shown.response_p50_us, shown.response_p99_us, shown.service_p99_us)
    for measure in (shown.requests_per_second, *speeds, shown.cpu_us):
        assert measure.value is None
        assert "the others waited" in measure.why
    assert shown.first_p99_us == Measure(11_000_000, at_least=True, slowest_of=50)
    assert shown.resident_bytes.value == 40_000_000


def test_one_client_alone_gets_its_measures() -> None:
    assert measures_of(one_run("single", clients=1)).response_p50_us == Measure(1000)


def test_unanswered_requests_open_only_quantiles_they_touch() -> None:
    shown = measures_of(one_run("threaded", censored={"response": {"2500000": 2000}}))
    assert shown.response_p50_us == Measure(1000)
    assert shown.response_p99_us == Measure(2_500_000, at_least=True)


@pytest.mark.parametrize(("scenario", "known"), [("saturate", True), ("rates", True), ("conversation", False)])
def test_turns_are_known_where_clients_stay(scenario: str, known: bool) -> None:
    run = one_run("threaded", scenario, served=50)
    run["usage"].update(turns=50_000, waited=0.5)
    shown = measures_of(run)
    gone = Measure(why="clients come and go, and a thread that ends takes its count with it")
    assert (shown.turns, shown.waited_us) == ((Measure(0.5), Measure(5.0)) if known else (gone, gone))


@pytest.mark.parametrize(("foreign", "warned"), [(0.2, False), (0.22, True)])
def test_foreign_work_on_the_servers_core_is_told(foreign: float, warned: bool) -> None:
    """From 2 % of the window of 10 s on, and a step of the kernel's clock."""
    shown = measures_of(one_run("asyncio", foreign=foreign))
    assert ["busy-core" in [each.name for each in shown.warnings]] == [warned]
    assert shown.requests_per_second.value == 10_000, "it stays in the medians"


def test_a_neighbour_is_told_apart_or_missed() -> None:
    beside = measures_of(one_run("threaded", "noisy-neighbour", 40))
    assert beside.warnings == ()
    assert (beside.neighbour_us.value, beside.requests_per_second.value) == (90_000, 10_000)
    assert beside.cpu_us == Measure(why="the neighbour's requests are in it too") == beside.turns == beside.waited_us
    alone = measures_of(one_run("threaded", "noisy-neighbour", 40, neighbour=None))
    assert [each.name for each in alone.warnings] == ["no-neighbour"]
    assert excludes(alone.warnings)
    other = measures_of(one_run("threaded", "rates"))
    assert (other.neighbour_us.why, other.cpu_us.value) == ("there is no neighbour", 100)


@pytest.mark.parametrize(
    ("build", "gil", "warned"), [("free-threaded", True, True), ("free-threaded", False, False), ("gil", True, False)]
)
def test_a_gil_come_back_excludes_the_run(build: str, gil: bool, warned: bool) -> None:
    shown = measures_of({**one_run("threaded"), "interpreter": interpreter(build=build, gil=gil)})
    told = "a free-threaded CPython 3.14.7 ended with the GIL on"
    assert [(each.name, each.detail) for each in shown.warnings] == [("gil-came-back", told)] * warned
    assert excludes(shown.warnings) is warned


def test_both_truths() -> None:
    """A stall of the server delays what falls due meanwhile, though each takes no longer once it is sent."""
    histograms = {"response": {"1000": 900, "800000": 100}, "service": {"1000": 1000}}
    shown = measures_of(one_run("asyncio", tuned={"paced": True}, histograms=histograms))
    assert shown.model == "open"
    assert (shown.response_p99_us, shown.service_p99_us) == (Measure(800_000), Measure(1000))


def test_one_request_clients_have_only_first_replies() -> None:
    shown = measures_of(
        one_run("asyncio", "churn", histograms={"response": {}, "service": {}, "first_reply": {"700": 500}})
    )
    assert shown.first_p99_us == Measure(700)
    for measure in (shown.response_p99_us, shown.service_p99_us):
        assert "every reply is a first one" in measure.why


@pytest.mark.parametrize(
    ("replies", "p50", "p99"),
    [
        ({"1000": 497, "3000": 1, "8000": 1}, Measure(1000), Measure(8000, slowest_of=499)),
        ({"1000": 498, "3000": 1, "8000": 1}, Measure(1000), Measure(1000)),
        ({"1000": 1}, Measure(1000), Measure(1000, slowest_of=1)),
    ],
)
def test_a_p99_of_few_is_the_slowest(replies: dict[str, int], p50: Measure, p99: Measure) -> None:
    histograms = {"response": replies, "service": replies, "first_reply": replies}
    shown = measures_of(one_run("asyncio", "conversation", 30, histograms=histograms))
    assert (shown.response_p50_us, shown.first_p50_us) == (p50, p50)
    assert (shown.response_p99_us, shown.service_p99_us, shown.first_p99_us) == (p99, p99, p99)


def test_the_slowest_has_the_longest_delay() -> None:
    histograms, send_delay = {"response": {"1000": 100}}, {"1": 99, "500": 1}
    shown = measures_of(one_run("asyncio", tuned={"paced": True}, histograms=histograms, send_delay=send_delay))
    assert (shown.response_p99_us.at_most, shown.response_p99_us.slowest_of) == (1000, 100)
    assert "500 of 1,000 us are the generator's own delay (the most of how late" in shown.response_p99_us.why


def test_the_fewest_replies_are_told() -> None:
    replies = [{"first_reply": {"700": number}} for number in (450, 120, 800)]
    [summary] = summaries(comparison(*several_runs(3, "asyncio", "conversation", 30, histograms=replies)))
    assert summary["first_p99_us"].slowest_of == 120
    assert bare(summary, "first_p99_us") == "0.700*"
    assert bare(summary, "first_p99_us", AT_LEAST) == "0.700 (slowest of 120)"


def test_a_crowd_of_whom_one_is_served() -> None:
    censored = {"first_reply": {"19500000": 999}}
    shown = measures_of(one_run("single", "crowd", 1000, served=1, verified=0, histograms={}, censored=censored))
    assert shown.requests_per_second.why == "one client was served all the time, the others waited"
    assert shown.first_p50_us == Measure(19_500_000, at_least=True)


def test_what_failed_stands_apart_by_what_it_was() -> None:
    changes: dict[str, Any] = {
        "errors": {"timeout": 3, "reset": 0},
        "connections": {"connected": 50, "no_port": 7},
        "breaks": {"closed": 2},
    }
    shown = measures_of(one_run("asyncio", **changes))
    assert shown.failed == {"requests": {"timeout": 3}, "connects": {"no_port": 7}, "open connections": {"closed": 2}}


def test_first_replies_in_the_warmup_count_as_fastest() -> None:
    """Without them, the 10 of 50 that still wait would look like all there are."""
    shown = measures_of(one_run("threaded", served=40, censored={"first_reply": {"11000000": 10}}))
    assert shown.first_p50_us.value is None
    assert "warm-up" in shown.first_p50_us.why
    assert shown.first_p99_us == Measure(11_000_000, at_least=True, slowest_of=50)


def test_first_replies_in_conversation_are_the_windows() -> None:
    histograms = {"response": {"200": 100}, "first_reply": {"9000000": 20}}
    shown = measures_of(one_run("single", "conversation", 30, histograms=histograms, verified=120))
    assert shown.first_p50_us == Measure(9_000_000)
    assert is_paced(shown.scenario)


def test_nothing_answered() -> None:
    shown = measures_of(one_run("asyncio", verified=0, served=0, clients=1, histograms={"response": {}}))
    assert shown.requests_per_second.value is None
    assert shown.cpu_us.why == "no request was answered within the window"


def test_other_work_and_stolen_time_are_warnings() -> None:
    names = [warning.name for warning in measures_of(one_run("asyncio", others_cpu=3.0, stolen=0.5)).warnings]
    assert names == ["busy-machine", "stolen-time"]


def test_clients_that_did_not_connect_are_a_warning() -> None:
    (warning,) = measures_of(one_run("asyncio", connected=48)).warnings
    assert (warning.name, warning.detail) == ("not-connected", "48 of 50 clients connected")


def test_a_failed_run_has_a_reason_no_measures() -> None:
    shown = measures_of(failed("threaded", "the server died"))
    assert shown.problem == "failed: the server died"
    assert shown.requests_per_second.value is None


def test_a_warning_about_ones_own_server_names_it() -> None:
    """Users of another variant meet it, and the load knows no other name."""
    detail = "some clients never had a reply: asyncio served 3 of 50; asyncio-stdlib and myasyncio are others"
    made = one_run("mine", load_warnings=[{"name": "unserved", "detail": detail, "hint": "r"}])
    made["load"]["variants"] = {"asyncio": made["load"]["variants"].pop("mine")}
    (told,) = measures_of(made).warnings
    assert told.detail == "some clients never had a reply: mine served 3 of 50; asyncio-stdlib and myasyncio are others"
    (own_name,) = measures_of(
        one_run("asyncio", load_warnings=[{"name": "unserved", "detail": detail, "hint": "r"}])
    ).warnings
    assert own_name.detail == detail


@pytest.mark.parametrize(
    ("delay", "shown"), [(100, Measure(1000)), (101, Measure(at_most=1000)), (5000, Measure(at_most=1000))]
)
def test_a_tenth_may_be_the_generators_own(delay: int, shown: Measure) -> None:
    """The delay at the same quantile: half of the sends were on time, so that p50 stands."""
    histograms = {"response": {"1000": 1000}, "service": {"1000": 1000}}
    send_delay = {"1": 500, str(delay): 500}
    found = measures_of(one_run("asyncio", tuned={"paced": True}, histograms=histograms, send_delay=send_delay))
    assert found.response_p50_us == Measure(1000)
    assert found.service_p99_us == Measure(1000)
    p99 = found.response_p99_us
    assert (p99.value, p99.at_most) == (shown.value, shown.at_most)
    assert bool(p99.why) == (shown.value is None)
    assert bare(found, "response_p99_us") == ("1.00" if shown.value else "<=1.00")
    assert bare(found, "response_p99_us", AT_LEAST) == ("1.00" if shown.value else "≤ 1.00")


def test_runs_that_only_bound_are_shown_so() -> None:
    histograms = {"response": {"1000": 1000}, "service": {"1000": 1000}}
    runs = several_runs(3, "asyncio", tuned={"paced": True}, histograms=histograms, send_delay={"500": 10})
    [summary] = summaries(comparison(*runs))
    assert bare(summary, "response_p99_us") == "<=1.00"
    assert "the generator's own delay" in summary["response_p99_us"].why


def in_time(finished: dict[str, int], waiting: dict[str, int], **changes: Any) -> float | None:
    histograms = {"response": {}, "service": {}, "connect": {}, "first_reply": finished}
    run = one_run("single", "conversation", 30, histograms=histograms, censored={"first_reply": waiting}, **changes)
    return measures_of(run).first_in_time.value


def test_clients_in_time_are_a_share() -> None:
    assert in_time({"300": 3, "1000000": 1, "1010000": 4}, {}) == 0.5
    assert in_time({"300": 4}, {"5000000": 4, "200000": 8}) == 0.25, "those that still wait had none in time"
    assert in_time({"300": 4}, {}, connections={"connected": 4, "refused": 3, "reset": 1}) == 0.5
    assert in_time({}, {"9000000": 10}) == 0.0
    assert in_time({}, {}) is None


def test_clients_that_stay_are_not_new() -> None:
    found = measures_of(one_run("asyncio", "saturate")).first_in_time
    assert (found.value, found.why) == (None, "clients connect once, within the warm-up")
