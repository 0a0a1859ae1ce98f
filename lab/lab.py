"""The whole lab: built on entering, ended on leaving."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from . import frr, monitoring, network, routing, sshd
from .errors import LabError
from .host import Host, HostProcess
from .topology import CLIENT, ENDPOINTS, MON, ROUTER, STYLES, Place, hosts_file
from .unbound import Resolver
from .waiting import wait_until

T = TypeVar("T")
# The programs that the package installs, and where users look for them in each host.
PROGRAMS = {
    "check_anycast": ("/usr/local/bin", monitoring.PLUGINS),
    "anycast-handler": ("/usr/local/bin", "/usr/bin"),
}


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the lab: its host, its management address, its resolver."""

    host: Host
    place: Place
    resolver: Resolver

    @property
    def announced(self) -> bool:
        """Whether the VIP is on any interface of the endpoint."""
        shown = self.host.run(["ip", "-json", "address", "show"], check=True)
        addresses = [one for link in json.loads(shown.stdout) for one in link["addr_info"]]
        return any(address["local"] == self.place.vip for address in addresses)

    def change_boot_id(self) -> None:
        """Give the host another boot id, as a reboot does; all else stays as it is."""
        boot_id = str(uuid.uuid4())
        file = f"/run/lab-boot-ids/{boot_id}"
        self.host.write(file, f"{boot_id}\n")
        bind = ["mount", "--bind", file, "/proc/sys/kernel/random/boot_id"]
        self.host.run(bind, check=True)


