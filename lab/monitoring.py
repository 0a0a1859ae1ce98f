"""The monitoring host: keys, the fleet file, and the directories of the handler."""

from __future__ import annotations

from collections.abc import Sequence

from .host import Host
from .sshd import make_key
from .topology import QUERY, RIGHT_ANSWER, Place

USER = "nagios"
FLEET_FILE = "/etc/anycast/fleet.toml"
KNOWN_HOSTS = "/etc/anycast/known_hosts"
HANDLER_KEY = "/etc/anycast/id_ed25519"
CHECK_KEY = "/etc/anycast/check_ed25519"
ROOT_KEY = "/root/.ssh/id_ed25519"
DIRECTORIES = ("/var/lib/anycast-handler", "/var/log/anycast-handler")
PLUGINS = "/usr/lib/nagios/plugins"
FLEET_SSH = f"""\
[ssh]
user = "anycast"
identity = "{HANDLER_KEY}"
known_hosts = "{KNOWN_HOSTS}"
"""
FLEET_VIP = """
[vip.{vip_name}]
address = "{vip}"
interface = "{interface}"
check = ["{plugins}/check_anycast", "dns", "--query", "{query}", "--expect", "{answer}"]
hold_down = {hold_down:g}
drain = {drain:g}

[vip.{vip_name}.endpoints]
"""


def make_keys(mon: Host) -> dict[str, str]:
    """Make the two key pairs; returns the public key of each account on the endpoints."""
    mon.make_directory("/etc/anycast")
    return {
        "anycast": make_key(mon, HANDLER_KEY, USER),
        "check": make_key(mon, CHECK_KEY, USER),
    }


def make_root_key(mon: Host) -> str:
    """Make the key pair of a person who installs on the endpoints; returns the public key."""
    mon.make_directory("/root/.ssh", mode=0o700)
    mon.write("/root/.ssh/config", f"UserKnownHostsFile {KNOWN_HOSTS}\n", mode=0o600)
    return make_key(mon, ROOT_KEY, "root")


def fleet(places: Sequence[Place], hold_down: float, drain: float = 0) -> str:
    """Write the fleet file for these endpoints; hold_down and drain are in seconds."""
    text = FLEET_SSH
    named = dict.fromkeys((place.vip_name, place.vip, place.interface) for place in places)
    for vip_name, vip, interface in named:
        text += FLEET_VIP.format(
            vip_name=vip_name,
            vip=vip,
            interface=interface,
            plugins=PLUGINS,
            query=QUERY,
            answer=RIGHT_ANSWER,
            hold_down=hold_down,
            drain=drain,
        )
        text += "".join(f'{p.name} = "{p.address}"\n' for p in places if p.vip == vip)
    return text


def configure(
    mon: Host, places: Sequence[Place], host_keys: Sequence[str], hold_down: float
) -> None:
    """Install the fleet file, the endpoints' host keys to pin and the directories."""
    mon.run(["install", "-d", "-g", USER, "-m", "750", "/etc/anycast"], check=True)
    mon.write(FLEET_FILE, fleet(places, hold_down))
    pairs = zip(places, host_keys, strict=True)
    pinned = (f"{place.address} {' '.join(key.split()[:2])}\n" for place, key in pairs)
    mon.write(KNOWN_HOSTS, "".join(pinned))
    for directory in DIRECTORIES:
        mon.make_directory(directory, owner=USER)


def make_like(host: Host, mon: Host) -> None:
    """Make another host a monitoring host, with the same keys and fleet file."""
    for path in (HANDLER_KEY, CHECK_KEY, KNOWN_HOSTS):
        host.write(path, mon.read(path), owner=USER, mode=0o600)
    host.write(FLEET_FILE, mon.read(FLEET_FILE))
    for directory in DIRECTORIES:
        host.make_directory(directory, owner=USER)


def install(mon: Host, place: Place, *more: str) -> str:
    """Install on an endpoint what its accounts need, as the README says; returns what was said."""
    argv = ["anycast-handler", "gate", "--install", f"root@{place.address}", *more]
    return mon.run(argv, check=True).stdout


def part(mon: Host, name: str) -> str:
    """Give the text of one part of the installation on an endpoint."""
    argv = ["anycast-handler", "gate", "--only", name]
    return mon.run(argv, user=USER, check=True).stdout
