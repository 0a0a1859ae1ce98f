"""The fleet file: what is read from it, and that whatever is wrong is refused in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from anycast_handlers.activators._choice import activators
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.placed import OF_ALIASES
from anycast_handlers.fleet.values import Endpoint, Jump, Nagios, Paths
from anycast_handlers.operation.lock import FileLocks
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs._options import read_fleet

# Root may read everything by a capability.
DROP = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
WITHOUT_CAPABILITIES = () if os.geteuid() else DROP
EXAMPLE = """
[ssh]
user = "anycast"                       # sudo -n is used unless this is root
identity = "/etc/anycast/id_ed25519"
known_hosts = "/etc/anycast/known_hosts"

[vip.resolver]
address = "10.99.0.53"                 # or IPv6
interface = "lo:0"
check = ["/usr/lib/nagios/plugins/check_anycast", "dns", "--query", "www.example.org", \
"--expect", "192.0.2.80"]
min_announcing = "50%"
routing = "auto"
min_announcing_per_site = 0
also_announced_by = ["10.2.0.0/16", "10.3.0.1"]
count_by = "auto"
spacing = 5
restore = "auto"
hold_down = 60
max_restores = 3
activator = "auto"

[vip.resolver.endpoints]
ns1 = "192.0.2.11"
ns2 = { address = "192.0.2.12", port = 2222, never_withdraw = true }