class Lab:
    """A router, three endpoints, a monitoring host and a client, with real daemons.

    Use it in a `with` statement. Nothing of a lab has a name on the machine, so several can be up
    at once. A lab ends with the process that made it, however that process ends.

    Args:
        style: how the endpoints announce the VIP, "redistribute" or "network".
        venv: a virtual environment with this package, readable by every user; without it the
            hosts have neither check_anycast nor anycast-handler.
        hold_down: the fleet file's, in seconds.
        gate: whether both accounts on the endpoints are installed, and confined, by
            ``anycast-handler gate --install``; otherwise, and always without ``venv``, they are
            made by hand, with a login and in the group of vtysh.
        places: the endpoints, where they are not the usual three.
        others: hosts beside the monitoring host and the client, such as satellites.
        speaks: the daemon and protocol of all routers, by a name of `routing.ROUTINGS`. A style is
            for the default alone.
    """

    def __init__(
        self,
        *,
        style: str = STYLES[0],
        venv: Path | None = None,
        hold_down: float = 60.0,
        gate: bool = True,
        places: Sequence[Place] = ENDPOINTS,
        others: Sequence[Place] = (),
        speaks: str = routing.DEFAULT,
    ) -> None:
        if style not in STYLES:
            raise LabError(f"{style!r} is not a style: one of {', '.join(STYLES)}")
        self.style = style
        self.venv = venv
        self.hold_down = hold_down
        self.gate = gate and venv is not None
        self.places = places
        self.others = (MON, CLIENT, *others)
        self.routing = routing.find(speaks)
        self.hosts: dict[str, Host] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._processes: list[HostProcess] = []

    def __enter__(self) -> Lab:
        """Build it; on failure what was built is ended before the exception goes on."""
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes namespaces and mounts in them")
        try:
            self._start_hosts()
            self._start_daemons()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End everything."""
        self._end()

    def host(self, name: str) -> Host:
        """Find the host of that name."""
        return self.hosts[name]

    def endpoint(self, name: str) -> Endpoint:
        """Find the endpoint of that name."""
        return self._endpoints[name]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, in the order of the fleet file."""
        return tuple(self._endpoints.values())

    @property
    def router(self) -> Host:
        """The router, to which all other hosts are linked."""
        return self.hosts[ROUTER]

    @property
    def mon(self) -> Host:
        """The monitoring host."""
        return self.hosts[MON.name]

    @property
    def client(self) -> Host:
        """The host that asks the VIP."""
        return self.hosts[CLIENT.name]

    def routed(self) -> tuple[str, ...]:
        """Name the endpoints to which the router's kernel sends packets for the VIP."""
        hops = frr.interfaces_to(self.router, self.places[0].prefix)
        return tuple(place.name for place in self.places if place.name in hops)

    def install_gate(self) -> None:
        """Confine both accounts on each endpoint to what the present fleet file needs."""
        _at_once(partial(monitoring.install, self.mon, place) for place in self.places)

    def _start_hosts(self) -> None:
        for name in (ROUTER, *(place.name for place in (*self.places, *self.others))):
            self._processes.append(HostProcess(name))
        for process in self._processes:
            self.hosts[process.name] = process.wait_until_ready()
        for place in self.places:
            host = self.hosts[place.name]
            self._endpoints[place.name] = Endpoint(host, place, Resolver(host, place))

    def _start_daemons(self) -> None:
        network.connect(self.router, self.hosts, self.places, self.others)
        if not self._is_default:
            network.add_ipv6(self.router, self.hosts, self.places, self.others)
        # Routing is started first, so that it converges while the rest starts.
        starts: list[Callable[[], None]] = [self._start_router]
        starts += [partial(self._start_routing, endpoint) for endpoint in self.endpoints]
        _at_once(starts)
        keys = monitoring.make_keys(self.mon)
        root_key = monitoring.make_root_key(self.mon)
        host_keys = _at_once(partial(_start_services, e, root_key) for e in self.endpoints)
        monitoring.configure(self.mon, self.places, host_keys, self.hold_down)
        _at_once(partial(self._finish, host) for host in self.hosts.values())
        what = "every endpoint has its routes, and the router those to them"
        wait_until(self._converged, what, 15.0 + len(self.places))
        routers = (self.router, *(endpoint.host for endpoint in self.endpoints))
        if self._is_default:
            _at_once(partial(frr.set_real_timers, host) for host in routers)
        if self.gate:
            self.install_gate()
        else:
            _at_once(partial(self._install_by_hand, e.host, keys) for e in self.endpoints)

    @property
    def _is_default(self) -> bool:
        return self.routing.name == routing.DEFAULT

    def _start_router(self) -> None:
        self.routing.start_router(self.router, self.places)

    def _start_routing(self, endpoint: Endpoint) -> None:
        network.configure_loopback(endpoint.host, endpoint.place)
        self.routing.start_endpoint(endpoint.host, endpoint.place, self.style)

    def _install_by_hand(self, host: Host, keys: dict[str, str]) -> None:
        sshd.install_by_hand(host, keys)
        if self.venv:
            for part, (path, mode) in sshd.NEEDED.items():
                host.write(path, monitoring.part(self.mon, part), mode=mode)

    def _finish(self, host: Host) -> None:
        host.write("/etc/hosts", hosts_file(host.name))
        # An endpoint asks its own resolver; the other hosts have none.
        host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        if not self.venv:
            return
        for program, directories in PROGRAMS.items():
            for directory in directories:
                host.make_directory(directory)
                link = ["ln", "-sf", str(self.venv / "bin" / program), directory]
                host.run(link, check=True)

    def _converged(self) -> bool:
        for vip in {place.prefix for place in self.places}:
            hops = frr.interfaces_to(self.router, vip)
            if not all(place.name in hops for place in self.places if place.prefix == vip):
                return False
        return not self._is_default or all(
            frr.next_hops(endpoint.host, place.network)
            for endpoint in self.endpoints
            for place in self.others
        )

    def _end(self) -> None:
        for process in self._processes:
            process.end()
        for process in self._processes:
            process.wait()
        for host in self.hosts.values():
            host.wait_for_started()


def _start_services(endpoint: Endpoint, root_key: str) -> str:
    """Start what an endpoint offers; returns its SSH host key."""
    sshd.let_root_in(endpoint.host, root_key)
    endpoint.resolver.start()
    return sshd.start(endpoint.host, endpoint.place)


def _at_once(tasks: Iterable[Callable[[], T]]) -> list[T]:
    with ThreadPoolExecutor() as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]
