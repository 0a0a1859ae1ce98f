"""The wheel: on a monitoring host with all that it needs, on an endpoint without the handler's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.peer import stream_server
from tests.support.program import ROOT


@pytest.fixture(scope="module")
def wheel(build: Callable[[str], Path]) -> str:
    """The wheel, which twine and check-wheel-contents have looked at; and its sources beside it."""
    (wheel,) = build("wheel").glob("*.whl")
    assert list(wheel.parent.glob("*.tar.gz"))
    return str(wheel)


def environment(directory: Path, *installations: tuple[str, ...]) -> Path:
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(directory)], check=True)
    pip = str(directory / "bin/pip")
    for words in installations:
        subprocess.run([pip, "install", "-q", *words], check=True)
    return directory


def packages(directory: Path) -> set[str]:
    """Name the packages that were installed, besides those of an empty environment."""
    argv = [str(directory / "bin/pip"), "list", "--format=freeze", "--disable-pip-version-check"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return {line.split("==")[0] for line in listed.splitlines()} - {"pip", "setuptools"}


def test_pip_alone_brings_everything(wheel: str, tmp_path: Path) -> None:
    made = environment(tmp_path, (wheel,))

    assert {"paramiko", "cryptography", "dnspython"} < packages(made)
    said = subprocess.run([str(made / "bin/anycast-handler"), "-h"], capture_output=True, text=True)
    assert said.returncode == 0, said
    share = made / "share"
    assert (share / "anycast-checks/icinga2-templates/anycast-services.conf").exists()
    assert (share / "doc/anycast-checks/docs/fleet-file.rst").exists()


def test_an_endpoint_gets_the_checks_and_nothing_to_log_in_with(wheel: str, tmp_path: Path) -> None:
    listed = ROOT / "packaging/endpoint.txt"
    made = environment(tmp_path, ("-r", str(listed)), ("--no-deps", wheel))

    assert (made / "share/anycast-checks/endpoint.txt").read_text() == listed.read_text()
    own = {"anycast-checks", "click", "dnspython", "h11", "nagiosplugin"}
    assert packages(made) == own
    with stream_server(lambda peer: peer.sendall(b"220 ready\r\n")) as port:
        argv = [str(made / "bin/check_anycast"), "tcp", "-H", "127.0.0.1", "-p", str(port)]
        ended = subprocess.run([*argv, "--expect", "220"], capture_output=True, text=True)
    assert ended.returncode == 0, ended
