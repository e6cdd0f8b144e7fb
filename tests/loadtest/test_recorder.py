"""The recorder: precision, exact merging, quantiles with the unanswered, the open model, conservation. In-process."""

from collections import Counter
from dataclasses import dataclass
from math import ceil
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.histogram import Histogram, Quantile, bucket, count, count_progression, merge, quantile
from loadtest.recorder import LAG_INTERVAL, OUTSIDE, SETTLE, Part, Recorder, Tracker, unpack
from loadtest.schedule import Schedule
from loadtest.tally import BREAKS, OUTCOMES, Effort, Tally

DURATIONS = st.integers(0, 90_000_000)
FRACTIONS = st.sampled_from([0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def histogram_of(durations: list[int]) -> Histogram:
    found: Histogram = {}
    for duration in durations:
        count(found, duration)
    return found


def exact(durations: list[int], fraction: float) -> int:
    return sorted(durations)[max(1, ceil(fraction * len(durations) - 1e-9)) - 1]


@given(DURATIONS)
def test_a_bucket_is_within_half_a_percent(microseconds: int) -> None:
    assert abs(bucket(microseconds) - microseconds) <= microseconds * 0.005
    assert bucket(bucket(microseconds)) == bucket(microseconds)


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [(0, 0), (87, 87), (999, 999), (1000, 1000), (1004, 1000), (1005, 1010), (9996, 10_000), (123_456, 123_000),
     (999_499, 999_000), (999_500, 1_000_000), (30_049_999, 30_000_000), (30_050_000, 30_100_000)],
)  # fmt: skip
def test_three_significant_figures(microseconds: int, expected: int) -> None:
    assert bucket(microseconds) == expected


@given(st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_buckets_keep_the_order(one: int, other: int) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


class Turns(Histogram):
    """A histogram that knows how often it was written to."""

    turns = 0

    def __setitem__(self, key: int, value: int) -> None:
        self.turns += 1
        super().__setitem__(key, value)


NANOSECONDS = st.integers(0, 3_000_000_000)


@given(NANOSECONDS, st.integers(1, 3_000) | st.integers(1, 200_000_000), st.integers(0, 1000))
def test_counting_a_progression_equals_counting_one_by_one(first: int, step: int, number: int) -> None:
    found = Turns()
    count_progression(found, first, step, number)
    assert found == histogram_of([(first + step * turn) // 1000 for turn in range(number)])
    assert found.turns == len(found)


@given(NANOSECONDS)
def test_a_progression_of_one_needs_no_step(first: int) -> None:
    found: Histogram = {}
    count_progression(found, first, 0, 1)
    assert found == {bucket(first // 1000): 1}


def test_a_progression_adds_to_what_is_there() -> None:
    found = {5: 1, 7: 2, 99: 3}
    count_progression(found, 5_000, 2_000, 2)
    assert found == {5: 2, 7: 3, 99: 3}


def test_a_progressions_steps_may_be_below_a_microsecond() -> None:
    found: Histogram = {}
    count_progression(found, 5_600, 700, 4)  # 5.6, 6.3, 7.0 and 7.7 us
    assert found == {5: 1, 6: 1, 7: 2}


def test_a_hundred_million_steps_take_few_turns() -> None:
    found = Turns()
    count_progression(found, 0, 1000, 10**8)
    assert sum(found.values()) == 10**8
    assert (found[999], found[1000], found[50_000_000], found[100_000_000]) == (1, 5, 100_000, 50_000)
    assert found.turns == len(found) == 1000 + 5 * 900 + 1


@given(st.lists(st.lists(DURATIONS, max_size=40), max_size=5))
def test_merging_workers_is_pooling_their_samples(workers: list[list[int]]) -> None:
    merged: Histogram = {}
    for worker in workers:
        merge(merged, histogram_of(worker))
    assert merged == histogram_of([duration for worker in workers for duration in worker])


@given(st.lists(DURATIONS, min_size=1, max_size=300), FRACTIONS)
def test_a_quantile_is_right_within_half_a_percent(durations: list[int], fraction: float) -> None:
    found = quantile(histogram_of(durations), fraction)
    truth = exact(durations, fraction)
    assert found is not None
    assert abs(found.microseconds - truth) <= truth * 0.005
    assert not found.at_least


@given(st.lists(DURATIONS, max_size=60), st.lists(DURATIONS, min_size=1, max_size=20), FRACTIONS)
def test_unanswered_requests_mark_what_they_could_move(durations: list[int], ages: list[int], fraction: float) -> None:
    found = quantile(histogram_of(durations), fraction, histogram_of(ages))
    assert found is not None
    assert found.microseconds == bucket(exact(durations + ages, fraction))
    for_ever = exact(durations + [10**9] * len(ages), fraction)
    assert found.at_least == (bucket(for_ever) != found.microseconds)


def test_no_samples_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({}, 0.5, {}) is None


def test_one_of_two_waiting_marks_upper_quantiles() -> None:
    assert quantile({100: 98}, 0.5, {50: 2}) == Quantile(100, at_least=False)
    assert quantile({100: 98}, 0.99, {50: 2}) == Quantile(100, at_least=True)


class Clock:
    """A clock that is set by hand, in microseconds; the recorder reads nanoseconds."""

    def __init__(self) -> None:
        self.microseconds = 1_000_000

    def __call__(self) -> int:
        return self.microseconds * 1000

    def after(self, microseconds: int) -> int:
        self.microseconds += microseconds
        return self()


def recorder() -> tuple[Recorder, Clock]:
    clock = Clock()
    return Recorder(clock, lambda: clock.microseconds / 2e6), clock


def connected(found: Recorder, clock: Clock, variant: str = "single") -> Tracker:
    tracker = found.client(variant)
    tracker.started()
    tracker.connecting(clock())
    tracker.connected_at(clock.after(30))
    return tracker


def tally(found: Recorder, phase: int, variant: str = "single") -> Tally:
    pooled = Tally()
    for part in unpack(found.report()):
        if part.phase == phase and variant in part.tallies:
            pooled.add(part.tallies[variant])
    return pooled


def test_a_first_reply_counts_from_connect_alone() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = connected(found, clock)
    tracker.sent(clock.after(5))
    assert tracker.verified(clock.after(700)) == 735_000
    tracker.sent(clock.after(1000))
    assert tracker.verified(clock.after(80)) == 80_000
    counted = tally(found, 1)
    assert counted.histograms == {
        "connect": {30: 1},
        "first_reply": {735: 1},
        "response": {80: 1},
        "service": {80: 1},
    }
    assert (counted.sent, counted.verified, counted.clients_connected, counted.clients_served) == (2, 2, 1, 1)


def test_each_connection_has_its_own_first_reply() -> None:
    found, clock = recorder()
    tracker = connected(found, clock)
    for _ in range(2):
        tracker.sent(clock())
        tracker.verified(clock.after(100))
    tracker.left()
    tracker.connecting(clock.after(5_000))
    tracker.connected_at(clock.after(20))
    tracker.sent(clock())
    tracker.verified(clock.after(200))
    counted = tally(found, 0)
    assert counted.histograms["first_reply"] == {130: 1, 220: 1}
    assert counted.histograms["response"] == {100: 1}


def test_a_late_request_counts_from_when_due() -> None:
    found, clock = recorder()
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(50))
    tracker.due(clock())
    tracker.sent(clock.after(9_000), late=True)
    tracker.verified(clock.after(100))
    counted = tally(found, 0)
    assert counted.histograms["response"] == {9_100: 1}
    assert counted.histograms["service"] == {100: 1}
    assert counted.late_sends == 1


def test_of_errors_only_timeouts_enter_the_histogram() -> None:
    found, clock = recorder()
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.failed("timeout", clock.after(30_000_000))
    tracker.left()
    for outcome in ("corrupt", "closed", "reset", "refused"):
        tracker.connecting(clock())
        tracker.connected_at(clock.after(30))
        tracker.sent(clock())
        assert tracker.failed(outcome, clock.after(10)) == 40_000
        tracker.left()
    counted = tally(found, 0)
    assert counted.histograms["first_reply"] == {30_000_000: 1}
    assert counted.histograms["response"] == counted.histograms["service"] == {}
    assert counted.errors == {"timeout": 1, "corrupt": 1, "closed": 1, "reset": 1, "refused": 1}
    assert counted.imbalance == 0


def test_a_connect_timeout_waited_for_its_first_reply() -> None:
    found, clock = recorder()
    tracker = found.client("single")
    tracker.started()
    tracker.connecting(clock())
    tracker.connect_failed("timeout", clock.after(5_000_000))
    tracker.connecting(clock())
    tracker.connect_failed("refused", clock.after(90))
    counted = tally(found, 0)
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
    counted = tally(found, 7)
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
    tracker = connected(found, clock)
    tracker.sent(clock())
    found.close()
    found.close()
    tracker.stopped(clock.after(10))
    parts = list(unpack(found.report()))
    assert [(part.phase, part.closed) for part in parts] == [(0, False), (7, True), (0, False)]
    assert parts[1].tallies["single"].unanswered == 1
    assert parts[2].tallies["single"].abandoned == 1


def test_a_stopped_client_leaves_an_abandoned_request() -> None:
    found, clock = recorder()
    found.begin(7)
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.stopped(clock.after(300))
    [*_, part] = unpack(found.report())
    counted = part.tallies["single"]
    assert (counted.sent, counted.abandoned, counted.imbalance) == (1, 1, 0)
    assert counted.censored["first_reply"] == {330: 1}
    assert part.gauges["single"] == (0, 0, 0, 0, 0, 0, 0)


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
    window = parts[2].tallies["single"]
    assert (window.sent, window.carried, window.verified, window.imbalance) == (1, 1, 2, 0)
    assert window.histograms["response"] == {60: 1}
    assert window.histograms["first_reply"] == {230: 1}
    assert window.histograms["connect"] == {}
    assert (window.clients_connected, window.clients_served) == (2, 2)


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


def test_without_an_engine_nothing_is_busy() -> None:
    found, clock = recorder()
    clock.after(2_000_000)
    [part] = unpack(found.report())
    assert (part.effort.seconds, part.effort.busy_ratio) == (2.0, 0.0)


def test_an_engine_was_not_busy_before_it_ran() -> None:
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
    one = Tally(1, 2, 3, 4, 5, 6, 7, 8, 9)
    for number, counts in enumerate((one.outcomes, one.connections, one.breaks)):
        counts.update({name: 10 * number + place for place, name in enumerate(counts)})
    one.histograms["response"][30] = 3
    one.censored["first_reply"][40] = 4
    assert Tally.from_wire(one.to_wire()) == one
    two = Tally.from_wire(Tally(1, 2, 3, 4, 5, 6, 7, 8, 9).to_wire())
    two.add(one)
    assert (two.sent, two.carried, two.abandoned, two.unanswered) == (2, 4, 6, 8)
    assert (two.late_sends, two.unsent, two.clients_connected, two.clients_served, two.squares) == (10, 12, 14, 16, 18)
    assert (two.outcomes, two.connections, two.breaks) == (one.outcomes, one.connections, one.breaks)
    assert (two.histograms, two.censored) == (one.histograms, one.censored)


# Clients


def test_a_client_counts_once_in_a_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    often, once, never = (found.client("single") for _ in range(3))
    for tracker, times in ((often, 3), (once, 1), (never, 1)):
        tracker.started()
        for _ in range(times):
            tracker.connecting(clock())
            tracker.connected_at(clock.after(30))
            if tracker is not never:
                tracker.sent(clock())
                tracker.verified(clock.after(50))
            tracker.left()
    first = tally(found, 1)
    assert (first.clients_connected, first.clients_served) == (3, 2)
    assert (first.connections["connected"], first.verified) == (5, 4)
    found.begin(2)
    once.connecting(clock())
    once.connected_at(clock.after(30))
    second = tally(found, 2)
    assert (second.clients_connected, second.clients_served) == (1, 0)


def test_a_client_served_in_the_warmup_is_served() -> None:
    found, clock = recorder()
    found.begin(1)
    silent, asking, lately, unserved = (connected(found, clock) for _ in range(4))
    for tracker in (silent, asking, lately):
        tracker.sent(clock())
        tracker.verified(clock.after(50))
    found.begin(2)
    asking.sent(clock())
    unserved.sent(clock())
    lately.sent(clock.after(1))
    clock.after(999_999)
    [*_, part] = unpack(found.report())
    assert (part.gauges["single"].served, part.gauges["single"].unserved) == (3, 2)
    found.close()
    counted = tally(found, 2)
    assert (part.tallies["single"].clients_connected, counted.clients_served, counted.unanswered) == (4, 2, 3)


def test_a_client_stopped_early_was_served_too() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    found.begin(2)
    tracker.stopped(clock.after(100))
    tracker.stopped(clock.after(100))
    found.close()
    counted = tally(found, 2)
    assert (counted.clients_connected, counted.clients_served) == (1, 1)


def test_stopped_clients_are_served_if_they_had_replies() -> None:
    found, clock = recorder()
    found.begin(1)
    asking, answered = served(found, clock), served(found, clock)
    gone = served(found, clock)
    gone.left()
    unserved = connected(found, clock)
    found.begin(2)
    asking.sent(clock())
    answered.sent(clock())
    answered.verified(clock.after(50))
    clock.after(1_000_000)
    for tracker in (asking, answered, gone, unserved):
        tracker.stopped(clock())
    found.close()
    counted = tally(found, 2)
    assert (counted.clients_connected, counted.clients_served, counted.abandoned) == (3, 1, 1)


def answer(tracker: Tracker, clock: Clock, times: int) -> None:
    for _ in range(times):
        tracker.sent(clock())
        tracker.verified(clock.after(50))


@pytest.mark.parametrize(
    ("replies", "index"),
    [((9, 0, 0, 0), 0.25), ((7, 7, 0, 0), 0.5), ((3, 3, 3, 3), 1.0), ((1, 2, 3, 4), 100 / 120), ((5,), 1.0)],
    ids=["one is served", "half are", "equal shares", "unequal shares", "a single client"],
)
def test_fairness_is_jains_index_over_the_clients_connected(replies: tuple[int, ...], index: float) -> None:
    found, clock = recorder()
    found.begin(1)
    for number in replies:
        answer(connected(found, clock), clock, number)
    found.client("single").started()  # one that has no connection in the window is not among them
    found.close()
    assert tally(found, 1).fairness == index


def test_without_replies_there_is_no_fairness() -> None:
    found, clock = recorder()
    found.begin(1)
    connected(found, clock).sent(clock())
    found.close()
    assert tally(found, 1).fairness is None
    assert Tally().fairness is None


def test_fairness_forgets_the_warmups_replies() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    answer(one, clock, 100)
    other.sent(clock())
    found.begin(2)
    other.verified(clock.after(50))  # carried: it counts where it ends
    answer(one, clock, 3)
    found.report()
    found.begin(3)
    answer(other, clock, 2)
    found.close()
    counted = tally(found, 3)
    assert (counted.clients_connected, counted.verified, counted.squares, counted.fairness) == (2, 2, 4, 0.5)


def test_fairness_does_not_depend_on_reports() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    pooled = Tally()
    for _ in range(3):
        answer(one, clock, 2)
        answer(other, clock, 1)
        pooled.add(tally(found, 1))
        assert pooled.fairness == 9 / 10
    assert pooled.squares == 6**2 + 3**2
    found.close()
    assert tally(found, 1).squares == 0


def test_a_client_that_reconnects_is_one_client() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    answer(other, clock, 6)
    for ends in (one.left, lambda: one.stopped(clock()), one.left):
        answer(one, clock, 2)
        ends()
        one.connecting(clock())
        one.connected_at(clock.after(30))
    found.close()
    counted = tally(found, 1)
    assert (counted.clients_connected, counted.squares, counted.fairness) == (2, 6**2 + 6**2, 1.0)


def test_a_client_stopped_mid_phase_still_counts() -> None:
    found, clock = recorder()
    found.begin(1)
    going, staying, idle = (connected(found, clock) for _ in range(3))
    answer(going, clock, 2)
    going.stopped(clock())
    going.stopped(clock())
    pooled = tally(found, 1)
    answer(staying, clock, 4)
    idle.stopped(clock())
    found.close()
    pooled.add(tally(found, 1))
    assert (pooled.verified, pooled.squares, pooled.clients_connected) == (6, 2**2 + 4**2, 3)
    assert pooled.fairness == 36 / 60


def test_a_warmups_replies_stay_out_of_the_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    content = served(found, clock)
    found.begin(2)
    content.left()
    content.connecting(clock())
    content.connected_at(clock.after(30))
    answer(content, clock, 1)
    found.close()
    counted = tally(found, 2)
    assert (counted.clients_served, counted.verified, counted.squares) == (1, 1, 1)


SHARING = st.sampled_from(["answer", "answer", "answer", "leave", "stop", "report", "phase", "close"])


@given(st.lists(st.tuples(st.integers(0, 2), SHARING), max_size=60))
def test_every_verified_reply_is_in_one_share(actions: list[tuple[int, str]]) -> None:
    """Three clients are answered, leave, are stopped and come back, between reports, phases and ends."""
    found, clock = recorder()
    trackers = [found.client("single") for _ in range(3)]
    shares: dict[int, Counter[Tracker]] = {}
    pooled: dict[int, Tally] = {}
    latest = 1
    found.begin(latest)

    def collect() -> None:
        for part in unpack(found.report()):
            pooled.setdefault(part.phase, Tally()).add(part.tallies.get("single", Tally()))

    for number, action in [*actions, (0, "report"), (0, "close"), (0, "report")]:
        tracker = trackers[number]
        if action == "report":
            collect()
            if found.phase == latest:
                shared = sum(each.replies for each in trackers if each.served_in == latest)
                assert shared == pooled[latest].verified
        elif action == "phase":
            latest += 1
            found.begin(latest)
        elif action == "close":
            found.close()
        elif action == "leave":
            tracker.left()
        elif action == "stop":
            tracker.stopped(clock.after(17))
        else:
            if not tracker.connected:
                tracker.connecting(clock.after(17))
                tracker.connected_at(clock.after(17))
            answer(tracker, clock, 1)
            shares.setdefault(found.phase, Counter())[tracker] += 1
    for phase, counted in pooled.items():
        share = shares.get(phase, Counter())
        assert counted.verified == share.total()
        if phase != OUTSIDE:
            assert counted.squares == sum(replies**2 for replies in share.values())
            assert len(share) <= counted.clients_connected


@pytest.mark.parametrize(
    ("response", "first_reply", "waiting", "waiting_first", "expected"),
    [
        ({50: 9}, {7000: 1}, {}, {}, Quantile(7000, at_least=False)),
        ({50: 9, 8000: 1}, {7000: 1}, {60: 1}, {90: 1}, Quantile(8000, at_least=False)),
        ({50: 9}, {700: 1}, {60: 1}, {9000: 2}, Quantile(9000, at_least=True)),
        ({50: 9}, {}, {50: 1}, {}, Quantile(50, at_least=True)),
        ({}, {}, {0: 1}, {}, Quantile(0, at_least=True)),
        ({}, {0: 1}, {}, {}, Quantile(0, at_least=False)),
        ({}, {}, {}, {}, None),
    ],
)
def test_the_longest_wait_includes_those_still_waiting(
    response: Histogram, first_reply: Histogram, waiting: Histogram, waiting_first: Histogram, expected: Quantile | None
) -> None:
    longer = {90_000_000: 1}  # no wait for a reply, or not all of it
    counted = Tally(
        histograms={"response": response, "first_reply": first_reply, "connect": longer, "service": longer},
        censored={"response": waiting, "first_reply": waiting_first, "connect": longer, "service": longer},
    )
    assert counted.longest_wait == expected


@pytest.mark.parametrize("what", ["outcomes", "connections"])
def test_who_gave_up_would_have_waited_longer(what: str) -> None:
    counted = Tally(histograms={"response": {50: 9}, "first_reply": {5_000_000: 1}, "connect": {}, "service": {}})
    assert counted.longest_wait == Quantile(5_000_000, at_least=False)
    getattr(counted, what)["timeout"] = 1
    assert counted.longest_wait == Quantile(5_000_000, at_least=True)


def test_waiting_in_vain_is_the_longest_wait() -> None:
    found, clock = recorder()
    found.begin(1)
    busy, waiting = connected(found, clock), connected(found, clock)  # 30 us after one another
    waiting.sent(clock())
    found.begin(2)
    answer(busy, clock, 100)
    found.close()
    assert tally(found, 2).longest_wait == Quantile(5030, at_least=True)  # from the warm-up on


@pytest.mark.parametrize("how", BREAKS)
def test_an_idle_connection_that_breaks_fails_no_request(how: str) -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(50))
    tracker.broke(how)
    tracker.left()
    counted = tally(found, 1)
    assert counted.breaks == {**dict.fromkeys(BREAKS, 0), how: 1}
    assert (sum(counted.outcomes.values()), counted.verified, counted.imbalance) == (1, 1, 0)


# The open model


def served(found: Recorder, clock: Clock) -> Tracker:
    """Return a client that has had its first reply; what has happened until now is no part of what is counted next."""
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(50))
    found.report()
    return tracker


def test_response_counts_from_due_service_from_send() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock() - 4_000_000)  # it was held up for 4 ms
    tracker.sent(clock.after(1_000))
    assert tracker.verified(clock.after(300)) == 5_300_000
    counted = tally(found, OUTSIDE)
    assert counted.histograms["response"] == {5_300: 1}
    assert counted.histograms["service"] == {300: 1}
    assert counted.late_sends == 0  # the server held it up, not the generator


def test_a_due_time_holds_for_one_request() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock() - 4_000_000)
    tracker.sent(clock())
    tracker.verified(clock.after(300))
    tracker.sent(clock.after(10_000))
    tracker.verified(clock.after(200))
    counted = tally(found, OUTSIDE)
    assert counted.histograms["response"] == {4_300: 1, 200: 1}
    assert counted.histograms["service"] == {300: 1, 200: 1}


def test_a_timeout_counts_from_due_and_from_send() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock() - 500_000_000)
    tracker.sent(clock())
    assert tracker.failed("timeout", clock.after(30_000_000)) == 30_500_000_000
    counted = tally(found, OUTSIDE)
    assert counted.histograms["response"] == {30_500_000: 1}
    assert counted.histograms["service"] == {30_000_000: 1}


