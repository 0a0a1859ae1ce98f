"""What the real Icinga 2 daemon refuses at load, by name, of what users write for the templates."""

from __future__ import annotations

import json

import pytest

from tests.lab.icinga_alone import VIP, Icinga, host, needs_icinga, pool

pytestmark = needs_icinga
KEPT = 'address = "192.0.2.11"'


def refusal(icinga: Icinga, hosts: str) -> str:
    """Give the first line about the host of a configuration, which must be refused."""
    result = icinga.validate(hosts)
    assert result.returncode != 0
    return next(line for line in result.stdout.splitlines() if "Error: Host 'ns1'" in line)


@pytest.mark.parametrize(
    "missing", ["anycast-commands.conf", "anycast-library.conf", "anycast-validate.conf"]
)
@pytest.mark.parametrize("of", ["host", "plain", "pool"])
def test_a_file_that_was_forgotten_is_named(icinga: Icinga, missing: str, of: str) -> None:
    """Only the missing file is named: the commands that it defines are not named as unknown."""
    (icinga.home / "templates" / missing).unlink()
    plain = host(f"{{ {VIP} }}").replace('import "anycast-endpoint"', 'check_command = "dummy"')
    hosts = {
        "host": host(f"{{ {VIP} }}"),
        "plain": plain,
        "pool": pool(f'{VIP}, ssh_address = "192.0.2.11"'),
    }
    result = icinga.validate(hosts[of])

    errors = {line.split("Error: ")[1] for line in result.stdout.splitlines() if "Error: " in line}
    complaint = f"{missing} is missing: include it beside anycast-services.conf"
    assert result.returncode != 0
    assert errors == {f"Host 'ns1': {complaint}"}


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        (host('{ check = "dns", dns_query = "www.example.org" }'), "key 'address' is missing"),
        (host('{ address = "10.99.0.53", check = "dns" }'), "key 'dns_query' is missing"),
        (
            host('{ address = "10.99.0.53", check = "dns", dns_query = "" }'),
            "key 'dns_query' is missing",
        ),
        (
            host('{ address = "", check = "dns", dns_query = "x.example" }'),
            "key 'address' is missing",
        ),
        (host(f'{{ {VIP}, dns_expct = "x" }}'), "no key 'dns_expct'"),
        (host(f"{{ {VIP}, intervall = 5 }}"), "no key 'intervall'"),
        (host('{ address = "10.99.0.53", check = "dsn" }'), "check must be one of: all, dns"),
        (host(f'{{ {VIP}, transport = "telnet" }}'), "transport must be one of: by_ssh, nrpe"),
        (pool(VIP), "key 'ssh_address' is missing"),
        (pool(f'{VIP}, ssh_address = "192.0.2.11", pool_warn = 3'), "no key 'pool_warn'"),
        (pool('check = "dns", dns_query = "x.example"'), "key 'address' is missing"),
        (pool('address = "10.99.0.53", check = "pool"'), "check must be one of: all, dns"),
        (host(f"{{ {VIP}, client = true }}"), "'client' cannot tell which endpoint"),
        *(
            (
                host(f'{{ {VIP}, {key} = "/x" }}', head=KEPT),
                f"the key '{key}' cannot go with ssh_keep_open",
            )
            for key in ("ssh_identity", "ssh_known_hosts")
        ),
        (
            host(f'{{ {VIP}, ssh_identity = "/x", ssh_user = "check", ssh_port = 22 }}', head=KEPT),
            "the key 'ssh_identity' cannot go with ssh_keep_open",
        ),
        (
            pool(f'{VIP}, ssh_address = "192.0.2.11", ssh_identity = "/x"'),
            "the key 'ssh_identity' cannot go with ssh_keep_open",
        ),
        (host('"10.99.0.53"'), 'vars.anycast["resolver"]: must be a dictionary'),
        (host(f"{{ {VIP} }}", head=""), "the host has no address"),
        (host(f"{{ {VIP} }}", head='address = "10.99.0.53"'), "not the anycast address"),
        *(
            (
                host(f"{{ {VIP} }}".replace("10.99.0.53", vip), head=f'{attribute} = "{own}"'),
                "not the anycast address",
            )
            for attribute in ("address", "address6")
            for vip, own in (
                ("2001:db8:99::53", "2001:db8:99::53"),
                ("2001:db8:99::53", "2001:DB8:99:0::53"),
                ("2001:DB8:99:0::53", "2001:db8:99::53"),
            )
        ),
        *(
            (
                f'object Host "ns1" {{ import "{template}"\n{line} }}',
                f"vars.{variable} must be a dictionary of VIPs",
            )
            for template, variable, lines in (
                ("anycast-endpoint", "anycast", ("", "vars.anycast = {}", "vars.anycast = [ 1 ]")),
                ("anycast-endpoint", "anycast", ('vars.anycst["a"] = {}', 'vars.anycast = ""')),
                ("anycast-pool-host", "anycast_pool", ("", 'vars.anycast_pol["a"] = {}')),
                ("anycast-pool-host", "anycast_pool", ("vars.anycast_pool = [ 1 ]",)),
                ("anycast-pool-host", "anycast_pool", ("vars.anycast_pool = {}",)),
            )
            for line in lines
        ),
        ('object Host "ns1" { check_command = "dummy", vars.anycast = 1 }', "vars.anycast must be"),
        (pool(f'{VIP}, ssh_address = "192.0.2.11", transport = "nrpe"'), "no key 'transport'"),
        (pool(f'{VIP}, ssh_address = "192.0.2.11", agent = "ns1"'), "no key 'agent'"),
    ],
)
def test_a_mistake_is_refused_at_load_by_name(icinga: Icinga, hosts: str, complaint: str) -> None:
    """What is misspelt or missing stops the reload, and the line names the host and the key."""
    assert complaint in refusal(icinga, hosts)


