"""The real Icinga 2 daemon on icinga2-templates/: what it accepts, and the objects it makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.icinga import TEMPLATES
from tests.lab.icinga_alone import VIP, Icinga, host, needs_icinga, pool
from tests.support.contacts import CONTACTS

pytestmark = needs_icinga

README = Path(__file__).parents[2] / "README.rst"
OF_AN_ENDPOINT = ("control", "health", "route")
WATCHED = 'object Host "mon" { check_command = "dummy", vars.anycast_watcher = true }'


def example() -> str:
    text = (TEMPLATES / "anycast-example.conf").read_text(encoding="utf-8")
    return re.sub(r"^// ?", "", text, flags=re.M)


def test_templates_alone_are_valid_and_add_no_host(icinga: Icinga) -> None:
    """Including the whole directory, example and all, changes nothing by itself."""
    for hosts in ("", 'object Host "plain" { check_command = "dummy" }'):
        result = icinga.validate(hosts)

        assert result.returncode == 0, result.stdout
        assert icinga.services() == {}


def test_the_readme_names_each_rule_that_matches_nowhere_at_first(icinga: Icinga) -> None:
    """Icinga warns of them from the first host on, and a user wonders whether they matter."""
    result = icinga.validate(host(f"{{ {VIP} }}"))
    silent = re.findall(r"Apply rule '(\S+)' .* for type '(\w+)' does not match", result.stdout)
    step = README.read_text(encoding="utf-8").split("``icinga2 daemon -C`` must pass", 1)[1]
    named = set(re.findall(r"``(anycast-\S*)``", step.split("is refused by name", 1)[0]))

    assert {name for name, kind in silent if kind == "Service"} == named, result.stdout
    assert {kind for _, kind in silent} == {"Service", "Notification"}, result.stdout


def test_an_agent_needs_the_commands_alone(icinga: Icinga) -> None:
    """Icinga reads that file without any other, and has the commands in it."""
    for file in (icinga.home / "templates").glob("*.conf"):
        if file.name != "anycast-commands.conf":
            file.unlink()
    result = icinga.validate('object Host "ns1" { check_command = "anycast_dns" }')

    assert result.returncode == 0, result.stdout


def test_the_files_may_be_included_in_any_order(icinga: Icinga) -> None:
    """Icinga includes those of a directory by their names, but a user may name them one by one."""
    names = sorted((icinga.home / "templates").glob("*.conf"), reverse=True)
    for place, file in enumerate(names):
        file.rename(file.with_name(f"{place}.conf"))
    result = icinga.validate(example())

    assert result.returncode == 0, result.stdout
    assert "ns1!anycast-health-resolver" in icinga.services()


def test_example_gives_each_endpoint_its_services(icinga: Icinga) -> None:
    """The example is valid once it is uncommented, and makes these services."""
    result = icinga.validate(example())

    assert result.returncode == 0, result.stdout
    assert sorted(icinga.services()) == [
        *(f"ns{n}!anycast-{kind}-resolver" for n in (1, 2, 3) for kind in OF_AN_ENDPOINT),
        *(f"resolver!anycast-{kind}-resolver" for kind in ("client", "pool")),
    ]


def test_health_service_runs_the_event_handler_and_has_no_command_endpoint(icinga: Icinga) -> None:
    """The handler belongs to the health service, on the monitoring host."""
    icinga.validate(example())
    services = icinga.services()
    health = services["ns1!anycast-health-resolver"]
    control = services["ns1!anycast-control-resolver"]

    assert health["check_command"] == '"anycast_by_ssh"'
    assert health["event_command"] == '"anycast_event"'
    assert control["check_command"] == '"anycast_enforce"'
    assert control["event_command"] == '""'
    for service in (health, control):
        assert service["command_endpoint"] == '""'
        assert service["volatile"] == "false"
        assert service["enable_flapping"] == "false"


def test_each_service_links_to_the_pages_that_the_constants_name(icinga: Icinga) -> None:
    """Without the constants there is no link, since nobody else knows where the pages are."""
    notes, action = '"https://docs.example.org/on-call.html"', '"https://mon.example.org/"'
    constants = f"const AnycastNotesUrl = {notes}\nconst AnycastActionUrl = {action}\n"
    for before, links in (("", ('""', '""')), (constants, (notes, action))):
        result = icinga.validate(f"{example()}{WATCHED}", before)
        assert result.returncode == 0, result.stdout
        services = icinga.services()
        assert "mon!anycast-watcher" in services
        for name, one in services.items():
            assert (one["notes_url"], one["action_url"]) == links, name
            assert one["icon_image"] != '""', name


@pytest.mark.parametrize("transport", ["by_ssh", "nrpe", "agent"])
def test_the_route_service_goes_the_way_of_the_health_service(
    icinga: Icinga, transport: str
) -> None:
    """An endpoint that carries the VIP and is heard by nobody is CRITICAL nowhere else."""
    objects = host(f'{{ {VIP}, transport = "{transport}", route_min_neighbors = 2 }}')
    result = icinga.validate(MASTER + AGENT + objects)
    assert result.returncode == 0, result.stdout
    route = icinga.services()["ns1!anycast-route-resolver"]
    command = "anycast_route" if transport == "agent" else f"anycast_{transport}"
    assert route["check_command"] == f'"{command}"'
    assert (route["anycast_check"], route["anycast_route_min_neighbors"]) == ('"route"', "2")
    assert route["anycast_nrpe_command"] == '"route_anycast_resolver"'
    assert route["event_command"] == '""'


def test_the_route_service_can_be_left_out(icinga: Icinga) -> None:
    """Where no routing daemon announces the VIP there is none to ask."""
    assert icinga.validate(host(f"{{ {VIP}, route = false }}")).returncode == 0
    assert "ns1!anycast-route-resolver" not in icinga.services()


def test_the_address_itself_is_watched_without_a_handler(icinga: Icinga) -> None:
    """A client's question cannot tell which endpoint has failed."""
    icinga.validate(example())
    services = icinga.services()
    client, pool = (services[f"resolver!anycast-{x}-resolver"] for x in ("client", "pool"))

    assert client["check_command"] == '"anycast_dns"'
    assert (client["anycast_client"], client["command_endpoint"]) == ("true", '""')
    assert (pool["check_command"], pool["anycast_check"]) == ('"anycast_by_ssh"', '"pool"')
    assert pool["anycast_ssh_address"] == '"192.0.2.11"'
    for service in (client, pool):
        assert service["event_command"] == '""'
        assert service["enable_event_handler"] == "false"


