"""The command line of anycast-handler: one line, the documented exit codes, nothing on stderr."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.activators import names
from anycast_handlers.doctor import here
from anycast_handlers.fleet.file import load

from tests.support.handler import PROGRAM, Monitor, place
from tests.support.namespace import REMOTE

FIELDS = {
    "time",
    "vip",
    "endpoint",
    "verb",
    "user",
    "dry_run",
    "state",
    "state_type",
    "present",
    "afterwards",
    "announced",
    "others",
    "floor",
    "rule",
    "action",
    "reason",
    "severity",
    "commands",
    "verified",
    "duration",
    "timings",
    "exit",
    "text",
}
ACTING = ("event", "enforce", "withdraw", "restore", "drill")
VERBS = (*ACTING, "hold", "release", "status", "history")
WITNESS = """
import os, sys
seen = open(os.environ["WITNESS"], "a")
def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "subprocess.Popen", "os.posix_spawn"):
        print(event, arguments[1:2], file=seen, flush=True)
sys.addaudithook(hook)
def end(code, leave=os._exit):
    print("modules", *sorted(sys.modules), file=seen, flush=True)
    leave(code)
os._exit = end
"""


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    return Monitor(tmp_path)


def said(monitor: Monitor, *arguments: str) -> str:
    """Give the one line of a usage or configuration error."""
    code, output = monitor.run(*arguments)
    assert code == 3, output
    assert "\n" not in output
    return output


USAGE = [
    ((), "Missing verb"),
    (("--fleet", "x"), "Missing verb"),
    (("evnt",), "No such verb 'evnt'. Did you mean 'event'?"),
    (("xyz",), "No such verb 'xyz'"),
    (("--flet", "x", "status"), "No such option '--flet'. Did you mean '--fleet'?"),
    (("status", "--fleet", "x"), "'--fleet' has to stand before 'status'"),
    (("gate", "--onl"), "No such option '--onl'. Did you mean '--only'?"),
    (("gate", "--only", "x"), "'--only' has no such choice"),
    (("event",), "Missing argument 'VIP'"),
    (("event", "resolver"), "Missing argument 'ENDPOINT'"),
    (("event", "resolver", "ns1"), "Missing option '--state'"),
    (("event", "resolver", "ns1", "--state", "OK"), "Missing option '--state-type'"),
    (("event", *place("FINE", "HARD")), "'--state' has to be OK, WARNING, CRITICAL or UNKNOWN"),
    (("event", *place("OK", "FIRM")), "'--state-type' has to be SOFT or HARD"),
    (("event", *place("OK", "HARD"), "--downtime", "-1"), "-1 is not in the range"),
    (("event", *place("OK", "HARD"), "--downtime", "x"), "not a valid integer"),
    (
        ("event", *place("OK", "HARD"), "--dryrun"),
        "No such option '--dryrun'. Did you mean '--dry-run'?",
    ),
    (("event", *place("OK", "HARD"), "--force"), "No such option"),
    (("enforce", *place("OK", "HARD"), "--force"), "No such option"),
    (("event", *place("OK", "HARD"), "more"), "unexpected extra argument"),
    (("withdraw", "resolver"), "Missing argument 'ENDPOINT'"),
    (("status", "--jsno"), "No such option"),
    (("hold",), "Missing argument 'VIP'"),
    (("hold", "resolver"), "Missing option '--reason'"),
    (("hold", "resolver", "ns1", "--reason", "x", "--for", "2"), "is no time such as"),
    (("hold", "resolver", "ns1", "--reason", "x", "--for", "0h"), "is no time such as"),
    (("hold", "resolver", "ns1", "--reason", "x", "--for", "-1h"), "is no time such as"),
    (("hold", "resolver", "ns1", "--reason", "x", "--for", "366d"), "366d is more than 365d"),
    (("hold", "resolver", "ns1", "--reason", ""), "'--reason': it is empty"),
    (("hold", "resolver", "ns1", "--reason", " \t"), "'--reason': it is empty"),
    (("hold", "resolver", "ns1", "--reason", "x", "--for", "2 h"), "is no time such as"),
    (("release",), "Missing argument 'VIP'"),
    (("drill", "resolver"), "Missing argument 'ENDPOINT'"),
    (("drill", "resolver", "ns1", "--force"), "No such option"),
    (("history", "-n", "0"), "0 is not in the range"),
]


@pytest.mark.parametrize(
    ("arguments", "expected"), USAGE, ids=[" ".join(u[0]) or "nothing" for u in USAGE]
)
def test_a_usage_error_is_one_line_and_3(
    monitor: Monitor, arguments: tuple[str, ...], expected: str
) -> None:
    ended = subprocess.run((PROGRAM, *arguments), capture_output=True, text=True, check=False)
    said, nothing = ended.stdout, ended.stderr
    if "gate" in arguments:
        said, nothing = nothing, said
    assert (ended.returncode, nothing, said.count("\n")) == (3, "", 1), ended
    line = said.rstrip()
    assert expected in line
    prefix = "ANYCAST UNKNOWN - " if "enforce" in arguments else "anycast-handler: "
    assert line.startswith(prefix)
    assert line.endswith("?") or re.search(r"\. See (-h|`anycast-handler( \w+)? -h`)$", line), line
    assert len(line) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_that_is_not_in_the_fleet_file_is_3(monitor: Monitor, verb: str) -> None:
    options: tuple[str, ...] = ()
    if verb.startswith("e"):
        options = ("--state", "CRITICAL", "--state-type", "HARD")
    if verb == "hold":
        options = ("--reason", "x")
    endpoint = () if verb == "status" else ("ns1",)
    assert "no VIP 'web'" in said(monitor, verb, "web", *endpoint, *options)
    if endpoint:
        assert "no endpoint 'ns7'" in said(monitor, verb, "resolver", "ns7", *options)


@pytest.mark.parametrize("verb", ["event", "enforce"])
def test_a_fleet_file_that_is_no_good_is_3(monitor: Monitor, verb: str) -> None:
    file = monitor.directory / "fleet.toml"
    for text in ("[ssh", file.read_text().replace("lo:0", "lo:")):
        file.write_text(text)
        assert str(file) in said(monitor, verb, *place("CRITICAL", "HARD"))
    file.unlink()
    assert f"no {file}: use --fleet" in said(monitor, verb, *place("CRITICAL", "HARD"))


def test_two_vips_on_one_alias_of_one_endpoint_are_refused(monitor: Monitor) -> None:
    """Two VIPs on one label: `ifdown lo:0` would remove the other VIP."""
    file = monitor.directory / "fleet.toml"
    twin = (
        '[vip.web]\naddress = "10.99.0.80"\ninterface = "lo:0"\ncheck = ["/bin/true"]\n'
        '[vip.web.endpoints]\nweb1 = "127.0.0.1"\n[paths]'
    )
    file.write_text(file.read_text().replace("[paths]", twin))
    line = said(monitor, "event", *place("CRITICAL", "HARD"))
    assert "vip.web.interface: lo:0 is that of vip.resolver on web1: each VIP there needs" in line
    file.write_text(
        file.read_text().replace(
            '"10.99.0.80"\ninterface = "lo:0"', '"10.99.0.80"\ninterface = "lo:1"'
        )
    )
    assert monitor.event("WARNING")[0] == 0


def test_the_fleet_file_may_come_from_the_environment(monitor: Monitor) -> None:
    monitor.environment["ANYCAST_FLEET"] = f"{monitor.directory}/fleet.toml"
    argv = (PROGRAM, "event", *place("WARNING", "SOFT"))
    ended = subprocess.run(argv, env=monitor.environment, capture_output=True, check=False)
    assert ended.returncode == 0


@pytest.mark.parametrize("verb", ["", *VERBS])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_0(monitor: Monitor, verb: str, option: str) -> None:
    code, output = monitor.run(*filter(None, (verb,)), option)
    assert code == 0, output
    assert output.startswith("Usage: anycast-handler")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_0(monitor: Monitor, option: str) -> None:
    code, output = monitor.run(option)
    assert code == 0, output
    assert output.startswith("anycast-handler ")


def test_the_module_is_the_program(monitor: Monitor) -> None:
    argv = (sys.executable, "-m", "anycast_handlers", "-V")
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (0, ended.stdout.rstrip("\n")) == monitor.run("-V")
    argv = (sys.executable, "-m", "anycast_handlers", "evnt")
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")


def shadow(monitor: Monitor, file: str, text: str) -> None:
    """Put a module where Python finds it before the installed one."""
    directory = monitor.directory / "shadow"
    directory.mkdir()
    (directory / file).write_text(text)
    path = (str(directory), *filter(None, [os.environ.get("PYTHONPATH")]))
    monitor.environment["PYTHONPATH"] = ":".join(path)


@pytest.mark.parametrize("verb", ["event", "enforce"])
@pytest.mark.parametrize("module", ["click", "paramiko"])
def test_a_dependency_that_cannot_be_imported_is_3(
    monitor: Monitor, module: str, verb: str
) -> None:
    monitor.configure(endpoint=f'"{REMOTE}"')
    shadow(monitor, f"{module}.py", "raise ImportError('broken library')")
    line = said(monitor, verb, *place("CRITICAL", "HARD"))
    assert "broken library" in line
    # Without click nobody can tell which word of the command line is the verb.
    is_plugin = verb == "enforce" and module != "click"
    assert line.startswith("ANYCAST UNKNOWN - " if is_plugin else "anycast-handler: ")


@pytest.mark.parametrize("kind", ["BaseException", "Exception"])
def test_whatever_a_library_raises_is_one_line(monitor: Monitor, kind: str) -> None:
    """The interpreter would print a traceback and exit with 1, which means "refused"."""
    monitor.configure(endpoint=f'"{REMOTE}"')
    shadow(monitor, "paramiko.py", f"class OddError({kind}): pass\nraise OddError('so')")
    code, output = monitor.event("CRITICAL")
    assert code == 2, output
    assert output == "anycast-handler: internal error: OddError: so (paramiko.py:2)"
    code, output = monitor.enforce("CRITICAL")
    assert code == 3, output
    assert output == "ANYCAST UNKNOWN - internal error: OddError: so (paramiko.py:2)"


@pytest.mark.parametrize("words", [("history", "enforce"), ("status", "enforce")])
def test_a_name_that_is_that_of_a_verb_makes_no_plugin_of_another(
    monitor: Monitor, words: tuple[str, ...]
) -> None:
    """The fleet file may name a VIP or an endpoint as it likes."""
    code, output = monitor.run("--fleet", "/nonexistent", *words)
    assert code == 3, output
    assert output == "anycast-handler: no /nonexistent: use --fleet or ANYCAST_FLEET"


@pytest.fixture
def server(monitor: Monitor) -> Iterator[socket.socket]:
    """Listen where the endpoint's sshd would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monitor.configure(endpoint=f'{{ address = "127.0.0.1", port = {port} }}')
        server.settimeout(0)
        yield server


