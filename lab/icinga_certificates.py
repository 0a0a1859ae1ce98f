"""Certificates of Icinga's daemons, made by openssl: `icinga2 pki` takes ten seconds for a key."""

from __future__ import annotations

from .host import Host

_KEY = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def make_own(host: Host, certs: str, user: str) -> str:
    """Make a self-signed certificate that can sign others; returns it in PEM.

    Args:
        host: the host that gets it.
        certs: the directory of certificates there; ``ca.crt`` becomes a copy.
        user: the user that the daemon runs as.
    """
    certificate = f"{certs}/{host.name}.crt"
    argv = ["openssl", "req", "-x509", "-days", "2", "-subj", f"/CN={host.name}", *_KEY]
    argv += ["-addext", f"subjectAltName=DNS:{host.name}"]
    argv += ["-keyout", f"{certs}/{host.name}.key", "-out", certificate]
    host.run(argv, user=user, check=True)
    host.run(["cp", certificate, f"{certs}/ca.crt"], user=user, check=True)
    return host.read(certificate)


def sign(signer: Host, host: Host, certs: str, user: str) -> str:
    """Make a certificate that another host signs; returns the signer's in PEM.

    Args:
        signer: the host that signs it with its own, and where it is made.
        host: the host that gets it.
        certs: the directory of certificates, on both hosts.
        user: the user that the daemon runs as, on both hosts.
    """
    made = f"{certs}/{host.name}"
    new = ["openssl", "req", "-new", "-subj", f"/CN={host.name}", *_KEY]
    new += ["-keyout", f"{made}.key", "-out", f"{made}.csr"]
    own = f"{certs}/{signer.name}"
    by = ["openssl", "x509", "-req", "-days", "2", "-in", f"{made}.csr", "-out", f"{made}.crt"]
    by += ["-CA", f"{own}.crt", "-CAkey", f"{own}.key", "-CAcreateserial"]
    for argv in (new, by):
        signer.run(argv, user=user, check=True)
    for path in (f"{made}.key", f"{made}.crt", f"{certs}/ca.crt"):
        host.write(path, signer.read(path), owner=user, mode=0o600)
    return signer.read(f"{certs}/ca.crt")
