"""Find the lines of known_hosts that are about a host; ssh.py reads the keys in them.

A file of 1,000 hosts is read for each connection, and paramiko would compare all of them with one
another.
"""

from __future__ import annotations

import base64
import hmac
import re

from ..errors import ConfigurationError
from ..fleet.values import Endpoint

HASHED, SALT = "|1|", 20


def name_of(endpoint: Endpoint) -> str:
    """Give the name by which known_hosts has an endpoint."""
    if endpoint.port == 22:
        return endpoint.address
    return f"[{endpoint.address}]:{endpoint.port}"


def lines_about(file: str, name: str) -> list[str]:
    """List the lines that have to be understood for a host.

    Lines with a marker such as @revoked are always among them, since another field names their
    host.

    Raises:
        ConfigurationError: the file cannot be read, or a hashed name makes no sense.
    """
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            # A quick look drops most lines, which are about other hosts; a hashed name could be any
            # host's.
            near = [one for one in stream if name in one or HASHED in one or "@" in one]
    except OSError as error:
        raise ConfigurationError(f"{file}: known_hosts cannot be read: {error.strerror}") from error
    try:
        lines = [line.strip() for line in near]
        return [line for line in lines if line[:1] != "#" and _is_about(name, line)]
    except ValueError as error:
        raise ConfigurationError(f"{file}: a hashed name makes no sense: {error}") from error


def _is_about(name: str, line: str) -> bool:
    # OpenSSH separates the fields by blanks and tabs only.
    field = re.split("[ \t]", line, maxsplit=1)[0]
    return field.startswith("@") or any(_is_name(name, one) for one in field.split(","))


def _is_name(name: str, pattern: str) -> bool:
    if not pattern.startswith(HASHED):
        return pattern == name
    parts = pattern.removeprefix(HASHED).split("|")
    salt, *digests = (base64.b64decode(part, validate=True) for part in parts)
    return len(salt) == SALT and [hmac.digest(salt, name.encode(), "sha1")] == digests
