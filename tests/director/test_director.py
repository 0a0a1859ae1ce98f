"""What the real Director and Icinga make of the basket: the forms, the command lines, upgrades."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from lab.waiting import wait_until
from tests.director.machine import BASKET, Machine, machine
from tests.support.contacts import CONTACTS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a root of its own")
PLUGINS = "/opt/plugins"
LOG = "director_activity_log"
HANDLER = "/usr/local/bin/anycast-handler"
RESOLVER = {
    "anycast_vip": "resolver",
    "anycast_address": "10.99.0.53",
    "anycast_check": "dns",
    "anycast_dns_query": ["www.example.org"],
}
RESOLVER6 = {**RESOLVER, "anycast_vip": "resolver6", "anycast_address": "2001:db8:99::53"}
WORDS = ["/usr/lib/nagios/plugins/check_ldap", "-H", "{address}", "a b", "$$(id)", "x;y", "--"]
QUESTIONS = ["dns --query {random}.example.org", "http --string 'it is'", "dns --query x --tcp"]
HOSTILE = "it's; `id` $$(id) | \\ *"


POOL = {
    "anycast_vip": "resolver",
    "anycast_address": "10.99.0.53",
    "anycast_ssh_address": "192.0.2.19",
    "anycast_pool_warning": "3:",
}
# Each row has what a person sets, the host's address, and Icinga's words about it.
HARMFUL: list[tuple[dict[str, Any], str, str]] = [
    ({"anycast_check": "by_ssh"}, "192.0.2.11", "anycast_check must name a check"),
    ({"anycast_check": "dsn"}, "192.0.2.11", "anycast_check must name a check"),
    ({}, "-oProxyCommand=id", "anycast_ssh_address is not an"),
    ({}, "-oX=id\n192.0.2.11", "anycast_ssh_address is not an"),
    ({"anycast_transport": "nrpe"}, "-f/etc/passwd", "anycast_nrpe_address is not an"),
]


def basket() -> dict[str, Any]:
    """Read the basket as it is shipped."""
    return dict(json.loads(BASKET.read_text()))


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def director(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A Director with the basket, and with the hosts and services of a person, deployed."""
    if not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    with machine(request.param, tmp_path_factory.mktemp("director") / "root") as made:
        made.restore(basket())
        status, log = made.deploy()
        assert status == "0", log
        make_objects(made)
        status, log = made.deploy()
        assert status == "0", log
        # The other warning is of Icinga 2.14, about its API.
        about = [line for line in log.splitlines() if "warning/" in line]
        assert not [line for line in about if "/ApiListener: Security notice" not in line], log
        wait_until(lambda: "ns1!anycast-health-resolver" in made.services(), "the new objects")
        yield made


