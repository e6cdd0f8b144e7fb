"""The READMEs' measured figures are those of the published results, and say for which code they hold."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare import hot_path, store
from loadtest.compare.publish import published, tables
from loadtest.compare.publish.command import publish
from loadtest.compare.publish.published import Published
from loadtest.compare.publish.words import ENGLISH, RUSSIAN
from tests.loadtest.compare.results import MACHINE, comparison, one_run, several_runs, swept
from tests.support.processes import ROOT

DOCUMENTS = (
    *("README.md", "servers/README.md", "servers/README.ru.md"),
    *("loadtest/compare/README.md", "loadtest/compare/CLAIMS.md"),
)


def sweeps(candidate: str, most: float, clients: int = 50) -> list[dict[str, Any]]:
    """Make three sweeps at 1,000, 2,000 and 4,000/s, of which rates above `most` miss the SLO."""
    replies = {rate: 1_000 if rate <= most else 90_000 for rate in (1_000.0, 2_000.0, 4_000.0)}
    return [run for repeat in (1, 2, 3) for run in swept(candidate, replies, clients, repeat)]


def result(*more: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a result in which threads sustain 4,000/s or more, asyncio 2,000 and single, of one client, 1,000."""
    runs = (*sweeps("single", 1_000, 1), *sweeps("threaded", 4_000), *sweeps("asyncio", 2_000))
    made = comparison(*runs, *more, **{"commit": "0123456789ab", "code": hot_path.hashes(ROOT), **changes})
    made["plan"]["slo"] = "p99<20ms"
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with nothing published, in which the code is today's."""
    for name in (*DOCUMENTS, *hot_path.hashes(ROOT)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def add(root: Path, found: dict[str, Any]) -> int:
    file = root / "compare.json"
    file.write_text(json.dumps(found))
    return publish([str(file)], root)


def test_figures_are_written_and_checked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert add(root, result()) == 0
    assert "imagined-2-cores.rates.json.gz" in capsys.readouterr().out
    text = (root / "README.md").read_text(encoding="utf-8")
    assert "| `threaded` | 50 | 4,000 or more |" in text
    assert "| `asyncio` | 50 | 2,000 |" in text
    assert "| `single` | 1 | 1,000 |" in text
    assert "at commit 0123456789ab" in text
    assert "The code on a request's way is the same today." in text
    assert "4 000 или больше" in (root / "servers/README.ru.md").read_text(encoding="utf-8")
    assert (root / "loadtest/compare/example.svg").read_text().startswith("<svg")
    assert publish(["--check"], root) == 0
    (root / "README.md").write_text(text.replace("| 4,000 or more |", "| 9,000 or more |"), encoding="utf-8")
    assert publish(["--check"], root) == 1
    assert capsys.readouterr().err == (
        "tcplab: README.md has other figures than the published results: run make publish\n"
    )
    assert publish([], root) == 0
    assert (root / "README.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("listener", "listener", 0), ("import", "import os\nimport", 1), ('"""', '"""New: ', 0)],
)
def test_changed_code_makes_figures_stale(
    root: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, status: int
) -> None:
    add(root, result())
    model = root / "servers/models/threaded.py"
    model.write_text(model.read_text().replace(old, new, 1))
    publish([], root)
    capsys.readouterr()
    assert publish(["--check"], root) == status
    said = capsys.readouterr().err
    assert ("changed since: servers/models/threaded.py;" in said) == bool(status)
    text = (root / "servers/README.md").read_text(encoding="utf-8")
    assert ("**Changed since**: `servers/models/threaded.py`" in text) == bool(status)


def test_nothing_published_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(["--check"], root) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "nothing is published in" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "it is not a comparison's result"),
        ("[", "it is incomplete, or not JSON"),
        (json.dumps(comparison(*several_runs(1, "asyncio")) | {"runs": []}), "no run is done"),
    ],
)
def test_what_is_no_result_is_refused(root: Path, capsys: pytest.CaptureFixture[str], content: str, said: str) -> None:
    (root / "compare.json").write_text(content)
    assert publish([str(root / "compare.json")], root) == 2
    assert said in capsys.readouterr().err


def test_a_packed_result_is_read_as_it_was(tmp_path: Path) -> None:
    one = result()
    path = published.add(one, tmp_path)
    assert store.read(path) == json.loads(json.dumps(one))
    assert path.read_bytes() == published.add(one, tmp_path).read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="can't be unpacked"):
        store.read(path)


def test_machines_stand_side_by_side(root: Path) -> None:
    """The READMEs' tables are of the machine with most runs; the other one has a row."""
    add(root, result())
    other = {**MACHINE, "cpu": "Other(R) CPU @ 3 GHz", "usable_cores": 8}
    small = comparison(*sweeps("asyncio", 1_000), machine=other, commit="ffff", code={})
    small["plan"]["slo"] = "p99<20ms"
    add(root, small)
    assert [each.name for each in published.every(root / "loadtest/compare/published")] == [
        "imagined-2-cores.rates",
        "other-8-cores.rates",
    ]
    text = (root / "loadtest/compare/README.md").read_text(encoding="utf-8")
    assert "| machine | `single`, 1 | `threaded`, 50 | `asyncio`, 50 |" in text
    assert "| Imagined CPU, 2 cores, CPython 3.13.1 (2026-11-23) | 1,000 | 4,000 or more | 2,000 |" in text
    assert "| Other(R) CPU @ 3 GHz, 8 cores, CPython 3.13.1 (2026-11-23) |  |  | 1,000 |" in text
    assert "ffff" not in (root / "README.md").read_text(encoding="utf-8")


def of_kind(scenario: str, *runs: dict[str, Any]) -> dict[str, Any]:
    made = comparison(*runs, commit="0123456789ab", code=hot_path.hashes(ROOT))
    for run in made["runs"]:
        run["workload"]["scenario"] = scenario
    made["plan"] |= {"slo": "p99<20ms", "name": "chosen"}
    return made


def test_other_comparisons_have_tables_of_their_own(root: Path) -> None:
    """A result stands beside those of other kinds; the headline's figures stay those of the largest."""
    thorough = result()
    thorough["plan"]["name"] = "thorough"
    add(root, thorough)
    add(root, of_kind("rates", *sweeps("pool", 2_000, 32)))
    beside = several_runs(3, "threaded", "noisy-neighbour", 40)
    for run in beside:
        run["workload"]["rate"] = 200.0
    add(root, of_kind("noisy-neighbour", *beside))
    large = several_runs(3, "protocol")
    for run in large:
        run["workload"]["size"] = 4096
    add(root, of_kind("saturate", *large))
    names = [each.name.partition(".")[2] for each in published.every(root / "loadtest/compare/published")]
    assert sorted(names) == ["noisy-neighbour", "rates", "saturate-sizes", "thorough"]
    text = (root / "servers/README.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"<!-- BEGIN (\w+) -->(.*?)<!-- END", text, re.DOTALL))
    assert "| `pool` | 32 | 2,000 |" in parts["models"]
    assert "pool" not in parts["rates"]
    assert "| server | served of 40 | p50, ms | p99, ms | p99.9, ms | one WORK, ms |" in parts["neighbour"]
    assert "| `threaded` | 40 | 1 | 1 | 3 | 90 |" in parts["neighbour"]
    assert "| server | requests/s, 4,096 bytes | CPU per request, 4,096 bytes, us |" in parts["sizes"]
    assert "| `protocol` | 10,000 | 100 |" in parts["sizes"]
    assert "4,096" not in parts["saturate"]
    assert "Not measured yet" in parts["database"]


def test_another_machines_table_names_its_machine(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the READMEs' machine has no figures of a kind; then they must hold as its own do."""
    thorough = result()
    thorough["plan"]["name"] = "thorough"
    add(root, thorough)
    other = of_kind("rates", *sweeps("pool", 2_000, 32)) | {"machine": {**MACHINE, "cpu": "Other"}}
    add(root, other)
    text = (root / "servers/README.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"<!-- BEGIN (\w+) -->(.*?)<!-- END", text, re.DOTALL))
    assert "| `pool` | 32 | 2,000 |" in parts["models"]
    assert "On another machine: Other, 2 cores, CPython 3.13.1." in parts["models"]
    assert "another machine" not in parts["rates"]
    assert publish(["--check"], root) == 0
    add(root, other | {"code": {}})
    capsys.readouterr()
    assert publish(["--check"], root) == 1
    assert capsys.readouterr().err.startswith("tcplab: other-2-cores.rates is of commit 0123456789ab; changed since:")


def test_kinds_of_a_scenario_stand_side_by_side(tmp_path: Path) -> None:
    alone, loops = comparison(*several_runs(1, "asyncio")), comparison(*one_of_each("asyncio", "asyncio-stdlib"))
    on_cores = comparison(*several_runs(1, "asyncio"))
    on_cores["plan"]["candidates"][0]["cores"] = 2
    sized = comparison(*several_runs(1, "asyncio"))
    sized["plan"]["tasks"][0]["workload"]["size"] = 1024
    names = [published.add(each, tmp_path).name.partition(".")[2] for each in (alone, loops, on_cores, sized)]
    assert names == [f"saturate{axis}.json.gz" for axis in ("", "-loops", "-cores", "-sizes")]


def one_of_each(*candidates: str) -> list[dict[str, Any]]:
    return [run for name in candidates for run in several_runs(1, name)]


def against(cost: float, runs: int = 10, commit: str = "0123456", served: int = 50, **changes: Any) -> dict[str, Any]:
    """Make a comparison with an earlier revision, whose requests took `cost` times as much CPU and time now."""
    spread = [1 + place % 3 / 100 for place in range(runs)]
    alike: dict[str, Any] = {"verified": [10**5] * runs, "served": served}
    now = several_runs(runs, "asyncio", server_cpu=[10 * cost * each for each in spread], **alike)
    then = several_runs(runs, "asyncio", server_cpu=[10 * each for each in spread], **alike)
    for run in then:
        run["candidate"] = f"asyncio@{commit}"
        run["load"]["variants"] = {run["candidate"]: run["load"]["variants"]["asyncio"]}
    made = comparison(*now, **{"code": hot_path.hashes(ROOT), "commit": "fedcba987654", **changes})
    for run in then:
        made["runs"].append({**run, "number": len(made["runs"]) + 1, "process": len(made["runs"]) + 1})
    [candidate] = made["plan"]["candidates"]
    made["plan"]["candidates"].append({**candidate, "name": f"asyncio@{commit}", "version_of": "asyncio"})
    return made


def renewed(root: Path, found: dict[str, Any]) -> int:
    file = root / "against.json"
    file.write_text(json.dumps(found))
    return publish(["--renew", str(file)], root)


def test_an_equal_comparison_renews_the_stamp(root: Path) -> None:
    add(root, result(code={"servers/wire.py": "old"}))
    assert publish(["--check"], root) == 1
    assert renewed(root, against(1.0)) == 0
    assert publish(["--check"], root) == 0
    text = (root / "README.md").read_text(encoding="utf-8")
    assert "At commit fedcba987654 (2026-11-23) nothing was better or worse, measured in turns with it." in text
    assert "at commit 0123456789ab" in text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: against(1.3), "cpu_us of asyncio on uvloop, saturate, 50 clients has changed (1.30 times)"),
        (lambda: against(1.0, runs=3), "which doesn't show that it is within 10 %"),
        (lambda: against(1.0, commit="7654321"), "it isn't a comparison with a published commit"),
        (lambda: against(1.0, complete=False), "the comparison isn't complete"),
        (lambda: against(1.0, served=1), "no measure is compared in it"),
        (lambda: against(1.0, ended="2026-11-23T09:20:00+00:00"), "it took 20 minutes, more than 15"),
        (lambda: against(1.0, machine={**MACHINE, "cpu": "Other"}), "published is none of this machine"),
    ],
)
def test_other_comparisons_renew_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], made: Callable[[], dict[str, Any]], said: str
) -> None:
    add(root, result(code={"servers/wire.py": "old"}))
    capsys.readouterr()
    assert renewed(root, made()) == 2
    assert said in capsys.readouterr().err
    assert publish(["--check"], root) == 1


