"""Certificates of an SSH authority: for the host that is logged in to, and for who logs in."""

from __future__ import annotations

import base64
import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.doctor import here
from anycast_handlers.errors import RejectedError
from anycast_handlers.fleet.values import Fleet, Paths
from anycast_handlers.transport.certificates import why_no_host
from anycast_handlers.transport.keys import read_identity
from cryptography.hazmat.primitives import serialization

from tests.ssh.server import Sshd, key, public

HOST = "127.0.0.1"
PAST, FUTURE, ALWAYS = "20200101:20200102", "20900101:20900102", "always:forever"


def sign(
    authority: Path,
    signed: Path,
    *options: str,
    names: str | None = None,
    host: bool = False,
    valid: str = ALWAYS,
) -> Path:
    """Sign a public key; returns the certificate, which is beside the key."""
    principals = ("-n", names) if names else ()
    kind = ("-h",) if host else ()
    argv = ("ssh-keygen", "-q", "-s", str(authority), "-I", "test", *kind, *principals)
    subprocess.run((*argv, "-V", valid, *options, f"{signed}.pub"), check=True, capture_output=True)
    return signed.with_name(f"{signed.name}-cert.pub")


class Certified:
    """An sshd that shows a certificate, and an authority."""

    def __init__(self, directory: Path, kind: str = "ed25519", authority: str = "ed25519") -> None:
        self.authority = key(directory / "authority", authority)
        more = f"HostCertificate {directory}/host_{kind}-cert.pub\n"
        more += f"TrustedUserCAKeys {directory}/authority.pub"
        self.sshd = Sshd(directory, more=more)
        if kind != "ed25519":
            self.sshd.host_keys = [key(directory / f"host_{kind}", kind)]
        self.host = self.sshd.host_keys[0]
        self.certify()
        self.know(f"@cert-authority {HOST} {public(self.authority)}")

    def certify(self, *options: str, names: str | None = HOST, valid: str = ALWAYS) -> None:
        sign(self.authority, self.host, *options, names=names, host=True, valid=valid)

    def know(self, *lines: str) -> None:
        self.sshd.known_hosts.write_text("".join(f"{line}\n" for line in lines))

    def refusal(self) -> str:
        with pytest.raises(RejectedError) as caught, self.sshd.shell():
            pytest.fail("it logged in")
        return str(caught.value)

    def logs_in(self, identity: Path | None = None) -> bool:
        with self.sshd.shell(identity) as shell:
            return shell.run(("/bin/true",), timeout=30.0).status == 0

    def ssh_logs_in(self) -> bool:
        """Whether OpenSSH logs in, with the same files."""
        sshd = self.sshd
        options = ("-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
        files = ("-i", str(sshd.identity), "-o", f"UserKnownHostsFile={sshd.known_hosts}")
        none = ("-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes")
        argv = ("ssh", *options, *files, *none, "-p", str(sshd.port), HOST, "true")
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Certified]:
    made = Certified(tmp_path)
    with made.sshd.running():
        yield made


