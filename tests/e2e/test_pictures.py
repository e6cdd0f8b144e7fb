"""The program that takes the dashboards' pictures: which time they show, and what it refuses."""

import pytest

from tests.e2e import pictures


@pytest.mark.parametrize(
    ("uid", "shown"), [("compare", "from=700000&to=1000000"), ("capacity", "from=100000&to=1000000")]
)
def test_a_picture_shows_a_dashboards_own_length(uid: str, shown: str) -> None:
    assert pictures.span(uid, 1000.0) == shown


def test_an_unknown_dashboard_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert pictures.main("http://127.0.0.1:1", ["race"]) == 2
    assert capsys.readouterr().err.startswith("pictures: no dashboard is called race; there are capacity, ")


def test_no_grafana_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "program", lambda: "chromium")
    assert pictures.main("http://127.0.0.1:1", ["compare"], 1000.0) == 2
    assert "no Grafana answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_a_moment_to_come_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "program", lambda: "chromium")
    assert pictures.main("http://127.0.0.1:1", ["compare"], 1e12) == 2
    assert "is in the future" in capsys.readouterr().err
