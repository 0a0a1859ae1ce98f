"""What Icinga 2 and the fleet file need, so that the watcher reports to Icinga."""

from __future__ import annotations

import secrets

from .host import Host
from .icinga import CERTS, USER

API_USER, SERVICE = "anycast-watcher", "anycast-watcher"
FILE = "/etc/anycast/icinga-password"
OBJECTS = """
object ApiUser "{user}" {{ import "anycast-reports"; password = "{password}" }}
object Host "{host}" {{ check_command = "dummy"; vars.anycast_watcher = true }}
"""
TABLE = """
[icinga]
url = "https://{host}"
user = "{user}"
password_file = "{file}"
ca = "{certs}/ca.crt"
"""


def prepare(mon: Host) -> tuple[str, str]:
    """Give the watcher a password; returns objects for Icinga, and a table for the fleet file."""
    password = secrets.token_hex(16)
    mon.write(FILE, f"{password}\n", owner=USER, mode=0o600)
    objects = OBJECTS.format(user=API_USER, password=password, host=mon.name)
    table = TABLE.format(host=mon.name, user=API_USER, file=FILE, certs=CERTS)
    return objects, table
