"""The engines are told at once and again, and an engine that is away or slow delays nobody."""

from __future__ import annotations

import json
import os
import pwd
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.values import Fleet, Icinga, Nagios, Paths, Ssh
from anycast_handlers.watch.engines import engines
from anycast_handlers.watch.engines.examine import examine_engines
from anycast_handlers.watch.engines.icinga import IcingaApi
from anycast_handlers.watch.engines.nagios import CommandFile
from anycast_handlers.watch.engines.outbox import PAUSE, Outbox
from anycast_handlers.watch.engines.report import (
    FRESH,
    REPEAT,
    TTL,
    NotToldError,
    RefusedReportError,
    Report,
    control,
    health,
)
from anycast_handlers.watch.engines.teller import Teller

from lab.waiting import wait_until
from tests.support.peer import (
    Talk,
    certificate,
    free_port,
    hanging,
    saying,
    saying_for_ever,
    stream_server,
)

PASSWORD = "the-password-of-the-watcher"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INFINITE = float("inf")
# A second watcher takes the first one for silent after so many seconds here.
SILENT = 2.0
TAKEN = {"results": [{"code": 200.0, "status": "Successfully processed check result"}]}


def well(name: str = "ns1", at: float = 1.0) -> Report:
    return health(name, "resolver", State.OK, "answers in 1 ms", at)


def ill(name: str = "ns1", at: float = 2.0) -> Report:
    return health(name, "resolver", State.CRITICAL, "refused, still announced", at)


class TestOutbox:
    """Times are seconds; each test begins at 0."""

    def taken(self, outbox: Outbox, now: float) -> list[Report]:
        found = []
        while (report := outbox.take(now)) is not None:
            found.append(report)
        return found

    def test_a_change_is_passed_on_at_once_as_often_as_the_service_has_attempts(self) -> None:
        outbox = Outbox(3)
        outbox.put(well(), 0)
        assert self.taken(outbox, 0) == [well()] * 3
        outbox.put(ill(), 5)
        assert self.taken(outbox, 5) == [ill()] * 3

    def test_what_stays_the_same_is_passed_on_every_ten_seconds_and_the_newest_of_it(self) -> None:
        outbox = Outbox(1)
        passed = {}
        for eighth in range(400):
            now = eighth / 8
            outbox.put(well(at=now), now)
            if found := self.taken(outbox, now):
                passed[now] = found
        start, first, *others = passed
        assert (start, first <= REPEAT) == (0, True)
        assert others == [first + REPEAT * number for number in range(1, len(others) + 1)]
        assert len(others) >= 3
        assert passed[first] == [well(at=first)]

    def test_what_has_changed_together_is_not_repeated_together(self) -> None:
        outbox = Outbox(1)
        names = [f"ns{number}" for number in range(160)]
        most = 0
        for second in range(1, 40):
            for name in names:
                outbox.put(well(name), second / 2)
            found = self.taken(outbox, second / 2)
            most = max(most, len(found)) if second > 1 else 0
        assert most <= 20

    def test_what_is_not_said_again_is_not_repeated(self) -> None:
        """A stream that is lost, and a watcher that hangs, must not hide the engine's own check."""
        outbox = Outbox(1)
        outbox.put(well(), 0)
        assert len(self.taken(outbox, 0)) == 1
        assert self.taken(outbox, REPEAT + 1) == []
        assert outbox.next_at() == float("inf")

    def test_what_comes_back_counts_as_changed(self) -> None:
        """The engine has asked by itself meanwhile, and may have seen another state."""
        outbox = Outbox(2)
        outbox.put(well(), 0)
        self.taken(outbox, 0)
        outbox.put(well(), FRESH + 1)
        assert len(self.taken(outbox, FRESH + 1)) == 2

    def test_a_service_that_changes_all_the_time_is_passed_on_once_a_second(self) -> None:
        outbox = Outbox(3)
        passed = []
        for hundredth in range(1000):
            now = hundredth / 100
            outbox.put(ill() if hundredth % 2 else well(), now)
            passed += self.taken(outbox, now)
        assert len(passed) <= 3 * (10 / PAUSE + 1)

    def test_a_change_goes_before_what_is_only_repeated(self) -> None:
        outbox = Outbox(1)
        names = [f"ns{number}" for number in range(100)]
        for name in names:
            outbox.put(well(name), 0)
        self.taken(outbox, 0)
        for now in (FRESH, REPEAT):
            for name in names:
                outbox.put(well(name), now)
        outbox.put(ill("ns50"), REPEAT)
        assert outbox.take(REPEAT) == ill("ns50")

    def test_what_could_not_be_passed_on_has_its_turn_again_with_what_is_new(self) -> None:
        outbox = Outbox(2)
        outbox.put(well(), 0)
        report = outbox.take(0)
        assert report
        outbox.give_back(report, 0)
        outbox.put(ill(), 2)
        assert self.taken(outbox, 2) == [ill()] * 2

    def test_it_grows_with_the_services_and_not_with_time(self) -> None:
        outbox = Outbox(3)
        for number in range(10_000):
            for name in ("ns1", "ns2"):
                outbox.put(ill(name) if number % 3 else well(name), number * 2.0)
            while outbox.take(number * 2.0):
                pass
        turns = len(outbox._changes) + len(outbox._repeats)
        assert turns < 20

    def test_a_thousand_services_are_cheap(self) -> None:
        """One core tells all of them each ten seconds, and has nearly all of its time left."""
        outbox = Outbox(3)
        names = [f"ns{number}" for number in range(2000)]
        began = time.process_time()
        for second in range(20):
            for name in names:
                outbox.put(well(name, float(second)), float(second))
            self.taken(outbox, float(second))
        assert time.process_time() - began < 4


