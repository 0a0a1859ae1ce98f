"""`status --watcher`: what the watcher of this host knows, asked on its socket."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.fleet.file import load
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.verbs import _known
from anycast_handlers.verbs._table import Row, print_table
from anycast_handlers.watch import asking
from anycast_handlers.watch.asking import OLD_SECONDS, REMEDY, NotToldError, ask
from anycast_handlers.watch.board import Board, EndpointState, Held, VipState
from anycast_handlers.watch.document import document
from anycast_handlers.watch.page import offer
from anycast_handlers.watch.page.offer import Offer
from anycast_handlers.watch.reading import NoBoardError, read
from anycast_handlers.watch.socket_file import LONGEST, listening, socket_file

from tests.support.boards import MARKUP, endpoint, rich
from tests.support.handler import Monitor
from tests.support.namespace import VIP

LOOKED = 30.0
NOBODY = 65534
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    return Monitor(tmp_path)


@pytest.fixture
def fleet(monitor: Monitor) -> Fleet:
    return load(str(monitor.directory / "fleet.toml"), ["ip"])


def well(name: str, address: str = "127.0.0.1") -> EndpointState:
    return endpoint(name)._replace(address=address, look_age=LOOKED)


def board_of(fleet: Fleet, *states: EndpointState) -> Board:
    """Make a board of the fleet file's VIP; both its endpoints are well by default."""
    states = states or (well("ns1"), well("ns9", "127.0.0.9"))
    now = time.time()
    vip = VipState("resolver", VIP, 1, states, announcing=len(states))
    return Board(1, now - 60, now, (vip,), fleet_file=os.path.realpath(fleet.file))


def rows(fleet: Fleet, board: Board) -> list[Row]:
    now = time.time()
    told = read(json.dumps(document(board, now)).encode())
    return _known.rows(fleet.vips, None, told, now)


def how_old(fleet: Fleet, board: Board) -> str:
    now = time.time()
    told = read(json.dumps(document(board, now)).encode())
    return _known.how_old(_known.rows(fleet.vips, None, told, now), told)


