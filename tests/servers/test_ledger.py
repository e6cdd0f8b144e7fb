"""No count is lost when threads come and go, and no counter ever goes down."""

import threading
from pathlib import Path

from servers import container
from servers.container import Throttled
from servers.ledger import Ledger
from servers.tally import SERVICE_BOUNDS
from servers.wire import ECHO, WORK


def test_adds_up_what_threads_counted_and_never_goes_down() -> None:
    ledger = Ledger()
    ledger.enter().answered(WORK, 1.0)
    threads, each, clients = 8, 2000, 5
    seen: list[int] = []
    done = threading.Event()

    def serve() -> None:
        for _ in range(clients):
            tally = ledger.enter()
            for _ in range(each):
                tally.answered(ECHO, 1e-5)
                tally.received += 3
            ledger.leave(tally, "quit")

    def scrape() -> None:
        while not done.is_set():
            seen.append(ledger.total()[0].requests[ECHO])

    scraping = threading.Thread(target=scrape)
    scraping.start()
    serving = [threading.Thread(target=serve) for _ in range(threads)]
    for thread in serving:
        thread.start()
    for thread in serving:
        thread.join()
    done.set()
    scraping.join()
    total, ended = ledger.total()
    assert total.requests == [threads * each * clients, 0, 1, 0]
    assert total.received == 3 * threads * each * clients
    assert total.buckets[SERVICE_BOUNDS.index(1e-5)] == threads * each * clients
    assert total.buckets[SERVICE_BOUNDS.index(1.0)] == 1
    assert ended == {"quit": threads * clients}
    assert seen == sorted(seen)


def test_the_main_thread_has_one_tally_for_all_its_clients() -> None:
    ledger = Ledger()
    assert ledger.enter() is ledger.enter()


def test_refused_clients_are_connections_that_ended_and_descriptors_are_not() -> None:
    ledger = Ledger()
    for kind in ("full", "threads", "descriptors"):
        ledger.refused(kind)
    total, ended = ledger.total()
    assert total.errors == {"full": 1, "threads": 1, "descriptors": 1}
    assert ended == {"refused": 2}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_reads_a_version_2_control_group(tmp_path: Path) -> None:
    stat = "anon 100\nfile 7\nkernel 30\nsock 5\nslab 9\n"
    cpu = "usage_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 2500000\n"
    found = container.find(write(tmp_path, {"memory.max": "1000\n", "memory.stat": stat, "cpu.stat": cpu}))
    assert found is not None
    assert found.memory() == {"anon": 100, "kernel": 30, "sock": 5, "file": 7}
    assert found.throttled() == Throttled(4, 2.5)


def test_reads_a_version_1_control_group(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": "536870912\n",
        "memory/memory.stat": "cache 1\nrss 2\ntotal_cache 70\ntotal_rss 100\n",
        "memory/memory.kmem.usage_in_bytes": "30\n",
        "memory/memory.kmem.tcp.usage_in_bytes": "5\n",
        "cpu/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 500000000\n",
    }
    found = container.find(write(tmp_path, files))
    assert found is not None
    assert found.memory() == {"anon": 100, "kernel": 30, "sock": 5, "file": 70}
    assert found.throttled() == Throttled(2, 0.5)
    (tmp_path / "memory/memory.kmem.usage_in_bytes").unlink()
    assert "kernel" not in found.memory(), "what the kernel does not tell is absent, not zero"


def test_a_bare_machine_is_no_container(tmp_path: Path) -> None:
    assert container.find(tmp_path) is None
    assert container.find(write(tmp_path, {"memory.max": "max\n"})) is None
    unlimited = write(tmp_path / "v1", {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert container.find(unlimited) is None
