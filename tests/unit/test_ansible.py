"""The collection in ansible/: what its roles are given, and what they write."""

from __future__ import annotations

import json
import os
import re
import sys
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.activators import names
from anycast_handlers.fleet.file import load

import anycast_checks
from tests.support.ansible import (
    COLLECTION,
    CONFIGURATION,
    HERE,
    INVENTORY,
    PART,
    Controller,
    Written,
    changed,
    hostile,
)
from tests.support.program import ROOT
from tests.unit.test_icinga_templates import TABLES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROLES = ("anycast_endpoint", "anycast_monitor")
PLAYBOOK = COLLECTION / "playbooks/install.yml"
PAGE = ROOT / "docs/fleet-file.rst"
TEMPLATE = re.compile(r"this template of Ansible writes [^:]*::\n\n((?:    .*\n)+)")


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(tmp_path_factory.mktemp("controller"))


def fields(role: str, file: str) -> dict[str, str]:
    """The variables of a file of a role, and what is written behind the colon."""
    text = (COLLECTION / "roles" / role / file / "main.yml").read_text()
    return dict(re.findall(r"^(\w+):(.*)$", text, re.MULTILINE))


@pytest.fixture
def written(controller: Controller, tmp_path: Path) -> Written:
    if os.geteuid() != 0:
        pytest.skip("the files belong to root")
    return Written(controller, tmp_path)


def test_ansible_lint_has_nothing_to_say(controller: Controller) -> None:
    ended = controller.run("ansible-lint", "--nocolor", "--strict", "--format=pep8")
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def test_the_playbook_is_understood(controller: Controller) -> None:
    ended = controller.play("-i", str(INVENTORY), "--syntax-check", str(PLAYBOOK))
    assert ended.returncode == 0, ended.stderr


def test_the_collection_can_be_built(controller: Controller, tmp_path: Path) -> None:
    ended = controller.run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    with tarfile.open(tmp_path / f"anycast-checks-{anycast_checks.__version__}.tar.gz") as built:
        names = built.getnames()
    assert {"README.md", "playbooks/install.yml", "roles/anycast_monitor/templates"} <= set(names)


@pytest.mark.parametrize("file", [INVENTORY, CONFIGURATION, PLAYBOOK], ids=lambda file: file.name)
def test_the_readme_shows_the_files_word_by_word(file: Path) -> None:
    assert file.read_text().removeprefix("---\n") in (COLLECTION / "README.md").read_text()


def test_the_page_of_the_ten_minutes_shows_the_inventory_word_by_word() -> None:
    shown = textwrap.indent(INVENTORY.read_text().removeprefix("---\n"), " " * 7)
    assert shown in (ROOT / "docs/ten-minutes.rst").read_text()


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_described(controller: Controller, role: str) -> None:
    """Where the default is a plain value, the description has the same."""
    ended = controller.run("ansible-doc", "-t", "role", "-j", f"anycast.checks.{role}")
    (described,) = json.loads(ended.stdout).values()
    options = described["entry_points"]["main"]["options"]
    defaults = fields(role, "defaults")
    assert {name for name, one in options.items() if not one.get("required")} == set(defaults)
    assert all(one["description"] for one in options.values())
    for name, default in defaults.items():
        if "{{" not in default:
            shown = json.dumps(options[name]["default"])
            assert re.sub(r'["\s]', "", shown) == re.sub(r'["\s]', "", default), name


def test_the_options_of_every_check_are_those_of_the_templates() -> None:
    """The others begin with the name of their check."""
    bodies = "".join(TABLES[table] for table in ("common", "health", "port"))
    every = set(re.findall(r"\$anycast_(\w+)\$", bodies))
    known = fields("anycast_monitor", "vars")["anycast_monitor_options"].strip(" []").split(", ")
    # The handler gives the address, wants no more than the verdict, and never asks as a client.
    assert sorted(known) == sorted(every - {"address", "verbose", "client"})


