"""The real Icinga 2 daemon on icinga2-templates/: what it accepts, makes of them, and passes on."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.lab.director import render

TEMPLATES = Path(__file__).parents[2] / "icinga2-templates"
ICINGA = shutil.which("icinga2")
DIRECTORIES = {
    "DataDir": "data",
    "LogDir": "log",
    "InitRunDir": "run",
    "SpoolDir": "spool",
    "CacheDir": "cache",
    "ConfigDir": "etc",
}
VIP = 'address = "10.99.0.53", check = "dns", dns_query = "www.example.org"'

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to own directories as nagios"),
    pytest.mark.skipif(ICINGA is None, reason="needs icinga2 (Debian package icinga2-bin)"),
]

Value = TypeVar("Value")


def until(what: str, condition: Callable[[], Value | None]) -> Value:
    """Wait for a condition, which is true when it is neither None nor false."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


class Icinga:
    """An Icinga 2 of its own, in a directory that its unprivileged user can enter."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "icinga2.conf"
        self._directories: list[str] = []
        for constant, name in DIRECTORIES.items():
            (home / name).mkdir()
            self._directories.append(f"-D{constant}={home / name}")
        shutil.copytree(TEMPLATES, home / "templates")

    def _own(self) -> None:
        subprocess.run(["chown", "-R", "nagios:nagios", self.home], check=True)
        subprocess.run(["chmod", "-R", "u+rwX,go+rX", self.home], check=True)

    def write(self, objects: str) -> None:
        """Configure the library, the templates and these objects."""
        self.config.write_text(
            'const PluginDir = "/usr/lib/nagios/plugins"\n'
            'const NodeName = "mon"\nconst ZoneName = "mon"\n'
            f"include <itl>\ninclude <plugins>\n{objects}"
        )
        self._own()

    def validate(self, hosts: str) -> subprocess.CompletedProcess[str]:
        """Load a configuration with these hosts, as `icinga2 daemon -C` does."""
        self.write(f'include "{self.home}/templates/*.conf"\n{hosts}')
        return self._run(["daemon", "-C", "-c", str(self.config)])

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ICINGA), *arguments, *self._directories],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def services(self) -> dict[str, dict[str, str]]:
        """The services of the last valid configuration: attributes and variables, as text."""
        listing = self._run(["object", "list", "--type", "Service"]).stdout
        found = {}
        for part in listing.split("Object '")[1:]:
            name, _, body = part.partition("'")
            found[name] = dict(re.findall(r"^ +\* (\w+) = (.*)$", body, re.M))
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the daemon on the configuration that was written."""
        self._own()
        with (self.home / "out").open("wb") as out:
            daemon = subprocess.Popen(
                [str(ICINGA), "daemon", "-c", str(self.config), *self._directories],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            yield
        except BaseException:
            print((self.home / "out").read_text(errors="replace"))
            raise
        finally:
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()


@pytest.fixture
def icinga() -> Iterator[Icinga]:
    """An Icinga 2 that leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="anycast-icinga-") as home:
        Path(home).chmod(0o755)
        yield Icinga(Path(home))


def example() -> str:
    text = (TEMPLATES / "anycast-example.conf").read_text(encoding="utf-8")
    return re.sub(r"^// ?", "", text, flags=re.M)


def host(settings: str, head: str = 'address = "192.0.2.11"') -> str:
    return (
        f'object Host "ns1" {{\n import "anycast-endpoint"\n {head}\n'
        f' vars.anycast["resolver"] = {settings}\n}}\n'
    )


def test_templates_alone_are_valid_and_add_no_host(icinga: Icinga) -> None:
    """Including the whole directory, example and all, changes nothing by itself."""
    for hosts in ("", 'object Host "plain" { check_command = "dummy" }'):
        result = icinga.validate(hosts)

        assert result.returncode == 0, result.stdout
        assert icinga.services() == {}


def test_example_gives_a_health_and_a_control_service_for_each_endpoint(icinga: Icinga) -> None:
    """The example is valid once it is uncommented, and makes these services."""
    result = icinga.validate(example())

    assert result.returncode == 0, result.stdout
    assert sorted(icinga.services()) == [
        *(f"ns{n}!anycast-{kind}-resolver" for n in (1, 2, 3) for kind in ("control", "health")),
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


def pool(settings: str) -> str:
    head = 'import "anycast-pool-host"'
    return f'object Host "ns1" {{ {head}\n vars.anycast_pool["resolver"] = {{ {settings} }} }}\n'


def test_keys_of_one_vip_override_the_defaults(icinga: Icinga) -> None:
    """Intervals are seconds by default, and each VIP may have its own."""
    icinga.validate(example())
    services = icinga.services()
    usual, own = (services[f"{name}!anycast-health-resolver"] for name in ("ns2", "ns3"))
    control = services["ns3!anycast-control-resolver"]

    schedule = ("check_interval", "retry_interval", "max_check_attempts")
    assert [usual[key] for key in schedule] == ["10", "3", "3"]
    assert [own[key] for key in schedule] == ["5", "1", "3"]
    assert control["check_interval"] == "15"


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


@pytest.mark.parametrize("missing", ["anycast-commands.conf", "anycast-validate.conf"])
@pytest.mark.parametrize("of", ["host", "plain", "pool"])
def test_a_file_that_was_forgotten_is_named(icinga: Icinga, missing: str, of: str) -> None:
    """And nothing else is: no check is unknown because the commands are."""
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


def test_the_time_out_of_the_engine_follows_the_deadline(icinga: Icinga) -> None:
    """A longer deadline must not let the engine end a check that is still within it."""
    icinga.validate(host(f"{{ {VIP}, deadline = 25 }}"))

    assert icinga.services()["ns1!anycast-health-resolver"]["check_timeout"] == "35"


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
        (host('{ address = "10.99.0.53", check = "dsn" }'), "check must be one of: dns"),
        (host(f'{{ {VIP}, transport = "telnet" }}'), "transport must be one of: by_ssh, nrpe"),
        (pool(VIP), "key 'ssh_address' is missing"),
        (pool(f'{VIP}, ssh_address = "192.0.2.11", pool_warn = 3'), "no key 'pool_warn'"),
        (pool('check = "dns", dns_query = "x.example"'), "key 'address' is missing"),
        (pool('address = "10.99.0.53", check = "pool"'), "check must be one of: dns"),
        (host(f"{{ {VIP}, client = true }}"), "'client' cannot tell which endpoint"),
        (host('"10.99.0.53"'), 'vars.anycast["resolver"]: must be a dictionary'),
        (host(f"{{ {VIP} }}", head=""), "the host has no address"),
        (host(f"{{ {VIP} }}", head='address = "10.99.0.53"'), "not the anycast address"),
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
    result = icinga.validate(hosts)

    lines = [line for line in result.stdout.splitlines() if "Error: Host 'ns1'" in line]
    assert result.returncode != 0
    assert complaint in lines[0]


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
    test_a_mistake_is_refused_at_load_by_name(icinga, hosts, complaint)


def test_macros_that_exist_and_real_switches_are_accepted(icinga: Icinga) -> None:
    """Of each there is one here; whatever a host may set for all of its VIPs is known."""
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


def basket() -> str:
    """What the Director makes of its basket."""
    return render(json.loads((TEMPLATES / "director-basket.json").read_text()))


def of_director(variables: str, address: str = "192.0.2.11") -> str:
    """Write a host and its health service, as a user of the Director makes them."""
    return f"""{basket()}
object Host "ns1" {{ check_command = "dummy", address = "{address}" }}
object Service "anycast-health-resolver" {{
  import "anycast-health"
  host_name = "ns1"
  check_interval = 1, retry_interval = 1, max_check_attempts = 2, check_timeout = 20
  vars.anycast_vip = "resolver", vars.anycast_address = "10.99.0.53"
  {variables}
}}
"""


RECORDER = """#!/usr/bin/python3 -I
import json, os, pathlib, subprocess, sys
home = pathlib.Path(__file__).resolve().parents[1]
with open(home / "calls", "a") as calls:
    print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), file=calls)
