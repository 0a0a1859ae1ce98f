"""Command lines, outputs and names that the pages show are those of the programs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import NamedTuple
from xml.etree import ElementTree

import click
import pytest
from anycast_handlers.cli import Verbs
from anycast_handlers.endpoint.latch import UNREADABLE_HOLD, Hold, Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.fleet.values import Vip
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.operation.operate import Host, operate
from anycast_handlers.operation.overview import Sight
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs import _asked, _table
from anycast_handlers.verbs._options import read_fleet

from anycast_checks import __version__
from anycast_checks.addresses import Addresses, Assigned
from anycast_checks.options import seconds_of_tries
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState
from tests.support.examples import HEALTH, examples, subcommand
from tests.support.examples import NAMES as CHECKS
from tests.support.tables import show_asked
from tests.support.verbs import VERBS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.rst").read_text()
ENGINES = (ROOT / "docs/engines.rst").read_text()
PAGES = (ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst")))
ALL_VERBS = Verbs().list_commands(click.Context(Verbs()))
# A program's name, where it stands for the program itself, and all words that follow.
COMMAND = re.compile(r"(?:^|[\s/`(])(anycast-handler|check_anycast)((?: [^`\n]*)?)")
# This ends a command in a shell, or begins a comment.
END = re.compile(r"\s[|>#].*| \$ .*|[;)].*")


class Shown(NamedTuple):
    """A command line, and the page that shows it."""

    page: str
    program: str
    words: tuple[str, ...]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Find the command lines of literal blocks, and of quoted text."""
    for paragraph in re.split(r"\n\s*\n", text.replace("\\\n", " ")):
        quoted = re.findall(r"``([^`]+)``", paragraph)
        literal = [line for line in paragraph.splitlines() if line.startswith("  ")]
        for line in (" ".join(one.split()) for one in [*quoted, *literal]):
            for program, rest in COMMAND.findall(line):
                if "``" not in line:
                    yield program, shlex.split(END.sub("", f" {rest}"))


def shown() -> list[Shown]:
    """List every command line that a page shows with a verb or a check that there is."""
    return [
        Shown(page.name, program, tuple(words))
        for page in PAGES
        for program, words in commands(page.read_text())
        if words and words[0] in (ALL_VERBS if program == "anycast-handler" else CHECKS)
        # Such words stand in a drawing, and in a function of the shell.
        if not any(one[:1] in ("(", "$") for one in words)
    ]


def parse(program: str, words: tuple[str, ...]) -> click.Context:
    name, *rest = words
    if program == "anycast-handler":
        command = import_module(f"anycast_handlers.verbs.{name}").command
        assert isinstance(command, click.Command)
    else:
        command = subcommand(name)
    # The name alone, as prose has it, is no command line.
    resilient = not rest
    return command.make_context(name, list(rest), resilient_parsing=resilient)


@pytest.mark.parametrize(
    "one", sorted(set(shown())), ids=lambda one: " ".join((one.page, *one.words))
)
def test_a_command_line_of_a_page_is_understood(one: Shown) -> None:
    assert parse(one.program, one.words)


# The programs and the templates tell a person to type these commands.
REMEDY = re.compile(r"`((?:anycast-handler|check_anycast) [^`\n]*)`")
TELLING = [
    *(ROOT / "handlers").rglob("*"),
    *(ROOT / "anycast_checks").rglob("*"),
    *ROOT.glob("*-templates/*"),
    *ROOT.glob("debian/*"),
    *ROOT.glob("ansible/*.md"),
]


def remedies() -> set[tuple[str, ...]]:
    """List the command lines within backticks, with a word for each value that is put in there."""
    found = set()
    for file in TELLING:
        if file.is_file() and file.suffix != ".pyc":
            for line in REMEDY.findall(file.read_text(errors="replace")):
                line = re.sub(r"\{[^}]*\}", "x", line.replace("{verb}", "restore"))
                found.add(tuple(re.sub(r" --install$", " --install root@ns1", line).split()))
    return found


@pytest.mark.parametrize("words", sorted(remedies()), ids=" ".join)
def test_a_command_that_a_program_tells_to_type_is_understood(words: tuple[str, ...]) -> None:
    assert parse(words[0], words[1:])


def test_such_commands_are_found() -> None:
    assert {words[1] for words in remedies()} >= {"gate", "stop", "restore", "fleet"}