def test_the_inventory_makes_a_fleet_file_and_hosts(written: Written) -> None:
    code, said = written.play()
    assert code == 0, said
    resolver = load(str(written.fleet), names()).vip("resolver")
    words = ("dns", "--query=www.example.org", "--expect=192.0.2.80")
    assert resolver.check == ("/usr/lib/nagios/plugins/check_anycast", *words)
    addresses = {"ns1": "192.0.2.11", "ns2": "192.0.2.12", "ns3": "192.0.2.13"}
    assert {one.name: one.address for one in resolver.endpoints} == addresses
    # An endpoint of a copied inventory has to be taken out when it fails.
    assert [one.name for one in resolver.endpoints if one.never_withdraw] == []
    hosts = written.icinga.read_text()
    assert re.findall(r'^object Host "(.*)" \{$', hosts, re.MULTILINE) == list(addresses)
    assert (
        hosts.count('vars.anycast["resolver"] = { "address" = "198.51.100.53", "check" = "dns"')
        == 3
    )
    assert changed(written.play()[1]) == [0]


@pytest.mark.parametrize(
    ("check", "options", "words"),
    [
        (
            "dns",
            {"dns_query": ["a.example", "b.example"], "dns_tcp": True, "dns_recurse": False},
            ["--query=a.example", "--query=b.example", "--tcp"],
        ),
        (
            "http",
            {"warning": 0.5, "interval": 4, "http_string": 'ü "$5" \\'},
            ["--warning=0.5", '--string=ü "$5" \\'],
        ),
        (
            "plugin",
            {"plugin_command": ["/bin/check_x", "-H", "{address}"], "timeout": 5},
            ["--timeout=5", "--", "/bin/check_x", "-H", "{address}"],
        ),
        (
            "all",
            {"all_check": ["dns --query a.example", "tcp -p 5"], "route": False},
            ["--check=dns --query a.example", "--check=tcp -p 5"],
        ),
    ],
)
def test_the_handler_confirms_by_the_question_of_the_engine(
    written: Written, check: str, options: dict[str, Any], words: list[str]
) -> None:
    fleet = {"address": "198.51.100.53", "interface": "lo:0", "stream": {"interval": 0.5}}
    resolver = {"fleet": fleet, "icinga": {"check": check, **options}}
    code, said = written.play(
        anycast_monitor_vips={"resolver": resolver}, anycast_monitor_fleet={"watch": {"rank": 1}}
    )
    assert code == 0, said
    document = tomllib.loads(written.fleet.read_text())
    assert document["vip"]["resolver"]["check"][1:] == [check, *words]
    assert document["vip"]["resolver"]["stream"] == {"interval": 0.5}
    assert document["watch"] == {"rank": 1}
    # Icinga takes what is between two $ for a macro.
    assert "$5" not in written.icinga.read_text().replace("$$", "")


def test_a_fleet_file_that_the_handler_refuses_is_not_written(written: Written) -> None:
    assert written.play()[0] == 0
    before = written.fleet.read_text()
    fleet = {"address": "198.51.100.53", "interface": "eth0 "}
    code, said = written.play(
        anycast_monitor_vips={"resolver": {"fleet": fleet, "icinga": {"check": "dns"}}}
    )
    assert code == 2
    assert "vip.resolver.interface" in said
    assert written.fleet.read_text() == before


def test_hosts_that_icinga_refuses_are_not_left(written: Written) -> None:
    """A running Icinga would go on, and not start again after the next reboot."""
    refused = {"anycast_monitor_icinga_validation": ["sh", "-c", "echo critical: twice; exit 1"]}
    code, said = written.play(**refused)
    assert (code, written.icinga.exists()) == (2, False)
    assert "is as it was: critical: twice" in said
    assert written.play()[0] == 0
    before = written.icinga.read_text()
    written.icinga.write_text(f"{before}\n")
    assert written.play(**refused)[0] == 2
    assert written.icinga.read_text() == f"{before}\n"


def test_what_is_shown_of_the_files_has_no_option_of_a_check(written: Written) -> None:
    """The files can be read by few, because a password may be among the options."""
    asked = {"check": "http", "http_header": "Authorization: s3cret"}
    fleet = {"address": "198.51.100.53", "interface": "lo:0"}
    vips = {"anycast_monitor_vips": {"resolver": {"fleet": fleet, "icinga": asked}}}
    excerpt = f"Location: in {written.icinga}: 7:1-7:5\n{written.icinga}(7): vars.x = s3cret"
    refused = {
        "anycast_monitor_icinga_validation": ["sh", "-c", f"echo '{excerpt}'; exit 1"],
    }
    for more in ({}, {"anycast_monitor_fleet": {"watch": {"rank": 1}}}, refused, {}):
        _, said = written.play("--diff", "-v", **vips, **more)
        assert "s3cret" not in said, said
    assert "s3cret" in written.fleet.read_text()
    assert "s3cret" in written.icinga.read_text()