def make_objects(made: Machine) -> None:
    """Create what a person creates in the forms."""
    made.create("zone", "eu", object_type="object", parent="master")
    made.create("endpoint", "sateu1", object_type="object", zone="eu")

    def host(name: str, variables: dict[str, Any], **more: Any) -> None:
        about = {"imports": ["anycast-endpoint"], "address": "192.0.2.11", **more}
        made.create("host", name, object_type="object", vars=variables, **about)

    def service(host: str, name: str, template: str, **more: Any) -> None:
        about = {"object_type": "object", "host": host, "imports": [template]}
        made.create("service", name, **about, **more)

    options = {
        "anycast_ssh_options": ["Compression=yes"],
        "anycast_ssh_port": "2222",
        "anycast_warning": "-1:5",
        "anycast_dns_tcp": True,
        "anycast_dns_expect": ["192.0.2.80", HOSTILE],
    }
    host("ns1", {**RESOLVER, **options})
    six = {"address": None, "address6": "2001:db8:1::1"}
    host("ns2", {**RESOLVER6, "anycast_instance": "2001:db8:1::2"}, **six)
    host("ns3", {**RESOLVER6, "anycast_transport": "nrpe"}, **six)
    agent = {"has_agent": True, "master_should_connect": True, "accept_config": True}
    host("ns4", {**RESOLVER, "anycast_transport": "agent"}, **agent)
    service("ns4", "anycast-health-resolver", "anycast-health-agent", check_command="anycast_dns")
    # A host with two VIPs has the services of both of its own.
    host("ns5", {}, imports=[], check_command="dummy")
    for vip, variables in (
        ("ldap", {"anycast_check": "plugin", "anycast_plugin_command": WORDS}),
        ("all", {"anycast_check": "all", "anycast_all_check": QUESTIONS, "anycast_timeout": "5"}),
    ):
        about = {"anycast_vip": vip, "anycast_address": "10.99.0.53", **variables}
        service("ns5", f"anycast-health-{vip}", "anycast-health", vars=about)
    slow = {"anycast_ssh_keep_open": False}
    host("ns6", {**RESOLVER, **slow, "anycast_dry_run": True})
    host("eu1", RESOLVER, zone="eu")
    host("zones", {}, imports=[], check_command="dummy")
    silence = {"anycast_zone": "eu", "anycast_silence": "2"}
    service("zones", "anycast-zone-eu", "anycast-zone", vars=silence)
    host("resolver", {}, imports=["anycast-pool-host"])
    client = {key: value for key, value in RESOLVER.items() if key != "anycast_check"}
    service(
        "resolver", "anycast-client-r", "anycast-client", check_command="anycast_dns", vars=client
    )
    service("resolver", "anycast-pool-r", "anycast-pool", vars=POOL)
    for number, (variables, address, _) in enumerate(HARMFUL):
        host(f"bad{number}", {**RESOLVER, **variables}, address=address)


OF_SSH = (
    "-F /dev/null -U -i /etc/anycast/check_ed25519 -l check -t 72 -o BatchMode=yes"
    " -o ConnectTimeout=5 -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
    " -o IdentityAgent=none -o LogLevel=ERROR -o StrictHostKeyChecking=yes"
    " -o UserKnownHostsFile=/etc/anycast/known_hosts"
)
KEPT_OPEN = (
    " -o ControlMaster=auto -o ControlPath=/var/lib/anycast-handler/%C -o ControlPersist=60"
    " -o ServerAliveInterval=2 -o ServerAliveCountMax=2"
)
CHECK = f"{PLUGINS}/check_anycast"


def asked(director: Machine, service: str, address: str, what: str, *more: str) -> list[list[str]]:
    """Let Icinga check a service by SSH; gives the words of check_by_ssh, and the remote ones."""
    director.check(service)

    def found() -> list[list[str]]:
        calls = director.calls("check_by_ssh", "-H", address, *more)
        return [call for call in calls if what in shlex.split(call[-1])]

    call = wait_until(found, f"{service} is checked")[-1]
    assert call[-2] == "-C", call
    return [call[:-2], shlex.split(call[-1])]


def test_a_host_that_imports_the_template_is_asked_by_ssh(director: Machine) -> None:
    """All words of a person reach the endpoint, each as one, whatever is in it."""
    service = "ns1!anycast-health-resolver"
    call, remote = asked(director, service, "192.0.2.11", "dns", "-p", "2222")
    assert remote == [
        *(CHECK, "dns", "--address", "10.99.0.53"),
        *("--expect", "192.0.2.80", "--expect", "it's; `id` $(id) | \\ *"),
        *("--query", "www.example.org", "--tcp", "--tries", "1", "--warning=-1:5"),
    ]
    more = " -o Compression=yes -H 192.0.2.11 -p 2222"
    assert sorted(call[1:]) == sorted(shlex.split(OF_SSH + KEPT_OPEN + more))
    # ssh takes the first value that it is given, so those of a person come first.
    assert call[call.index("-o") + 1] == "Compression=yes"

    _, remote = asked(director, "ns1!anycast-route-resolver", "192.0.2.11", "route")
    assert remote == [CHECK, "route", "--address", "10.99.0.53"]


