"""A check that goes on asking: what it prints, when it asks, and when it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from lab.waiting import wait_until
from tests.support.dns_server import answering, name_server, silent
from tests.support.examples import HEALTH, arguments, with_options
from tests.support.peer import Unanswering, free_port, saying, stream_server
from tests.support.program import check_anycast
from tests.support.streaming import Line, streaming

QUICK = ("--stream", "--interval", "0.05", "--retry-delay", "0.02", "--tries", "2", "-t", "0.2")
# A server that answers has this long, also on a busy machine.
PATIENT = ("-t", "5")
F_SETPIPE_SZ = 1031


@pytest.fixture
def peer() -> Iterator[Unanswering]:
    with closing(Unanswering()) as made:
        yield made


@pytest.fixture
def closed_port() -> str:
    return str(free_port())


def dns(port: object, *more: str) -> tuple[str, ...]:
    options = ("dns", "-H", "127.0.0.1", "-p", str(port), "--query", "www.example.org")
    return (*options, *QUICK, *more)


def is_sample(line: Line) -> bool:
    return "state" in line


def is_beat(line: Line) -> bool:
    return "beat" in line


def is_critical(line: Line) -> bool:
    return line.get("state") == "CRITICAL"


@pytest.mark.parametrize("name", HEALTH)
def test_every_health_check_can_go_on_asking(name: str, closed_port: str) -> None:
    words = with_options(arguments(name, closed_port), *QUICK, *PATIENT)
    with streaming(*words) as stream:
        hello = next(stream.lines())
        critical = stream.until(is_critical)
        stream.until(is_beat)
        end = stream.terminate()[-1]

    assert (hello["stream"], hello["check"], hello["seq"]) == (1, name, 0)
    assert (hello["address"], hello["interval"]) == ("127.0.0.1", 0.05)
    assert hello["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # The verdict of another plugin does not tell how its service failed.
    assert critical["kind"] == ("wrong" if name == "plugin" else "refused")
    assert critical["present"] is True
    assert critical["samples"] == 2
    assert end["end"] == "ended by SIGTERM"
    assert [line["seq"] for line in stream.seen] == list(range(len(stream.seen)))


def test_it_goes_from_well_to_dead_and_back() -> None:
    right = answering("A 192.0.2.80")
    with name_server(right) as port, streaming(*dns(port, *PATIENT)) as stream:
        first = stream.until(is_sample)
        beat = stream.until(lambda line: is_beat(line) and line["samples"] > 5)
    said = [line for line in stream.seen if is_sample(line)]
    assert (first["state"], first["kind"], first["samples"]) == ("OK", "right", 0)
    assert first["text"].startswith("127.0.0.1 announced: www.example.org A: 192.0.2.80")
    # On a loaded machine an answer may be late, and a sample follows each suspicion.
    suspects = sum("suspect" in line for line in stream.seen)
    assert len(said) - 1 <= suspects, "while all is well nothing but beats comes"
    assert beat["seconds"] < 5

    port = free_port()
    with streaming(*dns(port, *PATIENT)) as stream:
        one = stream.until(lambda line: "suspect" in line)
        two = stream.until(is_sample)
        three = stream.until(is_sample)
        # A loaded machine can be late with the answer of the kernel too.
        assert one["kind"] in ("refused", "late"), one
        assert one["kind"] == "late" or one["began"] == two["began"]
        assert (two["state"], two["samples"]) == ("UNKNOWN", 1)
        assert (three["state"], three["samples"]) == ("CRITICAL", 2)
        assert three["began"] > two["began"]
        with _answering_at(port):
            well = stream.until(lambda line: line.get("state") == "OK")
        assert (well["kind"], well["samples"]) == ("right", 0)
        again = stream.until(lambda line: line.get("failing"))
        assert (again["state"], again["samples"]) == ("OK", 1), "one failure is none yet"
        told = [line for line in stream.seen if "suspect" in line or is_sample(line)]
        assert sum("suspect" in line for line in told) >= 2
        for before, line in pairwise(told):
            assert "suspect" not in line or before.get("failing") is False, "it is told once"


@contextmanager
def _answering_at(port: int) -> Iterator[None]:
    """Run a name server at a certain port."""
    with subprocess.Popen([sys.executable, "-c", _SERVER, str(port)]) as process:
        try:
            yield
        finally:
            process.kill()


_SERVER = """
import socket, sys, dns.message, dns.rrset
made = socket.socket(type=socket.SOCK_DGRAM)
made.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    wire, peer = made.recvfrom(4096)
    answer = dns.message.make_response(dns.message.from_wire(wire))
    answer.answer.append(dns.rrset.from_text(answer.question[0].name, 1, "IN", "A", "192.0.2.80"))
    made.sendto(answer.to_wire(), peer)