NOT_ACTED_ON = [("CRITICAL", "SOFT"), ("WARNING", "SOFT"), ("WARNING", "HARD")]
NOT_ACTED_ON += [
    ("UNKNOWN", "SOFT"),
    ("UNKNOWN", "HARD"),
    ("critical", "soft"),
    ("Warning", "Hard"),
]


@pytest.mark.parametrize(("state", "state_type"), NOT_ACTED_ON)
def test_soft_warning_and_unknown_open_no_connection_and_import_no_paramiko(
    monitor: Monitor, server: socket.socket, state: str, state_type: str
) -> None:
    shadow(monitor, "sitecustomize.py", WITNESS)
    monitor.environment["WITNESS"] = f"{monitor.directory}/witness"
    code, output = monitor.event(state, state_type)
    assert code == 0, output
    assert "nothing to act on" in output
    events = (monitor.directory / "witness").read_text().splitlines()
    assert [line for line in events if not line.startswith("modules")] == []
    assert "anycast_handlers.fleet.values" in events[-1]
    assert "paramiko" not in events[-1]
    with pytest.raises(BlockingIOError):
        server.accept()


def test_the_witness_of_these_tests_sees_a_connection(monitor: Monitor) -> None:
    shadow(monitor, "sitecustomize.py", WITNESS)
    monitor.environment["WITNESS"] = f"{monitor.directory}/witness"
    monitor.event("OK")
    events = (monitor.directory / "witness").read_text().splitlines()
    assert any(line.startswith("socket.connect") for line in events)