if os.path.basename(sys.argv[0]) == "check_by_ssh":
    state = (home / "state").read_text()
    if state == "hang":
        # Like ssh it outlives its parent, whose pipes it holds rather than the engine's.
        loop = ["/bin/sh", "-c", 'while [ -e "$0" ]; do sleep 0.2; done', home / "child"]
        child = subprocess.Popen(loop, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        (home / "child").write_text(str(child.pid))
        child.wait()
        state = (home / "state").read_text()
    sys.exit(int(state))
"""


class Recorded(Icinga):
    """An Icinga 2 whose check_by_ssh and anycast-handler write down what they are given."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        programs = home / "bin"
        programs.mkdir()
        (programs / "recorder").write_text(RECORDER)
        (programs / "recorder").chmod(0o755)
        for name in ("check_by_ssh", "check_nrpe", "anycast-handler"):
            (programs / name).symlink_to("recorder")
        (home / "calls").touch()
        (home / "child").touch()
        self.check_says("0")

    def check_says(self, state: str) -> None:
        """Let the health check end with this code from now on, or hang."""
        fresh = self.home / "state.new"
        fresh.write_text(state)
        fresh.chmod(0o644)
        fresh.replace(self.home / "state")

    def configure(self, objects: str) -> None:
        """Configure these objects, with the recorder in place of the programs."""
        self.write(
            f'const AnycastHandler = "{self.home}/bin/anycast-handler"\n'
            'object CheckerComponent "checker" {}\n'
            f'object ExternalCommandListener "c" {{ command_path = "{self.home}/run/cmd" }}\n'
            + objects.replace("%s", str(self.home))
        )
        plugins, own = "/usr/lib/nagios/plugins", f"{self.home}/bin"
        text = self.config.read_text().replace(f'PluginDir = "{plugins}', f'PluginDir = "{own}', 1)
        for program in ("check_by_ssh", "check_nrpe"):
            text = text.replace(f"{plugins}/{program}", f"{own}/{program}")
        self.config.write_text(text.replace("/usr/local/bin", own))

    def first_check(self, objects: str) -> list[str]:
        """Run these objects until their first check by SSH, and give its words."""
        self.configure(objects)
        (self.home / "calls").write_text("")
        with self.running():
            return until("a check", lambda: self.calls("check_by_ssh"))[0]

    def warned(self, text: str) -> bool:
        """Whether the daemon's log has a warning with this text."""
        lines = (self.home / "out").read_text().splitlines()
        return any("warning/" in line and text in line for line in lines)

    def calls(self, program: str, verb: str = "") -> list[list[str]]:
        """The arguments of each call so far of a program, or of one verb of the handler."""
        lines = (self.home / "calls").read_text().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        calls = [call[1:] for call in whole if call[0] == program]
        return [call for call in calls if not verb or call[0] == verb]

    def states(self, verb: str) -> list[tuple[str, str, str]]:
        """State, state type and downtime of each call of a verb so far."""
        found = []
        for call in self.calls("anycast-handler", verb):
            assert call[1:3] == ["resolver", "ns1"]
            options = dict(zip(call[3::2], call[4::2], strict=True))
            checked = options.pop("--checked", "")
            assert bool(checked) == (verb == "enforce")
            asked = [options.pop(name, None) for name in ("--address", "--management")]
            assert asked == (["10.99.0.53", "192.0.2.11"] if checked else [None, None])
            # Never is -1 to Icinga; then the state must be one on which nothing acts.
            assert not checked.startswith("-") or options["--state"] == "UNKNOWN"
            assert list(options) == ["--downtime", "--state", "--state-type"]
            found.append((options["--state"], options["--state-type"], options["--downtime"]))
        return found

    def end(self) -> None:
        """Wait for the end of what the daemon left running, hung programs included."""
        self.check_says("0")
        (self.home / "child").unlink()
        until("the end of the programs", lambda: not self._processes())

    def _processes(self) -> list[Path]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(self.home) in (process / "cmdline").read_bytes():
                    found.append(process)
        return found

    def command(self, text: str) -> None:
        """Give the daemon an external command."""
        pipe = os.open(self.home / "run" / "cmd", os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, f"[{int(time.time())}] {text}\n".encode())
        os.close(pipe)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """An Icinga 2 that records, and leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="anycast-icinga-") as home:
        Path(home).chmod(0o755)
        recorded = Recorded(Path(home))
        yield recorded
        recorded.end()


FILES = 'include "%s/templates/*.conf"\n'
PASSIVE = 'address = "192.0.2.11"\n check_command = "dummy"'
FAST = f"{VIP}, interval = 1, retry = 1, attempts = 2, control_interval = 1"


def test_event_and_control_are_told_the_state_of_the_health_service(recorded: Recorded) -> None:
    """The handler hears each change, the control service what is true when it runs."""
    recorded.configure(FILES + host(f"{{ {FAST} }}", PASSIVE))
    recorded.check_says("hang")
    with recorded.running():
        until("a control run before any result", lambda: recorded.states("enforce"))
        child = until("the first check", lambda: (recorded.home / "child").read_text())
        assert set(recorded.states("enforce")) == {("UNKNOWN", "SOFT", "0")}

        recorded.check_says("0")
        os.kill(int(child), signal.SIGKILL)
        until("control OK", lambda: ("OK", "HARD", "0") in recorded.states("enforce"))

        events = len(recorded.states("event"))
        recorded.check_says("2")
        until("HARD", lambda: ("CRITICAL", "HARD", "0") in recorded.states("event")[events:])
        assert recorded.states("event")[events:] == [
            ("CRITICAL", "SOFT", "0"),
            ("CRITICAL", "HARD", "0"),
        ]
        until("control", lambda: ("CRITICAL", "HARD", "0") in recorded.states("enforce"))

        now = int(time.time())
        times = f"{now};{now + 600};1;0;600;ops;maintenance"
        recorded.command(f"SCHEDULE_HOST_DOWNTIME;ns1;{times}")
        until("the host's downtime", lambda: recorded.states("enforce")[-1][2] == "1")
        recorded.command(f"SCHEDULE_SVC_DOWNTIME;ns1;anycast-health-resolver;{times}")
        until("the service's downtime", lambda: recorded.states("enforce")[-1][2] == "2")
        recorded.check_says("0")
        until("recovery", lambda: recorded.states("event")[-1] == ("OK", "HARD", "2"))


def test_the_remote_command_line_survives_the_shell_of_the_endpoint(recorded: Recorded) -> None:
    """Each option reaches check_anycast as the one word that was written, whatever is in it."""
    hostile = "it's; `id` $$(id) | \\\\ *"
    settings = (
        f'{{ {VIP}, dns_expect = [ "192.0.2.80", "{hostile}" ], warning = "-1:5", dns_tcp = true,'
        ' ssh_port = 2222, ssh_options = [ "Compression=yes" ] }'
    )
    call = recorded.first_check(FILES + host(settings, PASSIVE))

    remote = call.pop()
    assert shlex.split(remote) == [
        *("/usr/lib/nagios/plugins/check_anycast", "dns", "--address", "10.99.0.53"),
        *("--expect", "192.0.2.80", "--expect", "it's; `id` $(id) | \\ *"),
        *("--query", "www.example.org", "--tcp", "--warning=-1:5"),
    ]
    # Icinga keeps no order among those of one `order`.
    assert (call[:2], call[-1]) == (["-o", "Compression=yes"], "-C")
    assert sorted(call[2:-1]) == sorted(
        shlex.split(
            "-F /dev/null -H 192.0.2.11 -U -i /etc/anycast/check_ed25519 -l check -p 2222 -t 24"
            " -o BatchMode=yes -o ConnectTimeout=5 -o GlobalKnownHostsFile=/dev/null"
            " -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR"
            " -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/anycast/known_hosts"
        )
    )


def test_each_word_of_a_plugin_reaches_the_endpoint_once(recorded: Recorded) -> None:
    """One `--` stands before all words, which stay as they were written; files and basket."""
    words = ["/usr/lib/nagios/plugins/check_ldap", "-H", "{address}", "a b", "$$(id)", "x;y", "--"]
    command = f"[ {', '.join(map(json.dumps, words))} ]"
    expected = [word.replace("$$", "$") for word in words]
    settings = f'{{ address = "10.99.0.53", check = "plugin", plugin_command = {command} }}'
    director = f'vars.anycast_check = "plugin", vars.anycast_plugin_command = {command}'

    for objects in (FILES + host(settings, PASSIVE), of_director(director)):
        remote = shlex.split(recorded.first_check(objects)[-1])
        assert remote[1:] == ["plugin", "--address", "10.99.0.53", "--", *expected]


@pytest.mark.parametrize(
    ("variables", "address", "complaint"),
    [
        ('vars.anycast_check = "by_ssh"', "192.0.2.11", "anycast_check must name a check"),
        ('vars.anycast_check = "dsn"', "192.0.2.11", "anycast_check must name a check"),
        ('vars.anycast_check = "ntp"', "-oProxyCommand=id", "anycast_ssh_address is not an"),
        ('vars.anycast_check = "ntp"', "-oX=id\\n192.0.2.11", "anycast_ssh_address is not an"),
        ('check_command = "anycast_nrpe"', "-f/etc/passwd", "anycast_nrpe_address is not an"),
    ],
)
def test_a_command_line_that_would_do_harm_is_not_run(
    recorded: Recorded, variables: str, address: str, complaint: str
) -> None:
    """What the Director lets pass is UNKNOWN to the engine, by name, and nothing is started."""
    recorded.configure(of_director(variables, address))
    with recorded.running():
        until("the event", lambda: recorded.states("event"))
        assert recorded.warned(complaint)

    assert {state for state, _, _ in recorded.states("event")} == {"UNKNOWN"}
    assert not recorded.calls("check_by_ssh") + recorded.calls("check_nrpe")


def test_a_check_of_its_own_command_is_refused_in_the_files(recorded: Recorded) -> None:
    """It would ask for its own command line for ever, and the daemon would die of it."""
    own = """
object Service "own" {
  host_name = "ns1", check_interval = 1
  check_command = "anycast_by_ssh", vars.anycast_check = "by_ssh"
}
"""
    recorded.configure(FILES + host(f"{{ {VIP} }}", PASSIVE) + own)
    with recorded.running():
        until("the refusal", lambda: recorded.warned("must name a check of check_anycast, such as"))


def test_ssh_obeys_no_configuration_of_the_daemons_user(recorded: Recorded) -> None:
    """A ProxyCommand in ~/.ssh/config of nagios is not run; without -F it would be."""
    words = recorded.first_check(FILES + host(f"{{ {VIP} }}", PASSIVE))
    without = [word for word in words if word not in ("-F", "/dev/null")]

    assert not proxied(recorded.home, words)
    assert proxied(recorded.home, without)


PROXIED = """
set -e
mount -t tmpfs tmpfs ~nagios
mkdir ~nagios/.ssh
echo "ProxyCommand touch $0/proxied" > ~nagios/.ssh/config
chown -R nagios: ~nagios
install -d -o nagios "$0"
runuser -u nagios -- /usr/lib/nagios/plugins/check_by_ssh "$@" || true
"""


def proxied(home: Path, words: list[str]) -> bool:
    """Run the real check_by_ssh without a network, and say whether it ran a ProxyCommand."""
    marker = home / "proxy"
    shutil.rmtree(marker, ignore_errors=True)
    unshared = ["unshare", "--mount", "--net", "bash", "-c", PROXIED, str(marker)]
    result = subprocess.run([*unshared, *words], check=True, capture_output=True, timeout=60)
    assert b"SSH connection failed" in result.stdout, result
    return (marker / "proxied").exists()


def test_a_hung_transport_is_unknown_and_leaves_no_process(recorded: Recorded) -> None:
    """The engine's time-out comes first, is no CRITICAL, and ends what check_by_ssh started."""
    recorded.configure(FILES + host(f"{{ {FAST}, check_timeout = 1 }}", PASSIVE))
    recorded.check_says("hang")
    with recorded.running():
        child = until("a check", lambda: (recorded.home / "child").read_text())
        until("the event", lambda: recorded.states("event"))
        until("the end of ssh", lambda: not Path(f"/proc/{child}").exists())

    assert {state for state, _, _ in recorded.states("event")} == {"UNKNOWN"}


def called(home: Path, objects: str) -> dict[str, list[str]]:
    """The sorted words of the first health check, event and control run with these objects."""
    recorded = Recorded(home)
    recorded.configure(objects)
    recorded.check_says("2")
    try:
        with recorded.running():
            until("an event", lambda: ("CRITICAL", "HARD", "0") in recorded.states("event"))
            until("control", lambda: ("CRITICAL", "HARD", "0") in recorded.states("enforce"))
    finally:
        recorded.end()
    words = {
        "check": recorded.calls("check_by_ssh")[0],
        "event": recorded.calls("anycast-handler", "event")[-1],
        "enforce": recorded.calls("anycast-handler", "enforce")[-1],
    }
    checked = words["enforce"].index("--checked")
    del words["enforce"][checked : checked + 2]
    return {name: sorted(word.replace(str(home), "") for word in words[name]) for name in words}


def test_the_directors_basket_does_what_the_files_do() -> None:
    """The same command lines, to the word; ssh's own options among them."""
    own = 'ssh_options = [ "Port=2222" ], ssh_keep_open = true'
    of_files = FILES + host(f"{{ {FAST}, {own} }}", PASSIVE)
    of_basket = (
        of_director("""
  vars.anycast_check = "dns", vars.anycast_dns_query = "www.example.org"
  vars.anycast_ssh_options = [ "Port=2222" ], vars.anycast_ssh_keep_open = true""")
        + """
object Service "anycast-control-resolver" {
  import "anycast-control"
  host_name = "ns1", check_interval = 1, retry_interval = 1, max_check_attempts = 2
  vars.anycast_vip = "resolver", vars.anycast_health = "anycast-health-resolver"
}
"""
    )
    found = []
    for objects in (of_files, of_basket):
        with tempfile.TemporaryDirectory(prefix="anycast-icinga-") as home:
            Path(home).chmod(0o755)
            found.append(called(Path(home), objects))

    assert found[0] == found[1]
    assert found[0]["check"].count("-o") == 14