def test_the_pages_name_the_version_that_was_tried(controller: Controller) -> None:
    (version,) = re.findall(r"core (2\.\d+)", controller.run("ansible", "--version").stdout)
    for page in ("ansible/README.md", "docs/installation.rst", "docs/index.rst"):
        assert f"ansible-core {version}" in " ".join((ROOT / page).read_text().split()), page
    assert f"'ansible-core=={version}.*'" in (ROOT / "docs/ten-minutes.rst").read_text()
    assert f'">={version}.0"' in (COLLECTION / "meta/runtime.yml").read_text()


@pytest.mark.parametrize("builds", [(), ("0.1.0~deb12", "0.1.0~deb12u2")], ids=len)
def test_of_each_package_there_has_to_be_one_file_of_the_release(
    controller: Controller, tmp_path: Path, builds: tuple[str, ...]
) -> None:
    for version in (*builds, "0.1.0~deb13"):
        (tmp_path / f"anycast-checks_{version}_all.deb").touch()
    play = tmp_path / "play.yml"
    play.write_text(
        PART.format(group="anycast_endpoints", role="anycast_endpoint", tasks="programs.yml")
    )
    release = {"distribution_major_version": "12", "distribution_release": "bookworm"}
    variables = {**HERE, "anycast_endpoint_dist": str(tmp_path), "ansible_facts": release}
    given = json.dumps(variables)
    ended = controller.play("-i", str(INVENTORY), "-e", given, "--limit", "ns1", str(play))
    said = " ".join(ended.stdout.split())
    assert ended.returncode == 2, said
    assert f"~deb12*.deb has to be one file, and is {len(builds)}" in said
    assert "`scripts/package bookworm` builds it" in said


@pytest.mark.parametrize(
    ("line", "is_read"),
    [("", False), ('// include_recursive "conf.d"', False), ('include_recursive "conf.d"', True)],
)
def test_hosts_that_icinga_would_not_read_are_refused(
    controller: Controller, tmp_path: Path, line: str, *, is_read: bool
) -> None:
    """`icinga2 node wizard` takes conf.d out, and no validation finds that."""
    main, play = tmp_path / "icinga2.conf", tmp_path / "play.yml"
    main.write_text(f'include "constants.conf"\n{line}\n')
    part = {"role": "anycast_monitor", "tasks": "icinga.yml"}
    play.write_text(PART.format(group="anycast_monitors", **part))
    files = {"main": str(main), "file": str(tmp_path / "conf.d/anycast.conf")}
    named = {f"anycast_monitor_icinga_{name}": file for name, file in files.items()}
    given = json.dumps({**HERE, **named})
    ended = controller.play("-i", str(INVENTORY), "-e", given, str(play))
    said = " ".join(ended.stdout.split())
    # Where it is read the file is written, whose folder is not there.
    assert ended.returncode == 2, said
    assert ("Icinga does not read conf.d" in said) is not is_read, said
    assert not (tmp_path / "conf.d").exists()


