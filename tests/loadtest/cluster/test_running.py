"""Which servers the load asks: those of a Compose profile only if somebody started them."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.cluster import running
from servers.variants import DEFAULT, VARIANTS, by_name
from tests.support.load.locust import run
from tests.support.servers import Model, Server

POOL = by_name("pool")


def test_a_server_without_a_profile_always_runs() -> None:
    assert [each.name for each in VARIANTS if running.runs(each, {})] == ["single", "threaded", "asyncio", "protocol"]
    assert running.runs(by_name("single"), {"TCPLAB_SINGLE": "single:9001"})


def test_one_of_a_profile_needs_an_address() -> None:
    assert not running.runs(POOL, {"TCPLAB_POOL": ""})
    assert running.runs(POOL, {"TCPLAB_POOL": "127.0.0.1:9005"})
    assert running.runs(POOL, {"TCPLAB_POOL": "[::1]:9005"})
    assert running.runs(POOL, {"TCPLAB_POOL": "no-such-host.invalid:9005"}), "a person named it: it fails visibly"


@pytest.mark.parametrize("up", [True, False])
def test_in_compose_it_runs_if_its_name_resolves(up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(host: str, port: None) -> list[object]:
        asked.append(host)
        if not up:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [()]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    variant = replace(POOL, name=f"pool{up}")  # the answer is kept
    environment = {f"TCPLAB_{variant.name.upper()}": f"{variant.name}:9005"}
    assert running.runs(variant, environment) is up
    assert running.runs(variant, environment) is up
    assert asked == [f"{variant.name}."], "no search domain, and once"


@pytest.mark.parametrize("where", [None, "pool:9005", "its own"], ids=["no address", "not started", "started"])
def test_the_load_asks_only_what_runs(where: str | None, tmp_path: Path) -> None:
    with Server(Model("threaded", "threaded")) as server:
        address = f"127.0.0.1:{server.address[1]}"
        targets = {each.name: address for each in VARIANTS if each is not POOL}
        if where is not None:
            targets["pool"] = address if where == "its own" else where
        locust = run(tmp_path, "--clients", "2", "--think", "0.01", "--warmup", "0", targets=targets)
        assert locust.ended() == 0, locust.log  # 1 if a request fails
    asked = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["variants"]
    assert ("pool" in asked) is (where == "its own")
    assert set(asked) >= {each.name for each in DEFAULT}