def test_the_host_of_the_readme_stands_in_the_example_of_the_templates() -> None:
    example = (ROOT / "icinga2-templates/anycast-example.conf").read_text()
    shown = README.split('object Host "ns1" {', 1)[1].split("\n       }", 1)[0]
    told = example.split('// object Host "ns1" {', 1)[1].split("\n// }", 1)[0]

    def words(text: str) -> list[str]:
        return re.findall(r'"[^"]*"|[\w.]+', text)

    assert words(shown) == words(told)


def test_command_lines_are_found() -> None:
    """The verbs and checks that the README shows with arguments, at least."""
    found = {one.words[0] for one in shown() if one.page == "README.rst" and len(one.words) > 1}

    assert {"withdraw", "restore", "hold", "drill", "history", "dns", "plugin", "pool"} <= found


def checks_of_fleet_files() -> Iterator[Shown]:
    """Find the checks in the pages' fleet files, as an engine would run them."""
    for page in PAGES:
        for found in re.findall(r"^ +check = \[([^]]+)\]", page.read_text(), re.MULTILINE):
            (_, name, *rest) = tomllib.loads(f"check = [{found}]")["check"]
            yield Shown(page.name, "check_anycast", (name, "-H", "10.99.0.53", *rest))


def test_a_health_check_of_a_page_has_time_for_its_tries() -> None:
    """A health check refuses tries that do not fit into its deadline."""
    found = [*checks_of_fleet_files(), *shown()]
    found = [one for one in found if one.words[0] in HEALTH and len(one.words) > 1]
    assert {one.page for one in found} >= {"README.rst", "fleet-file.rst"}
    for one in found:
        # Without a deadline it takes the time that it needs.
        given = parse(one.program, one.words).params
        needed = seconds_of_tries(given["tries"], given["timeout"], given["retry_delay"])
        assert given["deadline"] is None or needed <= given["deadline"], one


def test_a_plugin_of_a_page_gives_up_before_it_is_killed() -> None:
    """One that has to be killed is UNKNOWN, and then nothing is withdrawn."""
    helped = [Shown("-h", "check_anycast", tuple(one)) for one in examples("plugin")]
    found = [*checks_of_fleet_files(), *shown(), *helped]
    found = [one for one in found if one.words[0] == "plugin" and len(one.words) > 1]
    assert {one.page for one in found} == {"README.rst", "fleet-file.rst", "-h"}
    for one in found:
        given = parse(one.program, one.words).params
        own = given["words"][given["words"].index("-t") + 1]
        assert float(own) < given["timeout"], one


def test_every_check_has_its_row_in_the_readme() -> None:
    assert [name for name in CHECKS if not re.search(rf"^``{name}`` +\S", README, re.M)] == []


def test_the_readme_names_the_version() -> None:
    assert re.search(rf"^version +{re.escape(__version__)},", README, re.M)


def test_every_verb_is_in_the_readme() -> None:
    named = {one.words[0] for one in shown() if one.page == "README.rst"}
    quoted = set(re.findall(r"``([a-z]+)``", README))

    assert set(ALL_VERBS) - named - quoted == set()


# The man pages have every option by themselves: they are made of the help.
BY_HAND = "\n".join(
    page.read_text() for page in PAGES if page.stem not in ("anycast-handler", "check_anycast")
)


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_option_of_a_verb_is_explained_on_a_page(verb: str) -> None:
    command = import_module(f"anycast_handlers.verbs.{verb}").command
    options = [one.opts for one in command.params if isinstance(one, click.Option)]
    assert [names for names in options if not any(map(is_named, names))] == []


def is_named(option: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){option}(?![\w-])", BY_HAND))


def rows(heading: str) -> dict[str, str]:
    """Read the table of a public name and its meaning, below a heading of docs/engines.rst."""
    text = ENGINES.split(f"\n{heading}\n", 1)[1]
    table = re.split(r"^    =+  =+\n", text, flags=re.M)[1]
    found = re.split(r"^    ``([\w-]+)`` +", table, flags=re.M)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def test_the_labels_of_the_performance_data_are_documented() -> None:
    found = rows("Performance data").items()
    documented = {name: re.findall("``([a-z_]+)``", text) for name, text in found}
    labels = {
        name: [one.split("=")[0] for one in subcommand(name).perfdata.split()]  # type: ignore[attr-defined]
        for name in CHECKS
    }

    assert documented == {**labels, "enforce": ["present"]}


@pytest.fixture
def resolver(tmp_path: Path) -> Vip:
    """The VIP of the README's fleet file."""
    return read_fleet(readme_fleet(tmp_path)).vip("resolver")


