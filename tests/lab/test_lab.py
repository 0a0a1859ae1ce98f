"""The lab is what it claims to be, and nothing of it is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from lab import Endpoint, Lab, LabError, state
from lab.daemon import Daemon
from lab.icinga import Icinga
from lab.load import Load
from lab.topology import NAMES, QUERY, RIGHT_ANSWER, STYLES, VIP
from lab.waiting import wait_until

CHECKOUT = Path(__file__).parents[2]
EVERYWHERE = ("ns1", "ns2", "ns3")
COMMAND_LINE = (sys.executable, "-m", "lab")
OWNER = """
import sys
from lab import Lab
with Lab() as lab:
    print(*(host.pid for host in lab.hosts.values()), flush=True)
    sys.stdin.read()
"""
ICINGA = """
object CheckCommand "look" { command = [ "/bin/ls", "/tmp/sign" ] }
object EventCommand "note" { command = [ "/usr/bin/touch", "/tmp/handled" ] }
object Host "h" { check_command = "dummy" }
object Service "sign" {
  host_name = "h"
  check_command = "look"
  event_command = "note"
  check_interval = 0.5s
  retry_interval = 0.5s
  max_check_attempts = 2
}
"""

pytestmark = pytest.mark.usefixtures("lab_is_possible")


@pytest.fixture(scope="module", params=STYLES)
def styled(request: pytest.FixtureRequest, venv: Path) -> Iterator[Lab]:
    """A lab in each of the styles of announcing the VIP."""
    with Lab(style=request.param, venv=venv) as lab:
        yield lab


class TestRouting:
    def test_the_client_reaches_every_instance(self, styled: Lab) -> None:
        queries = Load(styled.client, rate=200, count=100).wait(60)
        assert len(queries) == 100
        assert {query.outcome for query in queries} == {"answered"}
        assert {query.instance for query in queries} == set(EVERYWHERE)

    def test_ifdown_leaves_the_routers_kernel_and_ifup_comes_back(self, styled: Lab) -> None:
        ns2 = styled.endpoint("ns2")
        ns2.host.run(["ifdown", "lo:0"], check=True)
        wait_until(lambda: styled.routed() == ("ns1", "ns3"), "the route to ns2 is gone")
        assert not ns2.announced
        # This takes 1.5 s: OSPF ignores, for 5 s or more, a change within a second of another one.
        queries = Load(styled.client, rate=100, count=150).wait(60)
        assert {query.instance for query in queries} == {"ns1", "ns3"}

        ns2.host.run(["ifup", "lo:0"], check=True)
        wait_until(lambda: styled.routed() == EVERYWHERE, "the route to ns2 is back")
        assert ns2.announced


class TestResolver:
    @pytest.fixture
    def ns1(self, lab: Lab) -> Iterator[Endpoint]:
        """An endpoint whose resolver answers rightly, before and after the test."""
        endpoint = lab.endpoint("ns1")
        assert ask(endpoint) == f"NOERROR {RIGHT_ANSWER}"
        yield endpoint
        endpoint.resolver.repair()
        assert ask(endpoint) == f"NOERROR {RIGHT_ANSWER}"

    @pytest.mark.parametrize("address", [VIP, "10.0.1.2", "127.0.0.1", "::1"])
    def test_it_answers_on_every_address(self, ns1: Endpoint, address: str) -> None:
        assert ask(ns1, address) == f"NOERROR {RIGHT_ANSWER}"

    def test_killed_it_refuses(self, ns1: Endpoint) -> None:
        ns1.resolver.kill()
        assert "connection refused" in ask(ns1)

    def test_hung_it_is_silent(self, ns1: Endpoint) -> None:
        ns1.resolver.hang()
        assert "timed out" in ask(ns1)

    def test_it_can_fail(self, ns1: Endpoint) -> None:
        ns1.resolver.servfail()
        assert ask(ns1) == "SERVFAIL"

    def test_it_can_be_wrong(self, ns1: Endpoint) -> None:
        ns1.resolver.answer("192.0.2.66")
        assert ask(ns1) == "NOERROR 192.0.2.66"


class TestHosts:
    def test_the_handlers_account_may_do_its_work_as_root_and_nothing_else(self, lab: Lab) -> None:
        def sudo(*argv: str) -> int:
            return lab.host("ns2").run(["sudo", "-n", *argv], user="anycast").returncode

        # It refuses an empty request, but it is run.
        assert sudo("/usr/local/sbin/anycast-act") == 126
        assert sudo("/sbin/ifup", "lo:0") == 1
        assert sudo("/bin/true") == 1

    def test_the_programs_run_as_the_users_that_run_them(self, lab: Lab) -> None:
        check = lab.host("ns1").run(["/usr/lib/nagios/plugins/check_anycast", "-V"], user="check")
        handler = lab.mon.run(["anycast-handler", "-V"], user="nagios")
        assert check.stdout.startswith("check_anycast ")
        assert handler.stdout.startswith("anycast-handler ")

    def test_each_host_has_its_own_files_processes_and_log(self, lab: Lab) -> None:
        lab.mon.write("/etc/only-here", "x")
        lab.mon.run(["logger", "a line for mon"], check=True)
        wait_until(lambda: "a line for mon" in lab.mon.read("/var/log/syslog"), "it is logged")
        assert "a line for mon" not in lab.client.read("/var/log/syslog")
        with pytest.raises(LabError, match="only-here"):
            lab.client.read("/etc/only-here")
        assert not Path("/etc/only-here").exists()
        assert lab.mon.run(["hostname"]).stdout == "mon\n"
        assert "zebra" not in lab.mon.run(["ps", "ax"]).stdout

    def test_a_command_ends_although_its_child_keeps_the_output_open(self, lab: Lab) -> None:
        script = "echo of the command; echo and this >&2; exec sleep 600 & exit 3"
        ended = lab.client.run(["sh", "-c", script], timeout=10)
        said = ("of the command\n", "and this\n")
        assert (ended.returncode, ended.stdout, ended.stderr) == (3, *said)

    def test_a_daemon_that_keeps_its_output_open_can_be_started(self, lab: Lab) -> None:
        pidfile = "/run/talkative.pid"
        script = f"while sleep 0.1; do echo on and on; done & echo $! >{pidfile}"
        talkative = Daemon(lab.client, ["sh", "-c", script], pidfile)
        talkative.start()
        assert lab.client.run(["kill", "-0", lab.client.read(pidfile).strip()]).returncode == 0
        talkative.kill()

    def test_a_boot_id_can_be_changed(self, lab: Lab) -> None:
        boot_id = "/proc/sys/kernel/random/boot_id"
        seen = {lab.host("ns3").read(boot_id)}
        for _ in range(2):
            lab.endpoint("ns3").change_boot_id()
            seen.add(lab.host("ns3").read(boot_id))
        assert len(seen) == 3
        assert Path(boot_id).read_text() == lab.host("ns2").read(boot_id)


def test_icinga_checks_and_calls_event_handlers_when_it_is_let(lab: Lab, tmp_path: Path) -> None:
    icinga = Icinga(lab.mon, ICINGA, templates=tmp_path)
    icinga.start()

    icinga.wait_for("h", "sign", "CRITICAL")
    wait_until(lambda: lab.mon.run(["rm", "/tmp/handled"]).returncode == 0, "it was handled")
    lab.mon.write("/tmp/sign", "")
    icinga.wait_for("h", "sign", "OK")
    wait_until(lambda: lab.mon.run(["rm", "/tmp/handled"]).returncode == 0, "it was handled")

    icinga.switch_event_handlers(enabled=False)
    lab.mon.run(["rm", "/tmp/sign"], check=True)
    icinga.wait_for("h", "sign", "CRITICAL")
    assert lab.mon.run(["ls", "/tmp/handled"]).returncode != 0

    icinga.stop()
    icinga.start()
    assert [service.state for service in icinga.services()] == ["CRITICAL"]
    icinga.stop()


def test_icinga_says_what_is_wrong_with_its_configuration(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="nowhere"):
        Icinga(lab.mon, 'object Host "h" { import "nowhere" }', templates=tmp_path).start()


class TestEnd:
    """Other labs may be up meanwhile, so the tests look only at the namespaces of their own lab."""

    @pytest.mark.parametrize("error", [None, LabError, KeyboardInterrupt])
    def test_leaving_it_ends_everything(self, error: type[BaseException] | None) -> None:
        with pytest.raises(error) if error else nullcontext(), Lab() as lab:
            left = processes_of([host.pid for host in lab.hosts.values()])
            assert len(left()) > len(NAMES)
            lab.client.popen(["sleep", "600"])
            if error:
                raise error
        assert left() == []
        assert_machine_is_clean()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_it_ends_with_the_process_that_made_it(self, number: signal.Signals) -> None:
        pipe = subprocess.PIPE
        argv = [sys.executable, "-c", OWNER]
        with subprocess.Popen(argv, cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True) as owner:
            assert owner.stdout
            left = processes_of([int(pid) for pid in owner.stdout.readline().split()])
            assert left()
            owner.send_signal(number)
        wait_until(lambda: not left(), "nothing of it is left")
        assert_machine_is_clean()

    def test_up_that_is_interrupted_halfway_leaves_nothing(self, no_lab_is_up: None) -> None:
        with subprocess.Popen(
            [*COMMAND_LINE, "up"], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True
        ) as up:
            inits = wait_until(lambda: inits_below(up.pid), "a host is there")
            left = processes_of(inits)
            up.send_signal(signal.SIGINT)
            _, said = up.communicate(timeout=60)
        assert (up.returncode, said) == (130, "lab: interrupted; nothing is left\n")
        assert left() == []
        assert not state.DIRECTORY.exists()
        assert_machine_is_clean()


@pytest.fixture
def no_lab_is_up() -> Iterator[None]:
    """`up` allows one lab on a machine, and a test must not end the lab of a person."""
    if state.find() is not None:
        pytest.skip("a lab is up on this machine: `python -m lab down` ends it")
    yield
    command("down")


def test_up_exec_and_down(no_lab_is_up: None) -> None:
    assert command("exec", "mon", "--", "true").stderr.startswith("lab: no lab is up")
    up = command("up", "--style", "network")
    assert (up.returncode, up.stderr) == (0, "")
    found = state.find()
    assert found
    left = processes_of([host.pid for host in found[1].values()])

    assert command("exec", "ns1", "--", "hostname").stdout == "ns1\n"
    assert command("exec", "ns1", "--", "sh", "-c", "exit 7").returncode == 7
    assert command("exec", "--user", "nagios", "mon", "id", "-un").stdout == "nagios\n"
    again = command("up")
    assert again.returncode == 1
    assert again.stderr == "lab: a lab is up already: end it with `python -m lab down`\n"

    assert command("down").returncode == 0
    assert left() == []
    assert not state.DIRECTORY.exists()
    assert command("down").stdout == "No lab is up.\n"


def test_what_a_killed_lab_noted_is_no_obstacle(no_lab_is_up: None) -> None:
    command("up")
    found = state.find()
    assert found
    keeper, hosts = found
    left = processes_of([host.pid for host in hosts.values()])
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not left(), "nothing of it is left")

    assert state.DIRECTORY.exists()
    assert command("exec", "mon", "--", "true").stderr.startswith("lab: no lab is up")
    assert not state.DIRECTORY.exists()
    assert command("up").returncode == 0


def ask(endpoint: Endpoint, address: str = VIP) -> str:
    """Return status and addresses as dig, on the endpoint itself, sees them."""
    argv = ["dig", "+tries=1", "+time=3", "+noall", "+comments", "+answer", f"@{address}", QUERY]
    said = endpoint.host.run(argv).stdout
    if "status: " not in said:
        return said
    status = said.split("status: ")[1].split(",")[0]
    answers = [line.split()[-1] for line in said.splitlines() if line.startswith(QUERY)]
    return " ".join([status, *answers])


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m lab`."""
    argv = [*COMMAND_LINE, *words]
    return subprocess.run(
        argv, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=180
    )


