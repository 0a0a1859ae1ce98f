"""What the real Icinga 2 daemon runs with the templates, to the word, and when."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.waiting import wait_until
from tests.lab.icinga_alone import SECONDS, VIP, Recorded, by_hand, home, host, needs_icinga

pytestmark = needs_icinga

FILES = 'include "%s/templates/*.conf"\n'
PASSIVE = 'address = "192.0.2.11"\n check_command = "dummy"'
FAST = f"{VIP}, interval = 1, retry = 1, attempts = 2, control_interval = 1"


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """An Icinga 2 that records, and leaves nothing behind."""
    with home() as directory:
        recorded = Recorded(directory)
        yield recorded
        recorded.end()


def test_event_and_control_are_told_the_state_of_the_health_service(recorded: Recorded) -> None:
    """The handler is told each change, the control service the state at the time of its run."""
    recorded.configure(FILES + host(f"{{ {FAST} }}", PASSIVE))
    recorded.check_says("hang")
    with recorded.running():
        wait_until(lambda: recorded.states("enforce"), "a control run before any result", SECONDS)
        child = wait_until(
            lambda: (recorded.home / "child").read_text(), "the first check", SECONDS
        )
        assert set(recorded.states("enforce")) == {("UNKNOWN", "SOFT", "0")}

        recorded.check_says("0")
        os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: ("OK", "HARD", "0") in recorded.states("enforce"), "control OK", SECONDS)

        events = len(recorded.states("event"))
        recorded.check_says("2")
        wait_until(
            lambda: ("CRITICAL", "HARD", "0") in recorded.states("event")[events:], "HARD", SECONDS
        )
        # Each call is a process of its own, and one may note itself later than the next one.
        called = [one for one in recorded.states("event")[events:] if one[0] == "CRITICAL"]
        assert sorted(called) == [("CRITICAL", "HARD", "0"), ("CRITICAL", "SOFT", "0")]
        wait_until(
            lambda: ("CRITICAL", "HARD", "0") in recorded.states("enforce"), "control", SECONDS
        )

        now = int(time.time())
        times = f"{now};{now + 600};1;0;600;ops;maintenance"
        recorded.command(f"SCHEDULE_HOST_DOWNTIME;ns1;{times}")
        wait_until(lambda: recorded.states("enforce")[-1][2] == "1", "the host's downtime", SECONDS)
        recorded.command(f"SCHEDULE_SVC_DOWNTIME;ns1;anycast-health-resolver;{times}")
        wait_until(
            lambda: recorded.states("enforce")[-1][2] == "2", "the service's downtime", SECONDS
        )
        recorded.check_says("0")
        wait_until(lambda: recorded.states("event")[-1] == ("OK", "HARD", "2"), "recovery", SECONDS)


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
        *("--query", "www.example.org", "--tcp", "--tries", "1", "--warning=-1:5"),
    ]
    # Icinga sorts arguments by `order`, and those with the same `order` in no fixed way.
    assert (call[:2], call[-1]) == (["-o", "Compression=yes"], "-C")
    assert sorted(call[2:-1]) == sorted(
        shlex.split(
            "-F /dev/null -H 192.0.2.11 -U -i /etc/anycast/check_ed25519 -l check -p 2222 -t 24"
            " -o BatchMode=yes -o ConnectTimeout=5 -o GlobalKnownHostsFile=/dev/null"
            " -o IdentitiesOnly=yes -o IdentityAgent=none -o LogLevel=ERROR"
            " -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/anycast/known_hosts"
            " -o ControlMaster=auto -o ControlPath=/var/lib/anycast-handler/%C"
            " -o ControlPersist=60 -o ServerAliveInterval=2 -o ServerAliveCountMax=2"
        )
    )


def test_each_word_of_a_plugin_reaches_the_endpoint_once(recorded: Recorded) -> None:
    """One `--` stands before all words, which stay as they were written."""
    words = ["/usr/lib/nagios/plugins/check_ldap", "-H", "{address}", "a b", "$$(id)", "x;y", "--"]
    command = f"[ {', '.join(map(json.dumps, words))} ]"
    expected = [word.replace("$$", "$") for word in words]
    settings = f'{{ address = "10.99.0.53", check = "plugin", plugin_command = {command} }}'
    remote = shlex.split(recorded.first_check(FILES + host(settings, PASSIVE))[-1])
    asked = ["plugin", "--address", "10.99.0.53", "--tries", "1"]
    assert remote[1:] == [*asked, "--", *expected]


def test_each_question_of_all_reaches_the_endpoint_as_one_word(recorded: Recorded) -> None:
    """Whatever stands between its quotes."""
    texts = ["dns --query {random}.example.org", "http --string 'it is'", "dns --query x --tcp"]
    array = f"[ {', '.join(map(json.dumps, texts))} ]"
    settings = f'{{ address = "10.99.0.53", check = "all", all_check = {array}, timeout = 5 }}'
    remote = shlex.split(recorded.first_check(FILES + host(settings, PASSIVE))[-1])
    asked = [word for text in texts for word in ("--check", text)]
    rest = ["--timeout", "5", "--tries", "1"]
    assert remote[1:] == ["all", "--address", "10.99.0.53", *asked, *rest]


@pytest.mark.parametrize("attribute", ["address", "address6"])
def test_an_address_of_ipv6_reaches_the_endpoint_as_it_was_written(
    recorded: Recorded, attribute: str
) -> None:
    """A host may have its management address in address6."""
    vip, instance, ssh = "2001:db8:99::53", "2001:db8:1::2", "2001:db8:1::1"
    settings = f'{{ address = "{vip}", check = "ntp", instance = "{instance}" }}'
    passive = PASSIVE.replace('address = "192.0.2.11"', f'{attribute} = "{ssh}"')
    call = recorded.first_check(FILES + host(settings, passive))
    assert call[call.index("-H") + 1] == ssh
    assert shlex.split(call[-1])[1:6] == ["ntp", "--address", vip, "--instance", instance]


def test_a_host_with_address6_alone_is_asked_by_nrpe_and_named_to_the_handler(
    recorded: Recorded,
) -> None:
    """The handler compares the address with that of the endpoint in the fleet file."""
    settings = f'{{ {VIP}, transport = "nrpe", control_interval = 1 }}'
    passive = PASSIVE.replace("address", "address6").replace("192.0.2.11", "2001:db8:1::1")
    recorded.configure(FILES + host(settings, passive))
    with recorded.running():
        asked = wait_until(lambda: recorded.calls("check_nrpe"), "a check by NRPE", SECONDS)[0]
        told = wait_until(lambda: recorded.calls("anycast-handler"), "a control run", SECONDS)[0]
    assert asked[asked.index("-H") + 1] == "2001:db8:1::1"
    assert told[told.index("--management") + 1] == "2001:db8:1::1"


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
    """A mistake that no rule can refuse is named in an UNKNOWN, and nothing is started."""
    recorded.configure(by_hand(variables, address))
    with recorded.running():
        wait_until(lambda: recorded.states("event"), "the event", SECONDS)
        wait_until(lambda: recorded.warned(complaint), "the complaint", SECONDS)

    assert {state for state, _, _ in recorded.states("event")} == {"UNKNOWN"}
    assert not recorded.calls("check_by_ssh") + recorded.calls("check_nrpe")


def test_a_check_of_its_own_command_is_refused_in_the_files(recorded: Recorded) -> None:
    """Icinga would build the command line from itself for ever, and the daemon would die."""
    own = """
