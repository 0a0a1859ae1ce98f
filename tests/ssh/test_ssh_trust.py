"""Which hosts the handler trusts, and how it logs in: pinned host keys, one identity."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.errors import (
    ConfigurationError,
    HandlerError,
    RejectedError,
    UnreachableError,
)

from tests.ssh.server import Sshd, key, public
from tests.support.peer import free_port


@pytest.fixture
def files(sshd: Sshd, tmp_path: Path) -> Iterator[Sshd]:
    """Give the shared sshd, and put back what the test changes of its files."""
    known, authorized = sshd.known_hosts, sshd.directory / "authorized_keys"
    before = known.read_text(), authorized.read_text()
    yield sshd
    known.unlink() if known.is_file() else known.rmdir()
    known.write_text(before[0])
    authorized.write_text(before[1])


def logs_in(sshd: Sshd, identity: Path | None = None) -> bool:
    with sshd.shell(identity) as shell:
        return shell.run(("/bin/true",), timeout=30.0).status == 0


def refused(kind: type[HandlerError], sshd: Sshd, identity: Path | None = None) -> str:
    with pytest.raises(kind) as caught, sshd.shell(identity):
        pytest.fail("it logged in")
    return str(caught.value)


def without_connection(sshd: Sshd, identity: Path | None = None) -> str:
    """Return the configuration error of a login where nobody listens, so that it comes first."""
    port, sshd.port = sshd.port, free_port()
    try:
        return refused(ConfigurationError, sshd, identity)
    finally:
        sshd.port = port


def test_a_pinned_key_is_accepted(sshd: Sshd) -> None:
    assert logs_in(sshd)


def test_an_address_of_ipv6_is_pinned_as_ssh_writes_it(tmp_path: Path) -> None:
    server = Sshd(tmp_path, address="::1")
    with server.running():
        assert logs_in(server)
        argv = ["ssh-keyscan", "-t", "ed25519", "-p", str(server.port), "::1"]
        found = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
        server.known_hosts.write_text(found.stdout)
        assert logs_in(server)
        server.pin(key(tmp_path / "other"))
        said = refused(RejectedError, server)
    assert said.startswith(f"::1 port {server.port}: its host key is not the one in ")


def test_another_host_key_is_rejected_and_said(files: Sshd, tmp_path: Path) -> None:
    files.pin(key(tmp_path / "other"))
    said = refused(RejectedError, files)
    assert f"its host key is not the one in {files.known_hosts}" in said
    assert len(said) < 250


def test_a_host_that_is_not_pinned_is_rejected_and_said(files: Sshd) -> None:
    files.known_hosts.write_text("")
    said = refused(RejectedError, files)
    assert f"no host key is pinned for [127.0.0.1]:{files.port} in {files.known_hosts}" in said


def test_the_key_of_another_port_is_not_this_ones(files: Sshd) -> None:
    text = files.known_hosts.read_text()
    files.known_hosts.write_text(text.replace(f"]:{files.port} ", "]:2 "))
    refused(RejectedError, files)


def test_hashed_names_are_understood(files: Sshd) -> None:
    argv = ("ssh-keygen", "-q", "-H", "-f", str(files.known_hosts))
    subprocess.run(argv, check=True, capture_output=True)
    assert "127.0.0.1" not in files.known_hosts.read_text()
    assert logs_in(files)


def test_comments_empty_lines_and_other_hosts_are_passed_over(files: Sshd, tmp_path: Path) -> None:
    text = files.known_hosts.read_text().rstrip("\n")
    other = public(key(tmp_path / "other", "ecdsa"))
    files.known_hosts.write_text(f"# ours\n\nns2.example.org,192.0.2.12 {other}\n{text} comment\n")
    assert logs_in(files)


def test_kinds_of_key_that_are_not_known_are_passed_over(files: Sshd) -> None:
    text = files.known_hosts.read_text()
    sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"
    files.known_hosts.write_text(f"[127.0.0.1]:{files.port} {sk}\n{text}")
    assert logs_in(files)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Check that an error is short and names the file, and let it through."""
    try:
        yield
    except HandlerError as error:
        if str(file) in str(error) and len(str(error)) < 250:
            raise
        raise AssertionError(str(error)) from error


