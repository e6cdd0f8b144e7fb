"""Every expression of a dashboard or rule reads existing metrics, labels and values."""

import re

import pytest

from tests.observability import catalogue
from tests.observability.promql import Selector, grouped_by, selectors
from tests.observability.queries import ROOT, queries

EXPRESSIONS = [(f"{one.dashboard}: {one.panel} {one.ref}", one.expr) for one in queries()] + [
    (rule.get("record") or rule["alert"], rule["expr"]) for rule in catalogue.rules()
]


@pytest.fixture(scope="module")
def known() -> catalogue.Catalogue:
    return catalogue.everything()


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_reads_only_what_is_exported(where: str, expr: str, known: catalogue.Catalogue) -> None:
    found = selectors(expr)
    assert found, f"{where} reads no metric"
    for selector in found:
        assert selector.metric in known, f"{where} reads {selector.metric}, which nothing exports"
        labels = known[selector.metric]
        for label, (operator, value) in selector.matchers.items():
            assert label in labels, f"{where}: {selector.metric} has no label {label}, only {sorted(labels)}"
            if labels[label] and operator in {"=", "=~"}:
                assert any(re.fullmatch(value, one) for one in labels[label]), (
                    f"{where}: {label} of {selector.metric} is never {value}, only {sorted(labels[label])}"
                )
    made = set(re.findall(r'"(\w+)", "[^"]*", "\w*", "[^"]*"\)', expr))  # label_replace
    made |= set(re.findall(r'count_values(?: by \(\w+\))? \("(\w+)"', expr))
    for label in grouped_by(expr) - made:
        assert any(label in known[selector.metric] for selector in found), f"{where} groups by {label}"


def test_everything_that_the_load_exports_is_explained() -> None:
    text = (ROOT / "loadtest" / "README.md").read_text(encoding="utf-8")
    families = {re.sub("_(bucket|count|sum)$", "", metric) for metric in catalogue.load()}
    assert len(families) > 20
    assert {family for family in families if f"`{family}`" not in text} == set()


@pytest.mark.parametrize("record", [rule["record"] for rule in catalogue.rules() if "record" in rule])
def test_every_recorded_series_is_used(record: str) -> None:
    assert any(record in expr for _, expr in EXPRESSIONS)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up", [Selector("up")]),
        ('sum by (le, variant) (rate(a_bucket{x="y"}[5m])) > 0', [Selector("a_bucket", {"x": ("=", "y")})]),
        ('label_replace(a, "to", "$1", "from", "(.*)") or b{c!="d",e=~"f|g"}',
         [Selector("a"), Selector("b", {"c": ("!=", "d"), "e": ("=~", "f|g")})]),
        ("a > bool 1e6", [Selector("a")]),
        ("variant:a:rate1m / on (variant) (b > bool 0)", [Selector("variant:a:rate1m"), Selector("b")]),
    ],
)  # fmt: skip
def test_the_reader_of_promql(expr: str, expected: list[Selector]) -> None:
    assert selectors(expr) == expected
