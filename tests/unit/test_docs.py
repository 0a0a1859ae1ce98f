"""The pages of the documentation say what is so: here, that they have all keys, pages and words."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.names import LONGEST_ENDPOINT, LONGEST_VIP
from anycast_handlers.fleet.table import Table
from anycast_handlers.verbs._options import read_fleet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FLEET_FILE = (ROOT / "docs/fleet-file.rst").read_text()
# The page's name for each kind of value that the loader asks for.
TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    list: "list",
    object: "",  # several kinds are accepted
}
NAMES = {"resolver", "ns1", "ns2", "ns3", "mon2"}
CODE = re.compile(r"^\.\. code-block:: toml\n\n((?:    .*\n|\n)+)", re.MULTILINE)
TITLE = re.compile(r"^(.+)\n(?:-+|=+)\n", re.MULTILINE)


class Key(NamedTuple):
    """A key of the fleet file as the page has it."""

    name: str
    kind: str
    default: str
    example: dict[str, Any]


def examples(text: str) -> list[dict[str, Any]]:
    return [tomllib.loads(re.sub("^    ", "", block, flags=re.M)) for block in CODE.findall(text)]


def documented() -> Iterator[Key]:
    _, *sections = TITLE.split(FLEET_FILE)
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        if not re.fullmatch(r"``\w+(\.\w+)*``", title):
            continue
        name = title.strip("`")
        kind, default = (re.search(rf"^:{f}: (.*)", text, re.M) for f in ("Type", "Default"))
        assert kind, f"{name} has no :Type:"
        assert default, f"{name} has no :Default:"
        (example,) = examples(text)
        yield Key(name, kind[1], default[1], example)


SMALLEST, NO_ENGINE, ENGINES, MONITORS, *_ = examples(FLEET_FILE)
EVERY_DEFAULT = {**NO_ENGINE, **ENGINES, **MONITORS}
KEYS = {key.name: key for key in documented()}


def with_names(dotted: str) -> str:
    """Write NAME where the name of a VIP or of an endpoint stands."""
    return ".".join("NAME" if word in NAMES else word for word in dotted.split("."))


def leaves(document: dict[str, Any], above: str = "") -> Iterator[str]:
    """List the keys of a document, those of tables too."""
    for key, value in document.items():
        name = f"{above}.{key}" if above else key
        yield with_names(name)
        if isinstance(value, dict):
            yield from leaves(value, name)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Put the keys of one document into another."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        tables = isinstance(old, dict) and isinstance(value, dict)
        both[key] = merged(old, value) if tables else value  # type: ignore[arg-type]
    return both


def toml(value: object) -> str:
    """Write a value, a table in one line; all else is in TOML what it is in JSON."""
    if not isinstance(value, dict):
        return json.dumps(value)
    # A name with dots in it needs quotes.
    return "{ " + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + " }"


def written(directory: Path, document: dict[str, Any]) -> str:
    """Write a fleet file, and return its name."""
    file = directory / "fleet.toml"
    file.write_text("".join(f"{key} = {toml(value)}\n" for key, value in document.items()))
    return str(file)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[type, object]]:
    """Load a fleet file with tables for endpoints; note each key asked for, its kind, its default.

    None is the default of a key that must be there.
    """
    asked: dict[str, tuple[type, object]] = {}
    take = Table.take

    def noted(self: Table, key: str, kind: type, default: object = None) -> object:
        name = str(self.wrong(key, "")).split(": ")[1]
        asked[with_names(name)] = kind, default
        return take(self, key, kind, default)

    monkeypatch.setattr(Table, "take", noted)
    read_fleet(written(tmp_path, EVERY_DEFAULT))
    return asked


def test_every_key_of_the_fleet_file_is_documented(taken: dict[str, tuple[type, object]]) -> None:
    assert sorted(KEYS) == sorted(taken)


def test_documented_types_are_what_is_asked_for(taken: dict[str, tuple[type, object]]) -> None:
    wrong = {name: KEYS[name].kind for name in KEYS if not is_called(taken[name][0], name)}

    assert not wrong


def is_called(kind: type, name: str) -> bool:
    return KEYS[name].kind.startswith(TYPES[kind])


def test_documented_defaults_are_the_ones_in_force(taken: dict[str, tuple[type, object]]) -> None:
    said = {key.name: read_default(key.default) for key in KEYS.values()}

    assert said == {name: default for name, (_, default) in taken.items()}


def read_default(text: str) -> object:
    found = re.fullmatch("``(.*)``", text)
    if found:
        return tomllib.loads(f"default = {found[1]}")["default"]
    assert text == "none, the key is required"
    return None


def required(table: str) -> dict[str, Any]:
    """Give the keys of a table of an engine that have no default."""
    names = (key.name for key in KEYS.values() if key.default == "none, the key is required")
    keys = [name.split(".")[1] for name in names if name.startswith(f"{table}.")]
    return {table: {key: ENGINES[table][key] for key in keys}}


@pytest.mark.parametrize("table", ENGINES)
def test_the_defaults_of_an_engine_are_what_is_left_out(table: str, tmp_path: Path) -> None:
    least = read_fleet(written(tmp_path, merged(SMALLEST, required(table))))

    assert read_fleet(written(tmp_path, merged(SMALLEST, {table: ENGINES[table]}))) == least


def test_the_example_with_every_default_is_the_smallest_one(tmp_path: Path) -> None:
    smallest = read_fleet(written(tmp_path, SMALLEST))

    assert read_fleet(written(tmp_path, NO_ENGINE)) == smallest
    assert set(KEYS) <= set(leaves(EVERY_DEFAULT))


@pytest.mark.parametrize("name", KEYS)
def test_the_example_of_a_key_has_it_and_loads(name: str, tmp_path: Path) -> None:
    example = KEYS[name].example

    assert name in list(leaves(example))
    table = name.split(".")[0]
    needed = required(table) if table in ENGINES else {}
    assert read_fleet(written(tmp_path, merged(merged(SMALLEST, needed), example)))


def vip(**keys: object) -> dict[str, Any]:
    return {"vip": {"resolver": keys}}


MISTAKES: dict[str, dict[str, Any]] = {
    "holddown": vip(holddown=60),
    "hold_down": vip(hold_down="60"),
    "restore": vip(restore="never"),
    "interface": vip(interface="eth0:0"),
    "check": vip(check=["check_anycast", "dns"]),
    "address": vip(address="2001:db8::53"),
    "activator": vip(interface="lo", activator="ifupdown"),
    "min_announcing": vip(min_announcing=0),
    "a VIP as management address": vip(endpoints={"ns1": "10.99.0.53"}),
    "one host twice": vip(endpoints={"ns2": "192.0.2.11"}),
    "a jump that is none": vip(endpoints={"ns1": {"address": "192.0.2.11", "jump": "a b"}}),
    "a floor of sites without sites": vip(min_announcing_per_site=1),
    # TOML makes this of  ns3.example.org = "192.0.2.13".
    "a name without quotes": vip(endpoints={"ns3": {"example": {"org": "192.0.2.13"}}}),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_is_said_of_a_mistake_is_documented(mistake: dict[str, Any], tmp_path: Path) -> None:
    assert_refused_as_documented(written(tmp_path, merged(SMALLEST, mistake)))


def test_what_is_said_of_a_missing_key_is_documented(tmp_path: Path) -> None:
    document = merged(SMALLEST, {})
    document["ssh"] = {key: document["ssh"][key] for key in ("identity", "known_hosts")}

    assert_refused_as_documented(written(tmp_path, document))


def assert_refused_as_documented(file: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_fleet(file)
    assert f"    {str(caught.value).removeprefix(f'{file}: ')}\n" in FLEET_FILE


def test_the_page_says_how_long_names_may_be() -> None:
    assert f"on command lines: up to {LONGEST_VIP} letters" in FLEET_FILE
    assert f"be ({LONGEST_ENDPOINT} characters)" in FLEET_FILE


# These pages are files of the repository, for the site.
INCLUDED = {
    "readme": "README.rst",
    "changelog": "CHANGELOG.rst",
    "contributing": "CONTRIBUTING.rst",
}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.rst").read_text()
    names = {page.stem for page in (ROOT / "docs").glob("*.rst")} - {"index"}
    pages = {name: INCLUDED.get(name, f"docs/{name}.rst") for name in names}

    assert [page for page in pages.values() if f"``{page}``" not in index] == []
    assert [name for name in pages if f"\n    {name}\n" not in index] == []


def test_words_in_italics_have_an_entry_in_the_glossary() -> None:
    glossary = (ROOT / "docs/glossary.rst").read_text()
    entries = {
        word.lower()
        for line in glossary.splitlines()
        if line[:1] not in ("", " ", "=")
        for word in line.split(", ")
    }
    used = {" ".join(word.split()).lower() for word in re.findall(r"(?<!\*)\*([^*]+)\*", glossary)}

    assert [w for w in used if not {w, w.removesuffix("s"), w.removesuffix("'s")} & entries] == []


PAGES = ("docs/architecture.rst", "CONTRIBUTING.rst")
# A file or a folder of the repository, as text names it; "NAME" in it stands for any.
PATH = re.compile(r"``([\w./-]+(?:/|\.(?:py|rst|conf|sh|md|cfg|yml)))``")
# A page names these as files that there must not be, or that only building makes.
NOT_THERE = {"utils.py", "dist", "share/anycast-checks"}
ARCHITECTURE = (ROOT / "docs/architecture.rst").read_text()
# A room of the page, and what the page says of it.
ROOM = re.compile(r"^``([\w/]+/)``\n((?:    .*\n)+)", re.MULTILINE)
ROOMS = dict(ROOM.findall(ARCHITECTURE))


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """A file may be named without its folder, where the text has named the folder before."""
    named = set(PATH.findall((ROOT / page).read_text()))
    assert named
    present = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if ".git" not in file.parts}
    files = [name.rstrip("/") for name in named if "NAME" not in name and "PROTOCOL" not in name]
    ends = {tail for file in present for tail in tails(file)}
    assert {name for name in files if name not in ends} <= NOT_THERE


def tails(path: str) -> Iterator[str]:
    """Give a path, and what is left of it without its first folders."""
    parts = path.split("/")
    return ("/".join(parts[number:]) for number in range(len(parts)))


def is_found_by_name(file: str) -> bool:
    """Tell whether a program finds the file by its name, so that a page need not name it."""
    folder, name = file.rsplit("/", 1)
    if folder in ("handlers/verbs", "handlers/activators"):
        return not name.startswith("_")
    return folder == "anycast_checks" and name.startswith("check_")


def test_the_page_says_what_is_in_every_room() -> None:
    sources = [*(ROOT / "handlers").rglob("*.py"), *(ROOT / "anycast_checks").rglob("*.py")]
    folders = {f"{file.parent.relative_to(ROOT)}/".removeprefix("handlers/") for file in sources}

    assert set(ROOMS) == folders - {""}


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_names_the_files_of_a_room(room: str) -> None:
    folder = room.rstrip("/") if room.startswith("anycast_checks") else f"handlers/{room[:-1]}"
    named = {f"{folder}/{name}" for name in re.findall(r"``(\w+\.py)``", ROOMS[room])}
    there = {f"{folder}/{file.name}" for file in (ROOT / folder).glob("*.py")}
    entry_points = {f"{folder}/__init__.py", f"{folder}/__main__.py"}

    assert named - there == set()
    assert {f for f in there - named if not is_found_by_name(f)} <= entry_points
