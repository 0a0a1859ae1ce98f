"""`check_anycast plugin`: all that another program can print, and all the ways it can end."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from lab.waiting import wait_until
from tests.support.printed import Ask, Printed
from tests.support.program import check_anycast

ELSEWHERE = "198.51.100.53"


def plugin(ask: Ask, code: str, *more: object, address: str = "127.0.0.1") -> Printed:
    """Run Python code as the plugin, with the address as its argument, and time to start."""
    options = ("-H", address, "--tries", 1, "-t", 8, *more)
    return ask(
        "plugin", *options, "--", sys.executable, "-c", f"import sys, os\n{code}", "{address}"
    )


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (0, 0, "PLUGIN OK - 127.0.0.1 announced: LDAP fine in "),
        (1, 1, "PLUGIN WARNING - 127.0.0.1 announced, LDAP fine in "),
        (2, 2, "PLUGIN CRITICAL - 127.0.0.1 still announced: LDAP fine in "),
        (3, 3, "UNKNOWN - 127.0.0.1 announced, cannot tell: {python} says UNKNOWN: LDAP fine"),
        (4, 3, "cannot tell: {python} ended with 4, which is no state: LDAP fine"),
    ],
)
def test_its_state_is_carried_through(ask: Ask, status: int, code: int, says: str) -> None:
    seen = plugin(ask, f"print('LDAP fine | x=1'); sys.exit({status})")
    assert seen.code == code
    assert says.format(python=sys.executable) in seen.text


@pytest.mark.parametrize(("status", "code"), [(0, 0), (1, 1), (2, 1), (3, 3)])
def test_while_withdrawn_the_instance_is_asked(ask: Ask, status: int, code: int) -> None:
    run = f"print('asked', sys.argv[1]); sys.exit({status})"
    seen = plugin(ask, run, "--instance", "127.0.0.7", address=ELSEWHERE)
    assert seen.code == code
    assert f"{ELSEWHERE} " in seen.text
    assert "asked 127.0.0.7" in seen.text
    assert seen.perfdata["present"] == "0"


def test_as_a_client_nothing_is_proven(ask: Ask) -> None:
    seen = plugin(ask, "print('asked', sys.argv[1])", "--client", address=ELSEWHERE)
    assert seen.code == 0, seen.text
    assert f"asked {ELSEWHERE}" in seen.text


def test_the_address_is_replaced_wherever_it_stands(ask: Ask) -> None:
    show = "import sys; print(sys.argv[1:])"
    words = (sys.executable, "-c", show, "ldap://{address}:389/", "-H", "{address}", "{addr}", "$x")
    seen = ask("plugin", "-H", "127.0.0.1", "--", *words)
    assert "['ldap://127.0.0.1:389/', '-H', '127.0.0.1', '{addr}', '$x']" in seen.text


def test_no_shell_is_involved(ask: Ask, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    show = "import sys; print(sys.argv[1:])"
    words = (sys.executable, "-c", show, "{address}", f"; touch {witness}", f"$(touch {witness})")
    assert ask("plugin", "-H", "127.0.0.1", "--", *words).code == 0
    assert not witness.exists()


def test_one_that_is_missing(ask: Ask) -> None:
    seen = ask("plugin", "-H", "127.0.0.1", "--", "/nonexistent/check_ldap", "{address}")
    assert seen.code == 3
    assert "cannot run /nonexistent/check_ldap: no such file or directory" in seen.text


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL: it said nothing"),
        ("sys.exit(2)", "ended with 2, and printed no line: it said nothing"),
        ("sys.exit('no such script')", "ended with 1, and printed no line: no such script"),
        ("print(); sys.exit(2)", "ended with 2, and printed no line: it said nothing"),
    ],
)
def test_one_that_dies_is_unknown(ask: Ask, run: str, says: str) -> None:
    """An interpreter that does not find its script exits with 2, which must not be CRITICAL."""
    seen = plugin(ask, run)
    assert seen.code == 3, seen.text
    assert says in seen.text


def test_who_starts_the_check_may_have_ignored_the_end_of_children() -> None:
    """Else the exit status of the plugin would be lost, and would read as 0."""
    said = "print('dead'); import sys; sys.exit(2)"
    seen = check_anycast(
        *("plugin", "-H", "127.0.0.1", "--tries", "1"),
        *("--", sys.executable, "-c", said, "{address}"),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert seen.code == 2


def test_one_that_hangs_is_ended_with_all_that_it_started(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    run = f"import time; print('so far', flush=True); os.fork(); file = open({str(file)!r}, 'a')"
    seen = plugin(
        ask, f"{run}; print(os.getpid(), file=file, flush=True); time.sleep(600)", "-t", 3
    )
    assert seen.code == 3
    assert "did not end in time" in seen.text
    pids = file.read_text().split()
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_running, pids)), "they have ended")


def is_running(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_it_left_in_the_background_is_not_waited_for(ask: Ask) -> None:
    run = "if os.fork() == 0:\n import time; time.sleep(600)\nprint('fine')"
    seen = plugin(ask, run, "--deadline", 10)
    assert seen.code == 0, seen.text
    assert "fine in " in seen.text


def test_endless_output_is_not_kept(ask: Ask) -> None:
    seen = plugin(ask, "while True: print('x' * 1000)", "-t", 0.5)
    assert seen.code == 3, seen.text
    assert "did not end in time" in seen.text


def test_much_output_is_cut(ask: Ask) -> None:
    seen = plugin(ask, "print('fine'); print('y' * 10 ** 6)", "-v")
    assert seen.code == 0, seen.text
    assert "fine in " in seen.text
    assert len(seen.output) < 5000


def test_only_what_is_clean_gets_through(ask: Ask) -> None:
    said = r"b'\x1b[31mred\xff\x00 `id` | a=1|b=2\nmore|c=3'"
    seen = plugin(ask, f"sys.stdout.buffer.write({said})")
    assert seen.code == 0
    assert "announced: [31mred? `id` in " in seen.text
    assert seen.line.endswith(" b=2")


def test_its_figures_are_carried_through_behind_ours(ask: Ask) -> None:
    figures = "time=0.5s;1;2;0 'a b'=5%;@1:2;~:9;0;100 load=U x=nan y z==3 e=1e3B f=1e999;;;1e99"
    seen = plugin(ask, f'print("fine | {figures}")')
    line = seen.line.partition(" | ")[2]
    ours, _, theirs = line.partition(" plugin_time=")
    assert ours.split("=")[0] == "time"
    assert theirs == "0.5s;1;2;0 'a b'=5%;@1:2;~:9;0;100 load=U e=1000B f=U"


def test_figures_without_room_are_left_out(ask: Ask) -> None:
    figures = " ".join(f"figure{n}={n}" for n in range(99))
    seen = plugin(ask, f'print("fine | {figures}")')
    assert seen.code == 0, seen.line
    assert "figure0=0" in seen.line
    assert "fine in " in seen.text


def test_the_transcript_shows_what_ran_and_what_it_said(ask: Ask) -> None:
    seen = plugin(ask, "print('one'); print('two', file=sys.stderr)", "-vvv")
    lines = seen.output.splitlines()
    assert any(line.startswith(f"> {sys.executable} -c ") for line in lines)
    assert "< one\\n" in lines
    assert "stderr two\\n" in lines


@pytest.mark.parametrize("words", [(), ("/bin/true",), ("{address}",)])
def test_a_command_without_the_address_is_a_usage_error(ask: Ask, words: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="COMMAND"):
        ask("plugin", "-H", "127.0.0.1", "--", *words)