[paths]
state = "/var/lib/anycast-handler"
log = "/var/log/anycast-handler/decisions.jsonl"
stop = "/etc/anycast/stop"
"""

MINIMAL = """
[ssh]
user = "anycast"
identity = "/etc/anycast/id"
known_hosts = "/etc/anycast/known_hosts"
[vip.resolver]
address = "10.99.0.53"
interface = "lo:0"
check = ["/usr/bin/check_anycast", "dns"]
endpoints = { ns1 = "192.0.2.11" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.toml"


def refusal(file: Path, text: str | bytes) -> str:
    """Write a fleet file that is wrong and return what is said of it, less the file's name."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        read_fleet(str(file))
    assert caught.value.exit_code == 3
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    return said.removeprefix(f"{file}: ")


def changed(old: str, new: str) -> str:
    assert EXAMPLE.count(old) == 1, old
    return EXAMPLE.replace(old, new)


def test_endpoints_have_a_site_which_is_one_host_s_in_all_vips(file: Path) -> None:
    named = MINIMAL.replace('"192.0.2.11"', '{ address = "192.0.2.11", site = "fra" }')
    other = """
[vip.web]
address = "10.99.0.80"
interface = "lo:1"
check = ["/usr/bin/check_anycast", "http"]
endpoints = { ns1 = { address = "192.0.2.11"SITE } }
"""
    file.write_text(named + other.replace("SITE", ', site = "fra"'))
    vip = read_fleet(str(file)).vip("web")
    assert (vip.endpoints[0].site, list(vip.sites)) == ("fra", ["fra"])
    said = "vip.web.endpoints.ns1: 192.0.2.11 is 'fra' in another VIP"
    assert refusal(file, named + other.replace("SITE", "")) == said


def test_the_documented_example_loads(file: Path) -> None:
    file.write_text(EXAMPLE)
    fleet = read_fleet(str(file))
    vip, ns1 = fleet.find("resolver", "ns1")
    assert (fleet.ssh.user, str(fleet.ssh.identity)) == ("anycast", "/etc/anycast/id_ed25519")
    assert (vip.address, vip.interface, vip.activator) == ("10.99.0.53", "lo:0", "auto")
    assert (vip.restore, vip.hold_down, vip.max_restores) == ("auto", 60.0, 3)
    assert vip.check[-2:] == ("--expect", "192.0.2.80")
    assert ns1 == Endpoint("ns1", "192.0.2.11", 22, never_withdraw=False)
    assert fleet.find("resolver", "ns2")[1] == Endpoint(
        "ns2", "192.0.2.12", 2222, never_withdraw=True
    )
    assert fleet.paths == Paths()


@pytest.mark.parametrize(
    ("floor", "of_two"), [("50%", 1), ("100%", 2), ("0%", 1), ("99%", 1), (1, 1), (2, 2)]
)
def test_the_floor_is_a_number_or_a_share_and_at_least_one(
    file: Path, floor: object, of_two: int
) -> None:
    file.write_text(EXAMPLE.replace('min_announcing = "50%"', f"min_announcing = {floor!r}"))
    assert read_fleet(str(file)).vip("resolver").floor == of_two


def test_defaults_are_the_documented_ones(file: Path) -> None:
    file.write_text(MINIMAL)
    fleet = read_fleet(str(file))
    vip = fleet.vip("resolver")
    assert (vip.restore, vip.hold_down, vip.max_restores) == ("auto", 60.0, 3)
    assert vip.activator == "auto"
    assert fleet.paths == Paths()
    assert (vip.floor, vip.count_by, vip.spacing) == (1, "auto", 5.0)
    assert vip.routing == "auto"


ICINGA = """
[icinga]
url = "https://mon.example.org:5666"
user = "anycast-watcher"
password_file = "/etc/anycast/icinga-password"
ca = "/var/lib/icinga2/certs/ca.crt"
"""


def test_an_engine_is_told_only_where_the_file_has_a_table_for_it(file: Path) -> None:
    file.write_text(MINIMAL)
    fleet = read_fleet(str(file))
    assert (fleet.icinga, fleet.nagios) == (None, None)
    file.write_text(MINIMAL + ICINGA + "[nagios]\ncommand_file = '/rw/nagios.cmd'\n")
    fleet = read_fleet(str(file))
    assert fleet.icinga
    assert (fleet.icinga.host, fleet.icinga.port) == ("mon.example.org", 5666)
    assert (fleet.icinga.attempts, fleet.icinga.watcher) == (3, "")
    assert fleet.nagios == Nagios("/rw/nagios.cmd")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://mon.example.org", "mon.example.org", 5665),
        ("https://mon.example.org/", "mon.example.org", 5665),
        ("https://192.0.2.1:443", "192.0.2.1", 443),
        ("https://[2001:db8::1]", "2001:db8::1", 5665),
        ("https://[2001:db8::1]:5666", "2001:db8::1", 5666),
    ],
)
def test_the_url_of_icinga_is_a_host_and_a_port(file: Path, url: str, host: str, port: int) -> None:
    file.write_text(MINIMAL + ICINGA.replace("https://mon.example.org:5666", url))
    icinga = read_fleet(str(file)).icinga
    assert icinga
    assert (icinga.host, icinga.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "http://mon.example.org",
        "mon.example.org",
        "https://",
        "https://:5665",
        "https://mon.example.org:0",
        "https://mon.example.org:x",
        "https://mon.example.org:65536",
        "https://user:secret@mon.example.org",
        "https://mon.example.org/v1",
        "https://mon.example.org?x",
        "https://2001:db8::1",
        "https://mon example",
        "https://mon.example.org\\r\\nX: y",
    ],
)
def test_a_url_that_is_more_or_less_than_that_is_refused(file: Path, url: str) -> None:
    said = refusal(file, MINIMAL + ICINGA.replace("https://mon.example.org:5666", url))
    assert said.startswith("icinga.url: ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("user = 'a:b'", "icinga.user: 'a:b' is not the name of an ApiUser"),
        ("password_file = 'secret'", "icinga.password_file: must be an absolute path"),
        ("ca = 'ca.crt'", "icinga.ca: must be an absolute path"),
        ("attempts = 0", "icinga.attempts: must be a number from 1 to 10"),
        ("atempts = 2", "icinga.atempts: is not a key of the fleet file; did you mean attempts?"),
    ],
)
def test_what_is_wrong_in_the_table_of_icinga_is_named(file: Path, line: str, said: str) -> None:
    key = line.split(" ")[0]
    text = re.sub(rf"(?m)^{key} = .*\n", "", ICINGA) + line + "\n"
    assert refusal(file, MINIMAL + text) == said


UNKNOWN = [
    ("[ssh]", "sshd = 1\n[ssh]", "sshd", "ssh"),
    ("[ssh]", "[ssh]\nport = 22", "ssh.port", ""),
    ("[vip.resolver]", "[vip.resolver]\nholddown = 60", "vip.resolver.holddown", "hold_down"),
    ("port = 2222", "prot = 2222", "vip.resolver.endpoints.ns2.prot", "port"),
    ("[paths]", "[paths]\nlogs = '/x'", "paths.logs", "log"),
    ("[ssh]", "[shh]", "shh", "ssh"),
    ('address = "10.99', 'adress = "10.99', "vip.resolver.adress", "address"),
    ("{ address", "{ addres", "vip.resolver.endpoints.ns2.addres", "address"),
    ("known_hosts =", "knownhosts =", "ssh.knownhosts", "known_hosts"),
    ("[vip.resolver.endpoints]", "[vip.resolver.endpoint]", "vip.resolver.endpoint", "endpoints"),
]


@pytest.mark.parametrize(("old", "new", "key", "meant"), UNKNOWN, ids=[u[2] for u in UNKNOWN])
def test_an_unknown_key_is_refused_at_every_level(
    file: Path, old: str, new: str, key: str, meant: str
) -> None:
    """It is named even where it stands for a key that is missing."""
    wanted = f"; did you mean {meant}?" if meant else ""
    assert refusal(file, changed(old, new)) == f"{key}: is not a key of the fleet file{wanted}"


MISSING = {
    'user = "anycast"': "ssh.user",
    'identity = "/etc/anycast/id"': "ssh.identity",
    'known_hosts = "/etc/anycast/known_hosts"': "ssh.known_hosts",
    'address = "10.99.0.53"': "vip.resolver.address",
    'interface = "lo:0"': "vip.resolver.interface",
    'check = ["/usr/bin/check_anycast", "dns"]': "vip.resolver.check",
    'endpoints = { ns1 = "192.0.2.11" }': "vip.resolver.endpoints",
}


@pytest.mark.parametrize(("line", "key"), MISSING.items(), ids=MISSING.values())
def test_a_missing_key_is_named(file: Path, line: str, key: str) -> None:
    assert refusal(file, MINIMAL.replace(line, "")) == f"{key}: is missing"


def test_missing_tables_are_named(file: Path) -> None:
    assert refusal(file, "") == "ssh: is missing"
    assert refusal(file, MINIMAL.split("[vip")[0]) == "vip: is missing"
    assert refusal(file, MINIMAL.split("[vip")[0] + "[vip]") == (
        "vip: needs at least one VIP, as [vip.NAME]"
    )
    assert refusal(file, changed("[ssh]", "ssh = 5\n[other]")) == "ssh: must be a table"


# A key of the example, a bad value for it, and what the refusal says.
BAD = [
    ("ssh.user", "5", "must be text"),
    ("ssh.user", '"-oProxyCommand=x"', "is not a login name"),
    ("ssh.user", '"a b"', "is not a login name"),
    ("ssh.identity", '"id"', "must be an absolute path"),
    ("ssh.identity", '"~/id"', "must be an absolute path"),
    ("ssh.identity", '"/id\\u0000"', "has a NUL in it"),
    ("ssh.known_hosts", '"known_hosts"', "must be an absolute path"),
    ("ssh.known_hosts", "[]", "must be text"),
    ("vip.resolver.address", '"ns.example.org"', "is not an IP address"),
    ("vip.resolver.address", '"10.99.0.53/32"', "is not an IP address"),
    ("vip.resolver.address", '"10.99.0.053"', "is not an IP address"),
    ("vip.resolver.address", '"fe80::53"', "cannot be an anycast address"),
    ("vip.resolver.address", '"2001:db8::53%eth0"', "cannot be an anycast address"),
    ("vip.resolver.address", '"::1"', "cannot be an anycast address"),
    ("vip.resolver.address", '"ff02::5"', "cannot be an anycast address"),
    ("vip.resolver.address", '"::ffff:10.99.0.53"', "cannot be an anycast address"),
    ("vip.resolver.address", '"::10.99.0.53"', "cannot be an anycast address"),
    ("vip.resolver.address", '"127.0.0.1"', "cannot be an anycast address"),
    ("vip.resolver.address", '"0.0.0.0"', "cannot be an anycast address"),
    ("vip.resolver.address", '"224.0.0.5"', "cannot be an anycast address"),
    ("vip.resolver.address", "167772160", "must be text"),
    ("vip.resolver.interface", '"lo:"', "is not lo, an alias of lo such as lo:0, or"),
    ("vip.resolver.interface", '"eth0:0"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"lo:0;id"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"lo:0\\n"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"lo\\n"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"lo:0 lo"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"-a"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '".."', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"any/cast0"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"sixteen_letters_"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", '"lo:thirteen_long"', "is not lo, an alias of lo"),
    ("vip.resolver.interface", "0", "must be text"),
    ("vip.resolver.check", '"/usr/bin/check_anycast dns"', "must be a list"),
    ("vip.resolver.check", "[]", "must be a list of words"),
    ("vip.resolver.check", '["/x", 5]', "must be a list of words"),
    ("vip.resolver.check", '["check_anycast", "dns"]', "must be an absolute path"),
    ("vip.resolver.check", '["/x", "a\\u0000b"]', "has a NUL in it"),
    ("vip.resolver.min_announcing", "0", "must be a number from 1"),
    ("vip.resolver.min_announcing", "-1", "must be a number from 1"),
    ("vip.resolver.min_announcing", "1.5", "must be a number from 1"),
    ("vip.resolver.min_announcing", "true", "must be a number from 1"),
    ("vip.resolver.min_announcing", '"101%"', "must be a number from 1"),
    ("vip.resolver.min_announcing", f'"{"0" * 5000}50%"', "must be a number from 1"),
    ("vip.resolver.min_announcing", '"50"', 'is text: write 50 or "50%"'),
    ("vip.resolver.min_announcing_per_site", "-1", "must be from 0 to 10000"),
    ("vip.resolver.min_announcing_per_site", '"1"', "must be a whole number"),
    ("vip.resolver.min_announcing_per_site", "1", "endpoints.ns1 has no site"),
    ("vip.resolver.count_by", '"bgp"', "must be one of: auto, ospf, peers"),
    ("vip.resolver.also_announced_by", '"10.2.0.0/16"', "must be a list"),
    ("vip.resolver.also_announced_by", "[5]", "must be a list of networks"),
    ("vip.resolver.also_announced_by", '["10.2.0.0/33"]', "'10.2.0.0/33' is no network"),
    ("vip.resolver.also_announced_by", '["10.2.0.1/16"]', "'10.2.0.1/16' is no network"),
    ("vip.resolver.also_announced_by", '["nyc1"]', "'nyc1' is no network"),
    ("vip.resolver.also_announced_by", '["2001:db8::/32"]', "'2001:db8::/32' is no network"),
    ("vip.resolver.also_announced_by", '[""]', "'' is no network"),
    ("vip.resolver.routing", '"rip"', "must be one of: auto, ospf, bgp, none"),
    ("vip.resolver.spacing", "-1", "must be 0 or more"),
    ("vip.resolver.spacing", '"5"', "must be a number"),
    ("vip.resolver.restore", '"yes"', "must be one of: auto, manual"),
    ("vip.resolver.restore", "true", "must be text"),
    ("vip.resolver.hold_down", "-0.1", "must be 0 or more"),
    ("vip.resolver.hold_down", "nan", "must be 0 or more"),
    ("vip.resolver.hold_down", "inf", "must be 0 or more"),
    ("vip.resolver.hold_down", "-inf", "must be 0 or more"),
    ("vip.resolver.hold_down", "1" + "0" * 400, "not too large"),
    ("vip.resolver.hold_down", "true", "must be a number"),
    ("vip.resolver.hold_down", '"60 s"', "must be a number"),
    ("vip.resolver.max_restores", "-1", "must be 0 or more"),
    ("vip.resolver.max_restores", "1.0", "must be a whole number"),
    ("vip.resolver.max_restores", "true", "must be a whole number"),
    (
        "vip.resolver.activator",
        '"netplan"',
        "must be one of: auto, ifupdown, ifupdown2, ip, network-scripts, networkd, networkmanager",
    ),
    ("vip.resolver.endpoints.ns1", "5", "must be an address, or a table"),
    ("vip.resolver.endpoints.ns1", '"ns1.example.org"', "is not an IP address"),
    ("vip.resolver.endpoints.ns1", '"0.0.0.0"', "cannot be a host's own address"),
    ("vip.resolver.endpoints.ns1", '"224.0.0.5"', "cannot be a host's own address"),
    ("vip.resolver.endpoints.ns1", '"10.99.0.53"', "is a VIP"),
    ("vip.resolver.endpoints.ns1", '"::ffff:10.99.0.53"', "is a VIP"),
    ("vip.resolver.endpoints.ns1", "{ port = 22 }", "is missing"),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", port = 0 }', "is not a port"),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", port = 65536 }', "is not a port"),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", port = true }', "a whole number"),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", port = "22" }', "a whole number"),
    (
        "vip.resolver.endpoints.ns1",
        '{ address = "192.0.2.11", never_withdraw = 1 }',
        "must be true or false",
    ),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", site = "a b" }', "is not a name"),
    ("vip.resolver.endpoints.ns1", '{ address = "192.0.2.11", site = 1 }', "must be text"),
    ("paths.state", '"var/lib"', "must be an absolute path"),
    ("paths.log", '"decisions.jsonl"', "must be an absolute path"),
    ("paths.log", '"/log\\u0000"', "has a NUL in it"),
    ("paths.stop", "false", "must be text"),
]


def with_value(key: str, value: str) -> str:
    """Give the example with another value for a key."""
    if key == "vip.resolver.address":
        return EXAMPLE.replace('"10.99.0.53"', value)
    name = key.rsplit(".", 1)[-1]
    # A value ends at its comment, or with its line.
    text, found = re.subn(
        rf"(?m)^{name} = (\[.*\]|[^#\n]*)", lambda _: f"{name} = {value}", EXAMPLE, count=1
    )
    assert found == 1
    return text


@pytest.mark.parametrize(("key", "value", "said"), BAD, ids=[f"{k}={v[:30]}" for k, v, _ in BAD])
def test_a_bad_value_is_refused_with_file_key_and_reason(
    file: Path, key: str, value: str, said: str
) -> None:
    text = with_value(key, value)
    answer = refusal(file, text)
    assert answer.startswith(key)
    assert said in answer


@pytest.mark.parametrize("name", ["'a b'", "'a/b'", "'..'", "'-x'", "''", "'a\tb'", "'é'"])
def test_names_are_words_because_they_become_file_names_and_arguments(
    file: Path, name: str
) -> None:
    assert "is not a name" in refusal(file, MINIMAL.replace("vip.resolver", f"vip.{name}"))
    assert "is not a name" in refusal(file, MINIMAL.replace("ns1 =", f"{name} ="))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ns1 =", "ns1.example.org =", 'vip.resolver.endpoints.ns1: {}"ns1.example.org"'),
        ('ns1 = "192.0.2.11"', "ns1.lab.address = '192.0.2.11'", '{}"ns1.lab"'),
        ("vip.resolver", "vip.dns.example.org", 'vip.dns: {}"dns.example.org"'),
    ],
)
def test_a_name_with_dots_and_without_quotes_is_explained(
    file: Path, old: str, new: str, said: str
) -> None:
    answer = refusal(file, MINIMAL.replace(old, new))

    assert said.format("has no address; a name with dots needs quotes: ") in answer


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "{ adress = '192.0.2.11' }",
            "adress: is not a key of the fleet file; did you mean address",
        ),
        ("{ port = 22 }", "address: is missing"),
        ("{ }", "address: is missing"),
    ],
)
def test_an_endpoint_without_address_is_no_name_with_dots(
    file: Path, value: str, said: str
) -> None:
    text = MINIMAL.replace('"192.0.2.11"', value)

    assert refusal(file, text).startswith(f"vip.resolver.endpoints.ns1.{said}")


LONGEST_HOST_NAME = ".".join(("ns1-" + 59 * "a", 63 * "b", 63 * "c", 61 * "d"))


def test_an_endpoint_may_have_the_longest_name_that_a_host_has(file: Path) -> None:
    assert len(LONGEST_HOST_NAME) == 253
    file.write_text(MINIMAL.replace("ns1 =", f'"{LONGEST_HOST_NAME}" ='))

    (endpoint,) = read_fleet(str(file)).vips[0].endpoints
    assert endpoint.name == LONGEST_HOST_NAME


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "ns1 =",
            f'"{LONGEST_HOST_NAME}x" =',
            "ns1-aaaaaaaaaaaaaaaa...: is longer than 253 charac",
        ),
        ("resolver", 201 * "r", "rrrrrrrrrrrrrrrrrrrr...: is longer than 200 characters"),
    ],
)
def test_a_longer_name_is_called_too_long(file: Path, old: str, new: str, said: str) -> None:
    assert said in refusal(file, MINIMAL.replace(old, new))


def test_the_files_of_the_vip_with_the_longest_name_can_be_made(file: Path, tmp_path: Path) -> None:
    file.write_text(MINIMAL.replace("resolver", 200 * "r"))
    (vip,) = read_fleet(str(file)).vips

    assert FileRouterIds(str(tmp_path)).learn(vip, vip.endpoints[0], "192.0.2.11") == ""
    with FileLocks(str(tmp_path), SYSTEM_CLOCK).open(vip.name):
        assert sorted(one.name[200:] for one in tmp_path.glob("rr*")) == [".lock", ".routers.json"]


def test_an_empty_table_of_endpoints_is_refused(file: Path) -> None:
    text = MINIMAL.replace('{ ns1 = "192.0.2.11" }', "{}")
    assert refusal(file, text) == "vip.resolver.endpoints: needs at least one endpoint"


def test_two_endpoints_at_one_address_are_refused(file: Path) -> None:
    text = MINIMAL.replace("ns1 =", 'ns0 = "192.0.2.11", ns1 =')
    assert refusal(file, text) == "vip.resolver.endpoints.ns1: has the address of ns0"


def test_two_spellings_of_one_address_are_one_address(file: Path) -> None:
    pair = '{ a = "2001:db8::b", b = "2001:0DB8:0::b" }'
    text = MINIMAL.replace('{ ns1 = "192.0.2.11" }', pair)
    assert refusal(file, text) == "vip.resolver.endpoints.b: has the address of a"


SECOND = """
[vip.{name}]
address = "{address}"
interface = "lo:1"
check = ["/usr/bin/check_anycast", "dns"]
endpoints = {{ ns1 = "{member}" }}
"""


@pytest.mark.parametrize(
    ("address", "written"),
    [("10.99.0.53", "10.99.0.53"), ("2001:0DB8:99::0053", "2001:db8:99::53")],
)
@pytest.mark.parametrize("interface", ["lo", "anycast0", "any-cast_0.12"])
def test_a_vip_of_either_family_on_lo_or_an_interface_of_its_own(
    file: Path, address: str, written: str, interface: str
) -> None:
    text = MINIMAL.replace("10.99.0.53", address).replace("lo:0", interface)
    text += SECOND.format(name="web", address="2001:db8:99::80", member="192.0.2.11").replace(
        "lo:1", interface
    )
    file.write_text(text)
    vip, web = read_fleet(str(file)).vips
    assert (vip.address, vip.interface) == (written, interface)
    length = 128 if ":" in address else 32
    assert vip.placement == (interface, "", length)
    assert web.placement == (interface, "", 128)


def test_no_alias_is_of_ipv6(file: Path) -> None:
    text = MINIMAL.replace("10.99.0.53", "2001:db8:99::53")
    said = "vip.resolver.interface: is an alias, and IPv6 has none: use lo"
    assert refusal(file, text) == said


def test_an_activator_of_aliases_needs_one(file: Path) -> None:
    """It would take the whole interface down."""
    for name in (one.name for one in activators() if one.needs_alias):
        text = MINIMAL.replace('"lo:0"', f'"lo"\nactivator = "{name}"')
        said = f'vip.resolver.activator: {name} acts on aliases, and lo is none: use "ip"'
        assert refusal(file, text) == said
    assert set(OF_ALIASES) == {one.name for one in activators() if one.needs_alias}


def test_two_vips_with_one_address_are_refused(file: Path) -> None:
    text = MINIMAL + SECOND.format(name="web", address="10.99.0.53", member="192.0.2.12")
    assert refusal(file, text) == "vip.web.address: is that of vip.resolver too"


def test_a_management_address_is_no_vip_of_another_service_either(file: Path) -> None:
    text = MINIMAL + SECOND.format(name="web", address="10.99.0.80", member="10.99.0.53")
    assert refusal(file, text).startswith("vip.web.endpoints.ns1: 10.99.0.53 is a VIP")


def test_vips_of_one_host_are_siblings(file: Path) -> None:
    more = SECOND.format(name="web", address="10.99.0.80", member="192.0.2.11")
    more += SECOND.format(name="far", address="10.99.0.81", member="192.0.2.99")
    file.write_text(MINIMAL + more)
    fleet = read_fleet(str(file))
    vip, endpoint = fleet.find("resolver", "ns1")
    assert [v.name for v in fleet.siblings(vip, endpoint)] == ["web"]


def test_a_name_that_is_not_there_is_answered_with_those_that_are(file: Path) -> None:
    file.write_text(EXAMPLE)
    fleet = read_fleet(str(file))
    with pytest.raises(ConfigurationError, match=r"no VIP 'web' \(there is: resolver\)"):
        fleet.find("web", "ns1")
    with pytest.raises(ConfigurationError, match=r"no endpoint 'ns3' \(it has: ns1, ns2\)"):
        fleet.find("resolver", "ns3")


def unreadable(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_fleet(str(file))
    return str(caught.value)


def test_a_file_that_is_not_there(file: Path) -> None:
    assert unreadable(file) == f"no {file}: use --fleet or ANYCAST_FLEET"


def test_a_file_without_end(file: Path) -> None:
    file.symlink_to("/dev/zero")
    assert unreadable(file) == f"{file}: is larger than 16 MiB"


def test_a_directory(file: Path) -> None:
    file.mkdir()
    assert unreadable(file) == f"{file}: cannot be read: Is a directory: see --fleet"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(file: Path) -> None:
    file.write_text(EXAMPLE)
    file.chmod(0)
    remedy = "run as the engine's user"
    assert unreadable(file) == f"{file}: cannot be read: Permission denied: {remedy}"


@pytest.mark.parametrize(
    "text",
    [
        b"[ssh",
        b"a = 1\na = 2",
        b"\xff\xfe[\0s\0s\0h\0]\0",
        '[ssh]\nuser = "é"'.encode("latin-1"),
        b"a = " + b"[" * 100_000,
        b"a = 1" + b"0" * 10_000,
    ],
    ids=["cut short", "twice", "UTF-16", "Latin-1", "deep", "long number"],
)
def test_what_is_not_toml_is_refused(file: Path, text: bytes) -> None:
    assert refusal(file, text).startswith("is not valid TOML: ")


@pytest.mark.parametrize(
    ("text", "jump"),
    [
        ("", None),
        ("bastion.example.net", Jump("bastion.example.net")),
        ("192.0.2.1:2222", Jump("192.0.2.1", 2222)),
        ("2001:db8::1", None),
        ("[2001:db8::1]", Jump("2001:db8::1")),
        ("[2001:db8::1]:2222", Jump("2001:db8::1", 2222)),
        ("jump-user@bastion.example.net:22", Jump("bastion.example.net", 22, "jump-user")),
    ],
)
def test_a_jump_is_written_as_ssh_takes_it(file: Path, text: str, jump: Jump | None) -> None:
    table = f'{{ address = "192.0.2.11", jump = "{text}" }}'
    changed = MINIMAL.replace('"192.0.2.11"', table)
    if text == "2001:db8::1":
        assert "is not like bastion.example.net" in refusal(file, changed)
        return
    file.write_text(changed)
    assert read_fleet(str(file)).vip("resolver").endpoints[0].jump == jump


@pytest.mark.parametrize(
    "text",
    ["-oProxyCommand=x", "a b", "a;b", "$(x)", "@host", "A@host", "-a@host", "host:", "host:0",
     "host:65536", "host:000022", "host:0000991234", "host:" + "0" * 5000 + "22", "host:x",
     "a@b@c", "[host]", "[::1", "a/b", "x:1:2"],
)  # fmt: skip
def test_a_jump_that_is_none_is_refused(file: Path, text: str) -> None:
    table = f'{{ address = "192.0.2.11", jump = "{text}" }}'
    said = refusal(file, MINIMAL.replace('"192.0.2.11"', table))
    assert said.startswith(f"vip.resolver.endpoints.ns1.jump: {text!r} is not like bastion")


def test_one_address_has_one_jump(file: Path) -> None:
    more = (
        '{ ns1 = { address = "192.0.2.11", jump = "a" },'
        ' ns2 = { address = "192.0.2.11", port = 2, jump = "b" } }'
    )
    said = refusal(file, MINIMAL.replace('{ ns1 = "192.0.2.11" }', more))
    assert said == "vip.resolver.endpoints.ns2: 192.0.2.11 has another jump elsewhere"


class TestInclude:
    """Parts that are generated, beside a main file that a person writes."""

    def part(self, directory: Path, name: str, text: str) -> Path:
        (directory / "fleet.d").mkdir(exist_ok=True)
        part = directory / "fleet.d" / name
        part.write_text(text)
        return part

    @pytest.fixture
    def main(self, file: Path) -> Path:
        file.write_text('include = ["fleet.d/*.toml"]\n' + MINIMAL)
        return file

    def refusal(self, main: Path) -> str:
        with pytest.raises(ConfigurationError) as caught:
            read_fleet(str(main))
        return str(caught.value)

    def test_a_pattern_that_matches_nothing_includes_nothing(self, main: Path) -> None:
        assert read_fleet(str(main)).included == ()

    def test_a_part_has_vips_and_endpoints_of_other_files(self, main: Path) -> None:
        web = MINIMAL.split("[vip.resolver]")[1].replace(".53", ".80").replace("lo:0", "lo:1")
        parts = [
            self.part(main.parent, "a.toml", f"[vip.web]{web}"),
            self.part(main.parent, "b.toml", '[vip.resolver.endpoints]\nns2 = "192.0.2.12"'),
            self.part(main.parent, "c.toml", '[vip.web.endpoints]\nns3 = "192.0.2.13"'),
        ]
        self.part(main.parent, "d.txt", "not TOML")
        fleet = read_fleet(str(main))
        assert {vip.name: [e.name for e in vip.endpoints] for vip in fleet.vips} == {
            "resolver": ["ns1", "ns2"],
            "web": ["ns1", "ns3"],
        }
        assert fleet.included == tuple(map(str, parts))

    def test_the_main_file_may_have_no_vip(self, main: Path) -> None:
        ssh, vip = MINIMAL.split("[vip.resolver]")
        main.write_text(f'include = ["fleet.d/a.toml"]\n{ssh}')
        self.part(main.parent, "a.toml", f"[vip.resolver]{vip}")
        assert read_fleet(str(main)).vip("resolver").endpoints

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[vip.resolver]\naddress = "10.99.0.54"', "vip.resolver: is in {main} too"),
            (
                '[vip.resolver.endpoints]\nns1 = "192.0.2.12"',
                "vip.resolver.endpoints.ns1: is in {main} too",
            ),
            (
                '[vip.web.endpoints]\nns1 = "192.0.2.12"',
                "vip.web.endpoints: no file has the other keys of vip.web",
            ),
            (
                '[vip.resolver.endpoints]\nns2 = "192.0.2.11"',
                "vip.resolver.endpoints.ns2: has the address of ns1",
            ),
            ('[vip.resolver.endpoints]\nns2 = "ns2"', "vip.resolver.endpoints.ns2.address: 'ns2'"),
            ('[ssh]\nuser = "x"\n[vip]', "ssh: is not a key of the fleet file"),
            ('include = ["x"]\n[vip]', "include: is not a key of the fleet file"),
            ("[vip.", "is not valid TOML"),
        ],
    )
    def test_what_is_wrong_names_the_file_that_has_it(
        self, main: Path, text: str, said: str
    ) -> None:
        part = self.part(main.parent, "a.toml", text)
        assert self.refusal(main).startswith(f"{part}: {said.format(main=main)}")

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("5", "must be a list"),
            ("[5]", "must be a list of files"),
            ('[""]', "must be a list of files"),
            ('["none.toml"]', "there is no "),
            ('["fleet.d"]', "is no file that can be included"),
            ('["fleet.d/*"]', "fleet.d/pipe: is no file that can be included"),
        ],
    )
    def test_an_include_that_is_wrong(self, main: Path, value: str, said: str) -> None:
        self.part(main.parent, "a.toml", "[vip]")
        os.mkfifo(main.parent / "fleet.d/pipe")
        main.write_text(main.read_text().replace('["fleet.d/*.toml"]', value))
        assert said in self.refusal(main)

    @pytest.mark.parametrize(
        ("pattern", "closed", "said"),
        [
            ("fleet.d/*.toml", "fleet.d", "fleet.d"),
            ("fleet.d/*/*.toml", "fleet.d/fra", "fleet.d/fra"),
            ("fleet.d/*/b.toml", "fleet.d/fra", "fleet.d/fra"),
            ("fleet.d/fra/*.toml", "fleet.d", "fleet.d/fra"),
        ],
    )
    def test_a_directory_that_cannot_be_listed_is_not_empty(
        self, main: Path, pattern: str, closed: str, said: str
    ) -> None:
        """Without the endpoints of its files each share of a floor would be smaller."""
        self.part(main.parent, "a.toml", "[vip]")
        (main.parent / "fleet.d/fra").mkdir()
        self.part(main.parent, "fra/b.toml", '[vip.resolver.endpoints]\nns2 = "192.0.2.12"')
        main.write_text(main.read_text().replace("fleet.d/*.toml", pattern))
        assert read_fleet(str(main)).included
        (main.parent / closed).chmod(0)
        try:
            argv = (*WITHOUT_CAPABILITIES, sys.executable, "-m", "anycast_handlers")
            ended = subprocess.run(
                (*argv, "--fleet", main, "fleet"), check=False, capture_output=True, text=True
            )
        finally:
            (main.parent / closed).chmod(0o700)
        assert (ended.returncode, ended.stdout) == (3, ""), ended
        why = "cannot be read: Permission denied: run as the engine's user"
        line = f"anycast-handler: {main}: include: {main.parent / said} {why}\n"
        assert ended.stderr == line

    def test_one_that_is_a_link_to_itself_neither(self, main: Path) -> None:
        (main.parent / "fleet.d").symlink_to("fleet.d")
        assert "/fleet.d cannot be read: Too many levels of symbolic links: " in self.refusal(main)

    def test_a_file_is_included_once_and_never_itself(self, main: Path) -> None:
        self.part(main.parent, "a.toml", '[vip.resolver.endpoints]\nns2 = "192.0.2.12"')
        text = main.read_text().replace('"fleet.d/*.toml"', '"*.toml", "fleet.d/*", "fleet.d/a*"')
        main.write_text(text)
        assert len(read_fleet(str(main)).vip("resolver").endpoints) == 2