@pytest.mark.parametrize("state", ["critical", "Critical", "CRITICAL"])
def test_states_may_be_written_in_any_case(monitor: Monitor, state: str) -> None:
    monitor.event(state, "soft")
    (entry,) = monitor.log()
    assert (entry["state"], entry["state_type"]) == ("CRITICAL", "SOFT")


def test_a_line_of_the_log_has_exactly_the_documented_fields(monitor: Monitor) -> None:
    monitor.event("UNKNOWN", "HARD", "--reason", "a test")
    (entry,) = monitor.log()
    assert set(entry) == FIELDS
    assert (entry["vip"], entry["endpoint"], entry["verb"]) == ("resolver", "ns1", "event")
    assert (entry["rule"], entry["action"]) == ("not-actionable", "nothing")
    reason = "UNKNOWN HARD is nothing to act on; a test"
    assert (entry["exit"], entry["reason"]) == (0, reason)
    assert (
        entry["present"]
        is entry["announced"]
        is entry["verified"]
        is entry["others"]
        is entry["floor"]
        is None
    )
    assert entry["commands"] == []
    assert entry["duration"] >= 0


def test_the_stop_file_stops_an_event_before_any_connection(
    monitor: Monitor, server: socket.socket
) -> None:
    (monitor.directory / "stop").touch()
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "refused: the stop file exists" in output
    assert monitor.event("OK")[0] == 0
    with pytest.raises(BlockingIOError):
        server.accept()