class Peer:
    """An Icinga on loopback that takes each result, and notes it.

    ``services`` is what it says where it is asked for services, and ``asked`` the filters.
    """

    def __init__(self) -> None:
        self.services: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.asking_status = 200
        self.results: list[dict[str, Any]] = []
        self.logins: list[str] = []
        self.connections = 0
        self.status = 200
        self.answer: object = TAKEN
        self.keeps_open = True
        self.may_answer = threading.Event()
        self.may_answer.set()

    def talk(self, connection: socket.socket) -> None:
        self.connections += 1
        stream = connection.makefile("rb")
        while line := stream.readline():
            path = line.decode().removeprefix("POST /v1/").removesuffix(" HTTP/1.1\r\n")
            assert path in ("actions/process-check-result", "objects/services")
            headers = {}
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            self.logins.append(headers["authorization"])
            said = json.loads(stream.read(int(headers["content-length"])))
            if path == "objects/services":
                assert headers["x-http-method-override"] == "GET"
                self.asked.append(said["filter"])
                status, answer = self.asking_status, self.shown(said["filter"])
            else:
                self.results.append(said)
                self.may_answer.wait(30)
                status, answer = self.status, self.answer
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            if not self.keeps_open:
                return

    def shown(self, which: str) -> object:
        watchers = "anycast-watcher" in which
        shown = [one for one in self.services if ("last_check_result" in one) is watchers]
        return {"results": [{"attrs": one} for one in shown]}

    def watcher(self, host: str, rank: int, at: float, *, active: bool = False) -> None:
        """Show a watcher of which a report was heard."""
        result = {"active": active, "performance_data": [f"rank={rank}"], "execution_end": at}
        self.services = [{"host_name": host, "last_check_result": result}]


class Desk:
    """What a way to Icinga needs: a certificate, a file with the password, a peer."""

    def __init__(self, directory: Path) -> None:
        self.context, self.ca = certificate(directory, name="mon.example.org")
        self.password = directory / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.password.chmod(0o600)

    def settings(self, port: int, **more: Any) -> Icinga:
        settings = Icinga("127.0.0.1", port, "anycast-watcher", str(self.password), self.ca)
        return settings._replace(**more)

    def way(self, talk: Talk) -> Iterator[IcingaApi]:
        with stream_server(talk, self.context) as port:
            way = IcingaApi(self.settings(port))
            yield way
            way.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def way(desk: Desk, peer: Peer) -> Iterator[IcingaApi]:
    yield from desk.way(peer.talk)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    # An Icinga that answers has so long, also on a busy machine.
    monkeypatch.setattr("anycast_handlers.watch.engines.icinga.PATIENCE", 2.0)


