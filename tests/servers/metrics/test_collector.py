"""What a server exports where the machine tells less."""

import socket
import sys
from pathlib import Path

import pytest

from servers.connections.listener import Listener
from servers.metrics import process
from servers.metrics.cgroup import Container
from servers.metrics.collector import ServerCollector
from servers.metrics.gc_pauses import GarbagePauses
from servers.session import Deadlines
from servers.stats import Stats

LINUX_ONLY = {
    "tcplab_accept_queue_connections",
    "tcplab_accept_queue_limit",
    "tcplab_resident_memory_bytes",
    "tcplab_idle_memory_bytes",
}
THROTTLED = {"tcplab_container_throttled_periods", "tcplab_container_throttled_seconds"}


def exported() -> set[str]:
    """Return the names of what is exported in a container whose CPU quota nobody tells of."""
    container = Container(memory=lambda: {"anon": 1}, throttled=lambda: None)
    with socket.socket() as listening:
        listener = Listener(listening, 1, Stats(), Deadlines(idle=1, line=1, write=1))
        return {family.name for family in ServerCollector(listener, GarbagePauses(), container).collect()}


def test_what_the_machine_hides_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As zero it would look measured."""
    on_linux = exported()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(process, "PROC", tmp_path / "missing")
    elsewhere = exported()
    assert on_linux - elsewhere == LINUX_ONLY
    assert not elsewhere & THROTTLED
    assert {"tcplab_connections_open", "tcplab_container_memory_bytes", "tcplab_threads"} < elsewhere