class TestRows:
    def test_what_is_known_to_be_well_is_well(self, fleet: Fleet) -> None:
        found = rows(fleet, board_of(fleet))
        assert [(row.is_well, row.remarks, row.trouble) for row in found] == [(True, (), "")] * 2
        assert found[0].cells == ("OK", "present", "announced", "-", "-")

    @pytest.mark.parametrize(
        ("change", "cells", "remark", "is_known"),
        [
            (
                {"state": State.CRITICAL, "text": "refused"},
                "CRITICAL present announced - -",
                "refused",
                True,
            ),
            (
                {"state": State.WARNING, "text": "slow"},
                "WARNING present announced - -",
                "slow",
                True,
            ),
            (
                {"kind": "refused", "text": "refused (1 of 2 tries)"},
                "OK present announced - -",
                "refused (1 of 2 tries)",
                True,
            ),
            (
                {"state": State.UNKNOWN, "text": "its stream has ended", "present": None},
                "? ? ? - -",
                "its stream has ended",
                False,
            ),
            ({"stream_age": OLD_SECONDS + 1}, "? ? ? - -", "its stream is silent", False),
            ({"stream_age": None}, "? ? ? - -", "its stream is silent", False),
            (
                {"present": False, "announced": False, "latched": True},
                "OK absent not yes -",
                "withdrawn by the suite: `history` says why",
                True,
            ),
            (
                {"announced": False},
                "OK present not - -",
                "present, and not announced: run doctor to see why",
                True,
            ),
            (
                {"announced": None},
                "OK present unknown - -",
                "routing unknown: the last look could not tell",
                False,
            ),
            (
                {"latched": None, "look_age": None},
                "OK present unknown ? ?",
                "the watcher has not looked at it yet",
                False,
            ),
            (
                {"latched": None, "trouble": "the notes: denied"},
                "OK present announced ? ?",
                "the notes: denied",
                False,
            ),
            (
                {"look_age": 3600.0, "held": Held("kim@mon", None, "rack")},
                "OK present unknown ? ?",
                "the watcher has last looked at it 60 m ago",
                False,
            ),
            (
                {"state": State.UNKNOWN, "text": "its stream has ended", "look_age": 3600.0},
                "? ? ? ? ?",
                "its stream has ended",
                False,
            ),
            (
                {"hold_unknown": True},
                "OK present announced - unreadable",
                "its hold could not be read",
                False,
            ),
            (
                {"held": Held("kim@mon", None, "rack")},
                "OK present announced - held",
                "held by kim@mon: rack",
                True,
            ),
            (
                {"held": Held("kim@mon", 5.0, "rack")},
                "OK present announced - expired",
                "a hold by kim@mon has expired: rack",
                True,
            ),
            (
                {"trouble": "ns1: on eth0"},
                "OK present announced - -",
                "by the last look or act: on eth0",
                True,
            ),
        ],
    )
    def test_what_is_not_known_to_be_well_is_not_well(
        self, fleet: Fleet, change: dict[str, Any], cells: str, remark: str, *, is_known: bool
    ) -> None:
        state = well("ns1")._replace(**change)
        row, _ = rows(fleet, board_of(fleet, state, well("ns9", "127.0.0.9")))
        assert (row.is_well, " ".join(row.cells)) == (False, cells)
        assert remark in row.remarks
        assert (not row.trouble) is is_known, row.trouble
        assert (row.document["error"] is None) is is_known, row.document

    def test_without_a_routing_daemon_presence_counts(self, monitor: Monitor) -> None:
        file = monitor.directory / "fleet.toml"
        head, table, tail = file.read_text().partition("[vip.resolver]\n")
        assert table
        file.write_text(f'{head}{table}routing = "none"\n{tail}')
        fleet = load(str(file), ["ip"])
        states = [one._replace(announced=None) for one in (well("ns1"), well("ns9", "127.0.0.9"))]
        states[1] = states[1]._replace(present=False)
        assert [row.announced for row in rows(fleet, board_of(fleet, *states))] == [True, False]

    def test_what_the_fleet_file_has_no_more_is_told(self, fleet: Fleet) -> None:
        known = (well("ns1"), well("ns9", "127.0.0.9"))
        for more, named in (
            ((), ""),
            ((5,), "resolver ns5, though"),
            ((5, 6), "resolver ns5, resolver ns6, though"),
            ((5, 6, 7, 8), "resolver ns5, resolver ns6, resolver ns7 and 1 more, though"),
        ):
            left = (well(f"ns{number}", f"127.0.0.{number}") for number in more)
            board = board_of(fleet, *known, *left)
            told = read(json.dumps(document(board, time.time())).encode())
            said = _known.not_in_file(fleet.vips, told)
            assert said.startswith(f"it still acts on {named}" if named else ""), said
            assert ("`systemctl reload anycast-watch`" in said) is bool(named), said
            assert bool(said) is bool(named), said

    def test_one_that_is_only_absent_is_not_well(self, fleet: Fleet) -> None:
        state = well("ns1")._replace(present=False, announced=False)
        assert not rows(fleet, board_of(fleet, state))[0].is_well

    def test_where_nobody_announces_the_routing_says_nothing(self, fleet: Fleet) -> None:
        vip = fleet.vips[0]._replace(routing="none")
        board = board_of(fleet, well("ns1")._replace(announced=None))
        told = read(json.dumps(document(board, time.time())).encode())
        row, _ = _known.rows((vip,), None, told, time.time())
        assert (row.is_well, row.trouble) == (True, "")

    @pytest.mark.parametrize("known", [("ns9", "127.0.0.1"), ("ns1", "127.0.0.2")])
    def test_one_of_another_name_or_address_is_not_known(
        self, fleet: Fleet, known: tuple[str, str]
    ) -> None:
        row, _ = rows(fleet, board_of(fleet, well(*known)))
        assert (row.is_well, row.cells, row.trouble) == (False, ("?",) * 5, _known.NOT_WATCHED)
        assert row.document["state"] == "UNKNOWN"

    def test_a_vip_of_another_address_is_not_known(self, fleet: Fleet) -> None:
        vip = fleet.vips[0]._replace(address="192.0.2.53")
        told = read(json.dumps(document(board_of(fleet), time.time())).encode())
        found = _known.rows((vip,), None, told, time.time())
        assert {row.trouble for row in found} == {_known.NOT_WATCHED}

    def test_it_says_how_old_the_oldest_knowledge_is(self, fleet: Fleet) -> None:
        states = (well("ns1")._replace(look_age=58.2), well("ns9", "127.0.0.9"))
        said = how_old(fleet, board_of(fleet, *states))
        expected = "watcher: state and presence 1 s old; routing, latch and hold at most 59 s old"
        assert said == expected
        assert len(said) <= 80

    def test_it_counts_only_the_ages_of_what_is_shown(self, fleet: Fleet) -> None:
        shown = well("ns1")._replace(look_age=20.0)
        for other in (
            # The fleet file does not have it, its stream is silent, its look is long over.
            well("ns5", "127.0.0.5")._replace(stream_age=7.0, look_age=90.0),
            well("ns9", "127.0.0.9")._replace(stream_age=400.0, look_age=10.0),
            well("ns9", "127.0.0.9")._replace(look_age=3600.0),
        ):
            said = how_old(fleet, board_of(fleet, shown, other))
            assert "presence 1 s old; routing, latch and hold at most 20 s old" in said, other

    def test_it_says_so_where_nothing_is_known(self, fleet: Fleet) -> None:
        state = EndpointState("ns1", "127.0.0.1", text="nothing yet")
        said = how_old(fleet, board_of(fleet, state))
        expected = "watcher: state and presence unknown; routing, latch and hold unknown"
        assert said == expected

    def test_what_an_endpoint_has_said_is_harmless_text(
        self, fleet: Fleet, capsys: pytest.CaptureFixture[str]
    ) -> None:
        hostile = "\x1b[2J\nresolver  ns9  OK\u202e|"
        state = well("ns1")._replace(state=State.CRITICAL, text=hostile, trouble=hostile)
        raw = document(board_of(fleet, state), time.time())
        # A program in the place of the watcher does not clean what it says.
        raw["vips"][0]["endpoints"][0] |= {"text": hostile, "trouble": hostile}
        told = read(json.dumps(raw).encode())
        print_table(_known.rows(fleet.vips, None, told, time.time()), _known.COLUMNS, fleet.vips)
        shown = capsys.readouterr().out
        assert all(" " <= letter <= "~" for letter in shown.replace("\n", "")), shown
        # The head, two rows, two remarks and one of the other endpoint, and the summary.
        assert len(shown.splitlines()) == 7, shown

    def test_a_thousand_that_are_well_are_one_screen(
        self, fleet: Fleet, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one = fleet.vips[0].endpoints[0]
        members = tuple(one._replace(name=f"e{n}", never_withdraw=False) for n in range(1000))
        vip = fleet.vips[0]._replace(endpoints=members)
        board = board_of(fleet, *(well(one.name) for one in members))
        told = read(json.dumps(document(board, time.time())).encode())
        print_table(_known.rows((vip,), None, told, time.time()), _known.COLUMNS, (vip,))
        assert capsys.readouterr().out.splitlines() == [
            "1000 are as they should be; --all shows them",
            f"resolver: 1000 of 1000 announce {VIP}, floor 500",
        ]


class TestReading:
    def test_it_reads_what_the_watcher_writes(self) -> None:
        board = rich()
        told = read(json.dumps(document(board, board.at)).encode())
        assert len(told.endpoints) == sum(len(vip.endpoints) for vip in board.vips)
        assert told.causes == {"ntp": board.vips[2].common_cause}
        held = told.endpoints["resolver", "10.99.0.53", "ns3", "192.0.2.11"]
        assert held.held
        assert (held.state, held.latched, held.held.by) == (State.WARNING, True, "alice")
        assert MARKUP[:20] in told.notes[0]

    @pytest.mark.parametrize(
        "change",
        [
            {"at": float("nan")},
            {"at": -1},
            {"age": None},
            {"vips": None},
            {"vips": [1]},
            {"fleet_file": 7},
            {"notes": [None]},
        ],
    )
    def test_it_refuses_what_is_no_board(self, change: dict[str, Any]) -> None:
        found = document(rich(), time.time()) | change
        with pytest.raises(NoBoardError):
            read(json.dumps(found).encode())

    @pytest.mark.parametrize(
        "change",
        [
            {"state": "FINE"},
            {"present": "yes"},
            {"stream_age": "1"},
            {"look_age": float("inf")},
            {"hold": 3},
            {"hold": {"by": "kim"}},
            {"text": None},
        ],
    )
    def test_it_refuses_an_endpoint_that_is_none(self, change: dict[str, Any]) -> None:
        found = document(rich(), time.time())
        found["vips"][0]["endpoints"][0] |= change
        with pytest.raises(NoBoardError):
            read(json.dumps(found).encode())

    @pytest.mark.parametrize(
        "text", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 100_000]
    )
    def test_it_refuses_what_is_no_document(self, text: bytes) -> None:
        with pytest.raises(NoBoardError):
            read(text)


