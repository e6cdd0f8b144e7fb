"""Locust's page as it is served: what it refuses over HTTP, and from a page of another origin in a real browser."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab import browser as chromium
from tests.support.load.locust import Locust, post, run
from tests.support.processes import eventually, free_ports
from tests.support.stubs.recording import Stub, honest

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
STARTED = ("tcplab_load_running",)


def ask(port: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    """Send one request. Return the status, the headers and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, found, answer.read().decode(errors="replace")


@contextmanager
def page(folder: Path, stub: Stub, *arguments: str) -> Iterator[tuple[str, Locust]]:
    """Serve the page of a load that has not started, for the variants asyncio and threaded. Yield its port."""
    [port] = free_ports(1)
    targets = {"asyncio": stub.address, "threaded": stub.address}
    classes = ("AsyncioUser", "ThreadedUser")
    with Locust(folder, "--web-host", "127.0.0.1", "--web-port", port, *arguments, *classes, targets=targets) as locust:
        eventually(lambda: post(port, "/worker-count", None), "the page is there")
        yield port, locust


def users_now(locust: Locust) -> float:
    """Return how many users there are."""
    return sum(value for key, value in locust.metrics().items() if key[0] == "tcplab_load_users")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Locust, Stub]]:
    """Serve a page whose load has not started. Yield its port, its process, and the server."""
    with Stub(honest) as stub, page(tmp_path_factory.mktemp("idle"), stub, "--class-picker") as (port, locust):
        yield port, locust, stub


START = "user_count=2&spawn_rate=2"


@pytest.mark.parametrize("path", ["/swarm", "/stop", "/stats/reset", "/user", "/swarm?x=1", "/nowhere"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example:8089"},
        {"Host": ""},
    ],
    ids=str,
)
def test_a_foreign_command_is_refused(path: str, headers: dict[str, str], idle: tuple[str, Locust, Stub]) -> None:
    port, locust, stub = idle
    for kind in (FORM, {"content-type": "text/plain"}, JSON):
        status, _, said = ask(port, "POST", path, START, **kind, **headers)
        assert (status, said.count("\n")) == (403, 1)
        assert said.startswith("tcplab: refused: ")
    assert (locust.metrics()[STARTED], stub.connections) == (0, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", ["/", "/stats/requests", "/swarm", "/logs", "/assets/x.js", "/nowhere"])
def test_no_answer_may_be_read_or_framed_elsewhere(method: str, path: str, idle: tuple[str, Locust, Stub]) -> None:
    port, _, _ = idle
    wishes = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    for origin in ("http://evil.example", f"http://127.0.0.1:{port}"):
        _, headers, _ = ask(port, method, path, **wishes, Origin=origin)
        assert not [name for name in headers if name.startswith("access-control")]
        assert headers["x-frame-options"] == "DENY"
    status, _, said = ask(port, method, path, Host="evil.example")
    assert status == 403
    assert "state" not in said


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("user_count=1000000000&spawn_rate=1", "user_count: '1000000000' is not a whole number from 0 to 600000"),
        ("user_count=600001&spawn_rate=1", "user_count: '600001' is not a whole number from 0 to 600000"),
        ("user_count=-1&spawn_rate=1", "user_count: '-1' is not a whole number from 0 to 600000"),
        ("user_count=1e9&spawn_rate=1", "user_count: '1e9' is not a whole number"),
        ("user_count=" + "9" * 5000 + "&spawn_rate=1", "is not a whole number from 0 to 600000"),
        ("user_count=&spawn_rate=1", "user_count: '' is not a whole number"),
        ("user_count=2&spawn_rate=1000000000", "spawn_rate: '1000000000' is not a number of users per second"),
        ("user_count=2&spawn_rate=inf", "spawn_rate: 'inf' is not a number of users per second"),
        ("user_count=2&spawn_rate=nan", "spawn_rate: 'nan' is not a number of users per second"),
        ("user_count=2&spawn_rate=0", "spawn_rate: '0' is not a number of users per second"),
        ("user_count=2&spawn_rate=-3", "spawn_rate: '-3' is not a number of users per second"),
        (f"{START}&host=192.0.2.1:80", "the servers can't be chosen on this page"),
        (f"{START}&host=http://evil.example", "the servers can't be chosen on this page"),
        (f"{START}&result=/tmp/elsewhere.json", "'result' can't be set on this page"),
        (f"{START}&clients=1000000000&shape_class=steps", "'clients' can't be set on this page"),
        (f"{START}&target=192.0.2.1:80", "'target' can't be set on this page"),
    ],
)
def test_the_page_bounds_a_run_like_the_command(form: str, said: str, idle: tuple[str, Locust, Stub]) -> None:
    port, locust, stub = idle
    status, _, answer = ask(port, "POST", "/swarm", form, **FORM)
    message = json.loads(answer)
    assert (status, message["success"]) == (400, False)
    assert said in message["message"]
    assert "\n" not in message["message"]
    assert (locust.metrics()[STARTED], stub.connections) == (0, 0)