def test_a_first_reply_counts_from_its_due_time() -> None:
    found, clock = recorder()
    tracker = found.client("single")
    tracker.started()
    tracker.due(clock())
    tracker.connecting(clock.after(2_000))
    tracker.connected_at(clock.after(30))
    tracker.sent(clock.after(5))
    assert tracker.verified(clock.after(700)) == 2_735_000
    tracker.left()
    tracker.connecting(clock.after(9_000))  # without a schedule it is due from here
    tracker.connected_at(clock.after(20))
    tracker.sent(clock())
    tracker.verified(clock.after(80))
    counted = tally(found, OUTSIDE)
    assert counted.histograms["connect"] == {30: 1, 20: 1}
    assert counted.histograms["first_reply"] == {2_740: 1, 100: 1}
    assert counted.histograms["response"] == {}


@pytest.mark.parametrize("outcome", ["refused", "timeout", "reset", "no_port", "failed"])
def test_a_failed_connect_leaves_its_request_unsent(outcome: str) -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = found.client("single")
    tracker.started()
    tracker.due(clock())
    tracker.connecting(clock.after(2_000))
    assert tracker.connect_failed(outcome, clock.after(700)) == 700_000
    tracker.connecting(clock.after(10))  # nothing is due by now: this attempt is no request's
    tracker.connect_failed("refused", clock.after(10))
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.sent, counted.imbalance) == (1, 0, 0)
    waited = outcome == "timeout"
    assert counted.histograms["connect"] == ({700: 1} if waited else {})
    assert counted.histograms["first_reply"] == ({2_700: 1} if waited else {})


