"""The pinned host key of an endpoint, and the key that logs in there, as paramiko takes them."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm

from ..errors import ConfigurationError, RejectedError, unreadable
from .known_hosts import REVOKED, lines_about
from .lean_paramiko import paramiko

KINDS = {f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)}
KINDS |= {"ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"}


def pin(client: paramiko.SSHClient, known_hosts: str, name: str) -> None:
    """Let a client accept the host keys that a file has for a name, and no others.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    lines = lines_about(known_hosts, name)
    keys = [(line.marker, key) for line in lines if (key := _host_key(name, line.key))]
    revoked = {key.asbytes() for marker, key in keys if marker == REVOKED}
    pinned = client.get_host_keys()
    for marker, key in keys:
        kind = key.get_name()
        # A marker such as @cert-authority is about certificates, which are not supported.
        if not marker and key.asbytes() not in revoked and kind not in (pinned.lookup(name) or ()):
            pinned.add(name, kind, key)
    client.set_missing_host_key_policy(_RejectUnpinned(known_hosts, revoked))


def unpinned_kinds(client: paramiko.SSHClient, name: str) -> list[str]:
    """List the kinds of host keys that a client must not let a host show.

    paramiko prefers the first pinned kind of key, and accepts any other. A host that has only the
    second pinned kind might then show a key of a kind that is not pinned.
    """
    pinned = set(client.get_host_keys().lookup(name) or KINDS)
    if "ssh-rsa" in pinned:
        pinned |= {"rsa-sha2-256", "rsa-sha2-512"}
    return sorted(KINDS - pinned)


def read_identity(file: str) -> paramiko.PKey:
    """Read the private key that logs in.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        return paramiko.PKey.from_path(file)
    except OSError as error:
        raise unreadable(f"{file}: identity", error, "ssh.identity") from error
    except (
        paramiko.SSHException,
        paramiko.pkey.UnknownKeyType,
        UnsupportedAlgorithm,
        ValueError,
        TypeError,
    ) as error:
        # The words of a library may be a link to its questions and answers.
        why = f"is no private key that can be used: `ssh-keygen -y -f {file}` tells why"
        # Each format of key file has another exception for a missing passphrase.
        if "password" in str(error).lower() or isinstance(
            error, paramiko.PasswordRequiredException
        ):
            why = "is protected by a passphrase, which nobody can type at night"
        raise ConfigurationError(f"{file}: identity {why}") from error


class _RejectUnpinned(paramiko.MissingHostKeyPolicy):
    # paramiko's own policy raises a plain SSHException, which looks like a network error.
    def __init__(self, known_hosts: str, revoked: set[bytes]) -> None:
        self._known_hosts = known_hosts
        self._revoked = revoked

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:
        if key.asbytes() in self._revoked:
            raise RejectedError(
                f"the host key of {hostname} is revoked in {self._known_hosts}",
                "give the host another key, and pin that",
            )
        raise RejectedError(
            f"no host key is pinned for {hostname} in {self._known_hosts}",
            "add it, after comparing it with the endpoint's own",
        )


def _host_key(name: str, kind_and_key: str) -> paramiko.PKey | None:
    """Read a host key; None where it is malformed, or paramiko does not know its kind."""
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind_and_key}")
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    # paramiko pads a key that was cut short, which is then no host's key.
    is_whole = entry and entry.key and entry.key.get_base64() in kind_and_key
    return entry.key if entry and is_whole else None