def readme_fleet(directory: Path) -> str:
    block = README.split(".. code-block:: toml\n\n", 1)[1].split("\n   The handler", 1)[0]
    assert tomllib.loads(block)
    file = directory / "fleet.toml"
    file.write_text(block)
    return str(file)


def test_the_example_of_the_package_is_the_fleet_file_of_the_readme(tmp_path: Path) -> None:
    example = (ROOT / "packaging/fleet.toml").read_text()

    assert tomllib.loads(example) == tomllib.loads(Path(readme_fleet(tmp_path)).read_text())


def test_the_log_is_rotated_as_by_the_package() -> None:
    rotation = (ROOT / "debian/anycast-handler.logrotate").read_text()

    assert indent(rotation, " " * 7) in README


def test_the_fields_of_status_are_documented(resolver: Vip) -> None:
    sight = seen(resolver, "ns1")
    assert sight.look
    latched = replace(sight.look, latch=Latch(100.0, "boot", "nagios@mon", "refused"))
    document = _asked.document(replace(sight, look=latched))

    assert list(rows("``anycast-handler status --json``")) == list(document)
    for field in ("latch", "hold"):
        quoted = re.findall("``([a-z]+)``", rows("``anycast-handler status --json``")[field])
        assert set(quoted) == set(document[field])


def test_the_fields_of_the_log_are_documented(resolver: Vip, tmp_path: Path) -> None:
    fleet = read_fleet(readme_fleet(tmp_path))
    log = tmp_path / "decisions.jsonl"
    host = Host(SYSTEM_CLOCK, DecisionLog(str(log), SYSTEM_CLOCK), lambda *_: None)
    operate(fleet, Request(VERBS["restore"], resolver, resolver.endpoints[0]), host)

    (line,) = log.read_text().splitlines()
    assert list(rows("The log of decisions")) == re.findall(r'[{,]"([a-z_]+)":', line)


def seen(vip: Vip, name: str) -> Sight:
    """An endpoint as the README shows it: a person has withdrawn ns1, which leaves a hold."""
    endpoint = vip.endpoint(name)
    assert endpoint
    is_out = name == "ns1"
    by = ("nagios@mon", "disk")
    place = vip.placement
    on_lo = Assigned(place.interface, vip.address, place.prefix_length, place.label)
    look = Look(
        Addresses(() if is_out else (on_lo,)),
        vip,
        boot_id="boot",
        uptime=103.0,
        latch=Latch(),
        hold=Hold(1_800_000_000, None, *by, present=False) if is_out else None,
    )
    return Sight(vip, endpoint, look, routing=RoutingState(DAEMONS[0], announced=not is_out))


def test_the_readme_shows_what_status_prints(
    resolver: Vip, capsys: pytest.CaptureFixture[str]
) -> None:
    sights = [seen(resolver, endpoint.name) for endpoint in resolver.endpoints]
    show_asked(sights, (resolver,))

    printed = capsys.readouterr().out
    assert "".join(f"    {line}\n" for line in printed.splitlines()) in README


def test_the_picture_of_the_readme_shows_status_as_it_is() -> None:
    drawn = ElementTree.fromstring((ROOT / "docs/status.svg").read_text())
    rows = ["".join(row.itertext()) for row in drawn.iter("{http://www.w3.org/2000/svg}text")]

    assert ".. image:: docs/status.svg" in README
    assert rows[0] == "$ anycast-handler status"
    assert rows[1].split() == [name.upper() for name in (*_table.WHERE, *_asked.COLUMNS)]
    assert "resolver: 2 of 3 announce 10.99.0.53, floor 1" in rows
    assert "$ anycast-handler history -n 1" in rows


def test_status_says_where_the_routing_does_not_follow_the_address(resolver: Vip) -> None:
    """Two words in two columns are overlooked at night."""
    out, well = seen(resolver, "ns1"), seen(resolver, "ns2")
    silent = replace(well, routing=RoutingState(DAEMONS[0], announced=False))
    assert _asked.remarks(silent) == ["present, and not announced: run doctor to see why"]
    left = replace(out, routing=RoutingState(DAEMONS[0], announced=True))
    assert "announced, and not present: run doctor to see why" in _asked.remarks(left)
    assert _asked.remarks(well) == []


def test_status_names_no_hold_where_the_gate_refuses_to_show_one(resolver: Vip) -> None:
    sight = seen(resolver, "ns2")
    assert sight.look
    look = replace(sight.look, hold=UNREADABLE_HOLD, trouble="install it anew")
    assert _asked.remarks(replace(sight, look=look)) == ["install it anew"]