@contextmanager
def offered(
    fleet: Fleet, board: Callable[[], Board], said: list[str] | None = None
) -> Iterator[Offer]:
    said = [] if said is None else said
    made = Offer(socket_file(fleet.paths.state), board, said.append)
    try:
        wait_for(lambda: made._server is not None or said, "it answers, or says why not")
        yield made
    finally:
        made.close()


def wait_for(what: Callable[[], object], name: str) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until, name
        time.sleep(0.01)


def _raise_no_descriptor(*_: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@contextmanager
def answering(fleet: Fleet, answer: Callable[[socket.socket], object]) -> Iterator[None]:
    """Have somebody else answer in the place of the watcher."""
    listens = listening(socket_file(fleet.paths.state), 4)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listens.accept()
                with client, suppress(OSError):
                    client.recv(1000)
                    answer(client)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield
    finally:
        listens.shutdown(socket.SHUT_RDWR)
        server.join(5)
        listens.close()


def refused(fleet: Fleet) -> str:
    """Ask, and give the one line that says why there is no answer."""
    with pytest.raises(NotToldError) as raised:
        ask(fleet, time.time())
    text = str(raised.value)
    assert text.endswith(f": {REMEDY}")
    assert text.isprintable()
    return text


class TestAsking:
    def test_it_is_told_what_the_watcher_knows(self, fleet: Fleet) -> None:
        board = board_of(fleet)
        with offered(fleet, lambda: board):
            told = ask(fleet, time.time())
        assert len(told.endpoints) == 2

    def test_nobody_is_there(self, fleet: Fleet) -> None:
        assert "no watcher runs on this host" in refused(fleet)

    def test_it_was_killed(self, fleet: Fleet) -> None:
        listening(socket_file(fleet.paths.state), 4).close()
        assert "no watcher runs on this host (nobody listens" in refused(fleet)

    def test_it_is_stopped(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "SECONDS", 0.2)
        # Its kernel takes connections for it, until there is no more room for them.
        with listening(socket_file(fleet.paths.state), 0):
            for _ in range(3):
                assert "does not answer within 0.2 s" in refused(fleet)

    def test_it_answers_a_byte_now_and_then(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asking, "SECONDS", 0.3)

        def drip(client: socket.socket) -> None:
            for _ in range(1000):
                client.sendall(b"H")
                time.sleep(0.02)

        with answering(fleet, drip):
            assert "does not answer within 0.3 s" in refused(fleet)

    def test_it_answers_without_end(self, fleet: Fleet) -> None:
        with answering(fleet, lambda client: client.sendall(HEAD + b" " * 10_000_000)):
            assert "says more than a watcher" in refused(fleet)

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            HEAD,
            HEAD + b'{"vips": []}',
            HEAD + b"[" * 50_000,
        ],
    )
    def test_somebody_else_answers(self, fleet: Fleet, answer: bytes) -> None:
        with answering(fleet, lambda client: client.sendall(answer)):
            assert "what answers there is not the watcher" in refused(fleet)

    @pytest.mark.parametrize("lacks", ["hold_unknown", "look_age"])
    def test_a_watcher_of_an_older_version_answers(self, fleet: Fleet, lacks: str) -> None:
        found = document(board_of(fleet), time.time())
        for one in found["vips"][0]["endpoints"]:
            del one[lacks]
        answer = HEAD + json.dumps(found).encode()
        with answering(fleet, lambda client: client.sendall(answer)):
            said = refused(fleet)
        assert "is older than this command: `systemctl restart anycast-watch`" in said

    def test_its_main_loop_hangs(self, fleet: Fleet) -> None:
        board = board_of(fleet)._replace(at=time.time() - 60)
        with offered(fleet, lambda: board):
            assert "the watcher hangs: what it knows is 60 s old" in refused(fleet)

    def test_it_watches_by_another_fleet_file(self, fleet: Fleet) -> None:
        board = board_of(fleet)._replace(fleet_file="/etc/anycast/other.toml")
        with offered(fleet, lambda: board):
            expected = f"watches by /etc/anycast/other.toml, not {os.path.realpath(fleet.file)}"
            assert expected in refused(fleet)

    def test_a_file_or_a_link_is_in_the_place_of_the_socket(
        self, fleet: Fleet, tmp_path: Path
    ) -> None:
        file = Path(socket_file(fleet.paths.state))
        file.write_text("")
        assert "is no socket" in refused(fleet)
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")
        assert "is no socket" in refused(fleet)

    def test_its_path_is_too_long(self, fleet: Fleet, tmp_path: Path) -> None:
        state = tmp_path / ("d" * 200)
        state.mkdir()
        paths = fleet.paths._replace(state=str(state))
        assert "no watcher runs" in refused(fleet._replace(paths=paths))

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_another_user_can_neither_ask_nor_answer(self, fleet: Fleet) -> None:
        """Not even where everybody may write into the directory."""
        with tempfile.TemporaryDirectory() as state:
            Path(state).chmod(0o777)
            fleet = fleet._replace(paths=fleet.paths._replace(state=state))
            file = socket_file(state)
            with offered(fleet, lambda: board_of(fleet)):
                asks = f"import socket; socket.socket(socket.AF_UNIX).connect({file!r})"
                assert "PermissionError" in as_nobody(asks).communicate(timeout=20)[1]
            answers = (
                f"import os, socket; s = socket.socket(socket.AF_UNIX); s.bind({file!r}); "
                f"os.chmod({file!r}, 0o777); s.listen(); print('listens', flush=True); s.accept(); "
                "s.accept()"
            )
            with as_nobody(answers) as other:
                try:
                    assert other.stdout
                    assert other.stdout.readline() == "listens\n"
                    assert f"runs as another user ({NOBODY})" in refused(fleet)
                finally:
                    other.kill()