def test_host_keys_of_hosts_that_are_not_reached_stay(
    controller: Controller, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("the file belongs to root")
    part = {"role": "anycast_endpoint", "tasks": "host_key.yml"}
    play, key, known = tmp_path / "play.yml", tmp_path / "key.pub", tmp_path / "known_hosts"
    play.write_text(PART.format(group="anycast_endpoints", **part))
    key.write_text("ssh-ed25519 AAAA1 root@ns1\n")
    variables = json.dumps(
        {
            **HERE,
            "anycast_endpoint_host_key": str(key),
            "anycast_endpoint_known_hosts": str(known),
            "anycast_endpoint_settings": {"port": 2222},
        }
    )

    def pin(*more: str) -> list[int]:
        ended = controller.play("-i", str(INVENTORY), "-e", variables, *more, str(play))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return list(changed(ended.stdout))

    by_hand = "# by hand\n\n@cert-authority *.example.org ssh-ed25519 AAAA\n"
    old = "[192.0.2.12]:2222 ssh-rsa AAAA0\n[192.0.2.12]:2222 ssh-ed25519 AAAA0\n"
    known.write_text(f"{old}{by_hand}")
    ns1, ns2, ns3 = (f"[192.0.2.{last}]:2222 ssh-ed25519 AAAA1\n" for last in (11, 12, 13))
    assert pin() == [1, 0, 0]
    assert known.read_text() == f"{ns2}{by_hand}{ns1}{ns3}"
    assert pin() == [0, 0, 0]
    key.write_text("ssh-ed25519 AAAA2\n")
    assert pin("--limit", "ns1") == [1]
    assert known.read_text() == f"{ns2}{by_hand}{ns1.replace('AAAA1', 'AAAA2')}{ns3}"


@pytest.mark.parametrize("key", ["AAAA1", "ssh-ed25519 AAAA1,*", "@cert-authority * AAAA1"])
def test_a_host_key_that_is_none_is_not_pinned(
    controller: Controller, tmp_path: Path, key: str
) -> None:
    part = {"role": "anycast_endpoint", "tasks": "host_key.yml"}
    play, file, known = tmp_path / "play.yml", tmp_path / "key.pub", tmp_path / "known_hosts"
    play.write_text(PART.format(group="anycast_endpoints", **part))
    file.write_text(f"{key}\n")
    paths = {"anycast_endpoint_host_key": str(file), "anycast_endpoint_known_hosts": str(known)}
    given = json.dumps({**HERE, **paths})
    ended = controller.play("-i", str(INVENTORY), "-e", given, "--limit", "ns1", str(play))
    assert ended.returncode == 2, ended.stdout
    assert f"{file} is no public key" in ended.stdout
    assert not known.exists()


def test_the_template_of_the_page_quotes_names_and_addresses(
    controller: Controller, tmp_path: Path
) -> None:
    """A name has dots, and an address may be mistyped: it becomes no key of its own."""
    shown = TEMPLATE.search(PAGE.read_text())
    assert shown
    source, part = tmp_path / "part.j2", tmp_path / "part.toml"
    source.write_text(textwrap.dedent(shown[1]))
    odd = '192.0.2.12", never_withdraw = "'
    hosts = {
        name: {"ansible_host": address, "ansible_connection": "local"}
        for name, address in (("fra1.example.org", "192.0.2.11"), ("fra2.example.org", odd))
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"resolvers_fra": {"hosts": hosts}}))
    ended = controller.run(
        "ansible", "fra1.example.org", "-i", str(inventory), "-m", "ansible.builtin.template",
        "-e", f"ansible_python_interpreter={sys.executable}", "-a", f"src={source} dest={part}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert tomllib.loads(part.read_text())["vip"]["resolver"]["endpoints"] == {
        name: {"address": host["ansible_host"], "site": "fra"} for name, host in hosts.items()
    }


