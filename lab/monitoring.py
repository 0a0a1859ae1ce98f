"""The monitoring host: keys, the fleet file, and the directories of the handler."""

from __future__ import annotations

from .host import Host
from .sshd import make_key
from .topology import ENDPOINTS, INTERFACE, QUERY, RIGHT_ANSWER, VIP, VIP_NAME

USER = "nagios"
FLEET_FILE = "/etc/anycast/fleet.toml"
KNOWN_HOSTS = "/etc/anycast/known_hosts"
HANDLER_KEY = "/etc/anycast/id_ed25519"
CHECK_KEY = "/etc/anycast/check_ed25519"
DIRECTORIES = ("/var/lib/anycast-handler", "/var/log/anycast-handler")
PLUGINS = "/usr/lib/nagios/plugins"
FLEET = """\
[ssh]
user = "anycast"
identity = "{identity}"
known_hosts = "{known_hosts}"

[vip.{vip_name}]
address = "{vip}"
interface = "{interface}"
check = ["{plugins}/check_anycast", "dns", "--query", "{query}", "--expect", "{answer}"]
hold_down = {hold_down:g}

[vip.{vip_name}.endpoints]
"""


def make_keys(mon: Host) -> dict[str, str]:
    """Make the two key pairs; returns the public key of each account on the endpoints."""
    mon.make_directory("/etc/anycast")
    return {
        "anycast": make_key(mon, HANDLER_KEY, USER),
        "check": make_key(mon, CHECK_KEY, USER),
    }


def fleet(hold_down: float) -> str:
    """Write the fleet file; hold_down in seconds."""
    head = FLEET.format(
        identity=HANDLER_KEY,
        known_hosts=KNOWN_HOSTS,
        vip_name=VIP_NAME,
        vip=VIP,
        interface=INTERFACE,
        plugins=PLUGINS,
        query=QUERY,
        answer=RIGHT_ANSWER,
        hold_down=hold_down,
    )
    return head + "".join(f'{place.name} = "{place.address}"\n' for place in ENDPOINTS)


def configure(mon: Host, host_keys: list[str], hold_down: float) -> None:
    """Install the fleet file, the host keys to pin (in ENDPOINTS' order) and the directories."""
    mon.write(FLEET_FILE, fleet(hold_down))
    pairs = zip(ENDPOINTS, host_keys, strict=True)
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


def gate(mon: Host, part: str) -> str:
    """Print a file that confines the handler's account on an endpoint."""
    argv = ["anycast-handler", "gate", "--only", part]
    return mon.run(argv, user=USER, check=True).stdout
