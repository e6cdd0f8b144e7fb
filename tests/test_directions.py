"""Who may import whom, and what a new variant needs: read from the source, so that it stays true."""

import ast
import functools
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from servers import write
from servers.variants import VARIANTS, Variant

ROOT = Path(__file__).resolve().parent.parent
SERVERS = sorted((ROOT / "servers").rglob("*.py"))
LOADTEST = sorted((ROOT / "loadtest").rglob("*.py"))
CONNECTIONS = sorted((ROOT / "servers" / "connections").glob("*.py"))
MODELS = {variant.module for variant in VARIANTS}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, each name of `from package import name` as package.name too."""
    return found_in(path.read_text(), path)


def found_in(source: str, path: Path) -> set[str]:
    """Return the modules that a file with this text imports: see `imports`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its direction"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def ours(path: Path) -> set[str]:
    """Return the modules of this project that a file imports."""
    modules = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for room in ("servers", "loadtest", "grafana", "tests")
        for p in (ROOT / room).rglob("*.py")
    }
    return imports(path) & modules


def packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("name", ["variants", "wire", "work"])
def test_variants_wire_and_work_import_nothing_of_ours(name: str) -> None:
    assert ours(ROOT / "servers" / f"{name}.py") == set()


@pytest.mark.parametrize("module", sorted(MODELS))
def test_a_model_sees_only_what_it_is_handed(module: str) -> None:
    """The connections and the session are what it is handed; no other model, metric, setting or variable."""
    path = ROOT / "servers" / "models" / f"{module}.py"
    handed = {"servers.session", *(f"servers.connections.{name}" for name in ("blocking", "streams", "protocol"))}
    handed.add("servers.workers.supervisor")
    assert ours(path) <= {"servers.variants", "servers.wire", "servers.work"} | handed
    assert not packages(path) & {"os", "argparse", "prometheus_client", "logging", "gc", "resource"}


@pytest.mark.parametrize("module", sorted(MODELS))
def test_a_model_is_whole_in_forty_lines(module: str) -> None:
    text = (ROOT / "servers" / "models" / f"{module}.py").read_text()
    assert text.count("\n") <= 40
    code = re.sub('""".*?"""', "", text.partition("def serve(")[2])
    places = [code.index(word) for word in ("accept(", "receive(", "answer(", "send(", "wait(")]
    assert places == sorted(places), "the same names in the same order"
    assert "close" in text


@pytest.mark.parametrize("path", CONNECTIONS, ids=lambda path: str(path.name))
def test_connections_know_no_model_nor_what_is_exported(path: Path) -> None:
    allowed = {"servers.wire", "servers.session", "servers.stats", "servers.connections"}
    seen = ours(path)
    assert {each for each in seen if not each.startswith("servers.connections.")} <= allowed
    assert not packages(path) & {"argparse", "prometheus_client", "logging"}


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_servers_never_import_the_load_nor_the_tests(path: Path) -> None:
    assert {name.partition(".")[0] for name in ours(path)} <= {"servers"}


WRITERS = ("loadtest/readme_tables.py", "loadtest/compare/publish/command.py")
"""Those that write between marks, for which one way is enough."""


@pytest.mark.parametrize("path", LOADTEST, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_load_takes_only_wire_and_variants(path: Path) -> None:
    own = {"servers.write"} if path in {ROOT / name for name in WRITERS} else set()
    assert {name for name in ours(path) if name.startswith("servers.")} <= {"servers.wire", "servers.variants"} | own


ROOMS: dict[str, set[str]] = {
    "recording": set(),
    "client": {"recording"},
    "cluster": {"client", "recording"},
    "lab": set(),
    "compare": {"client", "recording", "lab"},
    "lessons": {"client", "compare", "lab"},
    "check": {"client", "lab", "compare"},
}
"""The rooms of the load, and which others each may import."""

WIRING = {"locustfile", "__main__", "readme_tables"}
"""The modules at the top of the load that may import any room; the others are tables, which import none."""


def room(module: str) -> str:
    """Return the room of one of the load's modules; "" if it stands at the top."""
    _, name, *rest = f"{module}.".split(".")
    return name if name in ROOMS and rest else ""


def astray(path: Path, source: str) -> list[str]:
    """Return the rooms that a module of the load imports and may not."""
    modules = {name for name in found_in(source, path) if name.startswith("loadtest.")}
    own = path.relative_to(ROOT / "loadtest").parts
    allowed = ROOMS[own[0]] | {own[0], ""} if len(own) > 1 else set(ROOMS) | {""} if path.stem in WIRING else {""}
    return sorted({room(name) for name in modules} - allowed)


@pytest.mark.parametrize("path", LOADTEST, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_loads_rooms_import_one_way(path: Path) -> None:
    assert astray(path, path.read_text()) == []


def test_the_loads_rooms_are_all_known() -> None:
    assert {path.parent.name for path in (ROOT / "loadtest").glob("*/__init__.py")} == set(ROOMS)
    for name, allowed in ROOMS.items():
        assert not any(name in ROOMS[other] for other in allowed), "two rooms may not import each other"


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("recording/recorder.py", "from loadtest.client import outcomes", ["client"]),
        ("client/tcp_user.py", "from loadtest.cluster import exporter", ["cluster"]),
        ("client/tcp_user.py", "from loadtest.recording import histogram", []),
        ("lab/hosts.py", "from loadtest.cluster.compatibility import VERSION", ["cluster"]),
        ("compare/plan.py", "import loadtest.cluster.master", ["cluster"]),
        ("settings.py", "from loadtest.cluster.web_guard import refusal", ["cluster"]),
        ("locustfile.py", "from loadtest.cluster import master", []),
    ],
)
def test_an_import_the_wrong_way_is_found(module: str, source: str, found: list[str]) -> None:
    assert astray(ROOT / "loadtest" / module, source) == found


