"""The recorder: what a phase holds, the window, effort and lag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.recording.counters import Counters, Effort
from loadtest.recording.histogram import Histogram
from loadtest.recording.recorder import LAG_INTERVAL, Recorder, unpack
from tests.support.load.recorders import Clock, answer, connected, counters, histogram_of, recorder


def test_a_first_reply_counts_from_connect_alone() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = connected(found, clock)
    client_stats.sent(clock.after(5))
    assert client_stats.verified(clock.after(700)) == 735_000
    client_stats.sent(clock.after(1000))
    assert client_stats.verified(clock.after(80)) == 80_000
    counted = counters(found, 1)
    assert counted.histograms == {
        "connect": {30: 1},
        "first_reply": {735: 1},
        "response": {80: 1},
        "service": {80: 1},
    }
    assert (counted.sent, counted.verified, counted.clients_connected, counted.clients_served) == (2, 2, 1, 1)


def test_each_connection_has_its_own_first_reply() -> None:
    found, clock = recorder()
    client_stats = connected(found, clock)
    for _ in range(2):
        client_stats.sent(clock())
        client_stats.verified(clock.after(100))
    client_stats.left()
    client_stats.connecting(clock.after(5_000))
    client_stats.connected_at(clock.after(20))
    client_stats.sent(clock())
    client_stats.verified(clock.after(200))
    counted = counters(found, 0)
    assert counted.histograms["first_reply"] == {130: 1, 220: 1}
    assert counted.histograms["response"] == {100: 1}


def test_a_late_request_counts_from_when_due() -> None:
    found, clock = recorder()
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    client_stats.verified(clock.after(50))
    client_stats.due(clock())
    client_stats.sent(clock.after(9_000), late=True)
    client_stats.verified(clock.after(100))
    counted = counters(found, 0)
    assert counted.histograms["response"] == {9_100: 1}
    assert counted.histograms["service"] == {100: 1}
    assert counted.late_sends == 1


def test_of_errors_only_timeouts_enter_the_histogram() -> None:
    found, clock = recorder()
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    client_stats.failed("timeout", clock.after(30_000_000))
    client_stats.left()
    for outcome in ("corrupt", "closed", "reset", "refused"):
        client_stats.connecting(clock())
        client_stats.connected_at(clock.after(30))
        client_stats.sent(clock())
        assert client_stats.failed(outcome, clock.after(10)) == 40_000
        client_stats.left()
    counted = counters(found, 0)
    assert counted.histograms["first_reply"] == {30_000_000: 1}
    assert counted.histograms["response"] == counted.histograms["service"] == {}
    assert counted.errors == {"timeout": 1, "corrupt": 1, "closed": 1, "reset": 1, "refused": 1}
    assert counted.imbalance == 0


def test_a_connect_timeout_waited_for_its_first_reply() -> None:
    found, clock = recorder()
    client_stats = found.client("single")
    client_stats.started()
    client_stats.connecting(clock())
    client_stats.connect_failed("timeout", clock.after(5_000_000))
    client_stats.connecting(clock())
    client_stats.connect_failed("refused", clock.after(90))
    counted = counters(found, 0)
    assert counted.histograms["connect"] == counted.histograms["first_reply"] == {5_000_000: 1}
    assert (counted.connections["timeout"], counted.connections["refused"], counted.sent) == (1, 1, 0)


def test_open_requests_are_censored_at_their_age() -> None:
    found, clock = recorder()
    found.begin(7)
    served = connected(found, clock)
    served.sent(clock())
    served.verified(clock.after(50))
    served.sent(clock())
    waiting = connected(found, clock)  # 30 us later
    waiting.sent(clock())
    connecting = found.client("single")
    connecting.started()
    connecting.connecting(clock())
    clock.after(1_000)
    found.close()
    counted = counters(found, 7)
    assert counted.unanswered == 2
    assert counted.censored == {
        "response": {1030: 1},
        "service": {1030: 1},
        "first_reply": {1030: 1, 1000: 1},
        "connect": {1000: 1},
    }
    assert counted.imbalance == 0
    assert (counted.clients_connected, counted.clients_served) == (2, 1)


def test_nothing_changes_after_the_end_of_a_run() -> None:
    found, clock = recorder()
    found.begin(7)
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    found.close()
    found.close()
    client_stats.stopped(clock.after(10))
    parts = list(unpack(found.report()))
    assert [(part.phase, part.closed) for part in parts] == [(0, False), (7, True), (0, False)]
    assert parts[1].counters["single"].unanswered == 1
    assert parts[2].counters["single"].abandoned == 1


def test_a_stopped_client_leaves_an_abandoned_request() -> None:
    found, clock = recorder()
    found.begin(7)
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    client_stats.stopped(clock.after(300))
    [*_, part] = unpack(found.report())
    counted = part.counters["single"]
    assert (counted.sent, counted.abandoned, counted.imbalance) == (1, 1, 0)
    assert counted.censored["first_reply"] == {330: 1}
    assert part.gauges["single"][:7] == (0, 0, 0, 0, 0, 0, 0)


def test_warmup_figures_stay_open_requests_move_on() -> None:
    found, clock = recorder()
    found.begin(1)
    busy, waiting = connected(found, clock), connected(found, clock)
    waiting.sent(clock())
    busy.sent(clock())
    busy.verified(clock.after(100))
    found.begin(2)
    busy.sent(clock())
    busy.verified(clock.after(60))
    waiting.verified(clock.after(40))
    found.close()
    parts = {part.phase: part for part in unpack(found.report())}
    window = parts[2].counters["single"]
    assert (window.sent, window.carried, window.verified, window.imbalance) == (1, 1, 2, 0)
    assert window.histograms["response"] == {60: 1}
    assert window.histograms["first_reply"] == {230: 1}
    assert window.histograms["connect"] == {}
    assert (window.clients_connected, window.clients_served) == (2, 2)


def test_a_neighbour_counts_apart() -> None:
    found, clock = recorder()
    client, neighbour = connected(found, clock), found.neighbour("single")
    neighbour.started()
    neighbour.connecting(clock())
    neighbour.connected_at(clock.after(30))
    found.begin(7)
    answer(client, clock, 3)
    answer(neighbour, clock, 2)
    neighbour.sent(clock())
    found.close(clock.after(10))
    [part] = [each for each in unpack(found.report()) if each.phase == 7]
    ours, its = part.counters["single"], part.neighbours["single"]
    assert (ours.sent, ours.verified, ours.unanswered, ours.clients_connected) == (3, 3, 0, 1)
    assert (its.sent, its.verified, its.unanswered, its.imbalance) == (3, 2, 1, 0)
    assert part.gauges["single"].users == 1


def test_gauges_are_of_now() -> None:
    found, clock = recorder()
    found.begin(3)
    served, waiting, away = (connected(found, clock) for _ in range(3))
    served.sent(clock())
    served.verified(clock())
    waiting.sent(clock())
    away.left()
    [*_, part] = unpack(found.report())
    gauges = part.gauges["single"]
    assert (gauges.users, gauges.connected, gauges.served, gauges.unserved, gauges.unanswered) == (3, 2, 1, 1, 1)


def test_effort_is_the_processors_share_of_the_time() -> None:
    found, clock = recorder()
    found.lagged(400)
    found.lagged(-3)
    clock.after(2_000_000)
    [part] = unpack(found.report())
    assert part.effort.cpu_ratio == pytest.approx(0.5)
    assert part.effort.lag == {400: 1, 0: 1}
    assert part.effort.lag_p99 == pytest.approx(0.0004)


@given(st.integers(0, 2_000_000))
def test_a_lag_counts_as_every_missed_look(microseconds: int) -> None:
    found, _ = recorder()
    found.lagged(microseconds)
    [part] = unpack(found.report())
    looks = range(microseconds, -1, -LAG_INTERVAL // 1000)
    assert part.effort.lag == histogram_of(list(looks))
    assert sum(part.effort.lag.values()) == microseconds // 20_000 + 1


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [(0, {0: 1}), (19_999, {20_000: 1}), (20_000, {0: 1, 20_000: 1}), (50_000, {10_000: 1, 30_000: 1, 50_000: 1})],
)
def test_a_lag_is_counted_in_20_ms_steps(microseconds: int, expected: Histogram) -> None:
    found, _ = recorder()
    found.lagged(microseconds)
    [part] = unpack(found.report())
    assert part.effort.lag == expected


def test_one_long_lag_is_not_hidden() -> None:
    found, _ = recorder()
    for _ in range(450):
        found.lagged(100)
    found.lagged(1_000_000)
    [part] = unpack(found.report())
    assert sum(part.effort.lag.values()) == 450 + 51
    assert part.effort.lag_p99 == pytest.approx(0.9)


def test_busy_time_is_time_not_spent_waiting() -> None:
    found, clock = recorder()
    waited = 7_000_000_000
    found.waited = lambda: waited
    found.report()
    clock.after(2_000_000)
    waited += 500_000_000
    [part] = unpack(found.report())
    assert (part.effort.seconds, part.effort.busy_seconds) == (2.0, 1.5)
    assert part.effort.busy_ratio == 0.75
    clock.after(1_000_000)
    waited += 1_000_000_000
    [part] = unpack(found.report())
    assert part.effort.busy_ratio == 0.0


def test_without_an_event_loop_nothing_is_busy() -> None:
    found, clock = recorder()
    clock.after(2_000_000)
    [part] = unpack(found.report())
    assert (part.effort.seconds, part.effort.busy_ratio) == (2.0, 0.0)


def test_it_was_not_busy_before_it_ran() -> None:
    found, clock = recorder()
    waited = 0
    clock.after(1_000_000)
    found.waited = lambda: waited
    clock.after(1_000_000)
    [part] = unpack(found.report())
    assert (part.effort.seconds, part.effort.busy_seconds) == (2.0, 0.0)  # it came on the way
    clock.after(1_000_000)
    waited += 250_000_000
    [part] = unpack(found.report())
    assert (part.effort.seconds, part.effort.busy_seconds) == (1.0, 0.75)


def test_stolen_is_what_the_given_clock_tells() -> None:
    clock = Clock()
    kept_back = 40.0
    found = Recorder(clock, stolen=lambda: kept_back)
    clock.after(2_000_000)
    kept_back = 40.5
    [part] = unpack(found.report())
    assert (part.effort.stolen_seconds, part.effort.stolen_ratio) == (0.5, 0.25)
    clock.after(2_000_000)
    kept_back = 12.0  # the machine was moved to another host: its clock began anew
    [part] = unpack(found.report())
    assert part.effort.stolen_ratio == 0.0


def test_starved_is_what_the_given_clock_tells() -> None:
    clock = Clock()
    waited = 40.0
    found = Recorder(clock, starved=lambda: waited)
    clock.after(2_000_000)
    waited = 40.5
    [part] = unpack(found.report())
    assert (part.effort.starved_seconds, part.effort.starved_ratio, part.effort.stolen_seconds) == (0.5, 0.25, 0.0)
    clock.after(2_000_000)
    [part] = unpack(found.report())
    assert part.effort.starved_seconds == 0.0


def test_a_forked_process_counts_its_own_effort_alone() -> None:
    clock = Clock()
    used = 40.0
    found = Recorder(clock, lambda: used)
    clock.after(5_000_000)
    found.lagged(70_000)
    used = 0.0  # the child's processor time begins anew
    found.renew()
    clock.after(2_000_000)
    used = 1.0
    [part] = unpack(found.report())
    assert (part.seconds, part.effort.seconds, part.effort.cpu_ratio, part.effort.lag) == (2.0, 2.0, 0.5, {})


def test_efforts_add_up() -> None:
    whole = Effort(1.0, 10.0, 2.0, 0.25, 0.5, {100: 98})
    whole.add(Effort(3.0, 10.0, 8.0, 0.75, 0.1, {100: 1, 7000: 2}))
    assert (whole.cpu_ratio, whole.busy_ratio, whole.starved_ratio, whole.stolen_ratio) == (0.2, 0.5, 0.05, 0.03)
    assert whole.lag == {100: 99, 7000: 2}
    assert whole.lag_p99 == 0.007


def test_a_tally_survives_the_wire_and_adds_up() -> None:
    one = Counters(1, 2, 3, 4, 5, 6, 7, 8, 9)
    for number, counts in enumerate((one.outcomes, one.connections, one.breaks)):
        counts.update({name: 10 * number + place for place, name in enumerate(counts)})
    one.histograms["response"][30] = 3
    one.censored["first_reply"][40] = 4
    assert Counters.from_wire(one.to_wire()) == one
    two = Counters.from_wire(Counters(1, 2, 3, 4, 5, 6, 7, 8, 9).to_wire())
    two.add(one)
    assert (two.sent, two.carried, two.abandoned, two.unanswered) == (2, 4, 6, 8)
    assert (two.late_sends, two.unsent, two.clients_connected, two.clients_served, two.squares) == (10, 12, 14, 16, 18)
    assert (two.outcomes, two.connections, two.breaks) == (one.outcomes, one.connections, one.breaks)
    assert (two.histograms, two.censored) == (one.histograms, one.censored)


def test_a_phase_never_lasts_less_than_nothing() -> None:
    """A run may end before the event loop has looked again since the phase began."""
    found, clock = recorder()
    looked_at = clock()
    clock.after(500)
    found.begin(7)
    found.close(looked_at)
    assert {part.phase: part.seconds for part in unpack(found.report())}[7] == 0


def test_looking_at_response_times_takes_nothing_away() -> None:
    found, clock = recorder()
    client = connected(found, clock)
    found.begin(7)
    for _ in range(3):
        client.sent(clock())
        client.verified(clock.after(100))
        looked_at = dict(found.responses()["single"])
    assert looked_at == {100: 2}  # the first reply stands apart
    assert {part.phase: part for part in unpack(found.report())}[7].counters["single"].histograms["response"] == {
        100: 2
    }
    assert found.responses()["single"] == {}
