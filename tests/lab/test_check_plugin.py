"""`check_anycast plugin` on a host that the address leaves."""

from __future__ import annotations

from tests.support.namespace import VIP, Namespace
from tests.support.program import check_anycast


def test_an_address_that_leaves_while_it_runs_proves_nothing(host: Namespace) -> None:
    """Once the address has gone, another endpoint may have answered the plugin."""
    leave = f"/sbin/ip address del {VIP}/32 dev lo; echo fine; exit $1"
    for status in ("0", "2"):
        host.run("ip", "address", "replace", f"{VIP}/32", "dev", "lo", "label", "lo:0")
        words = ("--", "/bin/sh", "-c", leave, "{address}", status)
        seen = check_anycast("plugin", "-H", VIP, *words, wrapper=host.argv())
        assert seen.code == 3
        assert f"{VIP} left this host while /bin/sh ran" in seen.text


def test_an_address_that_is_away_is_not_asked(host: Namespace) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    words = ("--", "/bin/sh", "-c", "echo asked $0", "{address}")
    seen = check_anycast("plugin", "-H", VIP, *words, wrapper=host.argv())
    assert seen.code == 0, seen.text
    assert "withdrawn: 127.0.0.1: asked 127.0.0.1" in seen.text
