"""
Every panel's query returns known durations through the lab's own exporters and a real Prometheus.

Quantiles are exact from the master's, and within a bucket from histograms.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import pytest

from loadtest.run_warnings import Degree, LoadWarning
from tests.observability import known
from tests.observability.promql import Selector, grouped_by, selectors
from tests.observability.queries import Query, queries
from tests.support.lab import prometheus as scraper
from tests.support.lab.prometheus import Prometheus, Result

INTERVAL = "500ms"
EXACT = "tcplab_load_recent_seconds"
BUCKETS = {f"{name}_bucket" for name in known.HISTOGRAMS}
QUANTILE = re.compile(r"histogram_quantile\(\s*([0-9.]+)\s*,")


def asked(expr: str) -> Query:
    return Query("(every series)", "all", "A", expr, instant=True)


def filled(query: Query) -> str:
    """Return its PromQL with rates over all that the test's Prometheus has seen, also on a slow machine."""
    return query.promql(rate_interval="1m")


# Every exported histogram is right, also those that no dashboard reads.
EVERYTHING = [
    asked(EXACT),
    *(
        asked(f"histogram_quantile({q}, sum by (le, variant) (rate({name}[$__rate_interval])))")
        for name in sorted(BUCKETS)
        for q in (0.5, 0.99)
    ),
    *(asked(f"sum by (le, variant) (increase({name}[$__rate_interval]))") for name in sorted(BUCKETS)),
]
OF_DURATIONS = [
    query
    for query in (*EVERYTHING, *queries())
    if any(selector.metric == EXACT or selector.metric in BUCKETS for selector in selectors(filled(query)))
]


@dataclass(frozen=True)
class Played:
    """
    A Prometheus that has seen all exporters at zero, then with all known durations.

    valid, excluded: moments after that (unix seconds), before and after the load has a warning.
    """

    prometheus: Prometheus
    valid: float
    excluded: float

    def query(self, promql: str) -> Result:
        """Return a query's result; a query of only excluded figures returns nothing before there is a warning."""
        return self.prometheus.query(promql, self.valid) or self.prometheus.query(promql, self.excluded)


@pytest.fixture(scope="module")
def played(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with known.exporters() as exporters:
        config = scraper.configuration(exporters.ports, INTERVAL)
        with scraper.running(prometheus, config, tmp_path_factory.mktemp("prometheus")) as running:
            number = len(known.NAMES)
            running.wait_for("variant:tcplab_steady_clients:max", number)  # some panels need steady clients
            running.wait_for("tcplab_service_seconds_count == 0", number)
            exporters.play()
            counts = (
                "tcplab_service_seconds_count",
                "tcplab_gc_pause_seconds_count",
                "tcplab_load_response_seconds_count",
            )
            for count in counts:
                running.wait_for(f"{count} == {known.NUMBER}", number)
            # With its recorded series, and with steady clients, which a scrape that comes late interrupts.
            steady = "and on (variant) variant:tcplab_steady_clients:max"
            served = f'max by (variant) (tcplab_load_recent_rate{{outcome="verified"}}) > 0 {steady}'
            valid = running.settled_moment(served, number)
            exporters.load.warnings = (LoadWarning("corrupt", "", "", Degree.DOUBT, tuple(known.NAMES)),)
            warned = 'and on () max(tcplab_load_warning{warning="corrupt"}) == 1'
            yield Played(running, valid, running.settled_moment(f"{served} {warned}", number))


def label(selector: Selector, labels: dict[str, str], name: str) -> str:
    """Return a label's value from a result's series, or else from the selector."""
    if name in labels:
        return labels[name]
    operator, value = selector.matchers.get(name, ("", ""))
    assert operator == "=" or (operator == "=~" and re.fullmatch(r"\w+", value)), (
        f"nothing tells the {name} of {labels}"
    )
    return value


def exact(query: Query, selector: Selector, found: Result) -> None:
    for labels, value in found:
        variant, series, fraction = (label(selector, labels, name) for name in ("variant", "series", "q"))
        assert value == known.of_load(variant)[series].quantile(fraction), labels


def within_a_bucket(query: Query, selector: Selector, found: Result) -> None:
    asked_for = QUANTILE.search(filled(query))
    assert asked_for is not None, f"no quantile in {query.expr}"
    metric = selector.metric.removesuffix("_bucket")
    for labels, value in found:
        distribution = known.truth(metric, label(selector, labels, "variant"))
        low, high = distribution.bucket(asked_for[1], known.HISTOGRAMS[metric])
        # If a rank falls between two buckets, a rate's last digit decides which one it is in.
        assert low * (1 - 1e-6) < value <= high * (1 + 1e-6), labels


def bucket_by_bucket(query: Query, selector: Selector, found: Result) -> None:
    metric = selector.metric.removesuffix("_bucket")
    by_variant: dict[str, dict[float, float]] = {}
    for labels, value in found:
        by_variant.setdefault(label(selector, labels, "variant"), {})[float(labels["le"])] = value
    for variant, counts in by_variant.items():
        assert sorted(counts) == [*known.HISTOGRAMS[metric], inf]
        for (below, fewer), (bound, more) in pairwise(sorted([(0.0, 0.0), *counts.items()])):
            share = (more - fewer) / counts[inf]
            distribution = known.truth(metric, variant)
            assert share == pytest.approx(distribution.up_to(bound) - distribution.up_to(below), abs=1e-9), (
                variant,
                bound,
            )


@pytest.mark.parametrize("query", OF_DURATIONS, ids=[f"{one.dashboard} {one.panel} {one.ref}" for one in OF_DURATIONS])
def test_a_panels_query_tells_what_is_known(query: Query, played: Played) -> None:
    chosen = [each for each in selectors(filled(query)) if each.metric == EXACT or each.metric in BUCKETS]
    assert len({(each.metric, *each.matchers.items()) for each in chosen}) == 1, f"not one figure: {query.expr}"
    selector = chosen[0]
    found = played.query(filled(query))
    if selector.metric == EXACT:
        check = exact
    elif "histogram_quantile" in query.expr:
        check = within_a_bucket
    else:
        assert "le" in grouped_by(query.expr), f"neither a quantile nor a heatmap: {query.expr}"
        check = bucket_by_bucket
    variants = {label(selector, labels, "variant") for labels, _ in found}
    one = re.search(r'variant=~?"(\w+)"', filled(query))
    assert variants == ({one[1]} if one else set(known.NAMES))
    check(query, selector, found)


def test_the_exact_quantiles_are_all_there(played: Played) -> None:
    assert len(played.query(EXACT)) == len(known.NAMES) * len(known.SERIES) * 4


def test_no_two_distributions_are_alike() -> None:
    quantiles = [
        known.of_load(name)[series].quantile(q)
        for name in known.NAMES
        for series in known.SERIES
        for q in ("0.5", "0.99")
    ]
    assert len(set(quantiles)) == len(quantiles)