def lines(name: str, found: dict[str, Any], language: Any = ENGLISH) -> list[str]:
    return list(tables.TABLES[name](Published("x", found), language))


def test_what_was_not_measured_is_in_no_table() -> None:
    found = comparison(*several_runs(2, "asyncio", "saturate", 50))
    assert [name for name in tables.TABLES if lines(name, found)] == ["saturate"]
    assert lines("saturate", found)[0].splitlines()[0] == (
        "| server | served of 50 | requests/s, 50 clients | CPU per request, 50 clients, us |"
    )


def test_two_loads_of_one_heading_are_refused() -> None:
    sized = [one_run("asyncio", clients=clients, tuned={"size": 4096}) for clients in (10, 50)]
    for run in sized:
        run["workload"] |= {"size": 4096}
    with pytest.raises(ValueError, match="two of its loads have one heading, 'requests/s, 4,096 bytes'"):
        lines("sizes", comparison(*sized))


def test_many_clients_stand_beside_few_at_one_rate() -> None:
    """Without the rates of a sweep, and without one client at another rate."""
    alone = [swept("threaded", {900.0: took}, clients)[0] for clients, took in ((50, 1_000), (1000, 7_000))]
    alone.append(swept("threaded", {800.0: 500}, 1)[0])
    for run in alone:
        run["repeat"] = 9  # of no sweep
    found = result(*alone)
    [table, row, _, said] = lines("many", found)
    assert table.splitlines()[0].count("clients, ms") == 2
    assert row.startswith("| `threaded` | 50 | 1 | ")
    assert " | 1,000 | 7" in row
    assert said.startswith("All at 900 requests/s. Medians of 1 valid runs")


def test_one_client_is_not_several() -> None:
    found = comparison(*several_runs(2, "asyncio", "saturate", 1))
    assert "requests/s, 1 client |" in lines("saturate", found)[0]


def test_numbers_are_written_as_the_language_does() -> None:
    assert (ENGLISH.number(12_345.6), RUSSIAN.number(12_345.6)) == ("12,300", "12 300")
    assert (ENGLISH.number(0.12345), RUSSIAN.number(0.12345)) == ("0.123", "0,123")


def test_both_languages_have_every_heading() -> None:
    assert {*ENGLISH.headings} == {*RUSSIAN.headings}
    for name, words in ENGLISH.headings.items():
        assert ("{rate}" in words, "{clients}" in words) == (
            "{rate}" in RUSSIAN.headings[name],
            "{clients}" in RUSSIAN.headings[name],
        )