AGENT = 'object Endpoint "ns1" { }\nobject Zone "ns1" { endpoints = [ "ns1" ], parent = "mon" }\n'
MASTER = 'object Endpoint "mon" { }\nobject Zone "mon" { endpoints = [ "mon" ] }\n'


@pytest.mark.parametrize("where", ["vip", "host"])
@pytest.mark.parametrize(
    ("transport", "command", "handler", "endpoint", "interval"),
    [
        ("by_ssh", "anycast_by_ssh", "anycast_event", "", "30"),
        ("nrpe", "anycast_nrpe", "anycast_event", "", "30"),
        ("agent", "anycast_dns", "", "ns1", "5"),
    ],
)
def test_one_variable_chooses_the_transport(
    icinga: Icinga, where: str, transport: str, command: str, handler: str, endpoint: str,
    interval: str,
) -> None:  # fmt: skip
    """With the agent the handler would run there, away from its lock: the control service acts."""
    key = f', transport = "{transport}"' if where == "vip" else ""
    head = f'address = "192.0.2.11"\nvars.anycast_transport = "{transport}"'
    objects = host(f"{{ {VIP}{key} }}", **({} if where == "vip" else {"head": head}))
    result = icinga.validate(MASTER + AGENT + objects)
    assert result.returncode == 0, result.stdout
    services = icinga.services()
    health, control = (services[f"ns1!anycast-{x}-resolver"] for x in ("health", "control"))

    assert health["check_command"] == f'"{command}"'
    assert health["event_command"] == f'"{handler}"'
    assert health["command_endpoint"] == f'"{endpoint}"'
    assert health["enable_event_handler"] == ("false" if transport == "agent" else "true")
    assert (control["check_interval"], control["command_endpoint"]) == (interval, '""')


