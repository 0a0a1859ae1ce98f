"""Routing: FRR's zebra and ospfd, as on real routers and endpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .host import Host
from .topology import VIP

DAEMONS = ("zebra", "ospfd")
REAL_TIMERS = (
    "configure terminal",
    "router ospf",
    "no timers throttle lsa all",
    "no timers lsa min-arrival",
)


def start(host: Host, text: str, daemon: str = "ospfd") -> None:
    """Start zebra and the daemon of a protocol, which has that configuration."""
    for directory in ("/etc/frr", "/run/frr", "/var/log/frr"):
        host.make_directory(directory, owner="frr")
    head = f"hostname {host.name}\nlog file /var/log/frr/%s.log\n"
    for name, lines in (("zebra", ""), (daemon, text)):
        host.write(f"/etc/frr/{name}.conf", head.replace("%s", name) + lines, owner="frr")
    # vtysh needs this file, which makes it use the two files above and not one for all daemons.
    host.write("/etc/frr/vtysh.conf", "no service integrated-vtysh-config\n", owner="frr")
    host.run(["rm", "-f", "/etc/frr/frr.conf"], check=True)
    _start_daemons(host, (*_manager(host), "zebra", daemon))


def restart(host: Host) -> None:
    """End FRR, as an upgrade does, and start it again."""
    daemons = (*_manager(host), *DAEMONS)
    for name in reversed(daemons):
        host.end_daemon(pidfile(name))
    _start_daemons(host, daemons)
    set_real_timers(host)


def _manager(host: Host) -> tuple[str, ...]:
    # FRR 10 has one more daemon, through which the others are configured.
    return ("mgmtd",) if host.run(["test", "-x", "/usr/lib/frr/mgmtd"]).returncode == 0 else ()


def pidfile(daemon: str) -> str:
    """Name the file in which a daemon leaves its process id."""
    return f"/run/frr/{daemon}.pid"


def starts(daemon: str) -> Sequence[str]:
    """Give the command that starts a daemon in the background."""
    # By default zebra deletes an IPv6 route and adds the next one, and packets in between are lost.
    more = ("--v6-rr-semantics",) if daemon == "zebra" else ()
    return (f"/usr/lib/frr/{daemon}", "-d", "-i", pidfile(daemon), "-A", "127.0.0.1", *more)


def _start_daemons(host: Host, daemons: Sequence[str]) -> None:
    for name in daemons:
        host.run(starts(name), check=True)


def set_real_timers(host: Host) -> None:
    """Give ospfd its default timers back, once the start is over."""
    words = [word for line in REAL_TIMERS for word in ("-c", line)]
    host.run(["vtysh", "-d", "ospfd", *words], check=True)


def configure(host: Host, daemon: str, *lines: str) -> None:
    """Change the configuration of a daemon that runs."""
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    host.run(["vtysh", "-d", daemon, *words], check=True)


def next_hops(host: Host, prefix: str = VIP) -> tuple[str, ...]:
    """List the gateways of a route in the host's kernel, sorted; empty where there is no route."""
    return _hops(host, prefix, "gateway")


def interfaces_to(host: Host, prefix: str) -> tuple[str, ...]:
    """List the interfaces of a route in the host's kernel, sorted; empty where there is none."""
    return _hops(host, prefix, "dev")


def _hops(host: Host, prefix: str, key: str) -> tuple[str, ...]:
    family = "-6" if ":" in prefix else "-4"
    shown = host.run(["ip", family, "-json", "route", "show", prefix], check=True).stdout
    routes = json.loads(shown or "[]")
    hops = [hop for route in routes for hop in route.get("nexthops", [route])]
    return tuple(sorted(hop[key] for hop in hops if key in hop))