"""


def test_a_late_answer_is_suspect_at_once_and_the_questions_overlap(peer: Unanswering) -> None:
    """The suspicion comes long before the time limit, and two failures soon after it."""
    with streaming(*dns(peer.port, "--interval", "5", "-t", "1")) as stream:
        suspect = stream.until(lambda line: "suspect" in line)
        one, two = stream.until(is_sample), stream.until(is_critical)

    assert suspect["kind"] == "late"
    assert abs(suspect["began"] - one["began"]) < 0.2
    assert suspect["uptime"] < one["uptime"]
    assert [line["kind"] for line in (one, two)] == ["silent", "silent"]
    assert two["began"] < one["uptime"], "the second question waits for the first"
    assert one["uptime"] - one["began"] >= 1
    assert sum("suspect" in line for line in stream.seen) == 1


def test_a_lost_answer_is_no_failure_once_a_later_question_was_answered() -> None:
    """The first question is lost, and the next one is answered while the first still waits."""
    asked: list[bytes] = []

    def behave(wire: bytes) -> list[bytes]:
        asked.append(wire)
        return [] if len(asked) == 5 else answering("A 192.0.2.80")(wire)

    with name_server(behave) as port, streaming(*dns(port, *PATIENT)) as stream:
        stream.until(lambda line: "suspect" in line)
        after = stream.until(is_sample)
        stream.until(lambda line: line.get("beat") == 2)

    assert (after["state"], after["kind"]) == ("OK", "right")
    assert [line for line in stream.seen if line.get("failing")] == []


def test_what_is_slower_than_critical_is_slow() -> None:
    def behave(wire: bytes) -> list[bytes]:
        time.sleep(0.03)
        return answering("A 192.0.2.80")(wire)

    with name_server(behave) as port, streaming(*dns(port, *PATIENT, "-c", "0.02")) as stream:
        critical = stream.until(is_critical)

    assert critical["kind"] == "slow"
    assert critical["seconds"] >= 0.03


def test_withdrawn_is_said_with_each_state(closed_port: str) -> None:
    elsewhere = ("-H", "198.51.100.53")
    with streaming(*dns(closed_port, *elsewhere)) as stream:
        seen = stream.until(lambda line: line.get("state") == "WARNING")
    assert (seen["present"], seen["kind"]) == (False, "refused")
    assert seen["text"].startswith("198.51.100.53 withdrawn, instance still failing")
    with streaming(*dns(closed_port, *elsewhere, "--instance", "none")) as stream:
        seen = stream.until(is_sample)
    assert (seen["state"], seen["present"], seen["kind"]) == ("WARNING", False, "untested")
    with streaming(*dns(closed_port, *elsewhere, "--instance", "198.51.100.54")) as stream:
        seen = stream.until(is_sample)
    assert (seen["state"], seen["present"], seen["kind"]) == ("UNKNOWN", None, "unclear")


def test_what_a_peer_says_cannot_break_a_line() -> None:
    """The longest text, of characters that JSON has to escape, and what a terminal would obey."""
    odd = '"\\' * 200 + "\x1b[2J\r\n\x00\u2028{}"
    plugin = ("--", sys.executable, "-c", f"print({odd!r}); raise SystemExit(2)", "{address}")
    words = with_options(["plugin", "-H", "127.0.0.1", *plugin], *QUICK, *PATIENT)
    with streaming(*words) as stream:
        seen = stream.until(is_critical)
    assert seen["text"].startswith('127.0.0.1 still announced: "\\"\\')
    assert seen["text"].endswith("...")


class TestTheReader:
    """It may go, be slow, or read nothing at all."""

    @pytest.mark.parametrize("name", HEALTH)
    def test_the_process_ends_when_it_goes(self, name: str, peer: Unanswering) -> None:
        """Also while a question, or another plugin, waits for an answer."""
        words = with_options(arguments(name, peer.port), *QUICK, "-t", "60", "--interval", "60")
        # It would hear of the end at its next line, so there is none here for longer than it has.
        rarely = "import anycast_checks.stream as s; s._BEAT = 60.0"
        with streaming(*words, before=rarely) as stream:
            next(stream.lines())
            peer.wait_until_asked()
            children = _children(stream.process.pid)
            assert bool(children) == (name == "plugin")
            assert stream.process.stdout
            stream.process.stdout.close()
            assert stream.process.wait(30) == 3
            wait_until(lambda: not any(map(_lives, children)), "the plugin has ended", 30)

    def test_a_socket_is_as_good_as_a_pipe(self, closed_port: str) -> None:
        ours, theirs = socket.socketpair()
        with streaming(*dns(closed_port), stdout=theirs, stream=ours.fileno()) as stream:
            theirs.close()
            stream.until(is_critical)
            ours.close()
            assert stream.process.wait(30) == 3

    def test_the_newest_is_kept_for_a_slow_one(self) -> None:
        """The pipe is full of old lines; after these comes how things stand now."""
        with name_server(silent) as port, _small_pipe() as (reader, writer):
            options = ("-t", "0.02", "--retry-delay", "0.001", "--interval", "0.01")
            with streaming(*dns(port, *options), stdout=writer, stream=reader) as stream:
                os.close(writer)
                _wait_until_full(reader)
                # Nothing outside of the process shows that it drops lines.
                time.sleep(1)
                newest = stream.until(lambda line: line.get("dropped", 0) > 0)
                stream.until(is_critical)
                seqs = [line["seq"] for line in stream.seen]

        assert seqs == sorted(seqs)
        missing = set(range(seqs[-1])) - set(seqs)
        assert len(missing) >= newest["dropped"] > 0

    def test_the_process_ends_where_it_reads_nothing(self, closed_port: str) -> None:
        with _small_pipe() as (reader, writer):
            options = ("--retry-delay", "0.001", "--interval", "0.01")
            with streaming(*dns(closed_port, *options), stdout=writer, stream=reader) as stream:
                os.close(writer)
                _wait_until_full(reader)
                full = time.monotonic()
                assert stream.process.wait(30) == 3
                took = time.monotonic() - full
        assert 2 < took < 10

    def test_without_stdout_there_is_no_stream(self, closed_port: str) -> None:
        with streaming(*dns(closed_port), preexec_fn=lambda: os.close(1)) as stream:
            assert stream.process.wait(30) == 3

    def test_stdin_is_not_read(self, closed_port: str) -> None:
        reader, writer = os.pipe()
        os.write(writer, b"orders\n")
        with streaming(*dns(closed_port), stdin=reader) as stream:
            stream.until(is_critical)
            os.close(writer)
            stream.until(is_beat)
        assert os.read(reader, 100) == b"orders\n"
        os.close(reader)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def _lives(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


@contextmanager
def _small_pipe() -> Iterator[tuple[int, int]]:
    """Make a pipe that has room for one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    yield reader, writer
    os.close(reader)


