"""Who may import whom, where each library is at home, and how large things may grow."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CHECKS, HANDLERS = ROOT / "anycast_checks", ROOT / "handlers"
SOURCES = sorted([*CHECKS.rglob("*.py"), *HANDLERS.rglob("*.py")])
# From the ground up: a room imports only what stands before it in this list.
ROOMS = (
    "decision",
    "fleet",
    "transport",
    "activators",
    "endpoint",
    "routing",
    "gate",
    "operation",
    "doctor",
    "watch",
    "verbs",
)
# From the ground up: a module of anycast_checks imports only its own level, and those before it.
LEVELS = (
    {"addresses", "children", "dump", "errors", "imports", "large", "line", "pattern"}
    | {"local_route", "observation", "placement", "run", "times", "usage"},
    {"routing"},
    {"address", "connection", "dns_answer", "dnspython", "http_client", "http_request"}
    | {
        "http_chunks",
        "http_head",
        "dns_exchange",
        "dns_https",
        "dns_options",
        "dns_question",
        "dns_way",
        "http2_client",
        "ntp_packet",
        "outlet",
        "payload",
        "program",
        "proven",
        "starttls",
        "timetable",
        "tls",
        "tls_connection",
    }
    | {"wakeup"},
    {"options", "standing", "threshold", "verdict"},
    {"command", "dns_probe", "sampling", "stream", "stream_line", "together", "workers"},
    {"health", "this_router"},
    {file.stem for file in CHECKS.glob("check_*.py")},
    {"__main__"},
)
# The files of handlers/ that stand outside of a room.
OUTSIDE = {"__init__.py", "__main__.py", "cli.py", "errors.py"}
HOMES = {
    "paramiko": {"handlers/transport/lean_paramiko.py"},
    "nagiosplugin": {"anycast_checks/verdict.py"},
    "dns": {"anycast_checks/dnspython.py"},
    "h11": {"anycast_checks/http_client.py"},
    "h2": {"anycast_checks/http2_client.py"},
    "waitress": {"handlers/watch/page/server.py"},
    "prometheus_client": {"handlers/watch/page/metrics.py"},
}
# click is at home where a command line is read; the entry points turn its errors into a line.
CLICK = {"handlers/cli.py", "handlers/__main__.py"}
# An import inside a function, each with its reason.
LATE = {
    "anycast_checks/health.py": "only a stream needs threads, netlink and JSON",
    "anycast_checks/__main__.py": "an import that fails must become UNKNOWN",
    "handlers/__main__.py": "an import that fails must become exit code 3",
    "anycast_checks/dns_way.py": "h2 takes 45 ms, and may not be installed",
    "anycast_checks/tls.py": "ssl takes 5 ms of CPU, and most checks speak no TLS",
    "anycast_checks/tls_connection.py": "cryptography takes 27 ms of CPU",
    "anycast_checks/together.py": "concurrent.futures is for several names, or several checks",
    "anycast_checks/usage.py": "difflib is for a mistake alone",
    "handlers/fleet/gathered.py": "most fleet files include nothing",
    "handlers/fleet/table.py": "difflib is for a mistake alone",
    "handlers/transport/each.py": "ctypes is for runs with many endpoints alone",
    "handlers/operation/operate.py": "an engine calls `event` mostly for nothing",
    "handlers/verbs/_options.py": "an engine has no terminal",
    "handlers/watch/page/__init__.py": "the libraries of the page may not be installed",
    "handlers/watch/page/offer.py": "the library of the server may not be installed",
    "handlers/transport/connections.py": "paramiko takes longer than all else together",
    "handlers/transport/login_files.py": "paramiko takes longer than all else together",
}
LARGEST_MODULE, LARGEST_FUNCTION = 250, 40
# Larger ones, each with its reason.
LARGE = {
    "handlers/transport/ssh.py": "all that goes on over one connection",
}


class Import(NamedTuple):
    """A module that is imported: ``late`` is within a function, ``for_types`` for type checks only.

    ``name`` is dotted, from the root of the packages: "handlers.fleet.values", "click".
    """

    name: str
    line: int
    late: bool
    for_types: bool


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def dotted(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(file): file for file in SOURCES}


def imports(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text())
    for node, inside in _nodes(tree, ()):
        late = any(isinstance(one, ast.FunctionDef) for one in inside)
        for_types = any(
            isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING" for one in inside
        )
        for name in _names(file, node):
            yield Import(name, node.lineno, late, for_types)


def _nodes(
    node: ast.AST, inside: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.Import | ast.ImportFrom, tuple[ast.AST, ...]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, inside
        else:
            yield from _nodes(child, (*inside, child))


def _names(file: Path, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        package = file.relative_to(ROOT).parts[: -node.level]
        base = ".".join(filter(None, (*package, base)))
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in MODULES else base


def room(name: str) -> str | None:
    """Name the room of a module of handlers/; None for one outside of the rooms."""
    parts = name.split(".")
    return parts[1] if parts[0] == "handlers" and len(parts) > 1 and parts[1] in ROOMS else None


def test_every_file_of_handlers_is_in_a_room() -> None:
    assert {file.name for file in HANDLERS.glob("*.py")} == OUTSIDE
    folders = {file.parent.name for file in HANDLERS.glob("*/*.py")}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_a_room_imports_only_the_rooms_below_it(file: Path) -> None:
    own = room(dotted(file))
    if own is None:
        return
    allowed = ROOMS[: ROOMS.index(own) + 1]
    for one in imports(file):
        where = f"{relative(file)}:{one.line} imports {one.name}"
        if one.name.startswith("handlers"):
            assert room(one.name) in allowed or one.name == "handlers.errors", where


def level(name: str) -> int:
    """Number the level of a module of anycast_checks; the package itself is below all of them."""
    if name == "anycast_checks":
        return -1
    (own,) = (n for n, modules in enumerate(LEVELS) if name.split(".")[1] in modules)
    return own


@pytest.mark.parametrize("file", sorted(CHECKS.rglob("*.py")), ids=relative)
def test_a_check_imports_only_the_levels_below_it(file: Path) -> None:
    own = level(dotted(file))
    for one in imports(file):
        if one.name.startswith("anycast_checks") and not one.for_types:
            where = f"{relative(file)}:{one.line} imports {one.name}"
            assert level(one.name) <= own, where


def test_the_errors_stand_below_all_rooms() -> None:
    found = [one.name for one in imports(HANDLERS / "errors.py")]
    assert [name for name in found if name.split(".")[0] in ("handlers", "anycast_checks")] == []


@pytest.mark.parametrize("file", sorted(CHECKS.rglob("*.py")), ids=relative)
def test_asking_knows_nothing_of_acting(file: Path) -> None:
    for one in imports(file):
        assert one.name.split(".")[0] not in ("handlers", "anycast_handlers"), one


def test_there_is_no_circle() -> None:
    """There is none within a room either; an import for types alone makes no circle."""
    after = {
        name: {one.name for one in imports(file) if not one.for_types and not one.late} - {name}
        for name, file in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for following in sorted(after.get(name, set())):
                visit(following, (*way, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_each_library_is_imported_where_it_is_at_home(file: Path) -> None:
    for one in imports(file):
        library = one.name.split(".")[0].replace("anycast_handlers", "handlers")
        where = f"{relative(file)}:{one.line} imports {one.name}"
        assert relative(file) in HOMES.get(library, {relative(file)}), where
        if library == "click" and relative(file).startswith("handlers"):
            assert relative(file) in CLICK or room(dotted(file)) == "verbs", where


@pytest.mark.parametrize("name", ["decision/", "../anycast_checks/observation.py"])
def test_what_is_pure_imports_no_third_party(name: str) -> None:
    place = HANDLERS / name
    own = {"handlers", "anycast_checks", "__future__", "enum", "typing", "collections"}
    for file in place.glob("*.py") if place.is_dir() else [place.resolve()]:
        assert {one.name.split(".")[0] for one in imports(file)} <= own, file


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_an_import_inside_a_function_has_its_reason_here(file: Path) -> None:
    late = [f"line {one.line}: {one.name}" for one in imports(file) if one.late]
    assert bool(late) == (relative(file) in LATE), late


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_every_module_says_what_it_is_for(file: Path) -> None:
    said = ast.get_docstring(ast.parse(file.read_text()))
    assert said, "no docstring"
    assert len(said.split("\n")[0]) > 20, said


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_modules_and_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    lines = text.count("\n")
    assert (lines > LARGEST_MODULE) == (relative(file) in LARGE), f"{lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (
                (node.end_lineno or 0)
                - node.lineno
                - len((ast.get_docstring(node) or "").splitlines())
            )
            assert length <= LARGEST_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_nothing_is_caught_wholesale_but_at_the_two_exits(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kind = ast.unparse(node.type) if node.type else ""
        closes = any(isinstance(one, ast.Raise) and one.exc is None for one in ast.walk(node))
        if kind in ("", "Exception", "BaseException"):
            assert file.name == "__main__.py" or closes, f"{relative(file)}:{node.lineno}"


def test_every_folder_is_in_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = set(setup["options"]["packages"].split())
    folders = {dotted(file.parent / "__init__.py") for file in SOURCES}
    assert packages == {
        f"anycast_{name}" if name.startswith("handlers") else name for name in folders
    }


def test_each_of_the_lists_here_names_files_that_exist() -> None:
    listed = {*LATE, *LARGE, *CLICK, *(file for home in HOMES.values() for file in home)}
    assert [file for file in listed if not (ROOT / file).exists()] == []
