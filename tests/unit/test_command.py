"""The command check_anycast: how it finds its subcommands, and the exit boundary around them."""

import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anycast_checks.command import run_check
from anycast_checks.run import CheckRun
from tests.support.program import ENVIRONMENT, ROOT, check_anycast, command_line, start

STUCK = '''
"""Wait for ever."""

import time

from .health import health_check


@health_check(port=7, examples="check_anycast stuck -H 192.0.2.53")
def command(options):
    """Wait for ever."""

    def probe(target):
        time.sleep(600)

    return probe
'''

PLAIN = '''
"""Say what it was told."""

import nagiosplugin

from .command import check_command
from .options import Options
from .verdict import Verdict


@check_command(Options, "check_anycast plain-talk -H 192.0.2.53")
def command(options, run):
    """Say what it was told."""
    return Verdict(nagiosplugin.Warn, f"{options.address} {options.deadline:g}", "n=1")
'''

CRASH = '''
"""Crash."""

from .command import check_command
from .options import Options


@check_command(Options, "check_anycast crash -H 192.0.2.53")
def command(options, run):
    """Crash."""
    raise {error}
'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Copy the package, so that a test can add checks to it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "anycast_checks", tmp_path / "anycast_checks", ignore=ignored)
    return tmp_path


def add(source: Path, name: str, text: str) -> None:
    (source / "anycast_checks" / f"check_{name}.py").write_text(text, encoding="utf-8")


def test_new_check_is_one_new_file(source: Path) -> None:
    add(source, "plain_talk", PLAIN)

    seen = check_anycast("plain-talk", "-H", "192.0.2.53", source=source)

    assert seen.code == 1
    assert seen.output == "PLAIN-TALK WARNING - 192.0.2.53 10 | n=1\n"
    assert "plain-talk  Say what it was told." in check_anycast("-h", source=source).output


def test_only_the_check_that_runs_is_imported(source: Path) -> None:
    """A check that is broken or lacks a dependency disturbs neither the help nor other checks."""
    add(source, "broken", '"""Cannot be imported."""\nimport nonexistent_module\n')
    add(source, "plain_talk", PLAIN)

    assert check_anycast("plain-talk", "-H", "192.0.2.53", source=source).code == 1
    assert "broken      Cannot be imported." in check_anycast("-h", source=source).output
    broken = check_anycast("broken", "-H", "192.0.2.53", source=source)
    assert broken.code == 3
    assert broken.output == (
        "BROKEN UNKNOWN - cannot import what it needs: No module named 'nonexistent_module'\n"
    )


def test_one_process_can_run_many_checks_at_once() -> None:
    """Each run has its own state, needs no main thread, and leaves the process without a timer."""
    runs = [CheckRun(), CheckRun(), CheckRun()]
    udp = ["udp", "-H", "127.0.0.1", "-p", "9", "--send", "x", "--tries", "1", "-t", "0.1"]
    tcp = ["tcp", "-H", "198.51.100.53", "-p", "9", "--tries", "1", "--instance", "none"]
    with ThreadPoolExecutor() as threads:
        seen = list(threads.map(run_check, [udp, tcp], runs))

    assert [text.partition(" - ")[0] for _, text in seen] == ["UDP CRITICAL", "TCP WARNING"]
    assert [run.name for run in runs] == ["UDP", "TCP", "ANYCAST"]
    assert [run.perfdata for run in runs] == [
        "time=U;;;0;0.1 present=U",
        "time=U;;;0;2 present=0 cert_days=U",
        "",
    ]
    assert runs[2].stage == "starting"
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_deadline_is_unknown_and_names_the_stage(source: Path) -> None:
    """The deadline is the last resort against a probe that does not keep its time limit."""
    add(source, "stuck", STUCK)

    seen = check_anycast(
        "stuck", "-H", "127.0.0.1", "--tries", "1", "-t", "0.1", "--deadline", "5", source=source
    )

    assert seen.code == 3
    assert seen.line == (
        "STUCK UNKNOWN - deadline of 5 s reached while asking 127.0.0.1 port 7 (try 1 of 1)"
        " | time=U;;;0;0.1 present=U"
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("ValueError('bad | worse' + chr(10) + 'line')", "unexpected ValueError: bad ! worse line"),
        ("RecursionError()", "unexpected RecursionError:"),
        ("SystemExit(2)", "unexpected SystemExit: 2"),
        ("GeneratorExit()", "unexpected GeneratorExit:"),
        ("BaseException('x' * 500)", "unexpected BaseException: xxx"),
    ],
)
def test_crash_is_unknown(source: Path, error: str, line: str) -> None:
    """A fault of the check itself is no evidence against the service."""
    add(source, "crash", CRASH.format(error=error))

    seen = check_anycast("crash", "-H", "192.0.2.53", source=source)

    assert seen.code == 3
    assert line in seen.line
    assert seen.output.count("\n") == 1


def test_traceback_is_long_output_for_those_who_ask(source: Path) -> None:
    add(source, "crash", CRASH.format(error="ValueError('| bad')"))

    seen = check_anycast("crash", "-H", "192.0.2.53", "-v", source=source)

    assert seen.code == 3
    assert "Traceback" in seen.output
    assert "check_crash.py" in seen.output
    assert "|" not in seen.output


def test_python_warning_is_not_printed(source: Path) -> None:
    """An engine would take a line on stderr for the status line."""
    add(source, "crash", CRASH.format(error="warn()").replace(
        '"""Crash."""\n', '"""Crash."""\nimport sys\n\n\ndef warn():\n'
        '    print("noise", file=sys.stderr)\n    import os\n    os.write(2, b"more")\n'
        '    return OSError("quiet")\n', 1))  # fmt: skip

    seen = check_anycast("crash", "-H", "192.0.2.53", source=source)

    assert seen.output == "CRASH UNKNOWN - unexpected OSError: quiet (-v shows where)\n"


def test_shell_completion_works() -> None:
    done = subprocess.run(
        command_line(),
        env={**ENVIRONMENT, "_CHECK_ANYCAST_COMPLETE": "bash_complete",
             "COMP_WORDS": "check_anycast d", "COMP_CWORD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("plain,dns\n", "")


def test_signal_at_any_moment_is_unknown() -> None:
    """From the exit boundary on, even while click is imported, a signal ends in UNKNOWN."""
    outcomes = set()
    for delay in range(12):
        with start("dns", "-H", "127.0.0.1", "--query", ".", "-p", "9", "--tries", "1") as process:
            wait_for_boundary(process.pid)
            time.sleep(delay * 0.01)  # spreads the moments, nothing waits for it
            process.terminate()
            output, errors = process.communicate(timeout=30)
            assert errors == ""
            assert output.count("\n") == 1
            outcomes.add((process.returncode, output.split()[1]))

    assert outcomes <= {(3, "UNKNOWN"), (2, "CRITICAL")}


def wait_for_boundary(pid: int) -> None:
    """Wait until the kernel says that the process catches SIGTERM, or has ended."""
    status = Path(f"/proc/{pid}/status")
    while True:
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if int(fields.get("SigCgt", "-1"), 16) & 1 << 14 or fields["State"].strip()[0] == "Z":
            return
