"""The sshd that most of these tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.server import Sshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Run one sshd for the tests of a module that do not change it."""
    if not Path("/usr/sbin/sshd").exists():
        pytest.skip("there is no sshd")
    with Sshd(tmp_path_factory.mktemp("sshd")).running() as server:
        yield server


@pytest.fixture(autouse=True)
def _silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No test may print anything, because the engine would take the text for plugin output."""
    yield
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