def test_due_unsent_requests_are_censored_at_their_age() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 400_000)
    tracker.due(tracker.schedule.take())
    tracker.sent(clock())
    early = found.client("single")
    early.started()
    early.schedule = Schedule(clock() + 10**9, 10**6)
    clock.after(1_300)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 3
    found.close()
    counted = tally(found, 1)
    assert counted.unsent == 3
    assert counted.unanswered == 1
    assert counted.censored["response"] == {100: 1, 500: 1, 900: 1, 1_300: 1}  # due after 1200, 800, 400 and 0 us
    assert counted.censored["service"] == {1_300: 1}
    assert quantile({50: 4}, 0.5, counted.censored["response"]) == Quantile(50, at_least=False)
    assert quantile({50: 4}, 0.99, counted.censored["response"]) == Quantile(1_300, at_least=True)
    found.close()
    assert tally(found, OUTSIDE).unsent == 0


def test_a_connecting_client_waits_from_its_due_time() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = found.client("single")
    tracker.started()
    tracker.due(clock())
    tracker.connecting(clock.after(2_000))
    clock.after(500)
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.unanswered, counted.sent) == (1, 0, 0)
    assert counted.censored["connect"] == {500: 1}
    assert counted.censored["first_reply"] == {2_500: 1}


def test_a_stopped_client_leaves_unsent_and_schedules_nothing() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 1_000_000)
    tracker.stopped(clock.after(2_500))
    clock.after(5_000)
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (3, 0, 0)
    assert counted.censored["response"] == {500: 1, 1_500: 1, 2_500: 1}