def test_a_connection_that_is_not_kept_open_has_no_options_for_it(director: Machine) -> None:
    director.check("ns6!anycast-health-resolver")
    calls = wait_until(
        lambda: [x for x in director.calls("check_by_ssh") if x.count("-o") == 8], "the check"
    )
    call = calls[0][:-2]
    assert sorted(call[1:]) == sorted(shlex.split(f"{OF_SSH} -H 192.0.2.11"))


def test_addresses_of_ipv6_reach_the_endpoint_as_they_were_written(director: Machine) -> None:
    """The host has its management address in address6 alone."""
    service, vip = "ns2!anycast-health-resolver6", "2001:db8:99::53"
    call, remote = asked(director, service, "2001:db8:1::1", "dns")
    assert call[call.index("-H") + 1] == "2001:db8:1::1"
    own = ["--address", vip, "--instance", "2001:db8:1::2", "--query", "www.example.org"]
    assert remote == [CHECK, "dns", *own, "--tries", "1"]
    _, remote = asked(director, "ns2!anycast-route-resolver6", "2001:db8:1::1", "route")
    assert remote == [CHECK, "route", "--address", vip]


@pytest.mark.parametrize(
    ("kind", "command"),
    [("health", "anycast_resolver6"), ("route", "route_anycast_resolver6")],
)
def test_a_host_with_nrpe_is_asked_by_nrpe(director: Machine, kind: str, command: str) -> None:
    director.check(f"ns3!anycast-{kind}-resolver6")
    call = wait_until(lambda: director.calls("check_nrpe", "-c", command), kind)[0]
    words = ["-H", "2001:db8:1::1", "-c", command, "-t", "72:UNKNOWN", "-u"]
    assert (call[0], sorted(call[1:])) == (f"{PLUGINS}/check_nrpe", sorted(words))


def test_each_word_of_a_plugin_and_each_question_reaches_the_endpoint(director: Machine) -> None:
    words = [word.replace("$$", "$") for word in WORDS]
    _, remote = asked(director, "ns5!anycast-health-ldap", "192.0.2.11", "plugin")
    assert remote == [CHECK, "plugin", "--address", "10.99.0.53", "--tries", "1", "--", *words]
    _, remote = asked(director, "ns5!anycast-health-all", "192.0.2.11", "all")
    own = [word for question in QUESTIONS for word in ("--check", question)]
    rest = ["--timeout", "5", "--tries", "1"]
    assert remote == [CHECK, "all", "--address", "10.99.0.53", *own, *rest]


def test_a_client_asks_from_here_and_the_pool_by_ssh(director: Machine) -> None:
    director.check("resolver!anycast-client-r")
    call = wait_until(lambda: director.calls("check_anycast"), "the client's check")[0]
    words = ["--address", "10.99.0.53", "--client", "--query", "www.example.org"]
    assert call == [CHECK, "dns", *words]
    _, remote = asked(director, "resolver!anycast-pool-r", "192.0.2.19", "pool")
    assert remote == [CHECK, "pool", "--address", "10.99.0.53", "--warning=3:"]