@pytest.mark.parametrize("transport", ["by_ssh", "nrpe"])
def test_keys_that_do_nothing_by_nrpe_are_named_once(icinga: Icinga, transport: str) -> None:
    """With NRPE, nrpe.cfg has the options; hosts with SSH and with NRPE may share a template."""
    keys = f'{VIP}, dns_expect = [ "192.0.2.80" ], tries = 2, deadline = 9, dry_run = true'
    one = host(f'{{ {keys}, interval = 1, transport = "{transport}" }}')
    result = icinga.validate(one + one.replace("ns1", "ns2").replace(".11", ".12"))

    assert result.returncode == 0, result.stdout
    # Each text counts once: Icinga reads hosts at the same time, so two of them may say it.
    lines = [line for line in result.stdout.splitlines() if "warning/anycast" in line]
    warnings = {line.partition("warning/anycast")[2] for line in lines}
    if transport == "by_ssh":
        assert warnings == set()
    else:
        (warning,) = warnings
        assert "vars.anycast, resolver: dns_expect tries: by NRPE these keys do nothing" in warning


def test_keys_of_one_vip_override_the_defaults(icinga: Icinga) -> None:
    """Intervals are seconds by default, and each VIP may have its own."""
    icinga.validate(example())
    services = icinga.services()
    usual, own = (services[f"{name}!anycast-health-resolver"] for name in ("ns2", "ns3"))
    control = services["ns3!anycast-control-resolver"]

    schedule = ("check_interval", "retry_interval", "max_check_attempts")
    assert [usual[key] for key in schedule] == ["4", "1", "2"]
    assert [own[key] for key in schedule] == ["1", "1", "2"]
    assert control["check_interval"] == "15"


@pytest.mark.parametrize(
    ("head", "more", "tries"),
    [("", "", 1), ("vars.anycast_tries = 3", "", 3), ("vars.anycast_tries = 3", ", tries = 2", 2)],
)
def test_a_check_tries_once_unless_a_host_or_a_vip_says_otherwise(
    icinga: Icinga, head: str, more: str, tries: int
) -> None:
    """The engine's attempts are tries already; a client asks over the network, and has both."""
    asked = host(f"{{ {VIP}{more} }}", head=f'address = "192.0.2.11"\n{head}')
    icinga.validate(asked + pool(f'{VIP}, ssh_address = "192.0.2.11"').replace("ns1", "any"))
    services = icinga.services()

    health = icinga.variables("ns1!anycast-health-resolver")
    assert float(health["anycast_tries"]) == tries
    assert "anycast_tries" not in icinga.variables("any!anycast-client-resolver")
    assert services["ns1!anycast-health-resolver"]["check_command"] == '"anycast_by_ssh"'


def test_the_services_of_an_address_have_a_schedule_each(icinga: Icinga) -> None:
    """In vars.anycast_pool the keys of the control service are the pool service's."""
    icinga.validate(
        pool(
            f'{VIP}, ssh_address = "192.0.2.11", interval = 7, retry = 2, attempts = 4,'
            " control_interval = 90, control_retry = 8, control_attempts = 5"
        )
    )
    services = icinga.services()
    client, count = (services[f"ns1!anycast-{x}-resolver"] for x in ("client", "pool"))

    schedule = ("check_interval", "retry_interval", "max_check_attempts")
    assert [client[key] for key in schedule] == ["7", "2", "4"]
    assert [count[key] for key in schedule] == ["90", "8", "5"]


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ("", 20),
        (", deadline = 25", 35),
        (", deadline = 5, timeout = 60", 15),
        (", timeout = 5", 26.5),
        (', timeout = "5", tries = 2, retry_delay = 1', 22),
        (", tries = 1, timeout = 3", 20),
        (', timeout = "$host.name$"', 20),
        (", timeout = 60, check_timeout = 30", 30),
    ],
)
def test_the_time_out_of_the_engine_follows_the_deadline(
    icinga: Icinga, settings: str, seconds: float
) -> None:
    """The engine must not end a check that is still within its deadline, be that given or not."""
    result = icinga.validate(host(f"{{ {VIP}{settings} }}"))

    assert result.returncode == 0, result.stdout
    found = icinga.services()["ns1!anycast-health-resolver"]["check_timeout"]
    assert float(found) == seconds