def test_whoever_is_stopped_has_nothing_due_any_more() -> None:
    found, clock = recorder()
    tracker = found.client("single")
    tracker.started()
    tracker.schedule = Schedule(clock(), 1_000_000)
    tracker.due(tracker.schedule.take())
    tracker.connecting(clock.after(1_500))
    tracker.stopped(clock())
    tracker.stopped(clock.after(5_000))
    assert tally(found, OUTSIDE).unsent == 2
    tracker.started()
    tracker.connecting(clock.after(7_000))
    tracker.connected_at(clock.after(30))
    tracker.sent(clock())
    tracker.verified(clock.after(100))
    assert tally(found, OUTSIDE).histograms["first_reply"] == {130: 1}


def test_ages_count_to_the_drivers_last_look() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 1_000_000)
    looked = clock.after(1_500)
    clock.after(60_000)  # in which nobody looked
    found.close(looked)
    counted = tally(found, 1)
    assert counted.unsent == 2
    assert counted.censored["response"] == {500: 1, 1_500: 1}


def test_what_began_after_the_look_has_no_age() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker, dawdler, first = served(found, clock), served(found, clock), connected(found, clock)
    connecting = found.client("single")
    connecting.started()
    looked = clock()
    tracker.sent(clock.after(400))
    dawdler.due(clock())
    first.connecting(clock())
    first.connected_at(clock.after(10))
    first.sent(clock())
    connecting.connecting(clock())
    clock.after(100)
    found.close(looked)
    counted = tally(found, 1)
    assert (counted.unanswered, counted.unsent) == (2, 1)
    assert counted.censored == {
        "response": {0: 2},
        "service": {0: 1},
        "connect": {0: 1},
        "first_reply": {0: 2},
    }


