"""Every subcommand keeps its promises without any capability, and with nothing to write to."""

import os
import shutil
import subprocess

import pytest

from tests.support.examples import HEALTH, arguments
from tests.support.peer import free_port
from tests.support.program import check_anycast


@pytest.fixture
def closed_port() -> str:
    return str(free_port())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
@pytest.mark.parametrize("name", HEALTH)
def test_no_privilege_is_needed(name: str, closed_port: str) -> None:
    """The check has no capability. It keeps its user, since only root may read the checkout."""
    drop = ["/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]

    assert check_anycast(*arguments(name, closed_port), wrapper=drop).code == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("name", HEALTH)
def test_nothing_has_to_be_written(name: str, closed_port: str) -> None:
    """The whole file system is read-only."""
    read_only = 'mount -o remount,bind,ro / && ! touch /tmp/x 2>&1 && exec "$@"'
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", read_only, "sh"]
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody remount")

    assert check_anycast(*arguments(name, closed_port), wrapper=wrapper).code == 2