@pytest.mark.parametrize(
    ("host", "vip", "address", "management", "program", "dry_run"),
    [
        ("ns1", "resolver", "10.99.0.53", "192.0.2.11", "check_by_ssh", False),
        ("ns2", "resolver6", "2001:db8:99::53", "2001:db8:1::1", "check_by_ssh", False),
        ("ns3", "resolver6", "2001:db8:99::53", "2001:db8:1::1", "check_nrpe", False),
        ("ns6", "resolver", "10.99.0.53", "192.0.2.11", "check_by_ssh", True),
    ],
)
def test_the_handler_is_called_for_a_failure(
    director: Machine,
    host: str,
    vip: str,
    address: str,
    management: str,
    program: str,
    *,
    dry_run: bool,
) -> None:
    """The event handler at each change, and the control service with the address and the time."""
    director.plugin_ends(program, 2)
    try:
        director.check(f"{host}!anycast-health-{vip}")
        hard = ["--state", "CRITICAL", "--state-type", "HARD", "--downtime", "0"]
        hard += ["--dry-run"] * dry_run
        calls = wait_until(
            lambda: director.calls("anycast-handler", "event", host, "CRITICAL", "HARD"), "event"
        )
        head = [HANDLER, "event", vip, host]
        assert (calls[0][:4], sorted(calls[0][4:])) == (head, sorted(hard))
        director.check(f"{host}!anycast-control-{vip}")
        told = (host, "CRITICAL", "HARD")
        call = wait_until(lambda: director.calls("anycast-handler", "enforce", *told), "control")[0]
        checked = call.index("--checked")
        assert float(call[checked + 1]) > 0
        del call[checked : checked + 2]
        words = [*hard, "--address", address, "--management", management]
        assert (call[:4], sorted(call[4:])) == ([HANDLER, "enforce", vip, host], sorted(words))
    finally:
        director.plugin_ends(program, 0)


def test_the_agent_runs_the_checks_and_no_event_handler(director: Machine) -> None:
    """The lock, the key and the fleet file of the handler are not there."""
    services = director.services()
    names = ("health", "route", "control")
    kinds = {kind: services[f"ns4!anycast-{kind}-resolver"] for kind in names}
    assert {kind: one["command_endpoint"] for kind, one in kinds.items()} == {
        "health": "ns4",
        "route": "ns4",
        "control": "",
    }
    assert [one["check_command"] for one in kinds.values()] == [
        "anycast_dns",
        "anycast_route",
        "anycast_enforce",
    ]
    assert not any(one["event_command"] or one["enable_event_handler"] for one in kinds.values())
    # Without events the control service acts alone, so it looks more often.
    assert kinds["control"]["check_interval"] == 5


@pytest.mark.parametrize("number", range(len(HARMFUL)))
def test_a_command_line_that_would_do_harm_is_not_run(director: Machine, number: int) -> None:
    """The Director lets a mistake pass, Icinga's log names it, and nothing is started."""
    _, address, complaint = HARMFUL[number]
    name = f"bad{number}!anycast-health-resolver"
    director.check(name)

    def named() -> bool:
        return any(name in one and complaint in one for one in director.log().split("\n["))

    wait_until(named, complaint)
    last = "last_check_result"
    wait_until(lambda: (director.services()[name][last] or {}).get("state") == 3, "UNKNOWN")
    started = director.calls("check_by_ssh") + director.calls("check_nrpe")
    harmful = [call for call in started if address != "192.0.2.11" and address in call]
    assert not harmful
    assert not [call for call in started if "by_ssh" in call[-1] or "dsn" in call[-1]]


def test_an_event_of_another_zone_changes_nothing(director: Machine) -> None:
    """The satellite of the zone acts; here the handler only prints its version."""
    director.says("eu1!anycast-health-resolver", 2)
    calls = wait_until(lambda: director.calls("anycast-handler", "eu1"), "the event")
    assert {call[1] for call in calls} == {"--version"}


def test_a_zone_that_falls_silent_is_critical(director: Machine) -> None:
    def said(state: str, text: str) -> bool:
        director.check("zones!anycast-zone-eu")
        return any(call[1] == state and text in call[2] for call in director.calls("check_dummy"))

    director.says("eu1!anycast-health-resolver", 0)
    apart = "zone eu goes on, but without a connection to sateu1; connected: 0 of 1"
    wait_until(lambda: said("1", apart), apart)
    wait_until(lambda: said("2", "zone eu is silent: no result for "), "silence")