def test_a_later_rate_change_tells_nothing_of_ages() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 1_000_000)
    looked = clock.after(1_500)
    clock.after(60_000)  # in which nobody looked
    found.retune(7_000_000)
    found.close(looked)
    counted = tally(found, 1)
    assert counted.censored["response"] == {500: 1, 1_500: 1}
    assert counted.unsent == 2


def test_a_request_kept_back_by_a_stall_counts() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.due(clock())
    clock.after(700)  # half of it has gone
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.unanswered) == (1, 0)
    assert counted.censored["response"] == {700: 1}
    assert counted.censored["service"] == {}
    tracker.sent(clock.after(300))
    tracker.verified(clock.after(50))
    assert tally(found, OUTSIDE).histograms["response"] == {1_050: 1}


def test_a_first_request_kept_back_waits_from_due() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = found.client("single")
    tracker.started()
    tracker.due(clock())
    tracker.connecting(clock.after(200))
    tracker.connected_at(clock.after(30))
    clock.after(70)
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.unanswered) == (1, 0)
    assert counted.censored == {"response": {}, "service": {}, "connect": {}, "first_reply": {300: 1}}


def test_a_stopped_stalling_client_leaves_one_unsent() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.due(clock())
    tracker.stopped(clock.after(700))
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (1, 0, 0)
    assert counted.censored["response"] == {700: 1}


def test_a_clients_own_stall_is_no_response_time() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock() - 4_000_000)  # it was held up for 4 ms
    tracker.put_off(1_500_000)
    tracker.sent(clock.after(1_500))
    assert tracker.verified(clock.after(300)) == 4_300_000
    tracker.due(clock())
    tracker.put_off(1_500_000)
    tracker.sent(clock.after(1_600))  # it woke up late
    tracker.verified(clock.after(300))
    counted = tally(found, OUTSIDE)
    assert counted.histograms["response"] == {4_300: 1, 400: 1}
    assert counted.histograms["service"] == {300: 2}