@pytest.mark.parametrize(
    ("says", "option"),
    [
        ("", ""),
        ("by ops@mon since 2026-01-02 03:04:05Z: disk\n", ""),
        ("everywhere, by ops@mon since 2026-01-02 03:04:05Z: bad zone\n", "--all "),
    ],
)
def test_what_ends_a_stop_stands_with_who_has_placed_it(
    monitor: Monitor, says: str, option: str
) -> None:
    """Nobody removes the stop of somebody else without knowing the reason."""
    (monitor.directory / "stop").write_text(says)
    by = says.strip() or "the file says nothing"
    told = f"`anycast-handler stop {option}--end` lets the automation act ({by})"
    line = monitor.event("CRITICAL")[1]
    assert line.endswith(f"; {told}"), line
    # An engine keeps the beginning of a long line.
    assert line.index("(", line.index("; ")) < 200, line
    (finding,) = here.stop_file(load(f"{monitor.directory}/fleet.toml", names()))
    assert finding.text == (
        f"{monitor.directory}/stop exists, so `event`, `enforce` and the watcher only look"
    )
    assert f"{finding.remedy} ({finding.seen})" == told


UNLESS = ", unless paths.stop is another file"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        # A watcher that runs acts on by the fleet file that it has read before.
        ("[ssh]", "[shh]", "`touch {directory}/stop` stops this host"),
        ("[ssh]", "[ssh", f"`touch /etc/anycast/stop` stops this host{UNLESS}"),
        ('stop = "', 'stop = "at /', "`touch /etc/anycast/stop` stops this host" + UNLESS),
        ("[paths]", "[patsh]", "`touch /etc/anycast/stop` stops this host"),
        ("", "", "`touch /etc/anycast/stop` stops this host" + UNLESS),
    ],
)
def test_where_the_fleet_file_is_wrong_it_says_how_to_stop_by_hand(
    monitor: Monitor, old: str, new: str, told: str
) -> None:
    file = monitor.directory / "fleet.toml"
    text = file.read_text()
    if old:
        assert old in text
        file.write_text(text.replace(old, new))
    else:
        file.unlink()
    for options in ((), ("--all", "--reason", "bad zone")):
        code, line = monitor.run("stop", *options)
        assert code == 3, line
        assert line.endswith(told.format(directory=monitor.directory)), line
        assert "\n" not in line
    assert "touch" not in monitor.run("stop", "--end")[1]
    assert not (monitor.directory / "stop").exists()


