"""The links between the hosts, and the loopback that Debian's ifupdown configures."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from .errors import LabError
from .host import Host
from .topology import INTERFACE, Place

# Scripts that the machine's packages have put there must not run in the lab's hosts.
HOOKS = ("if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d")
LOOPBACK = """\
auto lo
iface lo inet loopback
"""
ALIAS = f"""
auto {INTERFACE}
iface {INTERFACE} inet static
    address {{vip}}/32
"""
KERNEL = (
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    # As systemd sets it since Debian 13, whose ping has no other privilege.
    "net.ipv4.ping_group_range=0 2147483647",
)
# ospfd joins a multicast group on each link, and by default Linux lets a socket join only 20.
ROUTER_KERNEL = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.fib_multipath_hash_policy=1",
    "net.ipv4.igmp_max_memberships=1000",
)


ROUTER_IPV6 = ("net.ipv6.conf.all.forwarding=1", "net.ipv6.fib_multipath_hash_policy=1")


def connect(
    router: Host, hosts: dict[str, Host], endpoints: Sequence[Place], others: Sequence[Place]
) -> None:
    """Link every place's host with the router, and give both sides their addresses.

    Endpoints learn routes from their routing daemon, and ifupdown sets up their lo.
    """
    places = (*endpoints, *others)
    for host in (router, *hosts.values()):
        more = ROUTER_KERNEL if host is router else ()
        host.run(["sysctl", "-q", "-w", *KERNEL, *more], check=True)
    _make_links(router, hosts, places)
    commands = ["link set lo up"]
    for place in places:
        commands += [
            f"address add {place.gateway}/30 dev {place.name}",
            f"link set {place.name} up",
        ]
    _ip(router, commands)
    for place in places:
        _address(hosts[place.name], place)
    for place in others:
        _ip(hosts[place.name], ["link set lo up", f"route add default via {place.gateway}"])


def add_ipv6(
    router: Host, hosts: dict[str, Host], endpoints: Sequence[Place], others: Sequence[Place]
) -> None:
    """Give both sides of each link an address of IPv6, and ways that no routing protocol brings.

    So the endpoints can be asked over SSH whatever becomes of the routing.
    """
    places = (*endpoints, *others)
    router.run(["sysctl", "-q", "-w", *ROUTER_IPV6], check=True)
    _ip(router, [f"address add {place.gateway6}/64 dev {place.name} nodad" for place in places])
    for place in places:
        commands = [
            f"address add {place.address6}/64 dev eth0 nodad",
            f"route add default via {place.gateway6} metric 9999",
        ]
        if place in endpoints:
            commands.append(f"route add default via {place.gateway} metric 9999")
        _ip(hosts[place.name], commands)


def configure_loopback(endpoint: Host, place: Place) -> None:
    """Boot the endpoint's network as Debian does: `ifup -a`, lo and the VIP.

    Debian's ifupdown knows of the VIP where that is an alias of lo.
    """
    for hook in HOOKS:
        endpoint.run(["rm", "-rf", f"/etc/network/{hook}"], check=True)
        endpoint.make_directory(f"/etc/network/{hook}")
    endpoint.make_directory("/run/network")
    is_alias = place.interface == INTERFACE
    text = LOOPBACK + ALIAS.format(vip=place.vip) if is_alias else LOOPBACK
    endpoint.write("/etc/network/interfaces", text)
    endpoint.run(["ifup", "-a"], check=True)
    if is_alias:
        return
    commands = [f"address add {place.prefix} dev {place.interface}"]
    if place.interface != "lo":
        # A bridge without ports has a carrier, as a dummy has, which the kernel may lack.
        made = [f"link add {place.interface} type bridge", f"link set {place.interface} up"]
        commands = [*made, f"{commands[0]}{' nodad' if place.is_ipv6 else ''}"]
    _ip(endpoint, commands)


def _make_links(router: Host, hosts: dict[str, Host], places: Sequence[Place]) -> None:
    # Both ends are made inside their hosts, so that no interface of the lab ever has a name on the
    # machine. The pids are the machine's, so only the router's network namespace is entered.
    text = "".join(
        f"link add {place.name} type veth peer name eth0 netns {hosts[place.name].pid}\n"
        for place in places
    )
    made = subprocess.run(
        ["nsenter", f"--target={router.pid}", "--net", "--", "ip", "-batch", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise LabError(f"the links cannot be made: {' '.join(made.stderr.split())}")


def _address(host: Host, place: Place) -> None:
    _ip(host, [f"address add {place.address}/30 dev eth0", "link set eth0 up"])


def _ip(host: Host, commands: list[str]) -> None:
    host.run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n", check=True)
