"""What every subcommand promises to the engine that runs it.

The tests find the subcommands as the program does, by the names of their files. They run the first
example in the help of each check, with addresses of this host.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from anycast_checks.command import Check
from anycast_checks.health import HealthCheck
from anycast_checks.run import CheckRun
from anycast_checks.sampling import take_sample
from anycast_checks.verdict import is_failing
from tests.support.examples import (
    HEALTH,
    NAMES,
    arguments,
    examples,
    has_port,
    is_health,
    read_examples,
    subcommand,
    with_options,
)
from tests.support.peer import Unanswering, free_port
from tests.support.printed import Printed
from tests.support.program import ENVIRONMENT, ROOT, check_anycast, command_line, start

VIP_ELSEWHERE = "198.51.100.53"


@pytest.fixture
def peer() -> Iterator[Unanswering]:
    with contextlib.closing(Unanswering()) as made:
        yield made


@pytest.fixture
def closed_port() -> str:
    return str(free_port())


def labels(name: str) -> list[str]:
    return [one.split("=")[0] for one in subcommand(name).perfdata.split()]  # type: ignore[attr-defined]


def assert_unknown(seen: Printed) -> None:
    assert seen.code == 3
    assert re.match(r"[A-Z0-9-]+ UNKNOWN - \S", seen.line)
    assert seen.output == seen.line + "\n"


def test_something_is_discovered() -> None:
    assert {"dns", "http", "ntp", "plugin", "pool", "route", "tcp", "udp"} <= set(NAMES)
    assert all(isinstance(subcommand(name), Check) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_a_page_and_unknown(name: str, option: str) -> None:
    """The help fits into 80 columns and has examples to paste; its exit code is UNKNOWN."""
    done = subprocess.run(
        command_line(name, option), capture_output=True, text=True, env=ENVIRONMENT, check=False
    )

    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith(f"Usage: check_anycast {name} ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert examples(name)
    assert all(one in read_examples(done.stdout) for one in examples(name))


@pytest.mark.parametrize("name", NAMES)
def test_examples_can_be_parsed(name: str) -> None:
    for example in examples(name):
        assert subcommand(name).make_context(name, example[1:])


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described(name: str) -> None:
    options = [one for one in subcommand(name).params if isinstance(one, click.Option)]

    assert all((one.help or "").endswith(".") for one in options)
    assert {"-H", "--address", "--deadline", "-v", "--verbose", "-V", "--version"} <= {
        spelling for one in options for spelling in one.opts
    }


@pytest.mark.parametrize("before", [(), *[(name,) for name in NAMES]])
@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_unknown(before: tuple[str, ...], option: str) -> None:
    seen = check_anycast(*before, option)

    assert seen.code == 3
    assert re.fullmatch(r"check_anycast \d+\.\d+\.\d+\n", seen.output)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [["--mispelt"], ["stray"], ["-H"], ["-H", "ns1"], ["-H", ""]])
def test_usage_error_is_unknown(name: str, wrong: list[str]) -> None:
    """A typo in a template must not look like a dead service."""
    seen = check_anycast(*with_options(examples(name)[0], *wrong))

    assert_unknown(seen)
    # Where a plugin is expected, the stray word is taken for its name.
    said = seen.text
    told = re.search(rf"\. See (-h|`check_anycast {name} -h`)$", said) or len(said) > 80 - len(
        ". See -h"
    )
    assert told or "cannot run stray" in said, said
    assert len(said) <= 80 or "cannot run stray" in said, said


@pytest.mark.parametrize("name", NAMES)
def test_no_arguments_is_unknown(name: str) -> None:
    assert_unknown(check_anycast(name))


@pytest.mark.parametrize("wrong", [[], [""], ["-x"], ["nonsense"], ["../check_dns"], ["--", "x"]])
def test_wrong_command_line_is_unknown(wrong: list[str]) -> None:
    assert_unknown(check_anycast(*wrong))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("module", ["click", "nagiosplugin", "dns"])
def test_missing_dependency_is_unknown(name: str, module: str, closed_port: str) -> None:
    """A dependency that this check does not need may be missing."""
    seen = check_anycast(
        *arguments(name, closed_port) if is_health(name) else examples(name)[0],
        before=f"sys.modules[{module!r}] = None",
    )

    if module in ("click", "nagiosplugin") or "cannot import" in seen.text:
        assert_unknown(seen)
        assert module in seen.text


@pytest.mark.parametrize("module", ["click", "nagiosplugin", "dns"])
@pytest.mark.parametrize("option", ["-h", "-V"])
def test_help_without_the_dependencies(module: str, option: str) -> None:
    """The help needs nothing but click; without click it says that click is missing."""
    done = subprocess.run(
        command_line(option, before=f"sys.modules[{module!r}] = None"),
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (3, "")
    assert ("cannot import" in done.stdout) == (module == "click"), done.stdout


@pytest.mark.parametrize("name", HEALTH)
def test_same_labels_in_every_state(name: str, peer: Unanswering, closed_port: str) -> None:
    """A series that vanishes looks like an outage of the monitoring."""
    seen = {
        "announced and failing": check_anycast(*arguments(name, closed_port)),
        "withdrawn and failing": check_anycast(
            *arguments(name, closed_port, "-H", VIP_ELSEWHERE)
        ),
        "withdrawn, untestable": check_anycast(
            *arguments(name, closed_port, "-H", VIP_ELSEWHERE, "--instance", "none")
        ),
        "instance elsewhere": check_anycast(
            *arguments(name, closed_port, "-H", VIP_ELSEWHERE, "--instance", "198.51.100.54")
        ),
        "cannot tell": check_anycast(
            *arguments(name, peer.port, "-t", "0.2", "--timeout-state", "unknown")
        ),
        "usage error": check_anycast(*arguments(name, closed_port, "--mispelt")),
    }  # fmt: skip

    assert {key: (one.code, one.perfdata["present"]) for key, one in seen.items()} == {
        "announced and failing": (2, "1"),
        "withdrawn and failing": (1, "0"),
        "withdrawn, untestable": (1, "0"),
        "instance elsewhere": (3, "0"),
        "cannot tell": (3, "1"),
        "usage error": (3, "U"),
    }
    # The figures of another plugin stand behind those of the check.
    assert all(list(one.perfdata)[: len(labels(name))] == labels(name) for one in seen.values())
    assert not has_port(name) or all(x.perfdata["time"].startswith("U") for x in seen.values())
    assert "still announced" in seen["announced and failing"].text
    assert "withdrawn, instance still failing" in seen["withdrawn and failing"].text
    assert "withdrawn, instance cannot be tested" in seen["withdrawn, untestable"].text


@pytest.mark.parametrize("name", HEALTH)
def test_it_can_be_prepared_and_asked_without_a_verdict(name: str, closed_port: str) -> None:
    """A process that goes on asking puts the same questions as the check itself."""
    check = subcommand(name)
    assert isinstance(check, HealthCheck)
    ready = check.prepare(arguments(name, closed_port)[1:])
    for _ in range(2):
        seen = take_sample(ready, CheckRun()).observation
        assert seen
        assert is_failing(ready.options, seen), seen
        assert "refused" in seen.text


@pytest.mark.parametrize("name", HEALTH)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_unknown_and_names_the_stage(
    name: str, peer: Unanswering, number: signal.Signals
) -> None:
    """An engine that ends the check early does not turn a silent peer into evidence."""
    with start(*arguments(name, peer.port, "-t", "30")) as process:
        peer.wait_until_asked()
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)

    seen = Printed(process.returncode, output)
    assert_unknown(seen)
    assert errors == ""
    where = f"127.0.0.1 port {peer.port}" if has_port(name) else "127.0.0.1"
    assert f"ended by {number.name} while asking {where} (try 1 of 3)" in seen.text
    assert list(seen.perfdata) == labels(name)


@pytest.mark.parametrize("name", HEALTH)
def test_silent_peer_is_critical(name: str, peer: Unanswering) -> None:
    """All tries fit into the deadline, so that a hung service is never UNKNOWN."""
    seen = check_anycast(*arguments(name, peer.port, "-t", "0.2"))

    if has_port(name) or name == "all":
        assert seen.code == 2
        assert "(3 of 3 tries)" in seen.text
    else:
        assert seen.code == 3
        assert "did not end in time" in seen.text


@pytest.mark.parametrize("name", HEALTH)
@pytest.mark.parametrize(
    ("options", "deadline"),
    [
        ((), 10),
        (("-t", "5"), 16.5),
        (("--tries", "9", "--retry-delay", "1"), 27),
        (("--tries", "1", "-t", "1"), 10),
        (("-t", "1", "--deadline", "5"), 5),
        (("--deadline", "20"), 20),
    ],
)
def test_the_deadline_follows_from_the_tries(
    name: str, options: tuple[str, ...], deadline: float
) -> None:
    """Where it is given it rules; else there is time for all tries, and never less than 10 s."""
    check = subcommand(name)
    assert isinstance(check, HealthCheck)
    prepared = check.prepare(with_options(examples(name)[0][1:], *options))
    assert prepared.options.deadline == deadline


@pytest.mark.parametrize("name", HEALTH)
@pytest.mark.parametrize(
    "wrong",
    [
        ["--tries", "9", "--deadline", "10"],
        ["-t", "9", "--deadline", "10"],
        ["--deadline", "7"],
        ["--tries", "0"],
        ["-t", "0"],
        ["-t", "nan"],
        ["-t", "inf"],
        ["-t", "-1"],
        ["-p", "0"],
        ["-p", "dns"],
        ["-w", "fast"],
        ["-c", "2:1"],
        ["-c", ""],
        ["--instance", "localhost"],
        ["--instance", "127.0.0.1"],
        ["--client", "--instance", "127.0.0.2"],
        ["--timeout-state", "ok"],
        ["-H", "0.0.0.0"],
        ["-H", "::"],
        ["-H", "224.0.0.5"],
        ["-H", "255.255.255.255"],
        ["-H", "fe80::1%lo"],
        ["-H", "::ffff:127.0.0.1"],
        ["-H", "fe80::53"],
        ["-H", "127.1"],
    ],
    ids=" ".join,
)
def test_senseless_options_are_unknown(name: str, wrong: list[str], closed_port: str) -> None:
    seen = check_anycast(*arguments(name, closed_port, "--retry-delay", "0.25", *wrong))

    assert_unknown(seen)
    assert any(word in seen.text for word in wrong[:1]) or "--address" in seen.text or (
        {"-t": "--timeout", "-c": "--critical", "-w": "--warning", "-p": "--port"}[wrong[0]]
        in seen.text
    )  # fmt: skip


@pytest.mark.parametrize("name", HEALTH)
def test_last_of_a_repeated_option_wins(name: str, closed_port: str) -> None:
    """When the handler confirms, it adds options to the command line of the user."""
    seen = check_anycast(*arguments(name, closed_port, "--tries", "3", "--tries", "1"))

    assert seen.code == 2
    assert "(1 of 1 tries)" in seen.text


@pytest.mark.parametrize("name", HEALTH)
@pytest.mark.parametrize("closed", [[0], [2], [0, 2]])
def test_closed_streams_do_not_matter(name: str, closed: list[int], closed_port: str) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    assert check_anycast(*arguments(name, closed_port), preexec_fn=close).code == 2


@pytest.mark.parametrize("name", HEALTH)
def test_nobody_listening_is_unknown(name: str, closed_port: str) -> None:
    """A state that cannot be printed is UNKNOWN: closed stdout, a full disk, a broken pipe."""

    def run(preexec_fn: object = None, stdout: object = None) -> tuple[int, str]:
        done = subprocess.run(
            command_line(*arguments(name, closed_port)),
            stdout=stdout, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False,
            preexec_fn=preexec_fn,
        )  # type: ignore[call-overload] # fmt: skip
        return done.returncode, done.stderr

    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("w") as full, os.fdopen(writer, "w") as broken:
        assert run(lambda: os.close(1)) == (3, "")
        assert run(stdout=full) == (3, "")
        assert run(stdout=broken) == (3, "")


@pytest.mark.parametrize("name", NAMES)
def test_help_into_a_broken_pipe(name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        done = subprocess.run(
            command_line(name, "-h"), stdout=broken, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (3, b"")


@pytest.mark.parametrize("name", HEALTH)
def test_the_deadline_is_kept(name: str, peer: Unanswering) -> None:
    """Also by a process that was not given time to run."""
    with start(
        *arguments(name, peer.port, "-t", "3", "--tries", "1", "--deadline", "4.5")
    ) as process:
        peer.wait_until_asked()
        process.send_signal(signal.SIGSTOP)
        asked = time.monotonic()
        while time.monotonic() < asked + 4.5:
            time.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate(timeout=30)

    seen = Printed(process.returncode, output)
    assert_unknown(seen)
    assert errors == ""
    assert "deadline of 4.5 s reached while asking 127.0.0.1" in seen.text


@pytest.mark.skipif(not shutil.which("icinga2"), reason="icinga2 is not installed")
def test_an_engine_reads_the_figures(peer: Unanswering, closed_port: str) -> None:
    """By Icinga's own parser of performance data."""
    figures: dict[str, str] = {}
    for name in HEALTH:
        for more in ((), ("-H", VIP_ELSEWHERE), ("--mispelt",), ("-w", "1:2", "-c", "@~:5")):
            for seen in (
                check_anycast(*arguments(name, closed_port, "--tries", "1", *more)),
                check_anycast(*arguments(name, peer.port, "--tries", "1", "-t", "0.1", *more)),
            ):
                figures |= {f"'{label}'={value}": value for label, value in seen.perfdata.items()}
    known = [one for one, value in figures.items() if not value.startswith("U")]
    asked = ", ".join(f'parse_performance_data("{one}")' for one in known)
    said = subprocess.run(
        ["icinga2", "console", "--eval", f"[ {asked} ]"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    read = json.loads(said.stdout)
    assert len(read) == len(known)
    for one, value in zip(known, read, strict=True):
        label, _, figure = one.partition("=")
        number = re.match(r"-?[\d.]+", figure)
        assert number
        assert (f"'{value['label']}'", value["value"]) == (label, float(number[0]))


@pytest.mark.parametrize("name", HEALTH)
def test_module_can_be_run(name: str, closed_port: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "anycast_checks", *arguments(name, closed_port)],
        capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (2, "")