def test_a_stall_in_time_changes_no_response() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock())
    tracker.put_off(1_500_000)
    tracker.sent(clock.after(1_500))
    tracker.failed("timeout", clock.after(700))
    counted = tally(found, OUTSIDE)
    assert counted.histograms["response"] == counted.histograms["service"] == {700: 1}


def test_a_dawdler_without_a_schedule_puts_nothing_off() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.put_off(1_500_000)
    assert not tracker.is_kept_back
    tracker.sent(clock.after(1_500))
    assert tracker.verified(clock.after(300)) == 300_000
    tracker.put_off(1_500_000)
    tracker.stopped(clock.after(700))
    counted = tally(found, 1)
    assert counted.histograms["response"] == counted.histograms["service"] == {300: 1}
    assert (counted.unsent, counted.abandoned) == (0, 0)
    assert counted.censored["response"] == {}


def test_what_was_put_off_holds_for_one_request() -> None:
    found, clock = recorder()
    tracker = served(found, clock)
    tracker.due(clock())
    tracker.put_off(1_500_000)
    tracker.sent(clock.after(1_500))
    tracker.verified(clock.after(300))
    tracker.due(clock())
    tracker.sent(clock.after(2_000))
    assert tracker.verified(clock.after(300)) == 2_300_000


def test_nothing_falls_due_while_the_client_dawdles() -> None:
    """Its next request too is due that much later: else the server would be charged with the dawdling."""
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 1_000_000)
    tracker.due(tracker.schedule.take())
    tracker.put_off(7_500_000)
    clock.after(7_500)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 1, "the one that it dawdles with"
    tracker.sent(clock())
    tracker.verified(clock.after(300))
    assert tracker.schedule.upcoming == clock() + 700_000
    clock.after(700)
    tracker.due(tracker.schedule.take())
    tracker.sent(clock())
    tracker.verified(clock.after(300))
    found.close()
    counted = tally(found, 1)
    assert counted.histograms["response"] == counted.histograms["service"] == {300: 2}
    assert (counted.sent, counted.unsent, counted.censored["response"]) == (2, 0, {})


@pytest.mark.parametrize(("waited", "age"), [(700, 0), (1_500, 0), (1_900, 400)])
def test_a_stall_cut_short_waited_for_the_rest(waited: int, age: int) -> None:
    found, clock = recorder()
    found.begin(1)
    ending, stopping = served(found, clock), served(found, clock)
    for tracker in (ending, stopping):
        tracker.due(clock())
        tracker.put_off(1_500_000)
    stopping.stopped(clock.after(waited))
    found.close()
    counted = tally(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (2, 0, 0)
    assert counted.censored["response"] == {age: 2}


def test_a_client_that_connects_counts_without_a_start() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = found.client("single")
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].users == 0
    tracker.connecting(clock())
    [part] = unpack(found.report())
    assert (part.gauges["single"].users, part.gauges["single"].connected) == (1, 0)
    tracker.started()  # it is one client all the same
    tracker.connected_at(clock.after(30))
    tracker.sent(clock())
    clock.after(100)
    [part] = unpack(found.report())
    gauges = part.gauges["single"]
    assert (gauges.users, gauges.connected, gauges.unserved, gauges.unanswered) == (1, 1, 1, 1)
    found.close()
    counted = tally(found, 1)
    assert (counted.unanswered, counted.censored["first_reply"]) == (1, {130: 1})
    tracker.stopped(clock())
    [part] = unpack(found.report())
    assert part.gauges["single"].users == 0


def test_a_request_is_kept_back_until_sent() -> None:
    found, clock = recorder()
    tracker = found.client("single")
    tracker.started()
    seen = [tracker.is_kept_back]
    for act in (
        lambda: tracker.due(clock()),
        lambda: tracker.connecting(clock()),
        lambda: tracker.connect_failed("refused", clock()),
        lambda: tracker.due(clock()),
        lambda: tracker.connecting(clock()),
        lambda: tracker.connected_at(clock()),
        lambda: tracker.sent(clock()),
        lambda: tracker.verified(clock()),
        lambda: tracker.due(clock()),
        tracker.left,
        lambda: tracker.due(clock()),
        lambda: tracker.stopped(clock()),
    ):
        act()
        seen.append(tracker.is_kept_back)
    assert "".join("-+"[kept] for kept in seen) == "-++-+++--+-+-"
    assert tally(found, OUTSIDE).unsent == 3


def test_a_broken_connection_leaves_its_due_request_unsent() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.due(clock())
    tracker.broke("closed")
    tracker.left()
    tracker.due(clock.after(1_000))
    tracker.connecting(clock())
    tracker.connected_at(clock.after(30))
    tracker.sent(clock())
    found.close()
    counted = tally(found, 1)
    assert (counted.sent, counted.unsent) == (1, 1)


def test_a_connect_to_send_shows_as_unsent() -> None:
    found, clock = recorder()
    tracker = found.client("single")
    tracker.started()
    tracker.schedule = Schedule(clock(), 1_500_000)
    tracker.due(tracker.schedule.take())
    tracker.connecting(clock.after(2_000))
    [part] = unpack(found.report())
    assert part.gauges["single"].unsent == 2  # another one has fallen due meanwhile
    tracker.connected_at(clock.after(30))
    tracker.sent(clock())
    [part] = unpack(found.report())
    assert (part.gauges["single"].unsent, part.gauges["single"].unanswered) == (1, 1)


def test_ages_of_overdue_requests_keep_half_a_percent() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 38_461)  # 26,000 requests per second
    clock.after(1_000_000)
    found.close()
    counted = tally(found, 1)
    assert counted.unsent == 26_001
    assert max(counted.censored["response"]) == 1_000_000


