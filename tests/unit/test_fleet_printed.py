"""`anycast-handler fleet`: what is in effect, and the JSON Schema of fleet files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.activators import names
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.effective import effective, toml
from anycast_handlers.fleet.schema import schema
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.verbs._options import read_fleet
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.terminal import LINES, on_terminal, rows
from tests.unit import test_docs, test_fleet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROGRAM = str(Path(sys.executable).parent / "anycast-handler")
VALIDATOR = Draft202012Validator(schema(names()))
# The schema cannot know what an address is, and what two keys say together; 1.0 is whole for it.
BEYOND = (
    "is not an IP address",
    "'10.2.0.1/16' is no network",
    "cannot be",
    "is a VIP",
    "has a NUL in it",
    "has no site",
    "not too large",
)
IN_JSON = ("nan", "inf", "-inf", "1.0")


def is_valid(text: str) -> bool:
    document = tomllib.loads(text)
    return bool(VALIDATOR.is_valid(document))


def run(*words: str, file: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"ANYCAST_FLEET": str(file)} if file else {})}
    return subprocess.run(
        [PROGRAM, *words], capture_output=True, text=True, check=False, env=environment
    )


def shown(*words: str, file: Path) -> list[str]:
    """Run it on a terminal."""
    return on_terminal((PROGRAM, *words), {**os.environ, "ANYCAST_FLEET": str(file)})


def again(fleet: Fleet, directory: Path) -> Fleet:
    """Write what is in effect and read it."""
    printed = directory / "printed.toml"
    printed.write_text("\n".join(toml(effective(fleet))))
    return read_fleet(str(printed))


class TestInEffect:
    @pytest.fixture
    def full(self, tmp_path: Path) -> Path:
        file = tmp_path / "fleet.toml"
        file.write_text(test_fleet.EXAMPLE + test_fleet.ICINGA)
        return file

    def test_what_is_printed_is_the_same_fleet_and_valid(self, full: Path) -> None:
        printed = full.parent / "printed.toml"
        ended = run("fleet", file=full)
        assert (ended.returncode, ended.stderr) == (0, "")
        printed.write_text(ended.stdout)
        assert is_valid(ended.stdout)
        assert read_fleet(str(printed))._replace(file="") == read_fleet(str(full))._replace(file="")
        assert run("fleet", file=printed).stdout == ended.stdout

    def test_json_is_the_same_document(self, full: Path) -> None:
        as_toml, as_json = run("fleet", file=full).stdout, run("fleet", "--json", file=full).stdout
        assert json.loads(as_json) == tomllib.loads(as_toml)

    def test_every_key_is_printed(self, tmp_path: Path) -> None:
        fleet = read_fleet(test_docs.written(tmp_path, test_docs.EVERY_DEFAULT))
        printed = set(test_docs.leaves(effective(fleet)))
        assert set(test_docs.KEYS) - {"include"} <= printed
        assert again(fleet, tmp_path)._replace(file="") == fleet._replace(file="")

    @given(check=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
    def test_a_check_may_have_any_text(self, check: str) -> None:
        document = {"vip": {"a.b": {"check": [check], "endpoints": {}}}}
        assert tomllib.loads("\n".join(toml(document))) == {"vip": {"a.b": {"check": [check]}}}

    def test_a_mistake_is_a_line_on_stderr_and_exit_code_3(self, full: Path) -> None:
        full.write_text(full.read_text().replace("hold_down", "holddown"))
        ended = run("fleet", file=full)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr == (
            f"anycast-handler: {full}: vip.resolver.holddown: is not a key of the fleet file; "
            "did you mean hold_down?\n"
        )

    @pytest.fixture
    def thousand(self, tmp_path: Path) -> Path:
        """Generated files with a thousand endpoints, beside the one of the main file."""
        file = tmp_path / "fleet.toml"
        file.write_text('include = ["fleet.d/*.toml"]\n' + test_fleet.MINIMAL)
        (tmp_path / "fleet.d").mkdir()
        for site in range(20):
            lines = [
                f'ns{site}-{n} = {{ address = "198.18.{site}.{n}", site = "s{site}" }}'
                for n in range(1, 51)
            ]
            part = "[vip.resolver.endpoints]\n" + "\n".join(lines)
            assert is_valid(part)
            (tmp_path / "fleet.d" / f"s{site}.toml").write_text(part)
        return file

    def test_a_thousand_generated_endpoints(self, thousand: Path) -> None:
        ended = run("fleet", "--json", file=thousand)
        assert ended.returncode == 0, ended.stderr
        assert len(json.loads(ended.stdout)["vip"]["resolver"]["endpoints"]) == 1001

    def test_on_a_terminal_a_thousand_are_one_screen(self, thousand: Path) -> None:
        assert shown("fleet", file=thousand) == [
            f"{thousand} is valid, with 20 included files",
            "resolver: 10.99.0.53 on lo:0, 1001 endpoints in 20 sites, floor 500",
            "--all prints every key, as a pipe and a file get it",
        ]

    def test_on_a_terminal_too_all_of_it_can_be_had(self, thousand: Path) -> None:
        piped = run("fleet", file=thousand).stdout.splitlines()
        assert sum("198.18." in line for line in piped) == 1000
        assert shown("fleet", "--all", file=thousand) == piped

    def test_on_a_terminal_a_small_fleet_is_shown_whole(self, full: Path) -> None:
        assert shown("fleet", file=full) == run("fleet", file=full).stdout.splitlines()

    def test_many_vips_are_one_screen_too(self, full: Path) -> None:
        head = test_fleet.MINIMAL.partition("[vip.resolver]")[0]
        vips = [
            f'[vip.v{n}]\naddress = "10.98.0.{n}"\ninterface = "anycast{n}"\n'
            f'check = ["/bin/check"]\n[vip.v{n}.endpoints]\nns1 = "192.0.2.11"'
            for n in range(1, 61)
        ]
        full.write_text("\n".join((head, *vips, '[monitors]\nmon1 = "192.0.2.41"')))
        lines = shown("fleet", file=full)
        assert rows(lines) < LINES, lines
        assert lines[-3:-1] == ["48 more VIPs", "monitoring hosts: mon1"]


class TestSchema:
    def test_it_needs_no_fleet_file(self) -> None:
        ended = run("fleet", "--schema", file=Path("/nonexistent"))
        assert ended.returncode == 0, ended.stderr
        Draft202012Validator.check_schema(json.loads(ended.stdout))

    def test_it_has_exactly_the_keys_of_the_fleet_file(self) -> None:
        found: set[str] = set()

        def walk(one: dict[str, Any], above: str) -> None:
            for key, inner in one.get("properties", {}).items():
                found.add(f"{above}{key}")
                walk(inner, f"{above}{key}.")
            named = one.get("additionalProperties")
            if isinstance(named, dict):
                # A host is a key of the page.
                hosts = above.endswith(("endpoints.", "monitors."))
                found.update({f"{above}NAME"} if hosts else ())
                walk(named, f"{above}NAME.")
            for inner in one.get("anyOf", ()):
                walk(inner, above)

        walk(schema(names()), "")
        tables = {"ssh", "vip", "paths", "watch", "icinga", "nagios", "monitors"}
        tables |= {"vip.NAME.endpoints"}
        assert found - tables - {"vip.NAME.stream"} == set(test_docs.KEYS) - {"vip.NAME.stream"}

    @pytest.mark.parametrize("text", [test_fleet.EXAMPLE, test_fleet.MINIMAL])
    def test_what_is_right_is_valid(self, text: str) -> None:
        assert is_valid(text)
        assert is_valid(text + test_fleet.ICINGA)

    @pytest.mark.parametrize(
        "table",
        [
            "endpoints = {}",
            'endpoints = { ns9 = "192.0.2.19" }',
            'address = "10.99.0.54"\ninterface = "lo:1"\ncheck = ["/bin/check"]',
        ],
    )
    def test_a_part_is_valid_where_the_handler_takes_it(self, table: str, tmp_path: Path) -> None:
        """A generator may leave endpoints out, and a main file may leave them to others."""
        is_whole = table.startswith("address")
        part = f"[vip.{'web' if is_whole else 'resolver'}]\n{table}\n"
        (tmp_path / "part.toml").write_text(part)
        more = '[vip.web.endpoints]\nns1 = "192.0.2.11"\n' if is_whole else ""
        main = f'include = ["part.toml"]\n{test_fleet.MINIMAL}\n{more}'
        (tmp_path / "fleet.toml").write_text(main)
        assert read_fleet(str(tmp_path / "fleet.toml")).vips
        assert not list(VALIDATOR.iter_errors(tomllib.loads(part)))
        assert is_valid(main)
        without = 'include = ["x"]\n' + test_fleet.MINIMAL.partition("[vip.")[0]
        assert is_valid(f"{without}\n{part}")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[monitors]",
            '[ssh]\nuser = "a"\nidentity = "/i"\nknown_hosts = "/k"',
            "[vip.resolver]\nadress = '10.99.0.53'",
        ],
    )
    def test_what_is_neither_whole_nor_a_part_is_invalid(self, text: str) -> None:
        assert not is_valid(text)

    @pytest.mark.parametrize("name", test_docs.KEYS)
    def test_what_is_documented_is_valid(self, name: str) -> None:
        example = test_docs.merged(test_docs.SMALLEST, test_docs.KEYS[name].example)
        table = name.split(".", maxsplit=1)[0]
        needed = test_docs.required(table) if table in test_docs.ENGINES else {}
        assert VALIDATOR.is_valid(test_docs.merged(example, needed))

    @pytest.mark.parametrize(("key", "value", "said"), test_fleet.BAD)
    def test_what_is_invalid_is_refused(self, key: str, value: str, said: str) -> None:
        text = test_fleet.with_value(key, value)
        # In the regular expressions of Python, "$" is before a line break at the end as well.
        beyond = any(one in said for one in BEYOND) or value in IN_JSON or value.endswith('\\n"')
        assert beyond or not is_valid(text)

    @pytest.mark.parametrize(
        "share",
        ["0%", "00%", "7%", "050%", "100%", "00100%", "000100%", "00000%", "101%", "%", "5"],
    )
    def test_a_share_is_valid_where_the_handler_takes_it(self, share: str, tmp_path: Path) -> None:
        text = test_fleet.with_value("vip.resolver.min_announcing", f'"{share}"')
        file = tmp_path / "fleet.toml"
        file.write_text(text)
        try:
            taken = bool(read_fleet(str(file)))
        except ConfigurationError:
            taken = False
        assert is_valid(text) is taken
