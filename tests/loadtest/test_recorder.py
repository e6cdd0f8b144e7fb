"""The recorder: precision, exact merging, quantiles with unanswered requests, conservation. All in-process."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.recorder import (
    OUTCOMES,
    Histogram,
    Quantile,
    Recorder,
    Tally,
    Tracker,
    bucket,
    count,
    merge,
    quantile,
    unpack,
)

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


@given(st.lists(st.lists(DURATIONS, max_size=40), max_size=5))
def test_merging_workers_is_pooling_their_samples(workers: list[list[int]]) -> None:
    merged: Histogram = {}
    for worker in workers:
        merge(merged, histogram_of(worker))
    assert merged == histogram_of([duration for worker in workers for duration in worker])


@given(st.lists(DURATIONS, min_size=1, max_size=300), FRACTIONS)
def test_a_quantile_is_the_sorted_samples_within_half_a_percent(durations: list[int], fraction: float) -> None:
    found = quantile(histogram_of(durations), fraction)
    truth = exact(durations, fraction)
    assert found is not None
    assert abs(found.microseconds - truth) <= truth * 0.005
    assert not found.at_least


@given(st.lists(DURATIONS, max_size=60), st.lists(DURATIONS, min_size=1, max_size=20), FRACTIONS)
def test_the_unanswered_count_at_their_age_and_mark_what_they_could_move(
    durations: list[int], ages: list[int], fraction: float
) -> None:
    found = quantile(histogram_of(durations), fraction, histogram_of(ages))
    assert found is not None
    assert found.microseconds == bucket(exact(durations + ages, fraction))
    for_ever = exact(durations + [10**9] * len(ages), fraction)
    assert found.at_least == (bucket(for_ever) != found.microseconds)


def test_no_samples_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({}, 0.5, {}) is None


def test_one_waiting_client_of_two_marks_the_upper_quantiles_only() -> None:
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


def test_the_first_reply_counts_from_connect_and_is_never_pooled_with_the_others() -> None:
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


def test_each_connection_has_a_first_reply_of_its_own() -> None:
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


def test_a_late_request_is_measured_from_when_it_was_due() -> None:
    found, clock = recorder()
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.verified(clock.after(50))
    due = clock()
    tracker.sent(clock.after(9_000), due, late=True)
    tracker.verified(clock.after(100))
    counted = tally(found, 0)
    assert counted.histograms["response"] == {9_100: 1}
    assert counted.histograms["service"] == {100: 1}
    assert counted.late_sends == 1


def test_a_timeout_is_in_the_histogram_at_the_time_it_waited_other_errors_are_not() -> None:
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


def test_a_connect_that_times_out_waited_for_its_first_reply_too() -> None:
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


def test_what_is_open_when_the_window_ends_is_censored_at_its_age() -> None:
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


def test_the_end_of_a_run_changes_nothing_any_more() -> None:
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


def test_a_stopped_client_leaves_an_abandoned_request_and_is_gone() -> None:
    found, clock = recorder()
    found.begin(7)
    tracker = connected(found, clock)
    tracker.sent(clock())
    tracker.stopped(clock.after(300))
    [*_, part] = unpack(found.report())
    counted = part.tallies["single"]
    assert (counted.sent, counted.abandoned, counted.imbalance) == (1, 1, 0)
    assert counted.censored["first_reply"] == {330: 1}
    assert part.gauges["single"] == (0, 0, 0, 0, 0)


def test_figures_of_the_warmup_stay_there_and_what_is_open_is_carried_over() -> None:
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


ACTIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["step", "fail", "stop", "report", "phase", "close"])))


@given(ACTIONS)
def test_every_request_is_accounted_for_whatever_happens(actions: list[tuple[int, str]]) -> None:
    """Four clients step, fail and are stopped in any order, between reports, phases and ends."""
    found, clock = recorder()
    clients: list[Tracker | None] = [None] * 4
    pooled: dict[int, Tally] = {}
    phase = 0

    def collect() -> None:
        for part in unpack(found.report()):
            for counted in part.tallies.values():
                pooled.setdefault(part.phase, Tally()).add(counted)

    for number, action in actions:
        now = clock.after(17)
        tracker = clients[number]
        if action == "report":
            collect()
        elif action == "phase":
            phase += 1
            found.begin(phase)
        elif action == "close":
            found.close()
        elif tracker is None:
            clients[number] = connected(found, clock)
        elif action == "stop":
            tracker.stopped(now)
            clients[number] = None
        elif not tracker.sent_at:
            tracker.sent(now)
        elif action == "fail":
            tracker.failed(OUTCOMES[1 + number], now)
        else:
            tracker.verified(now)
    closed = found.phase
    found.close()
    collect()
    whole = Tally()
    for counted in pooled.values():
        whole.add(counted)
    open_now = sum(bool(tracker and tracker.sent_at) for tracker in clients)
    assert whole.sent == sum(whole.outcomes.values()) + whole.abandoned + open_now
    if closed:
        last = pooled.get(closed, Tally())
        assert (last.imbalance, last.unanswered) == (0, open_now)
