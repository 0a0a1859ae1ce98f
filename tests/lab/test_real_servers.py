"""Name servers and time servers from Debian: healthy is OK; hung, killed and wrong is CRITICAL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.real_servers import (
    NAME,
    NAME_SERVERS,
    RIGHT,
    TIME_SERVERS,
    UNBOUND,
    VIP,
    Net,
    Server,
    await_state,
    net,
)
from tests.support.printed import Printed

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ["unshare", "nsenter", "ip", "setpriv"])),
    reason="network namespaces need root, util-linux and iproute2",
)
ONCE = ("--tries", "1", "-t", "1")
DNS = ("dns", "--query", NAME, "--expect", RIGHT, *ONCE)
HAVE_NSID = {"unbound", "BIND", "NSD", "Knot Resolver"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Net]:
    tmp_path.chmod(0o755)
    with net(tmp_path) as made:
        yield made


def fails(seen: Printed, why: str) -> None:
    assert seen.code == 2, seen.output
    assert f" CRITICAL - {VIP} still announced: " in seen.text
    assert why in seen.text


@pytest.mark.parametrize("name", NAME_SERVERS)
def test_name_server(here: Net, name: str) -> None:
    server = NAME_SERVERS[name]
    with here.serving(server) as running:
        await_state(lambda: here.check(*DNS), 0)
        assert here.check(*DNS, "--tcp", "-v").code == 0
        both = [word for how in ("", " --tcp") for word in ("--check", f"dns --query {NAME}{how}")]
        assert here.check("all", *both, *ONCE).code == 0
        assert here.check(*DNS, "--checking-disabled").code == 0
        expected = 0 if name in HAVE_NSID else 1
        assert here.check(*DNS, "--expect-nsid", "ns1").code == expected
        running.hang()
        fails(here.check(*DNS), "no answer within 1 s")
        fails(here.check(*DNS, "--tcp"), "no answer within 1 s")
        running.resume()
        await_state(lambda: here.check(*DNS), 0)
        running.kill()
        fails(here.check(*DNS), "connection refused")
    with here.serving(server, wrong=True):
        await_state(lambda: here.check("dns", "--query", NAME, *ONCE), 0)
        fails(here.check(*DNS), f"{RIGHT} is missing, got 192.0.2.66")


@pytest.mark.parametrize("name", TIME_SERVERS)
def test_time_server_that_limits_its_rate(here: Net, name: str) -> None:
    """Asked as fast as can be, it leaves most questions unanswered, and is healthy."""
    ntp = ("ntp", *ONCE)
    server = TIME_SERVERS[name]
    with here.serving(server) as running:
        await_state(lambda: here.check(*ntp), 0)
        seen = [here.check(*ntp, "-t", "0.5") for _ in range(16)]
        assert [one.text for one in seen if one.code] == []
        assert any("limits how often" in one.text for one in seen)
        running.hang()
        fails(here.check(*ntp), "no answer within 1 s")
        running.resume()
        await_state(lambda: here.check(*ntp), 0)
        running.kill()
        fails(here.check(*ntp), "connection refused")
    with here.serving(server, wrong=True):
        seen_wrong = await_state(lambda: here.check(*ntp), 2)
        while "refused" in seen_wrong.text:  # it has not started yet
            seen_wrong = here.check(*ntp)
        fails(seen_wrong, "not synchronised")


def test_a_resolver_that_can_resolve_nothing(here: Net) -> None:
    """Its cache goes on answering a name that was asked before; a fresh name shows the truth."""
    upstream = NAME_SERVERS["NSD"]
    text = upstream.files["conf"].replace(VIP, "127.0.0.9").replace("  ip-address: 127.0.0.1\n", "")
    forward = 'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.9\n'
    resolver = NAME_SERVERS["unbound"]._replace(files={"conf": UNBOUND + forward})
    fresh = ("dns", "--query", "{random}.fresh.example.org", "--expect", RIGHT, *ONCE, "-t", "3")
    with (
        here.serving(upstream._replace(files={**upstream.files, "conf": text})) as above,
        here.serving(resolver),
    ):
        await_state(lambda: here.check(*DNS), 0)
        await_state(lambda: here.check(*fresh), 0)
        above.kill()
        assert here.check(*DNS).code == 0
        fails(here.check(*fresh), "")


def test_a_forwarder_on_loopback(here: Net, tmp_path: Path) -> None:
    """It asks whoever has the VIP now, so that a dead endpoint looks healthy: not with its NSID."""
    (tmp_path / "other").mkdir()
    with net(tmp_path / "other") as there:
        here.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
        here.run(
            "ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0", "netns", there.pid
        )
        for one, end, own in ((here, "a0", "192.0.2.1/30"), (there, "b0", "192.0.2.2/30")):
            one.run("ip", "address", "add", own, "dev", end)
            one.run("ip", "link", "set", end, "up")
        here.run("ip", "route", "add", VIP, "via", "192.0.2.2")
        stub = Server("dnsmasq", {}, ("-d", "-C", "/dev/null", "--no-resolv", "--no-hosts",
                                      "--user=root", "--bind-interfaces", f"--server={VIP}",
                                      "--listen-address=127.0.0.1"))  # fmt: skip
        with there.serving(NAME_SERVERS["NSD"]), here.serving(stub):
            seen = await_state(lambda: here.check(*DNS), 0)
            assert f"{VIP} healthy, withdrawn: 127.0.0.1: " in seen.text
            seen = here.check(*DNS, "--expect-nsid", "ns2")
    assert seen.code == 1, seen.output
    assert "expected ns2: another instance" in seen.text