GARBAGE = {
    "revoked elsewhere": "@revoked *.example.net {key}",
    "authority": "@cert-authority * {key}",
    "no base64": "{name} ssh-ed25519 AAA",
    "half a key": "{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
    "half an RSA key": "{name} ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB",
    "half an ECDSA key": "{name} ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
    "another kind's key": "{name} ssh-rsa {blob}",
    "not UTF-8": "\udcff\udcfe {key}",
    "a word": "garbage",
}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_line_that_is_no_pin_is_passed_over(files: Sshd, line: str) -> None:
    """One host's line must not keep the handler from all the others, nor from this one."""
    kind_and_key = public(files.host_keys[0])
    name = f"[127.0.0.1]:{files.port}"
    text = line.format(key=kind_and_key, blob=kind_and_key.split()[1], name=name)
    good = files.known_hosts.read_text()
    files.known_hosts.write_bytes(f"{text}\n{good}".encode(errors="surrogateescape"))
    assert logs_in(files)


def test_a_revoked_key_is_never_accepted(files: Sshd) -> None:
    good = files.known_hosts.read_text()
    files.known_hosts.write_text(f"{good}@revoked * {public(files.host_keys[0])}\n")
    with pytest.raises(RejectedError, match="is revoked in"):
        logs_in(files)


def test_each_of_several_pinned_keys_of_a_kind_is_accepted(files: Sshd, tmp_path: Path) -> None:
    """While a host's key is changed both are pinned; a pattern may pin one of other hosts, too."""
    own = files.known_hosts.read_text()
    files.pin(key(tmp_path / "other"))
    other = files.known_hosts.read_text()
    for text in (other + own, own + other):
        files.known_hosts.write_text(text)
        assert logs_in(files), text
    files.known_hosts.write_text(other + other)
    assert "its host key is not the one in" in refused(RejectedError, files)


def test_a_pattern_pins_as_openssh_has_it(files: Sshd) -> None:
    key = public(files.host_keys[0])
    files.known_hosts.write_text(f"[127.0.0.*]:*,!*.9 {key}\n")
    assert logs_in(files)
    files.known_hosts.write_text(f"*,![127.0.0.1]:{files.port} {key}\n")
    with pytest.raises(RejectedError, match="no host key is pinned"):
        logs_in(files)