@pytest.mark.parametrize("verb", ["event", "enforce"])
def test_a_stop_file_nobody_can_see_is_a_configuration_error(monitor: Monitor, verb: str) -> None:
    """A stop file that cannot be looked for may exist, so nothing acts."""
    (monitor.directory / "stop").symlink_to("stop")
    code, output = monitor.run(verb, *place("CRITICAL", "HARD"))
    assert code == 3, output
    assert "cannot tell whether it exists" in output.splitlines()[0]


def test_a_log_that_cannot_be_written_is_said(monitor: Monitor) -> None:
    (monitor.directory / "log").rmdir()
    code, output = monitor.event("WARNING")
    assert code == 0, output
    assert "not logged: " in output


def test_nobody_who_reads_the_output_is_no_traceback(monitor: Monitor) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = monitor.argv("event", *place("WARNING", "HARD"))
    with os.fdopen(write) as pipe:
        ended = subprocess.run(argv, stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (2, b"")


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "<&-", "2>&-"])
def test_streams_that_are_full_or_closed_are_no_traceback(
    monitor: Monitor, redirection: str
) -> None:
    argv = ("sh", "-c", f'exec "$@" {redirection}', "sh")
    ended = subprocess.run(
        (*argv, *monitor.argv("event", *place("WARNING", "HARD"))),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == (2 if "full" in redirection else 0)
    assert ended.stderr == b""
    assert json.loads((monitor.directory / "log/decisions.jsonl").read_text())["exit"] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), 3),
        (("-h",), 3),
        (("-V",), 3),
        (("enforce", "-h"), 3),
        (("event", "-h"), 2),
        (("status", "-h"), 2),
    ],
)
def test_a_full_disk_is_no_critical_to_who_may_be_an_engine(
    words: tuple[str, ...], expected: int
) -> None:
    """To an engine exit code 2 is CRITICAL, so it is only for a verb that is known to be none."""
    with open("/dev/full", "w") as full:
        ended = subprocess.run((PROGRAM, *words), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (expected, b"")


PARTS = ("gate", "act", "allow", "sudoers", "authorized-keys", "nrpe")


@pytest.mark.parametrize(
    "words",
    [
        ("gate", "web"),
        ("gate", "--only", "key"),
        *(("gate", "--only", part, "web") for part in PARTS),
        *(("--fleet", "/nonexistent", "gate", "--only", part) for part in PARTS),
    ],
    ids=" ".join,
)
def test_gate_prints_nothing_that_is_no_file(monitor: Monitor, words: tuple[str, ...]) -> None:
    """Its stdout is installed on an endpoint, where an error would replace the file."""
    ended = subprocess.run(monitor.argv(*words), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("anycast-handler: ")
    assert ended.stderr.count("\n") == 1


def test_what_gate_cannot_write_in_full_is_no_file(monitor: Monitor) -> None:
    """The part comes before the errors of another: nothing is printed unless all is known."""
    ended = subprocess.run(monitor.argv("gate"), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "identity.pub: cannot be read" in ended.stderr


def test_an_error_for_a_closed_stderr_goes_nowhere(monitor: Monitor) -> None:
    argv = ("sh", "-c", 'exec "$@" 2>&-', "sh", *monitor.argv("gate", "web"))
    ended = subprocess.run(argv, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, b"")
