"""Each command of another program on a page is run by a test, or it stands here by whom it is run.

The command lines of the suite itself are in test_docs_commands.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.rst", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.rst"))))
# A command line begins with one of these, or with a program of the environment of the README.
PROGRAMS = re.compile(
    r"(?:scripts/\w+|/opt/anycast-checks/bin/pip|~/ansible/bin/[a-z-]+|apt-get|chown|cp|"
    r"curl|dpkg|echo|editor|icinga2|icingacli|install|journalctl|ln|mariadb|mkdir|mv|nagios4|"
    r"openssl|python3|rm|scp|sed|ssh|ssh-keygen|ssh-keyscan|sudo|sysctl|systemctl|touch|useradd|"
    r"usermod|visudo|wget) "
)
# Literal blocks, but those that are a file or the output of a program.
BLOCK = re.compile(r"::\n\n((?: {3,}.*\n|\n)+)")

README = "tests/lab/test_readme.py"
# It installs the same packages by dpkg.
DEBIAN = "tests/packages/test_debian.py"
MAINTENANCE = "tests/lab/test_maintenance.py"
DIRECTOR = "tests/director/machine.py"
TEN_MINUTES = "tests/packages/test_ten_minutes.py"
# A person has run it as it stands, away from the machine's own files.
BY_HAND = "by hand"
# It changes the machine on which it runs, or needs what no lab has.
NOBODY = "nobody"
RUN_BY = {
    "apt-get install ./anycast-checks_*~deb12*.deb ./anycast-handler_*~deb12*.deb": DEBIAN,
    "apt-get install --no-install-recommends ./anycast-checks_*~deb12*.deb": DEBIAN,
    "apt-get install python3-venv": "scripts/setup.sh",
    "python3 -m venv /opt/anycast-checks": BY_HAND,
    "/opt/anycast-checks/bin/pip install .": BY_HAND,
    "/opt/anycast-checks/bin/pip install '.[watch]'": BY_HAND,
    "/opt/anycast-checks/bin/pip install -r": "tests/packages/test_wheel.py",
    "/opt/anycast-checks/bin/pip install --no-deps": "tests/packages/test_wheel.py",
    "install -d /usr/lib/nagios/plugins": BY_HAND,
    "ln -s /opt/anycast-checks/bin/": BY_HAND,
    "scripts/demo ": BY_HAND,
    "scripts/test ": "scripts/test",
    "echo net.ipv4.ip_nonlocal_bind=1": NOBODY,
    "echo net.ipv6.ip_nonlocal_bind=1": NOBODY,
    "sysctl -p": NOBODY,
    "install -d -o root -g nagios -m 750 /etc/anycast": README,
    "touch /etc/anycast/fleet.toml": README,
    "chown root:nagios ": README,
    "ssh-keygen ": README,
    "chown nagios: ": README,
    "install -d -o nagios -g nagios -m 750 /var/lib": README,
    "ssh-keyscan ": README,
    "mv /etc/anycast/known_hosts.new": README,
    "install -d /etc/icinga2/": BY_HAND,
    "install -d /etc/nagios4/": BY_HAND,
    "cp /opt/anycast-checks/share/": BY_HAND,
    "cp systemd/anycast-watch.service ": BY_HAND,
    "icinga2 feature enable influxdb": BY_HAND,
    "install -m 600 -o nagios -g nagios /dev/null ": BY_HAND,
    "editor ": NOBODY,
    "icingacli director basket restore": DIRECTOR,
    "icingacli director config deploy": DIRECTOR,
    "mariadb director": DIRECTOR,
    "systemctl enable --now anycast-watch": NOBODY,
    "journalctl -fu anycast-watch": NOBODY,
    "ssh ns1 ": MAINTENANCE,
    "ssh $endpoint ": MAINTENANCE,
    "python3 -m venv ~/ansible": TEN_MINUTES,
    "~/ansible/bin/": TEN_MINUTES,
    "cp ansible/inventory.yml": TEN_MINUTES,
    "ssh root@192.0.2.1": TEN_MINUTES,
    "scripts/package trixie": "tests/packages/conftest.py",
    "apt-get install -y python3-venv": "scripts/setup.sh",
    # It was measured in the lab, see the page.
    "echo net.ipv4.tcp_retries2=5": BY_HAND,
}


def commands() -> Iterator[str]:
    for page in PAGES:
        for block in BLOCK.findall((ROOT / page).read_text().replace("\\\n", " ")):
            for line in (" ".join(one.split()) for one in block.splitlines()):
                if PROGRAMS.match(f"{line} "):
                    yield line


def test_it_is_known_of_each_command_who_runs_it() -> None:
    found = list(commands())
    assert len(found) > 30
    assert [one for one in found if not any(map(f"{one} ".startswith, RUN_BY))] == []


def test_no_command_is_listed_that_no_page_shows() -> None:
    found = [f"{one} " for one in commands()]
    assert [one for one in RUN_BY if not any(line.startswith(one) for line in found)] == []


def test_who_runs_them_is_there() -> None:
    files = set(RUN_BY.values()) - {BY_HAND, NOBODY}
    assert [name for name in files if not (ROOT / name).is_file()] == []