object Service "own" {
  host_name = "ns1", check_interval = 1
  check_command = "anycast_by_ssh", vars.anycast_check = "by_ssh"
}
"""
    recorded.configure(FILES + host(f"{{ {VIP} }}", PASSIVE) + own)
    with recorded.running():
        wait_until(
            lambda: recorded.warned("must name a check of check_anycast, such as"),
            "the refusal",
            SECONDS,
        )


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


def proxied(directory: Path, words: list[str]) -> bool:
    """Run the real check_by_ssh without a network, and say whether it ran a ProxyCommand."""
    marker = directory / "proxy"
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
        child = wait_until(lambda: (recorded.home / "child").read_text(), "a check", SECONDS)
        wait_until(lambda: recorded.states("event"), "the event", SECONDS)
        wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of ssh", SECONDS)

    assert {state for state, _, _ in recorded.states("event")} == {"UNKNOWN"}


@pytest.mark.parametrize(("keep_open", "options"), [("", 14), ("false", 9)])
def test_a_person_says_whether_the_connection_is_kept_open(
    recorded: Recorded, keep_open: str, options: int
) -> None:
    own = 'ssh_options = [ "Port=2222" ]' + (keep_open and f", ssh_keep_open = {keep_open}")
    call = recorded.first_check(FILES + host(f"{{ {FAST}, {own} }}", PASSIVE))
    assert call.count("-o") == options, call


SET_FOR_THE_HOST = """
object Host "ns1" {
  check_command = "dummy", address = "192.0.2.11", vars.anycast_address = "10.99.0.53"
}
object Service "health" { host_name = "ns1", check_command = "dummy" }
object Service "control" {
  import "anycast-control"
  host_name = "ns1", check_interval = 1
  vars.anycast_vip = "resolver", vars.anycast_health = "health"
}
"""


def test_an_address_that_is_set_for_the_host_is_told_to_the_handler(recorded: Recorded) -> None:
    """The handler compares it with that of the VIP in the fleet file."""
    recorded.configure(FILES + SET_FOR_THE_HOST)
    with recorded.running():
        call = wait_until(lambda: recorded.calls("anycast-handler"), "a control run", SECONDS)[0]
    assert call[call.index("--address") + 1] == "10.99.0.53"
