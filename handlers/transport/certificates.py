"""Certificates of OpenSSH: whether one proves a host to be itself, and whether one logs in.

paramiko reads certificates and checks nothing in them; see PROTOCOL.certkeys of OpenSSH for what
there is to check. Whatever is not understood makes a certificate invalid.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from anycast_checks.line import clean
from anycast_checks.times import utc

# These algorithms sign soundly with an RSA key; the older ssh-rsa rests on SHA-1.
SOUND_WITH_RSA = (b"rsa-sha2-256", b"rsa-sha2-512")
# The library raises these for a key that it cannot read, such as a compressed point of a curve.
MAKES_NO_SENSE = (ValueError, TypeError, UnsupportedAlgorithm, NotImplementedError)
LONGEST_TEXT = 120
LARGEST_FILE = 65536
# A share of the time for which a certificate is valid. Renewal has usually happened before it.
SOON = 0.1


def why_no_host(
    kind: str,
    blob: bytes,
    host: str,
    authorities: Collection[bytes],
    revoked: Collection[bytes],
    now: float,
) -> str:
    """Say why a certificate does not prove a host to be itself; empty where it does.

    The host itself has to prove that the key in the certificate is its own.

    Args:
        kind: the kind of the certificate.
        blob: the certificate.
        host: the address or name that the host is called by.
        authorities: the keys of the authorities that count for the host.
        revoked: keys that count no more, of hosts and of authorities.
        now: the time in seconds since the epoch.
    """
    certificate = _read_shown(kind, blob)
    if isinstance(certificate, str):
        return certificate
    if certificate.type is not serialization.SSHCertificateType.HOST:
        return "is not that of a host"
    try:
        authority = _blob(certificate.signature_key())
        if authority not in authorities or authority in revoked:
            return "is signed by an authority that is not pinned for it"
        if _blob(certificate.public_key()) in revoked:
            return "is for a key that is revoked"
        if not _is_sound(certificate, blob):
            return "is signed with SHA-1"
        certificate.verify_cert_signature()
    except (InvalidSignature, AssertionError, *MAKES_NO_SENSE):
        return "has a signature that is wrong"
    # OpenSSH knows no critical option for hosts, and refuses each.
    if certificate.critical_options:
        return f"has an option that is not known: {_texts(certificate.critical_options)}"
    names = [name.decode(errors="replace").lower() for name in certificate.valid_principals]
    if host.lower() not in names:
        return f"is for {_texts(certificate.valid_principals) or 'no name at all'}, not {host}"
    return _why_not_now(certificate, now)


def why_no_login(file: str, user: str, own: bytes, now: float) -> str:
    """Say why the certificate in a file logs nobody in; empty where nothing speaks against it.

    Args:
        file: has the certificate.
        user: the account that is to be logged in to.
        own: the public key of the identity that it is for.
        now: the time in seconds since the epoch.

    Raises:
        OSError: the file cannot be read.
    """
    with open(file, "rb") as stream:
        certificate = _read(stream.read(LARGEST_FILE))
    if isinstance(certificate, str):
        return certificate
    if certificate.type is not serialization.SSHCertificateType.USER:
        return "is not that of a user"
    try:
        if _blob(certificate.public_key()) != own:
            return "is for another key"
    except MAKES_NO_SENSE:
        return "is for another key"
    names = [name.decode(errors="replace") for name in certificate.valid_principals]
    if names and user not in names:
        return f"is for {_texts(certificate.valid_principals)}, not {user}"
    return _why_not_now(certificate, now)


def expires_soon(file: str, now: float) -> str:
    """Say when a certificate expires, where nine tenths of its time are over; else empty.

    Raises:
        OSError: the file cannot be read.
    """
    with open(file, "rb") as stream:
        return _when_soon(_read(stream.read(LARGEST_FILE)), now)


def host_expires_soon(kind: str, blob: bytes, now: float) -> str:
    """Say the same of the certificate that a host has shown; see `why_no_host`."""
    return _when_soon(_read_shown(kind, blob), now)


def _when_soon(certificate: serialization.SSHCertificate | str, now: float) -> str:
    if isinstance(certificate, str):
        return ""
    after, before = certificate.valid_after, certificate.valid_before
    is_soon = before - now < (before - after) * SOON and now < before
    return f"expires at {_date(before)}" if is_soon else ""


def certificate_of(identity: str) -> str:
    """Give the file of the certificate of an identity, as OpenSSH calls it; empty for none."""
    file = f"{identity}-cert.pub"
    return file if os.path.exists(file) else ""


def _read_shown(kind: str, blob: bytes) -> serialization.SSHCertificate | str:
    return _read(f"{kind} {base64.b64encode(blob).decode()}".encode())


def _read(line: bytes) -> serialization.SSHCertificate | str:
    # Debian 12 has cryptography 38. A certificate that cannot be judged proves nothing.
    if not hasattr(serialization, "SSHCertificate"):
        return "cannot be read: that needs cryptography 40"
    try:
        found = serialization.load_ssh_public_identity(line.strip())
    except MAKES_NO_SENSE:
        found = None
    return found if isinstance(found, serialization.SSHCertificate) else "makes no sense"


def _why_not_now(certificate: serialization.SSHCertificate, now: float) -> str:
    if now < certificate.valid_after:
        return f"is not valid before {_date(certificate.valid_after)}"
    if now >= certificate.valid_before:
        return f"has expired at {_date(certificate.valid_before)}"
    return ""


def _date(at: int) -> str:
    try:
        return utc(at)
    except (OverflowError, OSError, ValueError):
        return "the end of time"


def _blob(key: object) -> bytes:
    """Give a public key as SSH sends it."""
    line: bytes = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)  # type: ignore[attr-defined]
    return base64.b64decode(line.split()[1])


def _is_sound(certificate: serialization.SSHCertificate, blob: bytes) -> bool:
    """Tell whether an RSA authority has signed with a hash that still counts."""
    authority = certificate.signature_key()
    if not isinstance(authority, RSAPublicKey):
        return True
    # The last field is the name of the algorithm and the signature, which is as long as the key,
    # each with its length in four bytes before it.
    end = len(blob) - (authority.key_size + 7) // 8 - 4
    return blob[end - len(SOUND_WITH_RSA[0]) : end] in SOUND_WITH_RSA


def _texts(names: Collection[bytes]) -> str:
    return clean(", ".join(name.decode(errors="replace") for name in names), LONGEST_TEXT)