@pytest.mark.parametrize(
    ("run_time", "said"),
    [
        ("5s", "tcplab: --sweep shares the run time after the warm-up among its rates: make -t longer than --warmup"),
        ("0m3s", "tcplab: --sweep shares the run time after the warm-up among its rates: make -t longer than --warmup"),
        ("soon", "tcplab: Invalid time span format"),
    ],
)
def test_the_page_refuses_a_sweep_without_time(run_time: str, said: str, idle: tuple[str, Locust, Stub]) -> None:
    port, locust, stub = idle
    form = f"{START}&scenario=saturate&arrivals=poisson&sweep=10,20&warmup=5&run_time={run_time}"
    message = json.loads(ask(port, "POST", "/swarm", form, **FORM)[2])
    assert not message["success"]
    assert message["message"].startswith(said)
    assert (locust.metrics()[STARTED], stub.connections) == (0, 0)


def test_a_form_in_parts_is_read_too(idle: tuple[str, Locust, Stub]) -> None:
    port, locust, _ = idle
    parts = "".join(
        f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"user_count": "1000000000", "spawn_rate": "1"}.items()
    )
    status, _, _ = ask(port, "POST", "/swarm", parts + "--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert status == 400
    assert locust.metrics()[STARTED] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"host": "192.0.2.1:80"},
        {"target": "192.0.2.1:80"},
        {"label": "x"},
        {"interval": 0},
        {"__init__": 1},
        {"weight": -1},
        {"weight": "many"},
        {"weight": True},
        {"fixed_count": 1_000_000_000},
        {"tasks": "play"},
        {"user_class_name": "NobodyUser"},
        {"user_class_name": ["AsyncioUser"]},
        {"user_class_name": None},
        {"host": ["192.0.2.1:80"]},
        {"host": {"a": 1}},
        {"weight": [1]},
        {"tasks": [1]},
    ],
    ids=str,
)
def test_users_are_sent_nowhere_else(change: dict[str, Any], idle: tuple[str, Locust, Stub]) -> None:
    port, _, _ = idle
    body = json.dumps({"user_class_name": "AsyncioUser"} | change)
    for kind in (JSON, {"content-type": "text/plain"}):
        status, _, answer = ask(port, "POST", "/user", body, **kind)
        assert (status, json.loads(answer)["success"]) == (400, False)


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "[" * 100_000, '"x"'])
def test_a_useless_change_of_users_is_refused(body: str, idle: tuple[str, Locust, Stub]) -> None:
    port, _, _ = idle
    status, _, answer = ask(port, "POST", "/user", body, **JSON)
    assert (status, json.loads(answer)["success"]) == (400, False)


def test_what_the_page_itself_sends_is_taken(idle: tuple[str, Locust, Stub]) -> None:
    port, _, stub = idle
    change = {"user_class_name": "AsyncioUser", "host": stub.address, "weight": 3, "fixed_count": 0, "tasks": ["play"]}
    own = {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}
    assert ask(port, "POST", "/user", json.dumps(change), **JSON, **own)[0] == 201