def test_the_rules_of_notifications_know_the_services_of_the_basket(director: Machine) -> None:
    """The rules are a file beside the basket, which has none."""
    directory = director.root / "etc/icinga2/anycast"
    directory.mkdir()
    shutil.copy(BASKET.with_name("anycast-notifications.conf"), directory)
    (directory / "contacts.conf").write_text(CONTACTS)
    director.run("""
        echo 'include "anycast/*.conf"' >>/etc/icinga2/icinga2.conf
        icinga2 daemon -C
        kill -HUP "$(cat /run/icinga2/icinga2.pid)"
    """)

    def told() -> set[str]:
        return {one["name"] for one in director.api("GET", "objects/notifications")}

    wait_until(lambda: "ns1!anycast-ticket-of-host" in told(), "the rules")
    silence = "anycast-ticket-of-silence"
    of_hosts = {name for name in told() if name.partition("!")[0] in ("ns1", "resolver", "zones")}
    assert of_hosts == {
        "ns1!anycast-ticket-of-host",
        *(f"ns1!anycast-health-resolver!{rule}" for rule in ("anycast-page", silence)),
        *(f"ns1!anycast-control-resolver!{rule}" for rule in ("anycast-ticket", silence)),
        *(f"ns1!anycast-route-resolver!{rule}" for rule in ("anycast-ticket-of-routing", silence)),
        *(f"resolver!anycast-client-r!{rule}" for rule in ("anycast-page-of-users", silence)),
        *(f"resolver!anycast-pool-r!{rule}" for rule in ("anycast-page-of-users", silence)),
        *(f"zones!anycast-zone-eu!anycast-{rule}" for rule in ("page-of-zone", "ticket-of-gap")),
        f"zones!anycast-zone-eu!{silence}",
    }


COMMON = {"anycast_vip", "anycast_address", "anycast_timeout", "anycast_dry_run"}
BY_SSH = {"anycast_ssh_port", "anycast_ssh_options"}


@pytest.mark.parametrize(
    ("kind", "properties", "offered", "hidden"),
    [
        (
            "service",
            {"imports": ["anycast-health"]},
            {*COMMON, *BY_SSH, "anycast_check", "anycast_tries"},
            {"anycast_dns_query", "anycast_http_url", "anycast_port", "anycast_client"},
        ),
        (
            "service",
            {"imports": ["anycast-health"], "vars": {"anycast_check": "dns"}},
            {*COMMON, *BY_SSH, "anycast_check", "anycast_dns_query", "anycast_port"},
            {"anycast_http_url", "anycast_plugin_command"},
        ),
        (
            "service",
            {"imports": ["anycast-health"], "vars": {"anycast_check": "plugin"}},
            {*COMMON, *BY_SSH, "anycast_plugin_command"},
            {"anycast_dns_query", "anycast_port"},
        ),
        (
            "service",
            {"imports": ["anycast-health-nrpe"]},
            {"anycast_vip", "anycast_address", "anycast_nrpe_port", "anycast_dry_run"},
            {"anycast_check", "anycast_ssh_port"},
        ),
        (
            "service",
            {"imports": ["anycast-health-agent"], "check_command": "anycast_ntp"},
            {"anycast_vip", "anycast_address", "anycast_port", "anycast_ntp_offset_warning"},
            {"anycast_check", "anycast_ssh_port"},
        ),
        (
            "service",
            {"imports": ["anycast-control"]},
            {"anycast_vip", "anycast_health", "anycast_dry_run"},
            {"anycast_check"},
        ),
        (
            "service",
            {"imports": ["anycast-route"]},
            {"anycast_address", "anycast_route_min_neighbors", *BY_SSH},
            {"anycast_dns_query"},
        ),
        (
            "service",
            {"imports": ["anycast-pool"]},
            {"anycast_address", "anycast_pool_warning", "anycast_pool_expect_router", *BY_SSH},
            {"anycast_dns_query"},
        ),
        (
            "service",
            {"imports": ["anycast-client"], "check_command": "anycast_http"},
            {"anycast_vip", "anycast_address", "anycast_http_url"},
            {"anycast_dns_query"},
        ),
        (
            "host",
            {"imports": ["anycast-endpoint"], "vars": {"anycast_check": "http"}},
            {*COMMON, *BY_SSH, "anycast_transport", "anycast_check", "anycast_http_url"},
            {"anycast_dns_query", "anycast_nrpe_port", "anycast_tries"},
        ),
        (
            "host",
            {"imports": ["anycast-endpoint"], "vars": {"anycast_transport": "nrpe"}},
            {"anycast_vip", "anycast_address", "anycast_transport", "anycast_nrpe_port"},
            {"anycast_check", "anycast_dns_query", *BY_SSH},
        ),
    ],
)
def test_a_form_offers_what_a_person_has_to_fill_in(
    director: Machine, kind: str, properties: dict[str, Any], offered: set[str], hidden: set[str]
) -> None:
    found = director.offered(kind, **properties)
    assert offered <= found, sorted(found)
    assert not hidden & found, sorted(hidden & found)


