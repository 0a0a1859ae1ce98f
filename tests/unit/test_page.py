"""The page of the watcher over HTTP: what it says, to whom, and what a bad client can do to it."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.watch.board import Board, Decided, EndpointState, Failover, Held, Stage
from anycast_handlers.watch.document import document
from anycast_handlers.watch.page import Showing, open_page
from anycast_handlers.watch.page.fresh import LATEST, SOONEST, Fresh
from anycast_handlers.watch.page.server import LIMITS, PAUSE
from prometheus_client.parser import text_string_to_metric_families

from tests.support.boards import board, endpoint, rich

ROOT = Path(__file__).parents[2]
MOST_MEMORY = 100 * 1024  # KiB
Headers = dict[str, str]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


@contextmanager
def served(look: Callable[[], Board], listen: str = "127.0.0.1:0") -> Iterator[int]:
    page = open_page(listen, look)
    try:
        yield page.port
    finally:
        page.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(rich) as port:
        yield port


class TestDocument:
    def test_it_has_all_that_the_watcher_knows(self, port: int) -> None:
        document = ask(port, "/status.json").document
        web, resolver, ntp = document["vips"]
        ns1, ns2, ns3, ns4, _ = resolver["endpoints"]

        assert (resolver["vip"], resolver["floor"], resolver["announcing"]) == ("resolver", 2, 2)
        assert (ns1["state"], ns1["kind"], ns1["present"]) == ("CRITICAL", "refused", True)
        assert ns1["decisions"][0]["rule"] == "floor"
        assert (ns2["hold"], ns2["samples"], ns2["stream_age"]) == (None, 18000, 0.4)
        assert ns3["hold"]["by"] == "alice"
        assert (ns4["present"], ns4["announced"], ns4["stream_age"]) == (None, None, None)
        assert resolver["failovers"][0]["seconds"] == 0.16
        assert resolver["failovers"][0]["stages"] == {"evidence": 0.02, "act": 0.14}
        assert ntp["common_cause"].startswith("2 of 3")
        assert web["common_cause"] == ""
        assert "does not answer" in document["engines"][0]["trouble"]

    def test_it_is_ascii_and_of_a_bounded_size(self) -> None:
        loud = "\x1b[31m\u202e\n|" + "x" * 100_000
        decided = tuple(Decided(1.0, loud, loud, 1) for _ in range(1000))
        one = EndpointState(loud, loud, State.CRITICAL, loud, loud, why=loud, decisions=decided)
        one = one._replace(held=Held(loud, 1.0, loud))
        whole = board(1, one)
        vip = whole.vips[0]._replace(common_cause=loud)
        for _ in range(1000):
            vip = vip.with_failover(Failover(loud, 1.0, tuple(Stage(loud, 1.0) for _ in range(99))))
        whole = whole._replace(vips=(vip,), notes=(loud,) * 1000, fleet_file=loud)
        text = json.dumps(document(whole, time.time()), ensure_ascii=False)

        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 20_000

    def test_the_age_grows_where_the_watcher_hangs(self) -> None:
        frozen = board(1, endpoint("ns1"))._replace(at=time.time() - 60)

        assert 60 <= document(frozen, time.time())["age"] < 70

    def test_a_tag_that_is_known_is_not_answered_with_the_same_again(self, port: int) -> None:
        first = ask(port, "/status.json")
        second = ask(port, "/status.json", If_None_Match=first.headers["Etag"])

        assert (second.status, second.body) in ((304, b""), (200, second.body))
        assert second.status == 304 or second.headers["Etag"] != first.headers["Etag"]


class TestMetrics:
    def test_they_are_what_prometheus_reads(self, port: int) -> None:
        answer = ask(port, "/metrics")
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(answer.body.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value

        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert found["anycast_endpoint_state"]["ns1", "resolver"] == 2
        assert found["anycast_endpoint_state"]["ns4", "resolver"] == 3
        assert found["anycast_endpoint_present"]["ns3", "resolver"] == 0
        assert ("ns4", "resolver") not in found["anycast_endpoint_present"]
        assert ("ns4", "resolver") not in found["anycast_endpoint_stream_age_seconds"]
        assert found["anycast_endpoint_held"]["ns3", "resolver"] == 1
        # The second one has a hold that could not be read, and counts as held all the same.
        assert ("ns2", "resolver") not in found["anycast_endpoint_held"]
        assert found["anycast_endpoint_samples_total"]["ns1", "resolver"] == 18000
        assert found["anycast_vip_announcing"]["resolver",] == 2
        assert found["anycast_vip_common_cause"]["ntp",] == 1
        assert found["anycast_failover_seconds_count"]["all", "resolver"] == 1
        assert math.isclose(found["anycast_failover_seconds_sum"]["all", "resolver"], 0.16)
        assert found["anycast_engine_trouble"]["icinga",] == 1
        assert found["process_open_fds"][()] > 3

    def test_what_an_endpoint_has_said_is_in_no_metric(self, port: int) -> None:
        assert b"onerror" not in ask(port, "/metrics").body


class TestDocumentation:
    """The names are public; docs/engines.rst has all of them."""

    PAGE = (ROOT / "docs/engines.rst").read_text()

    def test_every_metric_is_documented(self, port: int) -> None:
        named = set(re.findall(r"``(anycast_\w+)``", self.PAGE.partition("``/metrics``")[2]))
        found = {
            sample.name.removesuffix("_sum").removesuffix("_count")
            for family in text_string_to_metric_families(ask(port, "/metrics").body.decode())
            for sample in family.samples
        }
        assert named == {name for name in found if name.startswith("anycast_")}

    def test_every_key_of_the_document_is_documented(self, port: int) -> None:
        _, _, after = self.PAGE.partition("``/status.json`` has")
        named = set(re.findall(r"``(\w+)``", after.partition("``/metrics``")[0]))
        document = ask(port, "/status.json").document
        stages = document["vips"][1]["failovers"][0].pop("stages")

        assert stages
        # A page that is older than the watcher loads itself anew by this key.
        assert set(keys(document)) - {"page", "vip", "name"} <= named


def keys(document: object) -> Iterator[str]:
    if isinstance(document, list):
        for one in document:
            yield from keys(one)
    elif isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from keys(value)


class TestServer:
    @pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/icon.svg", "/status.json"])
    def test_nothing_may_come_from_elsewhere(self, port: int, path: str) -> None:
        answer = ask(port, path)
        policy = answer.headers["Content-Security-Policy"]

        assert answer.status == 200
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert b"//" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"") or path in (
            "/page.js",  # it has comments
        )

    @pytest.mark.parametrize("path", ["/../serve.py", "/serve.py", "/page.js/", "/%2e%2e/x"])
    def test_no_other_file_is_served(self, port: int, path: str) -> None:
        assert ask(port, path).status == 404

    def test_it_is_for_reading_only(self, port: int) -> None:
        assert ask(port, "/status.json", "POST").status == 405
        answer, head = ask(port, "/"), ask(port, "/", "HEAD")
        # Each has the second in which it was given.
        assert answer.headers.pop("Date")
        assert head.headers.pop("Date")
        assert head == answer._replace(body=b"")

    @pytest.mark.parametrize(
        ("host", "status"),
        [
            ("localhost", 200),
            ("localhost:9853", 200),
            ("127.0.0.1:9853", 200),
            ("[::1]:9853", 200),
            ("evil.example.org", 403),
            ("evil.example.org:9853", 403),
            ("127.0.0.1.example.org", 403),
        ],
    )
    def test_a_name_that_somebody_lets_point_to_loopback_is_refused(
        self, port: int, host: str, status: int
    ) -> None:
        assert ask(port, "/status.json", Host=host).status == status

    @pytest.mark.parametrize("listen", ["9853", "localhost:9853", "127.0.0.1:x", "127.0.0.1:70000"])
    def test_what_is_no_address_is_refused(self, listen: str) -> None:
        with pytest.raises(ConfigurationError, match=f"--listen {listen}: "):
            open_page(listen, rich)

    def test_a_port_that_is_taken_is_said(self, port: int) -> None:
        with pytest.raises(ConfigurationError, match="Address already in use: choose another"):
            open_page(f"127.0.0.1:{port}", rich)

    def test_a_port_that_is_taken_keeps_the_watcher_from_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Any user of the host could have taken it."""
        monkeypatch.setattr("anycast_handlers.watch.page.AGAIN", 0.05)
        said: SimpleQueue[str] = SimpleQueue()
        with socket.create_server(("127.0.0.1", 0)) as other:
            number = other.getsockname()[1]
            showing = Showing(f"127.0.0.1:{number}", rich, said.put)
            assert "watches without its page" in said.get(timeout=30)
        assert said.get(timeout=30) == f"serves its page at http://127.0.0.1:{number}"
        assert ask(number, "/status.json").status == 200
        showing.close()

    def test_an_address_that_others_reach_is_said_to_be_open_to_all(self) -> None:
        said: list[str] = []
        showing = Showing("0.0.0.0:0", rich, said.append)
        showing.close()
        text = (
            "serves its page at http://0.0.0.0:0, to everybody who gets there: it asks for no login"
        )
        assert said == [text]

    def test_it_listens_on_ipv6_too(self) -> None:
        page = open_page("[::1]:0", rich)
        with socket.create_connection(("::1", page.port), 5) as client:
            client.sendall(b"GET /status.json HTTP/1.0\r\nHost: [::1]\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.0 200"
        page.close()

    def test_it_ends_at_once_with_clients_that_stay(self) -> None:
        page = open_page("127.0.0.1:0", rich)
        port = page.port
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET /status.json HT")
            # Whoever is answered came later than the other one.
            assert ask(port, "/").status == 200
            page.close()
            assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def read(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has the page in it, and see what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestBadClients:
    @pytest.mark.parametrize(
        "line",
        [
            "GET /icon.svg HTTP/1.1",
            "GET /metrics HTTP/1.1",
            "GET /status.json HTTP/1.1",
            "GET /not-there HTTP/1.1",
            "GET",
        ],
    )
    def test_clients_that_ask_without_end_are_answered_at_a_bounded_pace(self, line: str) -> None:
        """Any user of the host may ask, and the threads of the watcher share one interpreter."""
        asked = f"{line}\r\nHost: localhost\r\n\r\n".encode() * 2
        with served(rich) as port, ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
                for _ in range(50)
            ]
            began = time.monotonic()
            for client in clients:
                client.sendall(asked)
                client.shutdown(socket.SHUT_WR)
            answers = sum(read(client).count(b"HTTP/1.") for client in clients)
            took = time.monotonic() - began
        assert answers / took <= LIMITS["threads"] / PAUSE

    def test_metrics_are_made_once_a_second(self) -> None:
        looks = 0

        def look() -> Board:
            nonlocal looks
            looks += 1
            return board(1, endpoint("ns1"))._replace(version=looks)

        with served(look) as port:
            began = time.monotonic()
            while time.monotonic() < began + 1.5:
                assert ask(port, "/metrics").status == 200
            assert looks <= 1 + time.monotonic() - began

    def test_many_clients_write_nothing_to_the_log(self) -> None:
        ended = run(
            "import http.client, threading\n"
            "from anycast_handlers.watch.page import open_page\n"
            "from tests.support.boards import rich\n"
            "page = open_page('127.0.0.1:0', rich)\n"
            "def ask():\n"
            "    for _ in range(20):\n"
            "        asked = http.client.HTTPConnection('127.0.0.1', page.port)\n"
            "        asked.request('GET', '/metrics')\n"
            "        asked.getresponse().read()\n"
            "        asked.close()\n"
            "many = [threading.Thread(target=ask) for _ in range(16)]\n"
            "[one.start() for one in many]\n"
            "[one.join() for one in many]\n"
            "page.close()\n"
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

    def test_a_page_that_closes_while_it_is_asked_says_nothing(self) -> None:
        ended = run(
            "import contextlib, http.client, threading\n"
            "from anycast_handlers.watch.page import open_page\n"
            "from tests.support.boards import rich\n"
            "def ask(port):\n"
            "    with contextlib.suppress(OSError, http.client.HTTPException):\n"
            "        while True:\n"
            "            asked = http.client.HTTPConnection('127.0.0.1', port, timeout=30)\n"
            "            asked.request('GET', '/metrics')\n"
            "            asked.getresponse().read()\n"
            "            asked.close()\n"
            "for _ in range(50):\n"
            "    page = open_page('127.0.0.1:0', rich)\n"
            "    many = [threading.Thread(target=ask, args=(page.port,)) for _ in range(8)]\n"
            "    [one.start() for one in many]\n"
            "    page.close()\n"
            "    [one.join() for one in many]\n"
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")

    def test_clients_that_read_nothing_cost_neither_memory_nor_the_log(self) -> None:
        """All answers that wait are one, however many clients have asked for it."""
        ended = run(
            "import socket, time\n"
            "from anycast_handlers.watch.page import address, open_page\n"
            "from tests.support.boards import board, endpoint, rich\n"
            "decisions = rich().vips[1].endpoints[0].decisions * 5\n"
            "one = endpoint('ns1')._replace(text='x' * 200, why='y' * 200, decisions=decisions)\n"
            "many = board(1, *[one] * 1000)\n"
            "address.UNREAD = 500\n"
            "page = open_page('127.0.0.1:0', lambda: many)\n"
            "asked = b'GET /status.json HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' * 5\n"
            "stuck = []\n"
            "for _ in range(60):\n"
            "    client = socket.socket()\n"
            "    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)\n"
            "    client.connect(('127.0.0.1', page.port))\n"
            "    client.sendall(asked)\n"
            "    stuck.append(client)\n"
            "until = time.monotonic() + 30\n"
            "while len(page._server._map) < 60 and time.monotonic() < until:\n"
            "    time.sleep(0.01)\n"
            "while len(page._server._map) > 5 and time.monotonic() < until:\n"
            "    time.sleep(0.1)\n"
            "with open('/proc/self/status') as status:\n"
            "    print(next(line.split()[1] for line in status if line.startswith('VmHWM')))\n"
            "print(len(page._server._map) <= 5)\n"
            "page.close()\n"
        )
        memory, left = ended.stdout.split()
        assert (ended.returncode, ended.stderr, left) == (0, "", "True")
        assert int(memory) < MOST_MEMORY

    def test_clients_that_read_nothing_keep_nobody_else_waiting(self) -> None:
        """There are more of them than threads, and each answer is larger than a socket takes."""
        many = board(1, *(endpoint(f"ns{n}", text="x" * 200) for n in range(5000)))
        with served(lambda: many) as port:
            stuck = []
            for _ in range(8):
                client = socket.create_connection(("127.0.0.1", port), 5)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4)
                stuck.append(client)
            answer = ask(port, "/status.json")
            for client in stuck:
                client.close()

        assert len(answer.document["vips"][0]["endpoints"]) == 5000

    def test_clients_that_say_nothing_keep_nobody_else_waiting(self) -> None:
        with served(rich) as port:
            silent = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(40)]
            for client in silent:
                client.sendall(b"GET /status.json HT")
            assert ask(port, "/status.json").status == 200
            for client in silent:
                client.close()

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
            b"GET /status.json HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \xff\xfe\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
    )
    def test_what_is_no_request_harms_nobody(self, port: int, sent: bytes) -> None:
        answer = b""
        # The server may end the connection before all of it was sent.
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(65536)

        assert b"Traceback" not in answer
        assert ask(port, "/status.json").status == 200