class TestOfAHost:
    @pytest.mark.parametrize(
        ("kind", "authority"),
        [("ed25519", "ed25519"), ("ecdsa", "ed25519"), ("rsa", "rsa"), ("ed25519", "ecdsa")],
    )
    def test_it_is_enough_whatever_the_kinds_of_the_keys(
        self, tmp_path: Path, kind: str, authority: str
    ) -> None:
        made = Certified(tmp_path, kind, authority)
        with made.sshd.running():
            assert made.logs_in()

    def test_wildcards_of_known_hosts_count_and_another_host_s_authority_does_not(
        self, certified: Certified
    ) -> None:
        certified.know(f"@cert-authority 127.*,!127.0.0.2 {public(certified.authority)}")
        assert certified.logs_in()
        certified.know(f"@cert-authority 192.0.2.* {public(certified.authority)}")
        assert "no host key is pinned" in certified.refusal()

    def test_an_authority_may_be_pinned_with_the_port(self, certified: Certified) -> None:
        name = f"[{HOST}]:{certified.sshd.port}"
        certified.know(f"@cert-authority {name} {public(certified.authority)}")
        assert certified.logs_in()

    def test_a_key_that_is_pinned_needs_no_certificate(self, certified: Certified) -> None:
        certified.certify(valid=PAST)
        certified.sshd.pin(certified.host)
        line = certified.sshd.known_hosts.read_text().strip()
        certified.know(line, f"@cert-authority {HOST} {public(certified.authority)}")
        assert certified.logs_in()

    @pytest.mark.parametrize(
        ("names", "valid", "options", "said"),
        [
            ("192.0.2.1", ALWAYS, (), f"is for 192.0.2.1, not {HOST}"),
            ("127.0.0.11,27.0.0.1", ALWAYS, (), f"is for 127.0.0.11, 27.0.0.1, not {HOST}"),
            (None, ALWAYS, (), f"is for no name at all, not {HOST}"),
            (HOST, PAST, (), "has expired at 2020-01-0"),
            (HOST, FUTURE, (), "is not valid before 2090-01-0"),
            (HOST, ALWAYS, ("-O", "critical:x@example.org=1"), "has an option that is not known"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(
        self, tmp_path: Path, names: str | None, valid: str, options: tuple[str, ...], said: str
    ) -> None:
        made = Certified(tmp_path)
        made.certify(*options, names=names, valid=valid)
        with made.sshd.running():
            answer = made.refusal()
            assert f"its certificate {said}" in answer
            assert answer.endswith(f": see @cert-authority in {made.sshd.known_hosts}")
            # OpenSSH may be less strict about a certificate without names.
            assert names is None or not made.ssh_logs_in()

    def test_one_that_will_expire_is_told_before_it_locks_the_handler_out(
        self, tmp_path: Path
    ) -> None:
        made = Certified(tmp_path)
        for valid, soon in ((ALWAYS, ""), ("20200101:+1d", "expires at "), ("-1d:+1d", "")):
            made.certify(valid=valid)
            # Since OpenSSH 10 sshd reads its certificate only at its start.
            with made.sshd.running(), made.sshd.shell() as shell:
                assert shell.expiring.startswith(soon)
                assert bool(shell.expiring) is bool(soon)

    def test_a_certificate_of_a_user_proves_no_host(self, tmp_path: Path) -> None:
        made = Certified(tmp_path)
        sign(made.authority, made.host, names=HOST)
        with made.sshd.running():
            assert "its certificate is not that of a host: " in made.refusal()

    def test_a_host_without_one_says_so(self, tmp_path: Path) -> None:
        made = Certified(tmp_path)
        made.host.with_name(f"{made.host.name}-cert.pub").unlink()
        with made.sshd.running():
            assert "it shows no certificate: have its key signed" in made.refusal()

    def test_another_authority_is_none(self, certified: Certified, tmp_path: Path) -> None:
        other = key(tmp_path / "other")
        certified.know(f"@cert-authority {HOST} {public(other)}")
        assert "is signed by an authority that is not pinned for it" in certified.refusal()

    @pytest.mark.parametrize("which", ["authority", "host"])
    @pytest.mark.parametrize("name", ["*", HOST])
    def test_a_revoked_key_counts_no_more(
        self, certified: Certified, which: str, name: str
    ) -> None:
        revoked = public(certified.authority if which == "authority" else certified.host)
        ours = f"@cert-authority {HOST} {public(certified.authority)}"
        certified.know(ours, f"@revoked {name} {revoked}")
        certified.refusal()
        assert not certified.ssh_logs_in()

    def test_sha_1_does_not_count(self, tmp_path: Path) -> None:
        made = Certified(tmp_path, authority="rsa")
        made.certify("-t", "ssh-rsa")
        with made.sshd.running():
            assert "its certificate is signed with SHA-1" in made.refusal()

    def test_a_certificate_that_was_changed_is_none(self, certified: Certified) -> None:
        """The signature is the authority's, but for another certificate."""
        file = certified.host.with_name(f"{certified.host.name}-cert.pub")
        kind, text = file.read_text().split()[:2]
        blob = base64.b64decode(text)
        authority = base64.b64decode(public(certified.authority).split()[1])
        assert why_no_host(kind, blob, HOST, {authority}, (), 1e9) == ""
        changed = blob.replace(b"127.0.0.1", b"127.0.0.2")
        said = why_no_host(kind, changed, "127.0.0.2", {authority}, (), 1e9)
        assert said == "has a signature that is wrong"
        for end in range(0, len(blob), 7):
            assert why_no_host(kind, blob[:end], HOST, {authority}, (), 1e9) == "makes no sense"

    def test_a_key_that_the_library_cannot_read_is_none(self, tmp_path: Path) -> None:
        """The authority's point is compressed, for which the library has an error of its own."""
        authority, host = key(tmp_path / "authority", "ecdsa"), key(tmp_path / "host")
        kind, text = sign(authority, host, names=HOST, host=True).read_text().split()[:2]
        pinned = base64.b64decode(public(authority).split()[1])
        point = pinned[-65:]
        blob = base64.b64decode(text).replace(point, b"\2" + point[1:])
        assert why_no_host(kind, base64.b64decode(text), HOST, {pinned}, (), 1e9) == ""
        assert why_no_host(kind, blob, HOST, {pinned}, (), 1e9) != ""


class TestOfAUser:
    """The key alone is not allowed, so that only the certificate logs in."""

    @pytest.fixture
    def own(self, certified: Certified) -> Certified:
        (certified.sshd.directory / "authorized_keys").write_text("")
        return certified

    def test_the_one_beside_the_identity_logs_in(self, own: Certified) -> None:
        sign(own.authority, own.sshd.identity, names=getpass.getuser())
        assert own.logs_in()

    @pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
    def test_of_each_kind(self, own: Certified, tmp_path: Path, kind: str) -> None:
        identity = key(tmp_path / "identity", kind)
        sign(own.authority, identity, names=getpass.getuser())
        assert own.logs_in(identity)

    @pytest.mark.parametrize(
        ("names", "valid", "said"),
        [
            (getpass.getuser(), PAST, "has expired at 2020-01-0"),
            (getpass.getuser(), FUTURE, "is not valid before 2090-01-0"),
            ("somebody", ALWAYS, f"is for somebody, not {getpass.getuser()}"),
        ],
    )
    def test_where_it_does_not_count_the_refusal_says_why(
        self, own: Certified, names: str, valid: str, said: str
    ) -> None:
        file = sign(own.authority, own.sshd.identity, names=names, valid=valid)
        answer = own.refusal()
        assert f" was refused, and {file} {said}" in answer
        assert answer.endswith(": have the key signed anew")

    @pytest.mark.parametrize("text", ["garbage", "", "ssh-ed25519-cert-v01@openssh.com AAAA"])
    def test_where_it_does_not_count_a_key_that_is_allowed_logs_in(
        self, certified: Certified, text: str
    ) -> None:
        identity = certified.sshd.identity
        file = identity.with_name(f"{identity.name}-cert.pub")
        file.write_text(text)
        assert certified.logs_in()
        assert read_identity(str(identity), "root").trouble == (f"{file} makes no sense")

    def test_that_of_another_key_or_of_a_host_is_none(
        self, certified: Certified, tmp_path: Path
    ) -> None:
        other = key(tmp_path / "other")
        identity = certified.sshd.identity
        file = identity.with_name(f"{identity.name}-cert.pub")
        file.write_text(sign(certified.authority, other, names="root").read_text())
        assert "is for another key" in read_identity(str(identity), "root").trouble
        sign(certified.authority, identity, names="root", host=True)
        assert "is not that of a user" in read_identity(str(identity), "root").trouble
        assert certified.logs_in()

    def test_doctor_finds_one_that_has_expired_or_will(
        self, certified: Certified, tmp_path: Path
    ) -> None:
        identity = certified.sshd.identity
        ssh = certified.sshd.ssh()
        fleet = Fleet("/f", ssh, (), Paths())
        assert list(here.certificate(fleet)) == []
        file = sign(certified.authority, identity, names=ssh.user)
        assert list(here.certificate(fleet)) == []
        for valid, said in ((PAST, "has expired at 2020"), ("20200101:+1d", "expires at ")):
            sign(certified.authority, identity, names=ssh.user, valid=valid)
            (finding,) = here.certificate(fleet)
            assert finding.text.startswith(f"{file} {said}")
            assert finding.remedy == "have the key signed anew"


class TestBehindTheForcedCommand:
    """Each way of docs/fleet-file.rst, and the way around the forced command that it warns of."""

    FORCED = "/bin/echo forced"

    def said(self, certified: Certified) -> str:
        with certified.sshd.shell() as shell:
            return shell.run(("/bin/echo", "free")).stdout.strip()

    def allow(self, certified: Certified, *lines: str) -> None:
        file = certified.sshd.directory / "authorized_keys"
        file.write_text("".join(f"{line}\n" for line in lines))

    @pytest.fixture
    def tied(self, certified: Certified) -> Certified:
        """The key alone runs the forced command."""
        options = f'restrict,command="{self.FORCED}"'
        self.allow(certified, f"{options} {public(certified.sshd.identity)}")
        assert self.said(certified) == "forced"
        return certified

    def test_a_trusted_authority_leads_around_the_line_of_the_key(self, tied: Certified) -> None:
        sign(tied.authority, tied.sshd.identity, names=getpass.getuser())
        assert self.said(tied) == "free"

    def test_a_certificate_that_names_the_forced_command_does_not(self, tied: Certified) -> None:
        options = ("-O", "clear", "-O", f"force-command={self.FORCED}")
        sign(tied.authority, tied.sshd.identity, *options, names=getpass.getuser())
        assert self.said(tied) == "forced"

    def test_nor_does_one_of_an_authority_whose_line_has_it(self, tmp_path: Path) -> None:
        """Such a line confines what the authority has signed, whatever the certificate says."""
        made = Certified(tmp_path)
        # Older versions of sshd ask the authorities that it trusts before this line.
        made.sshd.more = made.sshd.more.partition("TrustedUserCAKeys")[0]
        options = f'cert-authority,restrict,command="{self.FORCED}"'
        self.allow(made, f"{options} {public(made.authority)}")
        sign(made.authority, made.sshd.identity, names=getpass.getuser())
        with made.sshd.running():
            assert self.said(made) == "forced"
            sign(made.authority, made.sshd.identity, names="somebody")
            made.refusal()


def test_where_cryptography_knows_no_certificate_it_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Debian 12, where a login by a pinned key goes on."""
    monkeypatch.delattr(serialization, "SSHCertificate", raising=False)
    said = why_no_host("ssh-ed25519-cert-v01@openssh.com", b"", "127.0.0.2", (), (), 1e9)

    assert said == "cannot be read: that needs cryptography 40"