def test_another_rate_reaches_every_scheduled_client() -> None:
    found, clock = recorder()
    one, other, closed = connected(found, clock), connected(found, clock, "asyncio"), connected(found, clock)
    now = clock()
    one.schedule, other.schedule = Schedule(now + 100, 10), Schedule(now - 15, 10)
    found.retune(7)
    assert [one.schedule.take() - now for _ in range(2)] == [70, 77]
    assert [other.schedule.take() - now for _ in range(4)] == [-15, -5, 3, 10]
    assert closed.schedule is None


def test_a_schedule_has_a_rate_before_its_client() -> None:
    found, clock = recorder()
    told: list[tuple[str, int]] = []
    trackers = {name: connected(found, clock) for name in ("paced", "other", "closed", "stopped")}
    now = clock()
    for name, first in (("paced", 100), ("other", 40), ("stopped", 60)):
        trackers[name].schedule = Schedule(now + first, 10)

    def listen(name: str, tracker: Tracker) -> None:
        tracker.retuned = lambda: told.append((name, tracker.schedule.upcoming - now if tracker.schedule else 0))

    for name, tracker in trackers.items():
        listen(name, tracker)
    trackers["stopped"].stopped(now)
    found.retune(5)
    assert sorted(told) == [("other", 20), ("paced", 50)]


def test_requests_due_by_an_older_rate_stay_due() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.schedule = Schedule(clock(), 1_000_000)
    clock.after(2_500)
    found.retune(200_000)
    clock.after(600)  # since the first was due: 3,100 us
    found.retune(5_000_000)
    clock.after(200)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 6
    found.close()
    counted = tally(found, 1)
    assert counted.unsent == 6
    # Due after 0, 1,000 and 2,000 us by the first rate; by the second after 2,600 (half an interval), 2,800 and 3,000.
    assert counted.censored["response"] == {3_300: 1, 2_300: 1, 1_300: 1, 700: 1, 500: 1, 300: 1}


# Settling

REPLIES = st.lists(st.tuples(st.sampled_from(["first", "even", "uneven"]), st.integers(0, 3000)), max_size=60)


def play_replies(
    replies: list[tuple[str, int]], settle: int
) -> tuple[dict[str, Histogram], list[tuple[bool, Histogram]]]:
    """Have replies come. Return the histograms, and what `told` has heard."""
    found, clock = recorder()
    book = found.book("single")
    heard: list[tuple[bool, Histogram]] = []
    book.told = lambda first, histogram: heard.append((first, dict(histogram)))
    tracker = found.client("single")
    with patch("loadtest.recorder.SETTLE", settle):
        for kind, microseconds in replies:
            if kind == "first" or not tracker.served:
                tracker.left()
                tracker.connecting(clock())
                tracker.connected_at(clock())
            if kind == "uneven":
                tracker.due(clock() - 9_000)
            tracker.sent(clock())
            tracker.verified(clock.after(microseconds))
    return tally(found, OUTSIDE).histograms, heard


@given(REPLIES, st.integers(1, 5))
def test_how_often_durations_become_histograms_changes_nothing(replies: list[tuple[str, int]], settle: int) -> None:
    often, heard_often = play_replies(replies, settle)
    once, heard_once = play_replies(replies, len(replies) + 1)
    assert often == once
    assert len(heard_once) <= 3
    for first in (True, False):
        for heard in (heard_often, heard_once):
            pooled: Histogram = {}
            for which, histogram in heard:
                if which == first:
                    merge(pooled, histogram)
            assert pooled == once["first_reply" if first else "response"]


def test_each_verified_reply_is_reported_once() -> None:
    _, heard = play_replies([("first", 700), ("even", 40), ("uneven", 50), ("even", 40)], 100)
    assert sorted(heard, key=str) == [(False, {40: 2}), (False, {59: 1}), (True, {700: 1})]


@pytest.mark.parametrize("kind", ["first", "even", "uneven"])
def test_durations_are_settled_by_the_thousand(kind: str) -> None:
    found, clock = recorder()
    book = found.book("single")
    tracker = connected(found, clock)
    tracker.served = kind != "first"
    series = "first_reply" if kind == "first" else "response"
    for number in range(1, SETTLE + 2):
        if kind == "first":
            tracker.left()
            tracker.connecting(clock())
            tracker.connected_at(clock())
        elif kind == "uneven":
            tracker.due(clock() - 9_000)
        tracker.sent(clock())
        tracker.verified(clock.after(40))
        assert sum(book.tally.histograms[series].values()) == (SETTLE if number >= SETTLE else 0)
    found.report()
    assert tally(found, OUTSIDE).histograms[series] == {}
    assert not (book.first or book.even or book.responses or book.services)


def test_a_duration_counts_in_its_ending_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    tracker = served(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(70))
    found.begin(2)
    tracker.sent(clock())
    tracker.verified(clock.after(80))
    parts: dict[int, Part] = {part.phase: part for part in unpack(found.report())}
    assert [parts[phase].tallies["single"].histograms["response"] for phase in (1, 2)] == [{70: 1}, {80: 1}]


# Conservation

INTERVALS = (40_000, 15_000, 90_000, 200_000)


@dataclass
class Client:
    """
    One of the property tests' clients, and what the test knows of it by itself.

    upcoming: when its next request falls due, 0 without a schedule. interval: how long after it the one after that.
    fell_due, taken: requests. connecting, dawdling: the one that was taken last waits for that.
    """

    tracker: Tracker
    upcoming: int = 0
    interval: int = 0
    fell_due: int = 0
    taken: int = 0
    connecting: bool = False
    dawdling: bool = False

    def look(self, now: int) -> None:
        """Count one by one what has fallen due."""
        while 0 < self.upcoming <= now:
            self.upcoming += self.interval
            self.fell_due += 1

    def unsent(self, now: int) -> int:
        if not self.upcoming:
            return 0
        self.look(now)
        return self.fell_due - self.taken + self.connecting + self.dawdling

    def take_turn(self, now: int) -> bool:
        """Take the turn, if it has come; a client without a schedule needs none."""
        schedule = self.tracker.schedule
        if schedule is None:
            return True
        if schedule.upcoming > now:
            return False
        self.tracker.due(schedule.take())
        self.taken += 1
        return True