def _wait_until_full(reader: int) -> None:
    """Wait until so much is in a pipe of one page that another line has no room."""
    until, waiting = time.monotonic() + 30, bytearray(4)
    while int.from_bytes(waiting, sys.byteorder) < 4096 - 512:
        assert time.monotonic() < until
        fcntl.ioctl(reader, 0x541B, waiting)  # FIONREAD
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_a_question_waits(peer: Unanswering, number: signal.Signals) -> None:
    with streaming(*dns(peer.port, "-t", "60")) as stream:
        stream.until(is_beat)
        stream.process.send_signal(number)
        (end,) = [line for line in stream.rest() if "end" in line]
    assert end["end"] == f"ended by {number.name}"
    assert stream.seen[-1] == end


def test_a_fault_of_its_own_ends_it_with_a_line_that_says_so(closed_port: str) -> None:
    fault = "import anycast_checks.check_udp as udp; udp._ask = lambda *_: 1 / 0"
    words = ("udp", "-H", "127.0.0.1", "-p", closed_port, "--send", "x", "--stream")
    with streaming(*words, before=fault) as stream:
        *_, end = stream.rest()
    assert end["end"] == "unexpected ZeroDivisionError: division by zero"


def test_trouble_is_unknown_and_passes(closed_port: str) -> None:
    """Without a file descriptor to spare no question can be put, and nothing is known."""
    with streaming(*dns(closed_port)) as stream:
        stream.until(is_critical)
        before = resource.prlimit(stream.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(stream.process.pid, resource.RLIMIT_NOFILE, (5, before[1]))
        trouble = stream.until(lambda line: line.get("state") == "UNKNOWN")
        resource.prlimit(stream.process.pid, resource.RLIMIT_NOFILE, before)
        after = stream.until(is_critical)
    assert (trouble["kind"], trouble["samples"]) == ("unclear", 0)
    assert "cannot open a socket: too many open files" in trouble["text"]
    assert (after["kind"], after["samples"]) == ("refused", 2)


def test_a_regular_expression_that_backtracks_is_trouble_and_stops_no_beat() -> None:
    with stream_server(saying(b"a" * 64, first=True)) as port:
        words = ("tcp", "-H", "127.0.0.1", "-p", str(port), "--expect-regex", "(a+)+b")
        with streaming(*words, *QUICK) as stream:
            unclear = stream.until(is_sample)
            stream.until(is_beat)
            second = stream.until(is_beat)
    assert (unclear["state"], unclear["kind"]) == ("UNKNOWN", "unclear")
    assert "takes too long here: it backtracks" in unclear["text"]
    assert second["samples"] > 0


def test_samples_that_it_could_not_watch_are_discarded_and_counted(peer: Unanswering) -> None:
    """It is stopped while two questions wait: their silence says nothing of the service."""
    with streaming(*dns(peer.port, "-t", "2", "--retry-delay", "30")) as stream:
        stream.until(lambda line: "suspect" in line)
        stream.process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            time.sleep(0.1)
        stream.process.send_signal(signal.SIGCONT)
        stream.until(lambda line: line.get("discarded"))
    assert max(line["lag"] for line in stream.seen if is_beat(line)) > 1
    assert [line for line in stream.seen if is_sample(line)] == []


def test_a_clock_that_jumps_changes_nothing() -> None:
    """The wall clock goes back and forth by years at each look."""
    jumps = "import time, itertools; t = itertools.cycle([0.0, 4e9]); time.time = lambda: next(t)"
    with (
        name_server(answering("A 192.0.2.80")) as port,
        streaming(*dns(port), before=jumps) as stream,
    ):
        stream.until(lambda line: line.get("beat") == 2)
        stream.terminate()
    times = [line["uptime"] for line in stream.seen]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60
    assert [line["state"] for line in stream.seen if is_sample(line)] == ["OK"]


def test_a_person_at_a_terminal_reads_a_line_for_each_change(closed_port: str) -> None:
    ours, theirs = pty.openpty()
    with streaming(*dns(closed_port), stdout=theirs, stream=ours) as stream:
        said = b""
        while b"CRITICAL" not in said:
            assert select.select([ours], [], [], 30)[0], said
            said += os.read(ours, 4096)
        assert os.get_blocking(theirs), "whoever has this terminal too must not find it changed"
        stream.process.send_signal(signal.SIGINT)
        assert stream.process.wait(30) == 3
        # The kernel hands on what was written a little later.
        while not said.endswith(b"by SIGINT\r\n"):
            assert select.select([ours], [], [], 30)[0], said
            said += os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)
    hello, *changes, end = said.decode().splitlines()
    assert hello.startswith("DNS asks 127.0.0.1 every 0.05 s")
    assert end == "DNS ended by SIGINT"
    at = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    pattern = f"{at} DNS (UNKNOWN|CRITICAL) - 127.0.0.1 still announced: connection ref.*"
    assert all(re.fullmatch(pattern, line) for line in changes), changes
    assert len(changes) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--interval", "1"), "--interval needs --stream"),
        (("--stream", "--interval", "0"), "'--interval': '0' is not a number from 0.01 to 3600"),
        (("--stream", "--interval", "soon"), "'--interval': 'soon' is not a number"),
        (("--stream=yes",), "does not take a value"),
    ],
)
def test_a_command_line_without_sense_is_one_line(wrong: tuple[str, ...], says: str) -> None:
    seen = check_anycast("dns", "-H", "127.0.0.1", "--query", "www.example.org", *wrong)
    assert seen.code == 3
    assert seen.output.count("\n") == 1
    assert seen.text.startswith("DNS UNKNOWN - ")
    assert says in seen.text


def test_what_has_been_dead_for_long_is_asked_at_the_interval_again(closed_port: str) -> None:
    """A service that is down for the night needs no fifty questions a second."""
    soon = "import anycast_checks.timetable as t; t._URGENT = 1.0"
    with streaming(*dns(closed_port, "--interval", "60"), before=soon) as stream:
        first = stream.until(is_sample)
        stream.until(lambda line: is_beat(line) and line["samples"] == 0)
        last = [line for line in stream.seen if is_sample(line)][-1]
    assert last["samples"] > 2
    assert 0.5 < last["uptime"] - first["uptime"] < 30


def test_the_tries_need_not_fit_into_the_deadline(closed_port: str) -> None:
    """A stream has none."""
    with streaming(*dns(closed_port, "--tries", "9", "--deadline", "0.5")) as stream:
        assert stream.until(is_critical)["samples"] == 9
        stream.until(is_beat)
