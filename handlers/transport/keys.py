"""The pinned host key of an endpoint, and the key that logs in there, as paramiko takes them."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm

from ..errors import ConfigurationError, RejectedError, unreadable
from .bounded import BoundedTransport
from .certificates import certificate_of, host_expires_soon, why_no_host, why_no_login
from .clock import SYSTEM_CLOCK
from .known_hosts import AUTHORITY, REVOKED, KnownHosts
from .lean_paramiko import paramiko

KINDS = {f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)}
KINDS |= {"ssh-ed25519", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"}
LARGEST_KEY = 100_000
# A key file of OpenSSH begins with these bytes, then with the length and the name of a cipher.
OPENSSH = b"openssh-key-v1\0"
OPENSSH_UNPROTECTED = OPENSSH + b"\0\0\0\4none"
MARKERS = (AUTHORITY, REVOKED)
RENEW = "have the key signed anew"
CERTIFIED = "-cert-v01@openssh.com"


class PinnedKeys:
    """The host keys that a host may show; paramiko itself takes one of a kind and no more.

    Args:
        file: the file that has them, for messages.
        known_hosts: its lines.
        name: of the host, as the file has it.
        host: its address or name, without a port.
        where: address and port of the host, for messages.

    Attributes:
        expiring: when the certificate that the host has shown expires, if soon; else empty.
    """

    expiring = ""

    def __init__(
        self, file: str, known_hosts: KnownHosts, name: str, host: str, where: str
    ) -> None:
        self._known_hosts = file
        self._name = name
        self._host = host
        self._where = where
        lines = known_hosts.about(name)
        if host != name:
            # A certificate is for a host, on whatever port: so OpenSSH has it.
            lines += [one for one in known_hosts.about(host) if one.marker in MARKERS]
        keys = [(line.marker, key) for line in lines if (key := _host_key(name, line.key))]
        self._revoked = {key.asbytes() for marker, key in keys if marker == REVOKED}
        authorities = {key.asbytes() for marker, key in keys if marker == AUTHORITY}
        self._authorities = authorities - self._revoked
        pinned = [key for marker, key in keys if not marker and key.asbytes() not in self._revoked]
        self._kinds = {key.get_name() for key in pinned}
        self._pinned = {key.asbytes() for key in pinned}

    @property
    def transport(self) -> type[BoundedTransport]:
        """The kind of transport that asks for a certificate where one may prove the host."""
        return CertifiedTransport if self._authorities else BoundedTransport

    @property
    def other_kinds(self) -> list[str]:
        """The kinds of keys that the host is not asked for, as none of them is pinned.

        A host that has several kinds would otherwise show the kind that paramiko prefers.
        """
        pinned = self._kinds or KINDS
        if "ssh-rsa" in pinned:
            pinned = pinned | {"rsa-sha2-256", "rsa-sha2-512"}
        return sorted(KINDS - pinned)

    def accept(self, key: paramiko.PKey) -> None:
        """Accept the key that the host has shown, if it is pinned.

        Raises:
            RejectedError: it is not pinned, or revoked.
        """
        # A certificate is of no use where its key is pinned anyway, or no authority is.
        plain, certificate = key.asbytes(), key.public_blob
        if plain in self._pinned:
            return
        if certificate and self._authorities:
            self._believe(certificate)
            return
        if plain in self._revoked:
            raise RejectedError(
                f"the host key of {self._name} is revoked in {self._known_hosts}",
                "give the host another key, and pin that",
            )
        if self._pinned:
            raise RejectedError(
                f"{self._where}: its host key is not the one in {self._known_hosts}",
                "find out why before you pin the new one",
            )
        if self._authorities:
            raise RejectedError(
                f"{self._where}: it shows no certificate",
                "have its key signed by the authority (HostCertificate in sshd_config)",
            )
        raise RejectedError(
            f"no host key is pinned for {self._name} in {self._known_hosts}",
            "add it, after comparing it with the endpoint's own",
        )

    def _believe(self, certificate: paramiko.pkey.PublicBlob) -> None:
        kind, blob = certificate.key_type, certificate.key_blob
        why = why_no_host(
            kind, blob, self._host, self._authorities, self._revoked, SYSTEM_CLOCK.time()
        )
        if why:
            raise RejectedError(
                f"{self._where}: its certificate {why}",
                f"see @cert-authority in {self._known_hosts}",
            )
        self.expiring = host_expires_soon(kind, blob, SYSTEM_CLOCK.time())


class CertifiedTransport(BoundedTransport):
    """Asks for a certificate first; paramiko itself asks for one last."""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The kinds of host keys, the preferred first."""
        plain = self._filter_algorithm("keys")  # type: ignore[attr-defined]
        every = sorted(KINDS - {"ssh-rsa"})
        return (*(f"{kind}{CERTIFIED}" for kind in every), *plain)


class Identity(NamedTuple):
    """The key that logs in, with its certificate; why there is none although there is a file."""

    key: paramiko.PKey
    trouble: str = ""


def read_identity(file: str, user: str) -> Identity:
    """Read the private key that logs in, and the certificate beside it.

    A certificate that logs nobody in is left out, since the key may be allowed without it.

    Raises:
        ConfigurationError: the key cannot be used.
    """
    key = _read_key(file)
    key.public_blob = None
    certificate = certificate_of(file)
    if not certificate:
        return Identity(key)
    try:
        why = why_no_login(certificate, user, key.asbytes(), SYSTEM_CLOCK.time())
        if not why:
            key.load_certificate(certificate)
            return Identity(key)
    except (OSError, ValueError, paramiko.SSHException) as error:
        why = f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"
    return Identity(key, f"{certificate} {why}")


def _read_key(file: str) -> paramiko.PKey:
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
        if key := _read_alone(file):
            return key
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


def _read_alone(file: str) -> paramiko.PKey | None:
    """Read a key beside which a certificate is that paramiko cannot read; None where it fails."""
    if certificate_of(file):
        for kind in (paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey):
            with suppress(paramiko.SSHException, OSError, ValueError, TypeError):
                return kind.from_private_key_file(file)
    return None


def _host_key(name: str, kind_and_key: str) -> paramiko.PKey | None:
    """Read a host key; None where it is malformed, or paramiko does not know its kind."""
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind_and_key}")
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    # paramiko pads a key that was cut short, which is then no host's key.
    is_whole = entry and entry.key and entry.key.get_base64() in kind_and_key
    return entry.key if entry and is_whole else None