AT = "Host 'ns1', vars.anycast[\"resolver\"]: "
AT_POOL = AT.replace("anycast[", "anycast_pool[")
SWITCH = "must be true or false, without quotes"
DOLLAR = "has a $; write $$ for one"
POOL = f'{VIP}, ssh_address = "192.0.2.11"'


def of_host(variable: str, settings: str = VIP) -> str:
    return host(f"{{ {settings} }}", f'address = "192.0.2.11"\n vars.{variable}')


def of_pool_host(variable: str) -> str:
    return pool(POOL).replace("\n", f"\n vars.{variable}\n", 1)


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        (host(f'{{ {VIP}, dry_run = "yes" }}'), f"{AT}the key 'dry_run' {SWITCH}"),
        (host(f'{{ {VIP}, dns_tcp = "true" }}'), f"{AT}the key 'dns_tcp' {SWITCH}"),
        (host(f'{{ {VIP}, ssh_quiet = "" }}'), f"{AT}the key 'ssh_quiet' {SWITCH}"),
        (of_host('anycast_dry_run = "yes"'), f"vars.anycast_dry_run: the key 'dry_run' {SWITCH}"),
        (pool(f'{POOL}, dns_tcp = "yes"'), f"{AT_POOL}the key 'dns_tcp' {SWITCH}"),
        (of_pool_host('anycast_verbose = "yes"'), f"the key 'verbose' {SWITCH}"),
        *(
            (of(f"anycast_{name} = 5"), f"nothing reads vars.anycast_{name}; is it misspelt?")
            for name in ("dryrun", "transprt", "interval", "vip", "dns_", "pol")
            for of in (of_host, of_pool_host)
        ),
        *(
            (host(f"{{ {VIP}, dns_expect = {value} }}"), f"{AT}the key 'dns_expect' {DOLLAR}")
            for value in (
                '[ "192.0.2.99$foo$" ]',
                '[ "192.0.2.80", "a$b" ]',
                '"$host.addres$"',
                '"$host.vars.foo$"',
                '"$host.name$$"',
                '"$$foo$"',
                '"$service.vars.anycast_foo$"',
                '"$anycast_dns_type$"',
                '"$host$"',
            )
        ),
        (of_host('anycast_fleet = "$foo$"'), f"vars.anycast_fleet: the key 'fleet' {DOLLAR}"),
        (pool(f'{POOL}, dns_expect = [ "$" ]'), f"{AT_POOL}the key 'dns_expect' {DOLLAR}"),
        (host(f"{{ {VIP} }}", 'address = "-oX"'), "the host's address is not an address: '-oX'"),
        (host(f"{{ {VIP} }}", 'address6 = "-oX"'), "the host's address is not an address: '-oX'"),
        (host(f'{{ {VIP}, ssh_address = "-oX" }}'), "'ssh_address' is not an address: '-oX'"),
        (host(f'{{ {VIP}, nrpe_address = "-o" }}'), "'nrpe_address' is not an address: '-o'"),
        (of_host('anycast_ssh_address = "-oX"'), "'ssh_address' is not an address: '-oX'"),
        (pool(f'{VIP}, ssh_address = "-oX"'), "'ssh_address' is not an address: '-oX'"),
    ],
)
def test_what_would_be_left_out_is_refused_at_load(
    icinga: Icinga, hosts: str, complaint: str
) -> None:
    """An option that Icinga would drop, or a variable that nothing reads, stops the reload."""
    assert complaint in refusal(icinga, hosts)