class TestIcinga:
    def test_it_is_told_over_one_connection_that_waits_for_no_acknowledgement(
        self, way: IcingaApi, peer: Peer
    ) -> None:
        for _ in range(50):
            way.send(well())
        assert (peer.connections, len(peer.results)) == (1, 50)
        assert way._socket
        assert way._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def test_it_is_told_all_that_it_needs_to_know(self, way: IcingaApi, peer: Peer) -> None:
        way.send(ill(at=1795752000.25)._replace(perfdata="time=0.001s present=1"))
        assert peer.results == [
            {
                "type": "Service",
                "service": "ns1!anycast-health-resolver",
                "exit_status": 2,
                "plugin_output": "refused, still announced",
                "performance_data": ["time=0.001s", "present=1"],
                "execution_start": 1795752000.25,
                "execution_end": 1795752000.25,
                "ttl": TTL,
            }
        ]

    def test_text_of_an_endpoint_is_cleaned_and_bounded(self, way: IcingaApi, peer: Peer) -> None:
        way.send(ill()._replace(text="a\nb|c\x00\u202e" + "x" * 100_000))
        text = peer.results[0]["plugin_output"]
        assert text.startswith("a b!c")
        assert len(text) < 1000

    def test_a_connection_that_was_closed_meanwhile_is_made_anew(
        self, way: IcingaApi, peer: Peer
    ) -> None:
        peer.keeps_open = False
        for _ in range(3):
            way.send(well())
        assert (peer.connections, len(peer.results)) == (3, 3)

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (401, "refuses the user anycast-watcher or the password: see user and password_file"),
            (403, "forbids anycast-watcher to report"),
            (503, "answers with the status 503"),
            (302, "answers with the status 302"),
        ],
    )
    def test_an_icinga_that_refuses_everything_is_away(
        self, way: IcingaApi, peer: Peer, status: int, said: str
    ) -> None:
        peer.status = status
        with pytest.raises(NotToldError, match=said):
            way.send(well())

    def test_a_service_that_does_not_exist_is_named(self, way: IcingaApi, peer: Peer) -> None:
        peer.status = 404
        with pytest.raises(RefusedReportError, match="has no service ns1!anycast-health-resolver"):
            way.send(well())

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            [],
            {"results": []},
            {"results": [{"code": "x"}]},
            1,
            {"results": [{"code": INFINITE}]},
        ],
    )
    def test_an_answer_that_does_not_say_so_is_not_taken_for_success(
        self, way: IcingaApi, peer: Peer, answer: object
    ) -> None:
        peer.answer = answer
        with pytest.raises(NotToldError, match="an answer that is not Icinga's"):
            way.send(well())

    def test_a_result_that_is_refused_is_said(self, way: IcingaApi, peer: Peer) -> None:
        peer.answer = {"results": [{"code": 409.0, "status": "no"}]}
        with pytest.raises(RefusedReportError, match=r"a result of ns1!.*: code 409"):
            way.send(well())

    @pytest.mark.parametrize(
        "talk",
        [
            saying(b"SSH-2.0-OpenSSH_9.2\r\n"),
            saying(b""),
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            hanging(),
            saying_for_ever(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"),
            saying(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
            saying(CHUNKED + b"5\r\nhello\r\n-" + b"9" * 40 + b"\r\n"),
        ],
        ids=[
            "no HTTP",
            "nothing",
            "half",
            "silence",
            "headers without end",
            "a chunk of -5 bytes",
            "a chunk of -1e40 bytes",
        ],
    )
    def test_whatever_answers_instead_is_one_error(self, desk: Desk, talk: Talk) -> None:
        for way in desk.way(talk):
            with pytest.raises(NotToldError, match=r"Icinga at 127\.0\.0\.1 port"):
                way.send(well())

    @pytest.mark.parametrize(
        ("head", "more"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 99),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (CHUNKED + b"-1\r\n", b"x" * 9999),
            (CHUNKED + b"0\r\n", b"X: y\r\n"),
        ],
        ids=["body", "answers before the answer", "chunk of negative length", "trailers"],
    )
    def test_an_answer_without_end_is_not_read(self, desk: Desk, head: bytes, more: bytes) -> None:
        sent = 0

        def talk(connection: socket.socket) -> None:
            nonlocal sent
            connection.sendall(head)
            while sent < 50_000_000:
                connection.sendall(more * 100)
                sent += 100 * len(more)

        for way in desk.way(talk):
            with pytest.raises(NotToldError):
                way.send(well())
            assert way._connection is None
        # What the kernel's buffers take is sent too.
        assert sent < 20_000_000

    def test_an_answer_in_drips_has_to_be_there_in_time(self, desk: Desk) -> None:
        """Each byte is there in time, and the answer is not."""
        taken: list[bytes] = []

        def talk(connection: socket.socket) -> None:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100:
                taken.append(bytes([byte]))
                connection.sendall(taken[-1])
                time.sleep(0.1)

        for way in desk.way(talk):
            with pytest.raises(NotToldError, match="does not answer"):
                way.send(well())
            assert len(taken) < 50

    def test_nobody_else_gets_the_password(
        self, desk: Desk, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not a server with another certificate, nor a proxy that the environment names."""
        (tmp_path / "other").mkdir()
        context, _ = certificate(tmp_path / "other", name="mon.example.org")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9/")
        with stream_server(peer.talk, context) as port:
            way = IcingaApi(desk.settings(port))
            with pytest.raises(NotToldError, match=r"not trusted: self-signed.*: see url and ca"):
                way.send(well())
        assert peer.logins == []

    def test_the_name_in_the_certificate_counts(self, desk: Desk, peer: Peer) -> None:
        with stream_server(peer.talk, desk.context) as port:
            way = IcingaApi(desk.settings(port, host="localhost"))
            with pytest.raises(NotToldError, match="not trusted: Hostname mismatch"):
                way.send(well())
        assert peer.logins == []

    def test_the_password_is_in_no_text(self, desk: Desk) -> None:
        for way in desk.way(saying(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")):
            with pytest.raises(NotToldError) as caught:
                way.send(well())
            assert PASSWORD not in f"{caught.value!r} {way!r} {way._settings!r}"

    @pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666])
    def test_a_password_that_others_may_read_or_change_is_refused(
        self, desk: Desk, mode: int
    ) -> None:
        desk.password.chmod(mode)
        with pytest.raises(ConfigurationError, match="others may read or change it: chmod 600"):
            IcingaApi(desk.settings(1))

    @pytest.mark.parametrize("text", ["", "\n", "a\nb\n", "a\rb", "x" * 2000, "\xff", "a\0b"])
    def test_a_file_without_one_line_is_refused(self, desk: Desk, text: str) -> None:
        desk.password.write_text(text, encoding="latin-1")
        with pytest.raises(ConfigurationError, match=str(desk.password)):
            IcingaApi(desk.settings(1))

    def test_what_is_no_file_is_refused_at_once(self, desk: Desk) -> None:
        desk.password.unlink()
        with pytest.raises(ConfigurationError, match=r"No such file or directory: see icinga.pass"):
            IcingaApi(desk.settings(1))
        os.mkfifo(desk.password)
        with pytest.raises(ConfigurationError, match="is no file"):
            IcingaApi(desk.settings(1))

    def test_a_missing_authority_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"No such file or directory: see icinga.ca"):
            IcingaApi(desk.settings(1, ca=str(tmp_path / "none")))
        with pytest.raises(ConfigurationError, match=r"has no certificate in it: see icinga.ca"):
            IcingaApi(desk.settings(1, ca=str(desk.password)))


class TestTeller:
    """A thread between the watcher and an engine."""

    @pytest.fixture
    def teller(self, way: IcingaApi) -> Iterator[Teller]:
        teller = Teller("icinga", way, 3, "mon")
        teller.start()
        yield teller
        teller.close()

    def test_a_change_is_told_at_once(self, teller: Teller, peer: Peer) -> None:
        teller.tell(ill())
        wait_until(lambda: len(peer.results) == 3, "three results")
        wait_until(lambda: teller.state() == ("icinga", 3, ""), "all is well")

    def test_the_watcher_is_a_service_of_its_own(self, teller: Teller, peer: Peer) -> None:
        teller.alive(State.OK, "watches 3 endpoints", 1.0)
        wait_until(lambda: peer.results, "a result")
        assert peer.results[0]["service"] == "mon!anycast-watcher"
        assert peer.results[0]["exit_status"] == 0

    def test_an_icinga_that_does_not_answer_keeps_nobody_waiting(
        self, teller: Teller, peer: Peer
    ) -> None:
        peer.may_answer.clear()
        teller.tell(ill())
        wait_until(lambda: peer.results, "a question")
        began = time.thread_time()
        for number in range(100):
            teller.tell(well(f"ns{number}"))
        assert time.thread_time() - began < 0.5
        wait_until(lambda: "does not answer" in teller.state().trouble, "the trouble")
        peer.may_answer.set()
        wait_until(lambda: len({one["service"] for one in peer.results}) == 100, "all is told")
        wait_until(lambda: teller.state().trouble == "", "all is well")

    def test_after_an_outage_it_is_told_what_is_so_then(self, desk: Desk, peer: Peer) -> None:
        port = free_port()
        teller = Teller("icinga", IcingaApi(desk.settings(port)), 1, "mon")
        teller.start()
        teller.tell(well())
        wait_until(lambda: "Connection refused" in teller.state().trouble, "the trouble")
        teller.tell(ill())

        def last_told() -> list[int]:
            return [one["exit_status"] for one in peer.results[-1:]]

        with serving_at(port, desk, peer):
            wait_until(lambda: last_told() == [2], "it is told what is so then")
            teller.close()

    def test_a_refused_service_is_named_and_the_others_are_told(
        self, teller: Teller, peer: Peer
    ) -> None:
        peer.status = 404
        teller.tell(well("ns9"))
        wait_until(lambda: "ns9!anycast-health-resolver" in teller.state().trouble, "the trouble")
        teller.tell(control("ns8", "resolver", State.OK, "as it should be", 1.0))
        wait_until(lambda: "(and 1 more)" in teller.state().trouble, "both")
        peer.status = 200
        teller.tell(ill("ns9"))
        teller.tell(ill("ns8")._replace(service="anycast-control-resolver"))
        wait_until(lambda: teller.state().trouble == "", "all is well")

    def test_it_ends_within_a_second_whatever_the_engine_does(
        self, way: IcingaApi, peer: Peer
    ) -> None:
        peer.may_answer.clear()
        teller = Teller("icinga", way, 3, "mon")
        teller.start()
        teller.tell(ill())
        wait_until(lambda: peer.results, "a question")
        teller.close()
        assert not teller._thread.is_alive()
        peer.may_answer.set()

    def test_it_knows_what_is_in_a_downtime(self, teller: Teller, peer: Peer) -> None:
        assert not teller.in_downtime("ns1", "resolver")
        peer.services = [{"host_name": "ns1", "name": "anycast-health-resolver"}]
        teller._ask_at = 0.0
        teller.tell(ill())
        wait_until(lambda: teller.in_downtime("ns1", "resolver"), "it is known")
        assert not teller.in_downtime("ns2", "resolver")
        peer.asking_status = 503
        teller._ask_at = 0.0
        teller.tell(well())
        wait_until(lambda: "status 503" in teller.state().trouble, "Icinga is away")
        assert teller.in_downtime("ns1", "resolver")

    def test_who_may_not_ask_reports_all_the_same(self, teller: Teller, peer: Peer) -> None:
        peer.asking_status = 403
        teller._ask_at = 0.0
        teller.tell(ill())
        said = "does not let anycast-watcher ask for downtimes: its ApiUser needs all of"
        wait_until(lambda: said in teller.state().trouble, "the trouble")
        wait_until(lambda: len(peer.results) == 3, "it is told")
        teller.tell(well())
        wait_until(lambda: len(peer.results) == 6, "it is told of the change")


class TestSecondWatcher:
    """A watcher of rank 1 reports on endpoints only while the first is silent."""

    @pytest.fixture
    def second(self, way: IcingaApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teller]:
        monkeypatch.setattr("anycast_handlers.watch.engines.teller.ASK_PAUSE", 0.05)
        monkeypatch.setattr("anycast_handlers.watch.engines.known.SILENT", SILENT)
        teller = Teller("icinga", way, 1, "mon2", rank=1)
        yield teller
        teller.close()

    def told(self, peer: Peer) -> set[str]:
        return {one["service"] for one in peer.results}

    def test_it_is_quiet_before_it_has_asked_and_while_the_first_reports(
        self, second: Teller, peer: Peer
    ) -> None:
        peer.watcher("mon1", 0, 1.0)
        second.tell(ill())
        second.start()
        number, until = 1.0, time.monotonic() + 2 * SILENT

        def goes_on() -> bool:
            nonlocal number
            peer.watcher("mon1", 0, number := number + 1)
            second.tell(ill())
            second.alive(State.OK, "watches", number)
            return time.monotonic() > until

        wait_until(goes_on, "it has reported for longer than it may be silent")
        assert len(peer.asked) > 5
        assert second.leader() == "mon1"
        assert self.told(peer) == {"mon2!anycast-watcher"}

    def test_it_reports_once_the_first_is_silent(self, second: Teller, peer: Peer) -> None:
        peer.watcher("mon1", 0, 1.0)
        second.start()

        def told() -> bool:
            second.tell(ill())
            return bool(peer.results)

        wait_until(told, "it reports")
        assert second.leader() == ""
        assert self.told(peer) == {"ns1!anycast-health-resolver"}

    @pytest.mark.parametrize(
        ("host", "rank", "active"), [("mon2", 0, False), ("mon3", 1, False), ("mon1", 0, True)]
    )
    def test_it_waits_neither_for_itself_nor_for_a_later_one_nor_for_a_dead_one(
        self,
        second: Teller,
        peer: Peer,
        monkeypatch: pytest.MonkeyPatch,
        host: str,
        rank: int,
        active: bool,  # noqa: FBT001
    ) -> None:
        monkeypatch.setattr("anycast_handlers.watch.engines.known.SILENT", 1e6)
        peer.watcher(host, rank, 1.0, active=active)
        second.start()

        def told() -> bool:
            second.tell(ill())
            return bool(peer.results)

        wait_until(told, "it reports")
        assert self.told(peer) == {"ns1!anycast-health-resolver"}

    def test_it_says_its_rank(self, second: Teller, peer: Peer) -> None:
        second.start()
        second.alive(State.OK, "watches", 1.0)
        wait_until(lambda: peer.results, "a result")
        assert peer.results[0]["performance_data"] == ["rank=1"]


@contextmanager
def serving_at(port: int, desk: Desk, peer: Peer) -> Iterator[None]:
    """Serve one connection there."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(15)

        def serve() -> None:
            plain, _ = listener.accept()
            # The other side may close with something unread, which the kernel calls a broken pipe.
            with (
                desk.context.wrap_socket(plain, server_side=True) as secure,
                suppress(ConnectionError),
            ):
                peer.talk(secure)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


class TestNagios:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "nagios.cmd"
        os.mkfifo(file)
        return file

    @pytest.fixture
    def read(self, file: Path) -> Iterator[Callable[[], str]]:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        yield lambda: os.read(descriptor, 65536).decode()
        os.close(descriptor)

    def way(self, file: Path) -> CommandFile:
        return CommandFile(Nagios(str(file)))

    def test_it_is_told_one_line(self, file: Path, read: Callable[[], str]) -> None:
        self.way(file).send(ill(at=1795752000.75)._replace(perfdata="time=0.1s"))
        assert read() == (
            "[1795752000] PROCESS_SERVICE_CHECK_RESULT;ns1;anycast-health-resolver;2;"
            "refused, still announced|time=0.1s\n"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "x\n[0] SHUTDOWN_PROGRAM",
            "x;0;y",
            "x\\n[0] SHUTDOWN_PROGRAM",
            "x|y",
            "\r\n\x00\x1b[31m",
            "\u2028" + "x" * 100_000,
            "[0] SHUTDOWN_PROGRAM\n",
        ],
    )
    def test_no_text_becomes_another_command_or_field(
        self, file: Path, read: Callable[[], str], text: str
    ) -> None:
        self.way(file).send(ill()._replace(text=text, perfdata=text, host=text, service=text))
        line = read()
        assert line.startswith("[2] PROCESS_SERVICE_CHECK_RESULT;")
        assert (line.count("\n"), line.count(";"), line.count("\\")) == (1, 4, 0)
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        assert line.isascii()
        assert line.count("|") == 1

    def test_where_nobody_reads_it_is_said_at_once(self, file: Path) -> None:
        with pytest.raises(NotToldError, match=r"nobody reads .*: Nagios does not run"):
            self.way(file).send(ill())

    def test_where_nagios_hangs_it_is_said_at_once_and_no_line_is_broken(
        self, file: Path, read: Callable[[], str]
    ) -> None:
        sent = []

        def fill() -> None:
            for _ in range(10_000):
                self.way(file).send(ill()._replace(text="x" * 900))
                sent.append(1)

        with pytest.raises(NotToldError, match="is full: Nagios does not read it"):
            fill()
        lines = "".join(iter_all(read))
        assert lines.count("\n") == len(sent)
        assert lines.endswith("\n")

    def test_a_plain_file_is_not_written(self, tmp_path: Path) -> None:
        plain = tmp_path / "nagios.cmd"
        plain.write_text("")
        with pytest.raises(NotToldError, match="is no FIFO: remove it, and restart Nagios"):
            self.way(plain).send(ill())
        assert plain.read_text() == ""

    def test_a_file_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(NotToldError, match="none cannot be written: No such file"):
            self.way(tmp_path / "none").send(ill())


def iter_all(read: Callable[[], str]) -> Iterator[str]:
    while text := read():
        yield text


def test_the_fleet_file_says_which_engines_are_told(desk: Desk) -> None:
    fleet = Fleet("fleet.toml", Ssh("a", "/i", "/k"), (), Paths())
    assert engines(fleet) == ()
    both = fleet._replace(icinga=desk.settings(1), nagios=Nagios("/nagios.cmd"))
    assert [one.state().name for one in engines(both)] == ["icinga", "nagios"]


class TestDoctor:
    """What `doctor` finds about Nagios; tests/lab/test_told.py has Icinga."""

    def found(self, directory: Path, file: Path) -> list[tuple[str, str, str]]:
        ssh = Ssh("anycast", str(directory / "id"), "")
        paths = Paths(str(directory), str(directory / "log"))
        fleet = Fleet("fleet.toml", ssh, (), paths, nagios=Nagios(str(file)))
        return [(one.about, one.text, one.remedy) for one in examine_engines(fleet)]

    def test_nothing_where_somebody_reads(self, tmp_path: Path) -> None:
        file = tmp_path / "nagios.cmd"
        os.mkfifo(file)
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        assert self.found(tmp_path, file) == []
        assert os.read(descriptor, 10) == b""
        os.close(descriptor)

    def test_what_would_not_be_read(self, tmp_path: Path) -> None:
        about, file = "fleet.toml: nagios", tmp_path / "nagios.cmd"
        text = f"{file} cannot be written: No such file or directory"
        assert self.found(tmp_path, file) == [(about, text, "see nagios.command_file")]
        file.touch()
        text, remedy = f"{file} is no FIFO", "remove it, and restart Nagios"
        assert self.found(tmp_path, file) == [(about, text, remedy)]
        file.unlink()
        os.mkfifo(file)
        text = f"nobody reads {file}: Nagios does not run"
        assert self.found(tmp_path, file) == [(about, text, "see nagios.command_file")]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
    def test_what_the_monitoring_user_cannot_write(self, tmp_path: Path) -> None:
        for above in tmp_path.parents[:2]:
            above.chmod(0o755)
        tmp_path.chmod(0o755)
        state, file = tmp_path / "state", tmp_path / "nagios.cmd"
        state.mkdir()
        nobody = pwd.getpwnam("nobody")
        os.chown(state, nobody.pw_uid, nobody.pw_gid)
        os.mkfifo(file)
        file.chmod(0o660)
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        ((_, text, _),) = self.found(state, file)
        assert text.startswith(f"nobody cannot write {file}, so Nagios hears nothing")
        os.close(descriptor)
