"""The pinned host key of an endpoint, and the key that logs in there, as paramiko takes them."""

from __future__ import annotations

import base64

from cryptography.exceptions import UnsupportedAlgorithm

from ..errors import ConfigurationError, RejectedError, unreadable
from .known_hosts import REVOKED, lines_about
from .lean_paramiko import paramiko

KINDS = {f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)}
KINDS |= {"ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"}
LARGEST_KEY = 100_000
# A key file of OpenSSH begins with these bytes, then with the length and the name of a cipher.
OPENSSH = b"openssh-key-v1\0"
OPENSSH_UNPROTECTED = OPENSSH + b"\0\0\0\4none"


class PinnedKeys(paramiko.MissingHostKeyPolicy):
    """The host keys that a host may show; paramiko itself takes one of a kind and no more.

    Args:
        known_hosts: the file that has them.
        name: of the host, as the file has it.
        where: address and port of the host, for messages.

    Raises:
        ConfigurationError: the file cannot be read.
    """

    def __init__(self, known_hosts: str, name: str, where: str) -> None:
        self._known_hosts = known_hosts
        self._where = where
        lines = lines_about(known_hosts, name)
        keys = [(line.marker, key) for line in lines if (key := _host_key(name, line.key))]
        self._revoked = {key.asbytes() for marker, key in keys if marker == REVOKED}
        # A marker such as @cert-authority is about certificates, which are not supported.
        pinned = [key for marker, key in keys if not marker and key.asbytes() not in self._revoked]
        self._kinds = {key.get_name() for key in pinned}
        self._pinned = {key.asbytes() for key in pinned}

    @property
    def other_kinds(self) -> list[str]:
        """The kinds of keys that the host is not asked for, as none of them is pinned.

        A host that has several kinds would otherwise show the kind that paramiko prefers.
        """
        pinned = self._kinds or KINDS
        if "ssh-rsa" in pinned:
            pinned = pinned | {"rsa-sha2-256", "rsa-sha2-512"}
        return sorted(KINDS - pinned)

    def missing_host_key(self, client: object, hostname: str, key: paramiko.PKey) -> None:
        """Accept a key that is pinned: paramiko, which was told of none, asks about each.

        Raises:
            RejectedError: it is not pinned, or revoked.
        """
        if key.asbytes() in self._pinned:
            return
        if key.asbytes() in self._revoked:
            raise RejectedError(
                f"the host key of {hostname} is revoked in {self._known_hosts}",
                "give the host another key, and pin that",
            )
        if self._pinned:
            raise RejectedError(
                f"{self._where}: its host key is not the one in {self._known_hosts}",
                "find out why before you pin the new one",
            )
        raise RejectedError(
            f"no host key is pinned for {hostname} in {self._known_hosts}",
            "add it, after comparing it with the endpoint's own",
        )


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
        if _is_protected(file):
            why = "is protected by a passphrase, which nobody can type at night"
        raise ConfigurationError(f"{file}: identity {why}") from error


def _is_protected(file: str) -> bool:
    """Tell whether a file has a private key that is encrypted, in OpenSSH's format or as PEM.

    The exceptions for a missing passphrase differ between formats and versions of libraries.
    """
    with open(file, "rb") as stream:
        head, *body = stream.read(LARGEST_KEY).splitlines() or [b""]
    if head != b"-----BEGIN OPENSSH PRIVATE KEY-----":
        return b"ENCRYPTED" in head or b"Proc-Type: 4,ENCRYPTED" in body
    try:
        key = base64.b64decode(b"".join(line for line in body if b"-" not in line))
    except ValueError:
        return False
    return key.startswith(OPENSSH) and not key.startswith(OPENSSH_UNPROTECTED)


def _host_key(name: str, kind_and_key: str) -> paramiko.PKey | None:
    """Read a host key; None where it is malformed, or paramiko does not know its kind."""
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind_and_key}")
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    # paramiko pads a key that was cut short, which is then no host's key.
    is_whole = entry and entry.key and entry.key.get_base64() in kind_and_key
    return entry.key if entry and is_whole else None
