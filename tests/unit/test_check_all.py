"""`check_anycast all`: several questions of one address, and the worst of their verdicts."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from anycast_checks.check_all import command
from anycast_checks.errors import CheckError
from anycast_checks.observation import Grade
from anycast_checks.run import CheckRun
from anycast_checks.sampling import take_sample
from lab.waiting import wait_until
from tests.support.dns_server import answering, name_server, over_tcp, silent
from tests.support.peer import datagram_server, saying, stream_server
from tests.support.printed import Ask, Printed
from tests.support.program import start

WITHDRAWN = "198.51.100.53"
PAGE = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nhi"
FAST = ("-t", "1", "--retry-delay", 0)


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """Servers that are right, wrong, silent or slow, and a port where there is none."""

    def slow(_: bytes) -> list[bytes]:
        time.sleep(0.1)  # is the point
        return [b"hi"]

    right = answering("A 192.0.2.80", nsid=b"ns1")
    with ExitStack() as stack:
        enter = stack.enter_context
        yield {
            "dns": enter(name_server(right, over_tcp(right))),
            "web": enter(stream_server(saying(PAGE % b"200 OK"))),
            "sick": enter(stream_server(saying(PAGE % b"500 Sick"))),
            "mute": enter(name_server(silent)),
            "slow": enter(datagram_server(slow)),
            "none": enter(name_server(None)),
        }


def of(ports: dict[str, int], *questions: str) -> list[str]:
    texts = {
        "dns": "dns --query www.example.org",
        "other": "dns --query www.example.org --expect-nsid ns2",
        "tcp": "dns --query www.example.org --tcp",
        "web": "http",
        "sick": "http",
        "mute": "dns --query x",
        "none": "dns --query x",
        "slow": "udp --send x",
        "slow-w": "udp --send x -w 0.05",
        "slow-c": "udp --send x -c 0.05",
    }
    ports = ports | {"other": ports["dns"], "tcp": ports["dns"]}
    ports |= {"slow-w": ports["slow"], "slow-c": ports["slow"]}
    words = []
    for question in questions:
        words += ["--check", f"{texts[question]} -p {ports[question]}"]
    return words


def both(ask: Ask, *words: object, address: str = "127.0.0.1") -> Printed:
    return ask("all", "-H", address, *FAST, *words)


def test_all_right_is_ok_with_a_line_for_each(ask: Ask, ports: dict[str, int]) -> None:
    seen = both(ask, *of(ports, "dns", "tcp", "web"))
    assert seen.code == 0, seen.output
    assert seen.text.startswith(
        "ALL OK - 127.0.0.1 announced: dns, dns_2, http answered rightly in "
    )
    first, second, third = seen.output.splitlines()[1:]
    assert first.startswith(
        "dns OK - 127.0.0.1 announced: www.example.org A (nsid ns1): 192.0.2.80 in "
    )
    assert second.startswith("dns_2 OK - 127.0.0.1 announced: www.example.org A ")
    assert third.startswith("http OK - 127.0.0.1 announced: 200 OK")
    assert list(seen.perfdata) == ["time", "present", "dns", "dns_2", "http"]
    assert seen.perfdata["time"].split("s;")[0] in {
        seen.perfdata[label].rstrip("s").ljust(8, "0") for label in ("dns", "dns_2", "http")
    }


@pytest.mark.parametrize(
    ("questions", "code", "says"),
    [
        (("dns", "sick", "web"), 2, "CRITICAL - 127.0.0.1 still announced: http: 500 Sick"),
        (("dns", "none"), 2,
         "CRITICAL - 127.0.0.1 still announced: dns_2: connection refused (3 of 3 tries)"),
        (("mute", "dns"), 2,
         "CRITICAL - 127.0.0.1 still announced: dns: no answer within 1 s (3 of 3 tries)"),
        (("dns", "other"), 1,
         "WARNING - 127.0.0.1 announced, dns_2: www.example.org A: nsid ns1, expected ns2"),
        (("other", "none"), 2, "CRITICAL - 127.0.0.1 still announced: dns_2: connection refused"),
        (("dns", "slow"), 0, "OK - 127.0.0.1 announced: dns, udp answered rightly in "),
        (("dns", "slow-w"), 1, "WARNING - 127.0.0.1 announced, udp: slower than 0.05 s: port "),
        (("dns", "slow-c"), 2, "CRITICAL - 127.0.0.1 still announced: udp: slower than 0.05 s: "),
    ],
)  # fmt: skip
def test_the_worst_is_the_verdict(
    ask: Ask, ports: dict[str, int], questions: tuple[str, ...], code: int, says: str
) -> None:
    seen = both(ask, *of(ports, *questions))
    assert seen.code == code, seen.output
    assert seen.text.startswith(f"ALL {says}")
    states = [line.split()[1] for line in seen.output.splitlines()[1:]]
    assert len(states) == len(questions)
    assert {0: "OK", 1: "WARNING", 2: "CRITICAL"}[code] in states
    assert "slow" not in questions or float(seen.perfdata["time"].split("s;")[0]) >= 0.1


def plugin(code: int, *more: str) -> list[str]:
    script = f"import sys; print('said'); sys.exit({code})"
    return ["--check", f'plugin {" ".join(more)} -- {sys.executable} -c "{script}" {{address}}']


@pytest.mark.parametrize(
    ("others", "code"), [(["dns"], 3), (["other"], 3), (["none"], 2), (["slow-w", "dns"], 3)]
)
def test_what_cannot_tell_is_worse_than_a_warning_and_better_than_a_failure(
    ask: Ask, ports: dict[str, int], others: list[str], code: int
) -> None:
    """An UNKNOWN restores nothing, and hides no failure."""
    seen = both(ask, *plugin(3), *of(ports, *others))
    assert seen.code == code, seen.output
    assert "\nplugin UNKNOWN - 127.0.0.1 announced, cannot tell: " in seen.output


def test_what_cannot_tell_is_no_failure_however_late(ask: Ask, ports: dict[str, int]) -> None:
    seen = both(ask, *plugin(3, "-c", "0.000001"), *of(ports, "dns"), "--tries", 1)
    assert seen.code == 3, seen.output


@pytest.mark.parametrize(
    ("questions", "code", "says"),
    [
        (("dns", "web"), 0, "healthy, withdrawn: 127.0.0.1: dns, http answered rightly in "),
        (("dns", "sick"), 1, "withdrawn, instance still failing: 127.0.0.1: http: 500 Sick"),
        (("dns", "mute"), 1, "withdrawn, instance still failing: 127.0.0.1: dns_2: no answer"),
        (("dns", "other"), 1, "withdrawn, instance still failing: 127.0.0.1: dns_2: www.example"),
    ],
)
def test_while_withdrawn_the_instance_is_asked_everything(
    ask: Ask, ports: dict[str, int], questions: tuple[str, ...], code: int, says: str
) -> None:
    seen = both(ask, *of(ports, *questions), "--tries", 1, address=WITHDRAWN)
    assert seen.code == code, seen.output
    assert f"- {WITHDRAWN} {says}" in seen.text
    assert seen.perfdata["present"] == "0"
    assert f"dns OK - {WITHDRAWN} healthy, withdrawn: 127.0.0.1: " in seen.output


def test_without_an_instance_nothing_is_asked(ask: Ask, ports: dict[str, int]) -> None:
    seen = both(ask, *of(ports, "dns"), "--instance", "none", address=WITHDRAWN)
    assert (seen.code, "instance cannot be tested" in seen.text) == (1, True)


def test_silence_can_be_unknown(ask: Ask, ports: dict[str, int]) -> None:
    words = ("--timeout-state", "unknown", "--tries", 1)
    assert both(ask, *of(ports, "dns", "mute"), *words).code == 3
    assert both(ask, *of(ports, "none", "mute"), *words).code == 2


def test_a_lost_answer_is_asked_for_again(ask: Ask, ports: dict[str, int]) -> None:
    heard: list[bytes] = []

    def once(wire: bytes) -> list[bytes]:
        heard.append(wire)
        return [] if len(heard) == 1 else answering("A 192.0.2.80")(wire)

    with name_server(once) as port:
        words = ("-t", "2", "--check", f"dns --query x -p {port}")
        seen = both(ask, *of(ports, "web"), *words)
    assert (seen.code, len(heard)) == (0, 2)
    assert "(try 2 of 3)" in seen.text


def test_client_takes_any_answer(ask: Ask, ports: dict[str, int]) -> None:
    seen = both(ask, *of(ports, "dns", "web"), "--client")
    assert (seen.code, seen.perfdata["present"]) == (0, "U")
    assert "announced" not in seen.output


def test_questions_are_asked_at_the_same_time(ask: Ask, ports: dict[str, int]) -> None:
    """A hung service takes as long as one question, so that the deadline needs no arithmetic."""
    began = time.monotonic()
    assert both(ask, *of(ports, *["mute"] * 10), "--tries", 1).code == 2
    assert time.monotonic() - began < 8  # 10 s one after the other


def test_it_can_be_asked_again_and_again(ports: dict[str, int]) -> None:
    check = command.prepare(["-H", "127.0.0.1", *of(ports, "dns", "web")])
    samples = [take_sample(check, CheckRun()) for _ in range(3)]
    assert {s.observation.grade for s in samples if s.observation} == {Grade.RIGHT}


def test_tries_that_take_hours_are_as_good_as_others(ask: Ask, ports: dict[str, int]) -> None:
    """No deadline of that length can be given, but it follows from the tries."""
    assert ask("all", "-H", "127.0.0.1", "-t", 60, "--tries", 99, *of(ports, "dns")).code == 0


def test_the_answers_are_shown_where_they_are_asked_for(ask: Ask, ports: dict[str, int]) -> None:
    seen = both(ask, *of(ports, "dns", "web"), "-vvv")
    assert "www.example.org. 300 IN A 192.0.2.80" in seen.output
    assert ";QUESTION" in seen.output
    assert "> GET / HTTP/1.1" in seen.output


def test_hostile_text_stays_in_its_place(ask: Ask, ports: dict[str, int]) -> None:
    evil = answering('TXT "x\\010y | time=99s" "' + "z" * 250 + '"')
    with name_server(evil) as port:
        text = f"dns --query {'x' * 63}.example.org --type TXT -p {port}"
        seen = both(ask, *of(ports, "dns"), "--check", text)
    assert seen.code == 0
    assert all("|" not in line and len(line) <= 200 for line in seen.output.splitlines()[1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dns --query x --tries 2", "--tries stands before --check"),
        ("dns --query x -t 3", "--timeout stands before --check"),
        ("dns --query x -H 127.0.0.2", "--address stands before --check"),
        ("dns --query x --instance none", "--instance stands before --check"),
        ("dns --query x --deadline 20", "--deadline stands before --check"),
        ("dns --query x --client", "--client stands before --check"),
        ("dns --query x -v", "--verbose stands before --check"),
        ("dns", "Missing option '--query'"),
        ("dns --query 'x", "No closing quotation"),
        ("dsn --query x", "No such check 'dsn'. Did you mean 'dns'"),
        ("all --check 'dns --query x'", "all asks nothing of a service"),
        ("route", "route asks nothing of a service"),
        ("", "No such check ''"),
        ("tcp", "Missing option"),
    ],
)
def test_a_question_that_makes_no_sense_is_named(ask: Ask, text: str, message: str) -> None:
    with pytest.raises(CheckError) as caught:
        both(ask, "--check", text)
    assert message in str(caught.value)
    assert repr(text) in str(caught.value)


def test_no_plugin_is_left_when_the_run_is_ended(tmp_path: Path) -> None:
    """The programs of all questions are killed, though they run in other threads."""
    texts = []
    for number in range(4):
        note = str(tmp_path / str(number))
        script = f"import os,time; open({note!r},'w').write(str(os.getpid())); time.sleep(60)"
        texts += ["--check", f'plugin -- {sys.executable} -c "{script}" {{address}}']
    process = start("all", "-H", "127.0.0.1", "-t", "30", *texts)
    try:
        wait_until(lambda: any(pids(tmp_path)), "a plugin runs", 30)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert output.startswith("ALL UNKNOWN - ended by SIGTERM while asking 127.0.0.1 (try 1 of 3)")
    wait_until(lambda: not any(map(is_alive, pids(tmp_path))), "no plugin runs", 30)


def pids(directory: Path) -> list[str]:
    return [text for file in directory.iterdir() if (text := file.read_text())]


def is_alive(pid: str) -> bool:
    """Tell whether a process runs; one that nobody has waited for has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("question", ["tcp --expect-regex", "http --regex"])
def test_a_regular_expression_that_backtracks_keeps_nothing_waiting(
    ask: Ask, ports: dict[str, int], question: str
) -> None:
    """It would take years, and Python lets no other thread run meanwhile."""
    body = b"a" * 64
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n%s" % body
    with stream_server(saying(page, first=True)) as port:
        backtracks = ("--check", f"{question} '(a+)+b' -p {port}")
        seen = both(ask, *of(ports, "dns"), *backtracks)
    assert seen.code == 3, seen.output
    name = question.split()[0]
    why = "the regular expression '(a+)+b' takes too long here: it backtracks"
    assert seen.text == f"ALL UNKNOWN - 127.0.0.1 announced, cannot tell: {name}: {why}"
    assert seen.output.splitlines()[1].startswith("dns OK - ")
