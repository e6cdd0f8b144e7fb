"""Both exporters over HTTP: promtool accepts their metrics; only GET and HEAD are answered, for no web page."""

import http.client
import subprocess
from collections.abc import Iterator

import pytest

from servers.variants import VARIANTS
from tests.observability import known

MASTER = "locust-master"
HOSTS = pytest.mark.parametrize("host", [MASTER, *(variant.name for variant in VARIANTS)])
FOREIGN = {
    "Origin": "http://evil.example",
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Private-Network": "true",
}


@pytest.fixture(scope="module")
def exporters() -> Iterator[known.Exporters]:
    with known.exporters() as found:
        yield found


def ask(port: int, method: str, path: str = "/metrics") -> tuple[int, dict[str, str], str]:
    """Send a request as another page's script would; return the status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=FOREIGN)
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, found, answer.read().decode()


@HOSTS
@pytest.mark.parametrize("played", [False, True])
def test_promtool_accepts_the_metrics(played: bool, host: str, promtool: str, exporters: known.Exporters) -> None:
    if played:
        exporters.play()
    _, _, text = ask(exporters.ports[host], "GET")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def test_no_gauge_has_a_summarys_label(exporters: known.Exporters) -> None:
    exporters.play()
    _, _, text = ask(exporters.ports[MASTER], "GET")
    assert text.count('tcplab_load_recent_seconds{q="0.99",series="response"') == len(VARIANTS)
    assert "quantile=" not in text


@HOSTS
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "ANY", "get"])
@pytest.mark.parametrize("path", ["/metrics", "/", "*"])
def test_an_exporter_refuses_other_methods(path: str, method: str, host: str, exporters: known.Exporters) -> None:
    status, headers, _ = ask(exporters.ports[host], method, path)
    assert (status, headers["allow"]) == (405, "GET" if host == MASTER else "GET, HEAD")
    assert not [name for name in headers if name.startswith("access-control")]


@HOSTS
def test_no_web_page_may_read_the_metrics(host: str, exporters: known.Exporters) -> None:
    status, headers, body = ask(exporters.ports[host], "GET")
    assert status == 200
    assert "tcplab_" in body
    assert not [name for name in headers if name.startswith("access-control")]
