"""What an endpoint or a log says reaches the terminal as harmless text, in its own row."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from anycast_handlers.doctor.finding import Finding
from anycast_handlers.endpoint.latch import Hold, Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.fleet.file import load
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import _asked, doctor

from anycast_checks.addresses import Addresses, Assigned
from tests.support.handler import Monitor
from tests.support.namespace import VIP
from tests.support.tables import show_asked

# It clears the screen, forges a row, has no encoding, and ends a status line.
HOSTILE = "eth0\x1b[2J\nresolver  ns2  present\udc80\x9b|\r"


def show(printed: str, rows: int) -> None:
    assert len(printed.splitlines()) == rows, printed
    assert all(" " <= letter <= "~" for letter in printed.replace("\n", "")), printed


def test_an_interface_with_an_odd_name_forges_no_row_of_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vip = load(str(Monitor(tmp_path).directory / "fleet.toml"), ["ip"]).vips[0]
    look = Look(
        Addresses((Assigned(HOSTILE, VIP, 32, HOSTILE),)),
        vip,
        boot_id=HOSTILE,
        uptime=1.0,
        latch=Latch(0.5, HOSTILE, HOSTILE, HOSTILE),
        hold=Hold(1_800_000_000, None, HOSTILE, HOSTILE, present=False),
        trouble=HOSTILE,
    )
    sight = Sight(vip, vip.endpoints[0], look, routing_unknown=HOSTILE)
    show_asked([sight], (vip,))
    # The table's head and row, four remarks, and the summary.
    show(capsys.readouterr().out, 7)
    print(json.dumps([_asked.document(sight)]))
    show(capsys.readouterr().out, 1)


def test_what_doctor_quotes_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    doctor._say(Finding("ns1", HOSTILE, HOSTILE, seen=HOSTILE))
    show(capsys.readouterr().out, 2)


def test_what_history_quotes_stays_in_its_line(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    names = ("time", "verb", "user", "rule", "action", "text")
    entry = dict.fromkeys(names, HOSTILE) | {"vip": "resolver", "endpoint": "ns1"}
    (tmp_path / "log/decisions.jsonl").write_text(f"{json.dumps(entry)}\n")
    code, output = monitor.run("history")
    assert code == 0, output
    show(output, 1)


def on_a_terminal(monitor: Monitor, *words: str) -> tuple[int, bytes]:
    """Run the handler with a terminal as its stdout, and give what that shows."""
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        monitor.argv(*words),
        check=False,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=monitor.environment,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # so ends a terminal that nobody has open any more
        while more := os.read(ours, 65536):
            said += more
    os.close(ours)
    return ended.returncode, said


def test_a_terminal_gets_lines_that_are_broken_between_words(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    monitor.event("OK", "HARD", "--dry-run", "--reason", "a reason " * 12)
    code, line = monitor.run("history", "--all")
    seen, shown = on_a_terminal(monitor, "history", "--all")
    rows = shown.decode().splitlines()
    assert (seen, code) == (0, 0)
    assert len(rows) > len(line.splitlines()) == 1
    assert max(map(len, rows)) <= 80
    assert " ".join(" ".join(rows).split()) == line


@pytest.mark.parametrize(("no_color", "is_coloured"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_it_is_not_to(
    tmp_path: Path, no_color: str | None, *, is_coloured: bool
) -> None:
    monitor = Monitor(tmp_path)
    monitor.environment |= {"TERM": "xterm"}
    monitor.environment.pop("NO_COLOR", None)
    if no_color is not None:
        monitor.environment["NO_COLOR"] = no_color
    code, said = on_a_terminal(monitor, "status")
    assert code in (0, 2)
    assert b"ENDPOINT" in said
    assert (b"\x1b[" in said) is is_coloured


def test_a_remark_of_status_is_made_once_and_names_the_vip_where_that_matters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ns1, ns2 = Endpoint("ns1", "192.0.2.11"), Endpoint("ns2", "192.0.2.12")
    vips = tuple(
        Vip(name, f"192.0.2.{last}", interface, ("/bin/check",), (ns1, ns2))
        for name, last, interface in (("resolver", 53, "lo:0"), ("web", 80, "lo:1"))
    )
    away = [Sight(vip, ns2, error="192.0.2.12 port 22: Connection refused") for vip in vips]
    withdrawn = [
        Look(Addresses(()), vip, "boot", 9.0, Latch(1.0, "boot", "nagios@mon", reason))
        for vip, reason in zip(vips, ("refused", "HTTP 500"), strict=True)
    ]
    sights = [Sight(vip, ns1, look) for vip, look in zip(vips, withdrawn, strict=True)]
    show_asked([*sights, *away], vips)
    assert capsys.readouterr().out.splitlines()[5:-2] == [
        "ns1 (resolver): withdrawn by nagios@mon: refused",
        "ns1 (web): withdrawn by nagios@mon: HTTP 500",
        "ns2: 192.0.2.12 port 22: Connection refused",
    ]


def test_ctrl_c_is_how_a_person_ends_a_table_that_is_watched(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    argv = monitor.argv("status", "--watch", "--json")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=monitor.environment) as shown:
        assert shown.stdout
        assert len(json.loads(shown.stdout.readline())) == 2
        shown.send_signal(signal.SIGINT)
        assert shown.stdout.read() in (b"", b"\n")
    assert shown.returncode == 0


def test_a_check_that_is_not_there_does_not_keep_an_endpoint_from_being_asked(
    tmp_path: Path,
) -> None:
    monitor = Monitor(tmp_path)
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(fleet.read_text().replace(f"{tmp_path}/check", f"{tmp_path}/check_anycast"))
    code, output = monitor.run("doctor", "resolver")
    assert code == 1, output
    assert "its own check cannot be run, or cannot tell" in output
    assert "could not be asked" not in output
