"""Every check against real servers in every state, side by side with common Nagios plugins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab import Lab
from lab.daemon import Daemon
from lab.lab import Endpoint
from lab.services import CERTIFICATE, time_server, web_server
from lab.topology import QUERY, RIGHT_ANSWER, VIP
from lab.waiting import wait_until

PLUGINS = "/usr/lib/nagios/plugins"
VIP6 = "2001:db8::53"
# A query for the A record of www.example.org, and the address in the answer.
DNS = "beef01000001000000000000" + "".join(
    f"{len(x):02x}{x.encode().hex()}" for x in QUERY.split(".")
)
DNS += "0000010001"
ANSWER = bytes(int(part) for part in RIGHT_ANSWER.split(".")).hex()
FRAMED = "".join(rf"\x{byte:02x}" for byte in len(bytes.fromhex(DNS)).to_bytes(2, "big"))
FRAMED += "".join(rf"\x{byte:02x}" for byte in bytes.fromhex(DNS))
HTTP = ("--host", QUERY)
TLS = ("--tls", "--ca-file", CERTIFICATE, *HTTP)
OURS = {
    "dns": ("dns", "--query", QUERY, "--expect", RIGHT_ANSWER),
    "udp": ("udp", "-p", "53", "--send-hex", DNS, "--expect-hex", ANSWER),
    "tcp": ("tcp", "-p", "53", "--send", FRAMED, "--expect", r"\xc0\x00\x02\x50"),
    "http": ("http", *HTTP, "--string", "Welcome"),
    "https": ("http", *TLS, "--string", "Welcome", "--cert-warning", "10"),
    "ntp": ("ntp", "--stratum-critical", "9"),
    "all": (
        *("all", "--check", f"dns --query {QUERY} --expect {RIGHT_ANSWER}"),
        *("--check", f"http --host {QUERY} --string Welcome", "--check", "ntp"),
    ),
    "plugin": ("plugin", "--", f"{PLUGINS}/check_http", "-I", "{address}", "-t", "1"),
}
THEIRS = {
    "dns": ("check_dig", "-H", VIP, "-l", QUERY, "-a", RIGHT_ANSWER, "-t", "2"),
    "tcp": ("check_tcp", "-H", VIP, "-p", "53", "-t", "2"),
    "http": ("check_http", "-I", VIP, "-H", QUERY, "-s", "Welcome", "-t", "2"),
    "https": ("check_http", "-I", VIP, "-H", QUERY, "-S", "-s", "Welcome", "-t", "2"),
    "ntp": ("check_ntp_time", "-H", VIP, "-t", "2"),
}


@dataclass
class Bench:
    """Two endpoints: ns1, whose services are broken, and ns2, which always answers rightly."""

    lab: Lab
    ns1: Endpoint
    daemons: dict[str, Daemon]

    def ask(self, name: str, *more: str, address: str = VIP) -> subprocess.CompletedProcess[str]:
        words = list(OURS.get(name, (name,)))
        place = words.index("--") if "--" in words else len(words)
        options = ["-H", address, "--tries", "1", *more]
        return self._run([f"{PLUGINS}/check_anycast", *words[:place], *options, *words[place:]])

    def theirs(self, name: str) -> subprocess.CompletedProcess[str]:
        program, *options = THEIRS[name]
        return self._run([f"{PLUGINS}/{program}", *options])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        ended = self.ns1.host.run(argv, user="check", timeout=30)
        assert "check_anycast" not in argv[0] or ended.stderr == ""
        return ended

    def each(self, act: str) -> None:
        for daemon in self.daemons.values():
            getattr(daemon, act)()

    def withdraw(self) -> None:
        self.ns1.host.run(["ifdown", "lo:0"], check=True)
        wait_until(lambda: len(self.lab.routed()) == 2, "the others are sent to")

    def restore(self) -> None:
        if not self.ns1.announced:
            self.ns1.host.run(["ifup", "--force", "lo:0"], check=True)
        wait_until(lambda: len(self.lab.routed()) == 3, "ns1 is sent to again")


@pytest.fixture(scope="module")
def made(lab: Lab) -> Bench:
    ns1, ns2 = lab.endpoint("ns1"), lab.endpoint("ns2")
    for endpoint in (ns1, ns2):
        endpoint.host.run(["ip", "address", "add", f"{VIP6}/128", "dev", "lo"], check=True)
    daemons = {"dns": ns1.resolver, "web": web_server(ns1.host), "time": time_server(ns1.host)}
    daemons["web"].start()
    daemons["time"].start()
    for host in (ns2.host, lab.host("ns3")):
        web_server(host, like=ns1.host).start()
        time_server(host).start()
    return Bench(lab, ns1, daemons)


@pytest.fixture
def bench(made: Bench) -> Iterator[Bench]:
    yield made
    made.each("repair")
    made.restore()


@pytest.mark.parametrize("name", OURS)
def test_right(bench: Bench, name: str) -> None:
    ended = bench.ask(name)
    assert ended.returncode == 0, ended.stdout
    assert f" OK - {VIP} announced: " in ended.stdout


@pytest.mark.parametrize("name", ["dns", "http", "ntp", "plugin"])
def test_right_over_ipv6(bench: Bench, name: str) -> None:
    ended = bench.ask(name, address=VIP6)
    assert ended.returncode == 0, ended.stdout
    assert f" OK - {VIP6} announced: " in ended.stdout


def test_dead(bench: Bench) -> None:
    bench.each("kill")
    for name in OURS:
        ended = bench.ask(name)
        assert ended.returncode == 2, ended.stdout
        assert f" CRITICAL - {VIP} still announced: " in ended.stdout
        assert "refused" in ended.stdout.lower()


def test_hanging(bench: Bench) -> None:
    bench.each("hang")
    for name in OURS:
        ended = bench.ask(name, "-t", "1.5")
        assert ended.returncode == 2, ended.stdout
        assert f" CRITICAL - {VIP} still announced: " in ended.stdout


def test_what_is_silent_can_be_unknown(bench: Bench) -> None:
    bench.each("hang")
    for name in set(OURS) - {"plugin"}:
        ended = bench.ask(name, "-t", "0.5", "--timeout-state", "unknown")
        assert ended.returncode == 3, ended.stdout
        first = "dns: " if name == "all" else ""
        assert f" UNKNOWN - {VIP} announced, cannot tell: {first}no " in ended.stdout


def test_whoever_answers_elsewhere_is_not_asked(bench: Bench) -> None:
    """Otherwise the network would take the question to ns2, whose answer is right."""
    bench.each("kill")
    bench.withdraw()
    for name in OURS:
        ended = bench.ask(name)
        assert ended.returncode == 1, ended.stdout
        assert f" WARNING - {VIP} withdrawn, instance still failing: 127.0.0.1: " in ended.stdout
        assert bench.ask(name, "--client").returncode == 0
    assert {name: bench.theirs(name).returncode for name in THEIRS} == dict.fromkeys(THEIRS, 0)


def test_withdrawn_and_well(bench: Bench) -> None:
    bench.withdraw()
    for name in OURS:
        ended = bench.ask(name)
        assert ended.returncode == 0, ended.stdout
        assert f" OK - {VIP} healthy, withdrawn: 127.0.0.1: " in ended.stdout


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--url", "/error"), "500 Internal Server Error, 3 bytes: not the status that is"),
        (("--url", "/early"), "connection closed without an answer"),
        (("--url", "/slow", "-t", "2"), "200 OK, then not all of it in time"),
        (("--url", "/none", "--status", "200-499"), "no 'Welcome' in the body"),
        (("--string", "Goodbye"), "no 'Goodbye' in the body"),
    ],
)
def test_a_web_server_that_answers_wrongly(bench: Bench, more: tuple[str, ...], says: str) -> None:
    for name in ("http", "https"):
        ended = bench.ask(name, *more)
        assert ended.returncode == 2, ended.stdout
        assert says in ended.stdout


def test_a_redirect_of_a_real_server_is_followed(bench: Bench) -> None:
    assert bench.ask("http", "--url", "/moved", "--follow").returncode == 0


def test_a_certificate_that_nobody_knows(bench: Bench) -> None:
    ended = bench.ask("http", "--tls")
    # Without certificates of authorities the check cannot tell.
    assert ended.returncode in (2, 3), ended.stdout
    assert "certificate" in ended.stdout
    ended = bench.ask("https", "--host", "www.example.com")
    assert ended.returncode == 2, ended.stdout
    assert "Hostname mismatch" in ended.stdout
    ended = bench.ask("https", "--cert-warning", "31")
    assert ended.returncode == 1, ended.stdout
    assert "certificate expires in " in ended.stdout


def test_a_time_server_without_time(bench: Bench) -> None:
    bench.daemons["time"].kill()
    lost = time_server(bench.ns1.host, synchronised=False)
    lost.start()
    try:
        ended = bench.ask("ntp")
        assert ended.returncode == 2, ended.stdout
        assert "not synchronised: leap 3" in ended.stdout
    finally:
        lost.kill()
        time_server(bench.ns1.host)


def test_route_and_pool_by_the_user_of_the_checks(bench: Bench) -> None:
    def ask(name: str, *more: str) -> tuple[int, str]:
        argv = [f"{PLUGINS}/check_anycast", name, "-H", VIP, *more]
        ended = bench.ns1.host.run(argv, user="check")
        assert ended.stderr == ""
        return ended.returncode, ended.stdout

    code, said = ask("route")
    assert code == 0, said
    assert "announced: on lo and in OSPF, router-id 10.0.1.2, 1 neighbor Full" in said
    code, said = ask("pool", "-w", "3:", "--expect-router", "10.0.3.2")
    assert code == 0, said
    assert said.splitlines()[1:] == ["10.0.1.2 (asked)", "10.0.2.2", "10.0.3.2"]

    bench.withdraw()
    code, said = ask("route")
    assert code == 0, said
    assert "withdrawn: neither on an interface nor in OSPF" in said
    code, said = ask("pool", "-w", "3:")
    assert code == 1, said
    assert "is announced by 2 routers, not in 3:" in said


def test_without_the_line_in_sudoers_the_trouble_names_it(bench: Bench) -> None:
    argv = [f"{PLUGINS}/check_anycast", "pool", "-H", VIP]
    ended = bench.ns1.host.run(argv, user="nobody")
    assert ended.returncode == 3, ended.stdout
    assert "sudo refuses /usr/local/sbin/anycast-vtysh: " in ended.stdout


def _die_and_withdraw(bench: Bench) -> None:
    bench.each("kill")
    bench.withdraw()


class TestBesideTheirs:
    """The checks find every failure that the monitoring-plugins find."""

    STATES: tuple[tuple[str, Callable[[Bench], None]], ...] = (
        ("right", lambda _: None),
        ("dead", lambda bench: bench.each("kill")),
        ("hanging", lambda bench: bench.each("hang")),
        ("SERVFAIL", lambda bench: bench.ns1.resolver.servfail()),
        ("another address", lambda bench: bench.ns1.resolver.answer("192.0.2.66")),
        ("withdrawn, dead", _die_and_withdraw),
        ("withdrawn, well", lambda bench: bench.withdraw()),
    )

    @pytest.mark.parametrize(("state", "bring"), STATES, ids=[name for name, _ in STATES])
    def test_state(self, bench: Bench, state: str, bring: Callable[[Bench], None]) -> None:
        bring(bench)
        for name in THEIRS:
            ours, theirs = bench.ask(name), bench.theirs(name)
            print(f"{state:16} {name:6} ours {ours.returncode} theirs {theirs.returncode}")
            assert ours.returncode or theirs.returncode not in (1, 2), theirs.stdout
