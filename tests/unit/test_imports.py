"""Imports: libraries come without modules that nothing needs here, and stand where they should."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKS = Path(__file__).parents[2] / "anycast_checks"

FINDS_OUT = "; print([name for name in {names} if name in sys.modules])"


def run(code: str, directory: Path | None = None) -> str:
    """Run code in a new interpreter, which has imported nothing yet."""
    argv = [sys.executable, "-c", f"import sys; {code}"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=directory)
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("anycast_checks.check_dns", ["email", "zipfile", "importlib.metadata"]),
        ("anycast_checks.check_dns", ["json", "tempfile", "ssl", "h2", "h11"]),
        ("anycast_checks.check_tcp", ["json", "tempfile", "ssl", "dns"]),
        ("anycast_handlers.transport.ssh", ["invoke", "unittest"]),
    ],
)
def test_what_is_not_needed_is_not_imported(module: str, unneeded: list[str]) -> None:
    assert run(f"import {module}{FINDS_OUT.format(names=unneeded)}") == "[]\n"


def test_others_get_the_real_modules_afterwards() -> None:
    code = "import anycast_checks.check_dns, importlib.metadata, json, tempfile"
    uses = (
        "print(json.dumps(1), tempfile.gettempdir()[:1], importlib.metadata.version('click')[:0])"
    )
    assert run(f"{code}; {uses}") == "1 / \n"


@pytest.mark.parametrize(
    "needs", ["import colorsys; colorsys.ONE_THIRD", "from colorsys import ONE_THIRD"]
)
def test_a_library_that_needs_it_after_all_gets_it(tmp_path: Path, needs: str) -> None:
    """A later version of a library may use such a module while it is imported."""
    (tmp_path / "library.py").write_text(f"{needs}\nvalue = 1\n")
    code = "from anycast_checks.imports import lean; lean('library', 'colorsys')"
    uses = "import library, colorsys; print(library.value, colorsys.ONE_THIRD < 1)"
    assert run(f"{code}; {uses}", tmp_path) == "1 True\n"


def test_a_library_that_is_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("import no_such_module\n")
    said = run("from anycast_checks.imports import lean; lean('library', 'colorsys')", tmp_path)
    assert said.endswith("ModuleNotFoundError: No module named 'no_such_module'\n")


# For each module: what it imports within a function, and the reason.
DEFERRED = {
    "__main__.py": {"command": "an import that fails is UNKNOWN, as the exit boundary prints it"},
    "dns_way.py": {"dns_https": "a check without --https does not pay for h2, or need it"},
    "health.py": {"stream": "only a stream pays for threads, netlink and JSON"},
    "tls.py": {"tls_connection": "a check without --tls does not pay for ssl"},
    "tls_connection.py": {"cryptography": "only --cert-warning and --cert-critical pay for it"},
    "together.py": {"concurrent.futures": "only several names, or several checks, pay for it"},
    "usage.py": {"difflib": "it is for a mistake alone"},
}


def within_functions(file: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    yield node.module or "."
                elif isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)


def test_imports_are_at_the_head_of_a_module() -> None:
    """There a reader sees what a module needs; the exceptions stand above, with the reasons."""
    found = {
        str(file.relative_to(CHECKS)): set(within_functions(file)) for file in CHECKS.rglob("*.py")
    }

    assert {module: names for module, names in found.items() if names} == {
        module: set(reasons) for module, reasons in DEFERRED.items()
    }