@pytest.mark.parametrize("what", ["missing", "directory"])
def test_known_hosts_that_cannot_be_read(files: Sshd, what: str) -> None:
    files.known_hosts.unlink()
    if what == "directory":
        files.known_hosts.mkdir()
    said = without_connection(files)
    if what == "missing":
        files.known_hosts.touch()
    assert said.startswith(f"{files.known_hosts}: known_hosts cannot be read: ")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Run an sshd with a host key of each kind."""
    sshd = Sshd(tmp_path_factory.mktemp("many"))
    sshd.host_keys += [key(sshd.directory / f"host_{kind}", kind) for kind in ("rsa", "ecdsa")]
    with sshd.running():
        yield sshd


@pytest.mark.parametrize("pinned", [(0,), (1,), (2,), (1, 0), (2, 1, 0), (0, 1, 2)])
def test_the_pinned_kind_of_host_key_is_the_one_asked_for(
    many: Sshd, pinned: tuple[int, ...]
) -> None:
    many.pin(*(many.host_keys[i] for i in pinned))
    assert logs_in(many)


def test_any_pinned_kind_that_the_host_has_will_do(many: Sshd, tmp_path: Path) -> None:
    """The host lost its ECDSA key, say; the RSA key in second place is as good."""
    sshd = Sshd(tmp_path)
    rsa = key(tmp_path / "host_rsa", "rsa")
    sshd.host_keys.append(rsa)
    sshd.pin(key(tmp_path / "gone", "ecdsa"), rsa)
    with sshd.running():
        assert logs_in(sshd)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
@pytest.mark.parametrize("form", ["OpenSSH", "PEM"])
def test_identities_of_every_kind_work(files: Sshd, tmp_path: Path, kind: str, form: str) -> None:
    identity = key(tmp_path / "own", kind)
    if form == "PEM" and kind != "ed25519":
        argv = ("ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-f", str(identity))
        subprocess.run(argv, check=True, capture_output=True)
        assert "OPENSSH" not in identity.read_text()
    (files.directory / "authorized_keys").write_text(f"{public(identity)}\n")
    assert logs_in(files, identity)


def test_a_key_that_is_not_authorized_is_rejected_and_said(files: Sshd, tmp_path: Path) -> None:
    identity = key(tmp_path / "own")
    said = refused(RejectedError, files, identity)
    assert f"with {identity} was refused" in said
    assert "`anycast-handler gate --install root@127.0.0.1` puts the public key into" in said


def test_a_server_that_hangs_up_during_the_login_is_said(tmp_path: Path) -> None:
    """Such a server looks like a connection that broke, and may be one."""
    sshd = Sshd(tmp_path, more="MaxAuthTries 1")
    with sshd.running():
        said = refused(UnreachableError, sshd, key(tmp_path / "own"))
    assert "the login did not end" in said


def test_a_user_that_may_not_log_in_is_rejected(tmp_path: Path) -> None:
    sshd = Sshd(tmp_path, more="AllowUsers nobody-at-all")
    with sshd.running():
        refused(RejectedError, sshd)


def run(*argv: str) -> int:
    return subprocess.run(argv, check=True, capture_output=True).returncode


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda _: None,
    "directory": lambda file: file.mkdir(),
    "encrypted": lambda file: key(file, passphrase="long enough"),
    "encrypted PEM": lambda file: (
        key(file, "rsa"),
        run("ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "long enough", "-f", str(file)),
    ),
    "public": lambda file: Path(f"{key(file)}.pub").replace(file),
    "cut short": lambda file: file.write_bytes(key(file).read_bytes()[:150]),
    "another kind": lambda file: run(
        "openssl", "genpkey", "-algorithm", "ed448", "-out", str(file)
    ),
    "empty": lambda file: file.touch(),
    "garbage": lambda file: file.write_bytes(b"\xff\x00garbage\n"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_identity_that_is_no_good_is_said_before_any_connection(
    sshd: Sshd, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "own"
    BROKEN[what](file)
    said = without_connection(sshd, file)
    assert said.startswith(f"{file}: identity ")
    assert ("passphrase" in said) == ("encrypted" in what), said
    assert "\n" not in said
    assert "://" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_identity_without_permission(sshd: Sshd, tmp_path: Path) -> None:
    file = key(tmp_path / "own")
    file.chmod(0)
    said = without_connection(sshd, file)
    assert said.endswith("Permission denied: run as the engine's user"), said


def test_neither_agent_nor_default_keys_are_used(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would log in, but only when a person runs the handler, and not from the engine."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_bytes(sshd.identity.read_bytes())
    socket = tmp_path / "agent"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    agent = subprocess.Popen(("ssh-agent", "-D", "-a", str(socket)), stdout=subprocess.PIPE)
    with agent:
        try:
            assert agent.stdout
            agent.stdout.readline()
            subprocess.run(("ssh-add", "-q", str(sshd.identity)), check=True, capture_output=True)
            refused(RejectedError, sshd, key(tmp_path / "other"))
        finally:
            agent.kill()


def test_the_known_hosts_of_the_user_do_not_count(
    files: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/known_hosts").write_text(files.known_hosts.read_text())
    files.known_hosts.write_text("")
    refused(RejectedError, files)


def test_a_closed_port_is_unreachable(files: Sshd) -> None:
    port, files.port = files.port, free_port()
    try:
        said = refused(UnreachableError, files)
        assert said.startswith(f"127.0.0.1 port {files.port}: Connection refused")
    finally:
        files.port = port