def test_what_an_endpoint_says_of_itself_is_used_nowhere(written: Written, tmp_path: Path) -> None:
    """Root on an endpoint would otherwise be the engine's user on the monitoring hosts."""
    python = hostile(
        tmp_path,
        management="192.0.2.12",
        anycast_endpoint_address="@cert-authority *",
        anycast_endpoint_gate=["--also", "http"],
        anycast_endpoint_icinga={"anycast_ssh_options": ["ProxyCommand=id"]},
        anycast_endpoint_monitors="all",
        anycast_endpoint_settings={"never_withdraw": True},
        anycast_endpoint_vips=["resolver", "web"],
    )
    key, known, words = (tmp_path / name for name in ("key.pub", "known_hosts", "words"))
    key.write_text("ssh-ed25519 AAAA1 root@ns1\n")
    vips = {
        name: {"fleet": {"address": address, "interface": "lo"}, "icinga": {"check": "http"}}
        for name, address in (("resolver", "198.51.100.53"), ("web", "198.51.100.80"))
    }
    everywhere = {
        **written.variables,
        "anycast_endpoint_address": "{{ management }}",
        "anycast_endpoint_host_key": str(key),
        "anycast_endpoint_gate": [],
        "anycast_monitor_vips": vips,
    }
    endpoints = {
        "ns1": {
            "ansible_python_interpreter": str(python),
            "management": "192.0.2.11",
            "anycast_endpoint_vips": ["resolver"],
        },
        "ns2": {"management": "192.0.2.12", "anycast_endpoint_vips": ["resolver", "web"]},
    }
    inventory, play = tmp_path / "inventory.json", tmp_path / "play.yml"
    groups = {"anycast_monitors": {"mon": {}}, "anycast_endpoints": endpoints}
    given = {name: {"hosts": hosts} for name, hosts in groups.items()}
    inventory.write_text(json.dumps({"all": {"vars": everywhere}, **given}))
    play.write_text(
        PART.format(group="anycast_endpoints", role="anycast_endpoint", tasks="host_key.yml")
        + PART.format(group="anycast_monitors", role="anycast_monitor", tasks="configuration.yml")
        + f"""\
    - ansible.builtin.copy:
        dest: {words}
        content: "{{{{ hostvars.ns1.anycast_endpoint_gate + hostvars.ns1.anycast_endpoint_vips }}}}"
"""
    )
    # The roles have these of their own, and win over the inventory.
    paths = {"anycast_endpoint_known_hosts": str(known)}
    for name in ("keys", "fleet_file", "handler"):
        paths[f"anycast_monitor_{name}"] = everywhere[f"anycast_monitor_{name}"]
    ended = written.controller.play("-i", str(inventory), "-e", json.dumps(paths), str(play))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert known.read_text() == "192.0.2.11 ssh-ed25519 AAAA1\n192.0.2.12 ssh-ed25519 AAAA1\n"
    fleet = {
        name: vip["endpoints"]
        for name, vip in tomllib.loads(written.fleet.read_text())["vip"].items()
    }
    ns1, ns2 = ({name: {"address": one["management"]}} for name, one in endpoints.items())
    assert fleet == {"resolver": {**ns1, **ns2}, "web": ns2}
    hosts = written.icinga.read_text()
    assert [hosts.count(f'vars.anycast["{name}"]') for name in fleet] == [2, 1]
    assert "anycast_ssh_options" not in hosts
    assert json.loads(words.read_text()) == ["resolver"]


@pytest.mark.parametrize("role", ROLES)
def test_facts_that_become_variables_are_refused(
    controller: Controller, tmp_path: Path, role: str
) -> None:
    """By default Ansible lets them win over the inventory."""
    said = refused(controller, tmp_path, role, INVENTORY, ANSIBLE_INJECT_FACT_VARS="true")
    assert "so set inject_facts_as_vars = false in ansible.cfg" in said, said


@pytest.mark.parametrize("role", ROLES)
def test_what_would_mean_more_in_known_hosts_is_refused(
    controller: Controller, tmp_path: Path, role: str
) -> None:
    endpoints = {
        "right": {"anycast_endpoint_address": "2001:db8::11", "anycast_endpoint_vips": ["web"]},
        "authority": {"anycast_endpoint_address": "@cert-authority *"},
        "two": {"anycast_endpoint_address": "192.0.2.11,192.0.2.12"},
        "lines": {"ansible_host": "192.0.2.11\n"},
        "ns1.example.org": {},
        "port": {"ansible_host": "192.0.2.11", "anycast_endpoint_settings": {"port": "22 *"}},
        "vips": {"ansible_host": "192.0.2.11", "anycast_endpoint_vips": "web"},
    }
    inventory = tmp_path / "inventory.json"
    groups = {"anycast_monitors": {"mon": {}}, "anycast_endpoints": endpoints}
    inventory.write_text(json.dumps({name: {"hosts": hosts} for name, hosts in groups.items()}))
    said = refused(controller, tmp_path, role, inventory)
    why = r'"msg": "(\S+): the inventory has to give a literal address as anycast_endpoint_address'
    assert set(re.findall(why, said)) == {*endpoints} - {"right"}, said


def refused(
    controller: Controller, directory: Path, role: str, inventory: Path, **settings: str
) -> str:
    """Let a role refuse an inventory in a dry run; returns what was said."""
    play = directory / "play.yml"
    play.write_text(PART.format(group=f"{role}s", role=role, tasks="main.yml"))
    # The role has nothing to install.
    nothing: dict[str, object] = {
        f"{one}_{what}": [] for one in ROLES for what in ("packages", "requires")
    }
    given = json.dumps({**HERE, **nothing, "anycast_endpoint_dist": ""})
    ended = controller.play("-i", str(inventory), "-e", given, "--check", str(play), **settings)
    said = " ".join(ended.stdout.split())
    assert ended.returncode == 2, said
    return said