def processes_of(inits: list[int]) -> Callable[[], list[int]]:
    """Find the processes in any namespace of these hosts, now and whenever it is asked again."""
    kinds = ("pid", "mnt", "net", "uts")
    own = {_namespace("self", kind) for kind in kinds}
    spaces = {_namespace(pid, kind) for pid in inits for kind in kinds} - own - {None}
    return lambda: [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if {_namespace(process.name, kind) for kind in kinds} & spaces
    ]


def inits_below(pid: int) -> list[int]:
    """List the descendants of a process that are the first of a PID namespace."""
    listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True)
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listing.stdout.splitlines()}
    below = [pid]
    for one in below:
        below += [child for child, parent in parents.items() if parent == one]
    own = _namespace("self", "pid")
    return [one for one in below if _namespace(one, "pid") not in (own, None)]


def assert_machine_is_clean() -> None:
    """No mount and no link of a lab is to be seen on the machine."""
    assert "/run/lab" not in Path("/proc/self/mounts").read_text()
    assert not {link.name for link in Path("/sys/class/net").iterdir()} & {*NAMES, "eth0@if2"}


def _namespace(process: str | int, kind: str) -> str | None:
    try:
        return os.readlink(f"/proc/{process}/ns/{kind}")
    except OSError:  # it has ended, or is none of ours
        return None
