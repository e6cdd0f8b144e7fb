"""Server names that the name service forgets during the load, like Docker's after a container's end."""

from pathlib import Path

import pytest

from tests.support.load.locust import HASTY, assert_conserved, headless, locustfile, nonzero, users, warnings
from tests.support.processes import eventually
from tests.support.stubs.recording import Stub, honest

FORGETS = """
import socket
from pathlib import Path

known, asked, look_up = Path({folder!r}) / "known", Path({folder!r}) / "asked", socket.getaddrinfo

def getaddrinfo(host, *arguments, **more):
    if host != "server.lab":
        return look_up(host, *arguments, **more)
    if known.exists():
        return look_up("127.0.0.1", *arguments, **more)
    asked.touch()
    raise socket.gaierror(socket.{code}, "the name is unknown")

socket.getaddrinfo = getaddrinfo
"""
"""Lines of a locustfile that make server.lab known while a file exists."""

CODES = pytest.mark.parametrize("code", ["EAI_NONAME", "EAI_AGAIN"])


@CODES
@pytest.mark.parametrize("scenario", [("churn",), ("conversation", "--rate", "100")], ids=" ".join)
def test_a_lost_name_means_an_absent_server(scenario: tuple[str, ...], code: str, tmp_path: Path) -> None:
    known, asked = tmp_path / "known", tmp_path / "asked"
    known.touch()
    own = locustfile(tmp_path, FORGETS.format(folder=str(tmp_path), code=code), HASTY, users())
    with Stub(honest) as stub:
        targets = {"asyncio": f"server.lab:{stub.port}"}
        arguments = ("--scenario", *scenario, "-u", "4", "-r", "100", "AsyncioUser")
        with headless(tmp_path, *arguments, locustfile=own, targets=targets, seconds=30) as locust:
            eventually(lambda: len(stub.texts) > 20, "load flows")
            known.unlink()
            stub.__exit__()
            eventually(asked.exists, "the name is looked up again")
            refused = ("tcplab_load_connections_total", "refused", "asyncio")
            before = locust.metrics()[refused]
            eventually(lambda: locust.metrics()[refused] > before + 5, "connects fail")
            locust.stop()
    outcome = locust.outcome()
    part = outcome["variants"]["asyncio"]
    assert_conserved(part)
    ended = nonzero(part["connections"])
    assert ended.pop("reset", 0) <= 4, "only connects that were open when the server went"
    assert ended.keys() == {"connected", "refused"}
    assert "disconnected" in warnings(outcome)
    assert "local-limit" not in warnings(outcome)


@CODES
def test_an_unknown_name_is_the_loads_trouble(code: str, tmp_path: Path) -> None:
    own = locustfile(tmp_path, FORGETS.format(folder=str(tmp_path), code=code), HASTY, users())
    arguments = ("--scenario", "churn", "-u", "4", "-r", "100", "AsyncioUser")
    targets = {"asyncio": "server.lab:9"}
    with headless(tmp_path, *arguments, locustfile=own, targets=targets, seconds=3) as locust:
        locust.ended()
    outcome = locust.outcome()
    assert nonzero(outcome["variants"]["asyncio"]["connections"]).keys() == {"failed"}
    assert "local-limit" in warnings(outcome)
    assert "disconnected" not in warnings(outcome)


def test_a_server_is_found_again_by_name(tmp_path: Path) -> None:
    known, asked = tmp_path / "known", tmp_path / "asked"
    known.touch()
    own = locustfile(tmp_path, FORGETS.format(folder=str(tmp_path), code="EAI_NONAME"), HASTY, users())
    with Stub(honest) as stub:
        targets = {"asyncio": f"server.lab:{stub.port}"}
        arguments = ("--scenario", "churn", "-u", "4", "-r", "100", "AsyncioUser")
        with headless(tmp_path, *arguments, locustfile=own, targets=targets, seconds=60) as locust:
            eventually(lambda: len(stub.texts) > 20, "load flows")
            known.unlink()
            stub.__exit__()
            eventually(asked.exists, "the name is looked up again")
            known.touch()
            with Stub(honest, port=stub.port) as again:
                eventually(lambda: len(again.texts) > 20, "load flows again")
                locust.stop()