def test_a_service_of_any_name_may_belong_to_a_vip(icinga: Icinga) -> None:
    """The rules for notifications know the kinds of ours by their names, and leave others alone."""
    own = 'object Service "dns" { host_name = "ns1", check_command = "dummy", '
    result = icinga.validate(host(f"{{ {VIP} }}") + own + 'vars.anycast_vip = "resolver" }')
    assert result.returncode == 0, result.stdout


# These are the two rules of Debian's conf.d, with the lines that the suite asks for.
STOCK_RULES = """
apply Notification "own" to Host {
  command = "mail", users = [ "icingaadmin" ]
  assign where host.vars.notification.mail
  ignore where anycast_is_endpoint(host)
}
apply Notification "own" to Service {
  command = "mail", users = [ "icingaadmin" ]
  assign where host.vars.notification.mail
  ignore where anycast_kind(service)
}
"""
STOCK_HOST = """
object Host "mon" {
  check_command = "dummy", vars.anycast_watcher = true, vars.notification.mail = true
}
object Service "ssh" { host_name = "mon", check_command = "dummy" }
"""
ZONE = """
object Host "zones" { check_command = "dummy", vars.notification.mail = true }
object Service "anycast-zone-eu" {
  import "anycast-zone"
  host_name = "zones", vars.anycast_zone = "eu"
}
"""
SILENCE = "anycast-ticket-of-silence"


def test_each_service_is_told_by_the_rules_of_its_kind_alone(icinga: Icinga) -> None:
    """A stock monitoring host has a rule for all of its services, which must tell none of ours."""
    mail = 'address = "192.0.2.11"\nvars.notification.mail = true'
    of_vip = pool(f'{VIP}, ssh_address = "192.0.2.11"').replace("ns1", "any")
    own = 'object Service "own-dns" { host_name = "ns1", check_command = "dummy", '
    own += 'vars.anycast_vip = "resolver" }\n'
    objects = host(f"{{ {VIP} }}", mail) + of_vip + own + STOCK_HOST + ZONE + CONTACTS + STOCK_RULES
    result = icinga.validate(objects)
    assert result.returncode == 0, result.stdout
    told: dict[str, list[str]] = {}
    for name in icinga.notifications():
        about, _, rule = name.rpartition("!")
        told.setdefault(about, []).append(rule)
    assert {about: sorted(rules) for about, rules in told.items()} == {
        "ns1": ["anycast-ticket-of-host"],
        "ns1!anycast-health-resolver": ["anycast-page", SILENCE],
        "ns1!anycast-control-resolver": ["anycast-ticket", SILENCE],
        "ns1!anycast-route-resolver": ["anycast-ticket-of-routing", SILENCE],
        "ns1!own-dns": ["own"],
        "any!anycast-client-resolver": ["anycast-page-of-users", SILENCE],
        "any!anycast-pool-resolver": ["anycast-page-of-users", SILENCE],
        "mon": ["own"],
        "mon!ssh": ["own"],
        "mon!anycast-watcher": ["anycast-ticket-of-gap", "anycast-ticket-of-routing", SILENCE],
        "zones": ["own"],
        "zones!anycast-zone-eu": ["anycast-page-of-zone", "anycast-ticket-of-gap", SILENCE],
    }