class Crowd:
    """Four clients, the last two of them in the open model. They step, fail and are stopped in any order."""

    def __init__(self) -> None:
        self.recorder, self.clock = recorder()
        self.clients: list[Client | None] = [None] * 4
        self.pooled: dict[int, Tally] = {}
        self.unsent: Counter[int] = Counter()
        self.breaks = self.fell_due = 0
        self.interval = INTERVALS[0]

    def collect(self) -> None:
        now = self.clock()
        for part in unpack(self.recorder.report()):
            for counted in part.tallies.values():
                self.pooled.setdefault(part.phase, Tally()).add(counted)
        gauges = part.gauges.values()
        assert sum(each.unsent for each in gauges) == sum(client.unsent(now) for client in self.clients if client)
        assert sum(each.unanswered for each in gauges) == self.open_now

    def whole(self) -> Tally:
        whole = Tally()
        for counted in self.pooled.values():
            whole.add(counted)
        return whole

    def close(self) -> None:
        now = self.clock()
        if self.recorder.phase != OUTSIDE:
            self.unsent[self.recorder.phase] += sum(client.unsent(now) for client in self.clients if client)
        self.recorder.close()

    def retune(self, interval: int) -> None:
        self.interval = interval
        now = self.clock()
        for client in self.clients:
            if client is not None and client.upcoming:
                client.look(now)
                client.upcoming = now + max(1, (client.upcoming - now) * interval // client.interval)
                client.interval = interval
        self.recorder.retune(interval)

    def act(self, number: int, action: str) -> None:
        now = self.clock.after(17)
        client = self.clients[number]
        if action == "retune":
            self.retune(INTERVALS[number])
        elif client is None:
            client = self.clients[number] = Client(connected(self.recorder, self.clock))
            if number >= 2:
                client.upcoming, client.interval = self.clock(), self.interval
                client.tracker.schedule = Schedule(self.clock(), self.interval)
        elif action == "stop":
            self._stop(client, now)
            self.clients[number] = None
        elif client.connecting:
            client.connecting = False
            if action == "fail":
                self.unsent[self.recorder.phase] += client.upcoming > 0
                client.tracker.connect_failed("refused", now)
            else:
                client.tracker.connected_at(now)
                client.tracker.sent(now)
        elif client.tracker.sent_at:
            self._end(client.tracker, OUTCOMES[1 + number] if action == "fail" else "verified", now)
        elif action == "broke":
            self.unsent[self.recorder.phase] += client.dawdling and client.upcoming > 0
            client.dawdling = False
            client.tracker.broke("closed")
            client.tracker.left()
            self.breaks += 1
        elif client.dawdling:
            client.dawdling = False
            client.tracker.sent(now)
        else:
            self._ask(client, action, now)

    @staticmethod
    def _ask(client: Client, action: str, now: int) -> None:
        """Have it ask for something, if it is its turn; by the action, it connects anew for it, or dawdles with it."""
        if action == "connect":
            client.tracker.left()
        if client.take_turn(now):
            if not client.tracker.connected:
                client.tracker.connecting(now)
                client.connecting = True
            elif action == "dawdle":
                client.dawdling = True
            else:
                client.tracker.sent(now)

    def _stop(self, client: Client, now: int) -> None:
        self.unsent[self.recorder.phase] += client.unsent(now)
        self.fell_due += client.fell_due
        client.tracker.stopped(now)

    @staticmethod
    def _end(tracker: Tracker, outcome: str, now: int) -> None:
        if outcome == "verified":
            tracker.verified(now)
        else:
            tracker.failed(outcome, now)

    @property
    def open_now(self) -> int:
        return sum(bool(client and client.tracker.sent_at) for client in self.clients)


ACTS = ["step", "fail", "stop", "connect", "dawdle", "broke", "retune"]
ACTIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*ACTS, "report", "phase", "close"])), max_size=80)


@given(ACTIONS)
def test_every_request_is_accounted_for_whatever_happens(actions: list[tuple[int, str]]) -> None:
    """Four clients do whatever they may, between reports, phases and ends."""
    crowd = Crowd()
    phase = 0
    for number, action in actions:
        if action == "report":
            crowd.collect()
        elif action == "phase":
            phase += 1
            crowd.recorder.begin(phase)
        elif action == "close":
            crowd.close()
        else:
            crowd.act(number, action)
    closed = crowd.recorder.phase
    crowd.close()
    crowd.collect()
    whole = crowd.whole()
    assert whole.sent == sum(whole.outcomes.values()) + whole.abandoned + crowd.open_now
    assert whole.breaks["closed"] == crowd.breaks
    assert {phase: counted.unsent for phase, counted in crowd.pooled.items() if counted.unsent} == +crowd.unsent
    if closed:
        last = crowd.pooled.get(closed, Tally())
        assert (last.imbalance, last.unanswered) == (0, crowd.open_now)


@given(st.lists(st.tuples(st.integers(2, 3), st.sampled_from(ACTS)), max_size=80))
def test_everything_due_is_sent_or_unsent(actions: list[tuple[int, str]]) -> None:
    """The two clients in the open model, in one phase."""
    crowd = Crowd()
    crowd.recorder.begin(1)
    for number, action in actions:
        crowd.act(number, action)
    now = crowd.clock()
    for client in crowd.clients:
        if client is not None:
            client.look(now)
            crowd.fell_due += client.fell_due
    crowd.close()
    crowd.collect()
    window = crowd.whole()
    assert window.sent + window.unsent == crowd.fell_due
    assert window.imbalance == 0