def test_curl_and_given_names_command_the_load(tmp_path: Path) -> None:
    with Stub(honest) as stub, page(tmp_path, stub, "--web-hosts", "lab.example") as (port, locust):
        for host in (f"localhost:{port}", "LAB.example:8089"):
            status, _, answer = ask(port, "POST", "/swarm", START, Host=host, **FORM)
            assert (status, json.loads(answer)["success"]) == (200, True)
            eventually(lambda: users_now(locust) == 2, "it has started")
            assert ask(port, "POST", "/stop", Host=host)[0] == 200
            eventually(lambda: users_now(locust) == 0, "it has stopped")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-u", "1000000000"), "tcplab: -u 1000000000 is too many; give at most 600000"),
        (("-r", "1000000000"), "tcplab: -r 1000000000 is too many; give at most 600000"),
        (("--web-hosts", "a b"), "argument --web-hosts: 'a b' is not a host; give names with commas between"),
    ],
)
def test_the_command_line_has_the_same_bounds(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    locust = run(tmp_path, *options, seconds=2)
    assert locust.process.returncode not in {0, None}
    assert said in locust.log
    assert "Traceback" not in locust.log


# In a browser


FOREIGN = b"<!doctype html><title>another page</title><body>"


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(FOREIGN)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def another_site() -> Iterator[int]:
    """Serve a page of another origin. Yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def opened() -> Iterator[chromium.Browser]:
    with chromium.browser(chromium.required()) as found:
        yield found


# Each tries everything that a page can do to another; what it could read is in `read`.
ATTACK = """
window.read = []; window.done = 0;
const lab = %r, form = 'user_count=3&spawn_rate=3';
const types = ['application/x-www-form-urlencoded', 'text/plain', 'application/json'];
const tries = [];
for (const path of ['/swarm', '/stop', '/stats/reset', '/user'])
  for (const mode of ['no-cors', 'cors'])
    for (const type of types)
      for (const credentials of ['omit', 'include'])
        tries.push(fetch(lab + path, {method: 'POST', mode, credentials, headers: {'content-type': type},
          body: path === '/user' ? '{"user_class_name": "AsyncioUser", "target": "192.0.2.1:80"}' : form}));
for (const path of ['/', '/stats/requests', '/logs'])
  for (const mode of ['no-cors', 'cors']) tries.push(fetch(lab + path, {mode}));
navigator.sendBeacon(lab + '/swarm', new URLSearchParams(form));
const inside = document.createElement('iframe'); inside.name = 'inside'; document.body.append(inside);
for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']) {
  const made = document.createElement('form');
  made.action = lab + '/swarm'; made.method = 'post'; made.target = 'inside'; made.enctype = enctype;
  for (const [name, value] of new URLSearchParams(form)) {
    const field = document.createElement('input'); field.name = name; field.value = value; made.append(field);
  }
  document.body.append(made); made.submit();
}
for (const each of tries)
  each.then(answer => answer.text()).then(text => { if (text) read.push(text); }, () => {})
    .finally(() => { done += 1; });
window.all = tries.length;
"""


def test_a_foreign_page_changes_and_reads_nothing(opened: chromium.Browser, tmp_path: Path) -> None:
    with Stub(honest) as stub, page(tmp_path, stub) as (port, locust), another_site() as other:
        for here in (f"http://127.0.0.1:{other}/", f"http://localhost:{other}/"):
            opened.visit(here, 800)
            opened.ask("Runtime.evaluate", expression="{" + ATTACK % f"http://127.0.0.1:{port}" + "}")
            eventually(lambda: opened.evaluate("done === all"), "everything was tried")
            assert opened.evaluate("all") > 50
            assert opened.evaluate("read") == []
            time.sleep(1)
            assert (locust.metrics()[STARTED], stub.connections) == (0, 0)
        # A run that is on goes on.
        assert ask(port, "POST", "/swarm", START, **FORM)[0] == 200
        eventually(lambda: users_now(locust) == 2, "it has started")
        opened.visit(f"http://localhost:{other}/", 800)
        opened.ask("Runtime.evaluate", expression="{" + ATTACK % f"http://127.0.0.1:{port}" + "}")
        eventually(lambda: opened.evaluate("done === all"), "everything was tried")
        time.sleep(1)
        assert (locust.metrics()[STARTED], users_now(locust)) == (1, 2)


@pytest.mark.measures  # among other tests the page draws itself anew for seconds
def test_the_pages_form_starts_and_stops_a_run(opened: chromium.Browser, tmp_path: Path) -> None:
    for number, options in enumerate(((), ("--class-picker",))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Stub(honest) as stub, page(folder, stub, *options, "-u", "3", "-r", "3") as (port, locust):
            opened.visit(f"http://localhost:{port}/", 1000)
            click(opened, "start")
            eventually(lambda: users_now(locust) == 3, "it has started")
            opened.visit(f"http://localhost:{port}/", 1000)  # on a busy machine the page may not have heard of it yet
            click(opened, "stop")
            eventually(lambda: users_now(locust) == 0, "it has stopped")


def click(opened: chromium.Browser, word: str) -> None:
    """Click on the button that begins with a word, once it is there."""
    button = f"[...document.querySelectorAll('button')].find(each => /^{word}/i.test(each.innerText))"
    clicked = f"(found => found ? (found.click(), true) : false)({button})"  # in one: the page may draw itself anew
    eventually(lambda: opened.evaluate(clicked), f"there is a button to {word}")
