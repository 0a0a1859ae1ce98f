"""The unit of the watcher in a systemd, with the drop-in of docs/watch.rst and without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent

import pytest

from lab.host import Host
from lab.systemd import groups, systemd_alone
from lab.waiting import wait_until
from tests.support.program import ROOT

UNIT = ROOT / "systemd/anycast-watch.service"
PAGE = (ROOT / "docs/watch.rst").read_text()
USER, PLACE = "nobody", "/var/log/anycast-handler"
SAID = f"{PLACE}/said"
# A shell stands in for the watcher, and tries sudo.
TRIES_SUDO = f"""\
[Service]
Type=exec
User={USER}
ExecStart=
ExecStart=/bin/sh -c 'cd {PLACE}; sudo -n id -un >new 2>&1; mv new said; exec sleep infinity'
"""


@pytest.fixture(scope="module")
def monitor(lab_is_possible: None) -> Iterator[Host]:
    """A monitoring host whose process 1 is systemd, and whose sudoers let the watcher act."""
    if not groups():
        pytest.skip("there are no control groups of version 2")
    with systemd_alone("monitor", "dbus.service") as host:
        host.write("/etc/sudoers.d/anycast", f"{USER} ALL=(root) NOPASSWD: ALL\n", mode=0o440)
        for directory in (PLACE, "/var/lib/anycast-handler"):
            host.make_directory(directory, owner=USER)
        host.write(f"/etc/systemd/system/{UNIT.name}", UNIT.read_text())
        yield host


def drop_in() -> str:
    """Give what the page says for a monitoring host that is an endpoint itself."""
    _, _, after = PAGE.partition("Where the monitoring host is an endpoint itself")
    (found,) = re.findall(r"::\n\n((?:    .*\n)+)", after)[:1]
    return dedent(found)


def said(host: Host, more: str) -> str:
    """Start the unit with a drop-in, and give what is said in the watcher's place."""
    directory = f"/etc/systemd/system/{UNIT.name}.d"
    host.write(f"{directory}/override.conf", more)
    host.write(f"{directory}/tries-sudo.conf", TRIES_SUDO)
    host.run(["rm", "-f", SAID], check=True)
    host.run(["systemctl", "daemon-reload"], check=True)
    host.run(["systemctl", "restart", UNIT.name], check=True)
    try:
        tried = ["test", "-e", SAID]
        wait_until(lambda: host.run(tried).returncode == 0, "the program has tried sudo")
        return host.read(SAID)
    finally:
        host.run(["systemctl", "stop", UNIT.name], check=True)


def test_the_unit_itself_leaves_no_way_to_act_on_this_host(monitor: Host) -> None:
    answer = said(monitor, "")
    assert '"no new privileges" flag is set' in answer, answer


def test_with_the_drop_in_of_the_page_the_watcher_acts_by_sudo(monitor: Host) -> None:
    """With ``User=``, systemd 252 forbids sudo wherever one of several settings is left."""
    assert "NoNewPrivileges=no" in drop_in()
    answer = said(monitor, drop_in())
    # sudo may say before it that it cannot resolve the name of its host.
    assert answer.splitlines()[-1] == "root", answer