def test_a_second_restore_adds_nothing(director: Machine) -> None:
    before = director.rows()
    director.restore(basket())
    # Director 1.11 logs three modifications, and changes nothing.
    assert {**director.rows(), LOG: before[LOG]} == before


OWN = {
    "ServiceTemplate": {
        "my-health": {
            "object_name": "my-health",
            "object_type": "template",
            "imports": ["anycast-health"],
            "check_interval": 7,
            "vars": {"anycast_timeout": "1"},
            "fields": [{"datafield_id": 1, "is_required": "n", "var_filter": None}],
        }
    },
    "Datafield": {
        "1": {
            "varname": "mine",
            "caption": "mine",
            "description": None,
            "category": None,
            "datatype": "Icinga\\Module\\Director\\DataType\\DataTypeString",
            "format": None,
            "settings": {"visibility": "visible"},
        }
    },
}


def test_what_a_person_made_stays(director: Machine) -> None:
    """In a template that imports ours; what is changed in ours is as the basket has it again."""
    director.restore(OWN)
    director.run("icingacli director service set anycast-health --check_interval 9")
    director.restore(basket())
    director.remove_unused_fields()

    found = director.offered("service", imports=["my-health"])
    assert {"mine", "anycast_vip", "anycast_check"} <= found
    own = director.shown("service", "my-health")
    assert (int(own["check_interval"]), own["vars"]) == (7, {"anycast_timeout": "1"})
    assert int(director.shown("service", "anycast-health")["check_interval"]) == 4


def test_an_upgrade_leaves_no_second_field(director: Machine) -> None:
    """The Director takes a field with another description for a new one."""
    before = director.fields()
    assert len(before) == len(set(before))
    offered = director.offered("service", imports=["anycast-health"])
    new = basket()
    for field in new["Datafield"].values():
        field["description"] += " New."
    director.restore(new)
    assert len(director.fields()) == 2 * len(before)
    director.remove_unused_fields()
    assert director.fields() == before
    assert director.offered("service", imports=["anycast-health"]) == offered
    director.restore(basket())
    director.remove_unused_fields()
    assert director.fields() == before


def test_a_constant_names_another_handler(director: Machine) -> None:
    """Debian's package has it in /usr/bin."""
    director.run("""
        ln -s /opt/plugins/recorder /usr/bin/anycast-handler
        echo 'const AnycastHandler = "/usr/bin/anycast-handler"' >>/etc/icinga2/constants.conf
        kill -HUP "$(cat /run/icinga2/icinga2.pid)"
    """)

    def called() -> bool:
        director.check("ns1!anycast-control-resolver")
        return any(x[0] == "/usr/bin/anycast-handler" for x in director.calls("anycast-handler"))

    wait_until(called, "the other path")