@pytest.mark.parametrize("head", ['address = "::1"', 'address6 = "2001:db8:1::1"'])
def test_a_management_address_of_ipv6_is_accepted(icinga: Icinga, head: str) -> None:
    """The monitoring host may be an endpoint too, which is asked at its loopback then."""
    result = icinga.validate(host(f"{{ {VIP} }}", head=head))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "settings",
    [
        'ssh_identity = "/x", ssh_keep_open = false',
        'ssh_identity = "/x", ssh_user = "other"',
        'ssh_identity = "/x", ssh_port = 2222',
        'ssh_identity = "/x", transport = "nrpe"',
        'ssh_identity = "/of-all"',
    ],
)
def test_a_key_that_shares_no_connection_with_others_is_accepted(
    icinga: Icinga, settings: str
) -> None:
    head = f'{KEPT}, vars.anycast_ssh_identity = "/of-all"'
    result = icinga.validate(host(f"{{ {VIP}, {settings} }}", head=head))
    assert result.returncode == 0, result.stdout


def test_macros_that_exist_and_real_switches_are_accepted(icinga: Icinga) -> None:
    """Every variable that a host may set for all of its VIPs is accepted."""
    expected = ["$host.address$", "$address$", "$host.vars.site.name$", "a$$b", "$$$host.name$"]
    expected += ["$anycast_dns_query$", "$service.vars.anycast_address$", "$host.name$$site_name$"]
    settings = f"{VIP}, dns_tcp = true, dry_run = false, dns_expect = {json.dumps(expected)}"
    variables = """
  vars.site = { name = "fra" }, vars.site_name = "fra", vars.anycast_transport = "by_ssh"
  vars.anycast_ssh_address = "$host.address$", vars.anycast_dry_run = true
  vars.anycast_http_host = "www.example.org", vars.anycast_fleet = "/etc/$host.vars.site.name$"
  vars.anycast_agent = "a", vars.anycast_pool_warning = "3:", vars.anycast_dns_tcp = null
"""
    result = icinga.validate(
        host(f"{{ {settings} }}", f'address = "192.0.2.11"\n{variables}')
        + pool(f"{POOL}, dns_tcp = true").replace("ns1", "pool").replace("\n", variables, 1)
    )

    assert result.returncode == 0, result.stdout