def as_nobody(program: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, user=NOBODY, stdout=pipe, stderr=pipe, text=True, cwd="/")


class TestOffer:
    def test_its_own_user_alone_may_ask_and_it_is_gone_in_the_end(self, fleet: Fleet) -> None:
        file = Path(socket_file(fleet.paths.state))
        before = list(file.parent.iterdir())
        with offered(fleet, lambda: board_of(fleet)):
            assert stat.filemode(file.stat().st_mode) == "srw-------"
        assert list(file.parent.iterdir()) == before

    def test_what_a_killed_one_has_left_is_replaced(self, fleet: Fleet) -> None:
        listening(socket_file(fleet.paths.state), 4).close()
        said: list[str] = []
        with offered(fleet, lambda: board_of(fleet), said):
            assert len(ask(fleet, time.time()).endpoints) == 2
        assert said == []

    def test_a_link_in_its_place_is_replaced_and_not_followed(
        self, fleet: Fleet, tmp_path: Path
    ) -> None:
        target = tmp_path / "precious"
        target.write_text("kept")
        Path(socket_file(fleet.paths.state)).symlink_to(target)
        with offered(fleet, lambda: board_of(fleet)):
            assert len(ask(fleet, time.time()).endpoints) == 2
        assert target.read_text() == "kept"

    def test_of_two_the_newest_answers_and_then_the_other_one_again(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offer, "AGAIN", 0.05)
        first, second = board_of(fleet), board_of(fleet, well("ns1"))
        told: list[str] = []
        newer: list[str] = []
        with offered(fleet, lambda: first, told):
            with offered(fleet, lambda: second, newer):
                assert len(ask(fleet, time.time()).endpoints) == 1
                wait_for(lambda: told, "the older one says that it does not answer")
            wait_for(lambda: len(told) == 2, "the older one answers again")
            assert len(ask(fleet, time.time()).endpoints) == 2
        process = f"another watcher (process {os.getpid()})"
        assert newer == [f"answers `status --watcher` from now on, in the place of {process}"]
        assert told == [
            f"does not answer `status --watcher`: {process} does, which was started later",
            "answers `status --watcher` again",
        ]

    def test_one_that_was_removed_is_made_again(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offer, "AGAIN", 0.05)
        file = Path(socket_file(fleet.paths.state))
        with offered(fleet, lambda: board_of(fleet)):
            file.unlink()
            wait_for(file.exists, "it is there again")

    @pytest.mark.parametrize("needs_one", ["listener", "listening"])
    def test_without_a_free_descriptor_for_a_moment_it_goes_on(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, needs_one: str
    ) -> None:
        monkeypatch.setattr(offer, "AGAIN", 0.05)
        file = Path(socket_file(fleet.paths.state))
        said: list[str] = []
        with offered(fleet, lambda: board_of(fleet), said):
            with monkeypatch.context() as without:
                without.setattr(offer, needs_one, _raise_no_descriptor)
                file.unlink()
                file.write_text("something else")
                wait_for(lambda: said, "it says that there is none")
            wait_for(file.is_socket, "it is there again")
            wait_for(lambda: said[1:], "it says that it answers again")
        no_more = f"does not answer `status --watcher`: {file}: Too many open files"
        assert said[:2] == [no_more, "answers `status --watcher` again"]

    def test_it_follows_the_fleet_file(self, fleet: Fleet, tmp_path: Path) -> None:
        before, after = Path(socket_file(fleet.paths.state)), tmp_path / "new"
        after.mkdir()
        with offered(fleet, lambda: board_of(fleet)) as made:
            made.move(socket_file(str(after)))
            wait_for(Path(socket_file(str(after))).exists, "it is at the new place")
            assert not before.exists()

    @pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
    def test_a_path_that_is_too_long_is_said(
        self, fleet: Fleet, tmp_path: Path, length: int
    ) -> None:
        short = len(socket_file(str(tmp_path / "x")))
        state = tmp_path / ("x" * (length - short + 1))
        state.mkdir()
        longer = fleet._replace(paths=fleet.paths._replace(state=str(state)))
        said: list[str] = []
        with offered(longer, lambda: board_of(fleet), said) as made:
            assert (made._server is not None) == (length == LONGEST), said
        why = [f"does not answer `status --watcher`: {socket_file(str(state))}: "]
        assert said == ([] if length == LONGEST else [f"{why[0]}its path is longer than 107 bytes"])

    def test_a_directory_that_is_missing_is_said_once_until_it_is_there(
        self, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(offer, "AGAIN", 0.02)
        state = tmp_path / "missing"
        missing = fleet._replace(paths=fleet.paths._replace(state=str(state)))
        said: SimpleQueue[str] = SimpleQueue()
        made = Offer(socket_file(str(state)), lambda: board_of(fleet), said.put)
        try:
            assert said.get(timeout=20).endswith(": No such file or directory")
            state.mkdir()
            assert said.get(timeout=20) == "answers `status --watcher` again"
            assert len(ask(missing, time.time()).endpoints) == 2
        finally:
            made.close()

    def test_clients_that_read_nothing_are_dropped(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They take all connections that there are, and the next one is answered all the same."""
        monkeypatch.setattr(offer, "AGAIN", 0.05)
        monkeypatch.setattr(offer, "SILENT_SECONDS", 0.2)
        many = board_of(fleet, *(well(f"e{n}")._replace(text="x" * 200) for n in range(2000)))
        large = fleet._replace(vips=fleet.vips * 1000)
        with offered(fleet, lambda: many), ExitStack() as stuck:
            for _ in range(offer.LIMITS["connection_limit"]):
                client = stuck.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(20)
                with suppress(BlockingIOError):  # there is no room left
                    client.connect(socket_file(fleet.paths.state))
                    client.sendall(asking.REQUEST)

            def is_told() -> bool:
                with suppress(NotToldError):
                    return len(ask(large, time.time()).endpoints) == 2000
                return False

            wait_for(is_told, "somebody else is told")


class TestVerb:
    def test_the_table_and_its_first_line(self, monitor: Monitor, fleet: Fleet) -> None:
        lost = EndpointState("ns9", "127.0.0.9", text="its stream has ended", look_age=5.0)
        with offered(fleet, lambda: board_of(fleet, well("ns1"), lost)):
            code, output = monitor.run("status", "--watcher")
        first, head, *lines = output.splitlines()
        assert code == 2, output
        assert first.startswith("watcher: state and presence ")
        assert head.split() == ["VIP", "ENDPOINT", "STATE", "ADDRESS", "ROUTING", "LATCH", "HOLD"]
        assert [line.split() for line in lines[:2]] == [
            ["resolver", "ns9", "?", "?", "?", "?", "?"],
            ["resolver", "ns1", "OK", "present", "announced", "-", "-"],
        ]
        assert lines[2:] == [
            "ns9: its stream has ended",
            f"resolver: 1 of 2 announce {VIP}, floor 1; 1 unknown",
        ]

    def test_all_is_well(self, monitor: Monitor, fleet: Fleet) -> None:
        with offered(fleet, lambda: board_of(fleet)):
            assert monitor.run("status", "--watcher", "resolver")[0] == 0

    def test_for_programs(self, monitor: Monitor, fleet: Fleet) -> None:
        with offered(fleet, lambda: board_of(fleet)):
            code, output = monitor.run("status", "--watcher", "--json")
        (first, _) = json.loads(output)
        assert code == 0, output
        assert (first["endpoint"], first["state"], first["error"]) == ("ns1", "OK", None)
        assert first["look_age"] >= LOOKED

    def test_what_is_wrong_with_the_watcher_itself(self, monitor: Monitor, fleet: Fleet) -> None:
        board = board_of(fleet)
        cause = board.vips[0]._replace(common_cause="common-cause: 2 of 2 fail alike")
        board = board._replace(vips=(cause,), notes=("goes on with the fleet file as it was",))
        with offered(fleet, lambda: board):
            _, output = monitor.run("status", "--watcher")
        assert output.splitlines()[-2:] == [
            "resolver: common-cause: 2 of 2 fail alike",
            "watcher: goes on with the fleet file as it was",
        ]

    def test_without_a_watcher_it_is_one_line(self, monitor: Monitor) -> None:
        code, output = monitor.run("status", "--watcher")
        assert code == 2
        (line,) = output.splitlines()
        assert line.startswith("anycast-handler: no watcher runs on this host")
        assert line.endswith(REMEDY)