class TestFresh:
    """However many ask, the board is rendered as often as a person needs it."""

    def setup_method(self) -> None:
        self.now = 100.0
        self.board = board(1, endpoint("ns1"))
        self.rendered = 0
        self.fresh = Fresh(lambda: self.board, self.render, lambda: self.now)

    def render(self, given: Board) -> bytes:
        self.rendered += 1
        return str(given.version).encode()

    def test_many_readers_cost_one_rendering(self) -> None:
        assert {self.fresh.get() for _ in range(1000)} == {self.fresh.get()}
        assert self.rendered == 1

    def test_a_change_is_there_soon(self) -> None:
        first = self.fresh.get()
        self.board = self.board._replace(version=2)
        self.now += SOONEST
        second = self.fresh.get()

        assert (first.body, second.body) == (b"1", b"2")
        assert first.tag != second.tag

    def test_a_storm_of_changes_is_rendered_some_times_a_second(self) -> None:
        for number in range(1000):
            self.board = self.board._replace(version=number)
            self.now += 0.001
            self.fresh.get()

        assert self.rendered <= 1 / SOONEST + 1

    def test_without_a_change_only_the_ages_are_rendered_anew(self) -> None:
        first = self.fresh.get()
        self.now += LATEST - 0.1
        assert self.fresh.get() is first
        self.now += 0.1
        assert self.fresh.get().tag != first.tag
