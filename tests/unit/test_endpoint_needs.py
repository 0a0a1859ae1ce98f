"""What an endpoint needs: the checks, and none of the libraries by which the handler logs in."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest

from tests.support.examples import HEALTH, NAMES, arguments, examples
from tests.support.peer import certificate, stream_server
from tests.support.printed import Printed
from tests.support.program import ROOT, check_anycast

LIST = (ROOT / "packaging/endpoint.txt").read_text().splitlines()
NEEDED = [line for line in LIST if line[:1] != "#"]
# The names by which these packages are imported.
IMPORTED = {"click": "click", "dnspython": "dns", "h11": "h11", "nagiosplugin": "nagiosplugin"}


def bounds() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    return {*setup["options"]["install_requires"].splitlines(), *extras["https"].splitlines()}


def test_the_list_has_the_lower_bounds_of_the_package() -> None:
    optional = [line.removeprefix("# ") for line in LIST if line[:2] == "# " and ">=" in line]

    assert len(optional) == 2
    assert {*NEEDED, *optional} <= bounds()
    assert [line.split()[0] for line in NEEDED] == list(IMPORTED)


def on_an_endpoint(*arguments: str) -> Printed:
    """Run check_anycast where there is no package but those of the list."""
    allowed = {*sys.stdlib_module_names, "anycast_checks", *IMPORTED.values()}
    before = f"""
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {allowed}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
    return check_anycast(*arguments, before=before)


@pytest.mark.parametrize("check", NAMES)
def test_a_check_needs_no_other_package(check: str) -> None:
    # Nobody listens on this port of loopback.
    words = arguments(check, "9") if check in HEALTH else examples(check)[0]
    printed = on_an_endpoint(*words)

    assert (printed.code == 2) == (check in HEALTH), printed
    assert "No module" not in printed.output


@pytest.mark.parametrize(
    ("option", "package"), [("--https", "h2"), ("--cert-warning=9", "cryptography")]
)
def test_a_package_that_is_missing_is_named(tmp_path: Path, option: str, package: str) -> None:
    context, _ = certificate(tmp_path, 90.5)
    with stream_server(lambda _: None, context) as port:
        more = () if option == "--https" else ("--tls", option, "--no-verify")
        where = ("-H", "127.0.0.1", "-p", str(port), "--query", "www.example.org")
        printed = on_an_endpoint("dns", *where, *more, option)

    assert f"Python package {package}" in printed.line, printed
    assert printed.code == 3