@pytest.mark.parametrize("name", ["session", "wire", "work"])
def test_policy_knows_no_io(name: str) -> None:
    forbidden = {"socket", "asyncio", "threading", "selectors", "select", "os", "prometheus_client"}
    assert not packages(ROOT / "servers" / f"{name}.py") & forbidden


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_prints_or_logs_per_request(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in calls or path.name in {"__main__.py", "settings.py"}
    assert "logging" not in imports(path)


@functools.cache
def users() -> set[str]:
    """Return the names of the Locust users; in another process, for importing locust patches the one it is in."""
    code = "import locust; from loadtest import locustfile; print(*(n for n in vars(locustfile) if n.endswith('User')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def lines_of(variant: Variant, part: write.Part) -> set[str]:
    """Return the lines that a part has for a variant; the table's first has some more than the others."""
    first = VARIANTS[0]
    return set(part([first])) if variant == first else set(part([first, variant])) - set(part([first]))


def lacking(variant: Variant) -> list[str]:
    """Return what a row of the table of variants needs and has not."""
    missing = []
    spec = importlib.util.find_spec(f"servers.models.{variant.module}")
    if spec is None or not callable(getattr(importlib.import_module(spec.name), "serve", None)):
        missing.append(f"servers/models/{variant.module}.py with serve()")
    for file, parts in write.FILES.items():
        there = set((ROOT / file).read_text().splitlines())
        needed = {name: lines_of(variant, part) for name, part in parts.items()}
        missing += [f"its {name} in {file} (make variants)" for name, lines in needed.items() if not lines <= there]
    if not re.fullmatch(r"#[0-9A-F]{6}", variant.colour):
        missing.append("a colour #RRGGBB")
    if f"{variant.name.capitalize()}User" not in users():
        missing.append(f"a {variant.name.capitalize()}User in loadtest/locustfile.py")
    return missing


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: str(variant.name))
def test_a_variant_has_all_that_it_needs(variant: Variant) -> None:
    missing = lacking(variant)
    assert missing == [], f"the variant {variant.name} lacks {', '.join(missing)}"


def test_names_ports_and_colours_are_all_different() -> None:
    for values in (
        [v.name for v in VARIANTS],
        [v.module for v in VARIANTS],
        [v.colour for v in VARIANTS],
        [port for v in VARIANTS for port in (v.port, v.metrics_port)],
    ):
        assert len(values) == len(set(values))


@pytest.mark.parametrize("file", write.FILES)
def test_files_written_from_the_table_are_current(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert write.written(text, write.FILES[file]) == text, f"{file} is not what is written: make variants"


def test_what_a_new_variant_lacks_is_named() -> None:
    title, sentence = "process per client", "Forks a process for each client."
    new = Variant("forking", "forking", "blocking", None, 9009, 9109, "#56B4E9", title, sentence)
    assert lacking(new) == [
        "servers/models/forking.py with serve()",
        "its addresses in docker-compose.yml (make variants)",
        "its services in docker-compose.yml (make variants)",
        "its ports in .env (make variants)",
        "its targets in prometheus/prometheus.yml (make variants)",
        "its addresses in loadtest/servers-elsewhere.yml (make variants)",
        "its services in loadtest/servers-elsewhere.yml (make variants)",
        "its servers in servers/README.md (make variants)",
        "its servers in servers/README.ru.md (make variants)",
        "a ForkingUser in loadtest/locustfile.py",
    ]
