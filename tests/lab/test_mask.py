"""`anycast-mask` on files as they may lie on an endpoint, without the managers themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from anycast_handlers import gate

from tests.support.namespace import VIP, Namespace

MASK = Path(gate.__file__).with_name("anycast-mask")
VIP6 = "2001:db8:99::53"
OWN = "systemd/network/10-lo.network.d/anycast-{}.conf"
FILE = "etc/systemd/network/10-lo.network"


@pytest.fixture
def host(host: Namespace) -> Namespace:
    """A host without a file of networkd or of ifupdown2."""
    host.run("rm", "/etc/network/interfaces")
    for directory in ("/etc/systemd/network", "/usr/local/lib"):
        host.run("mount", "-t", "tmpfs", "tmpfs", directory)
    return host


def write(host: Namespace, file: str, address: str) -> None:
    text = f"[Network]\nAddress={address}/{128 if ':' in address else 32}\n"
    host.run("install", "-D", "/dev/stdin", f"/{file}", input=text)


def mask(host: Namespace, what: str, address: str, manager: str = "networkd") -> tuple[int, str]:
    """Mask an address in a manager, or unmask it; returns the exit status and what was said."""
    argv = host.argv("/bin/sh", str(MASK), what, manager, address, "lo")
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_its_own_file_is_hidden_where_a_link_in_run_hides_it(host: Namespace, address: str) -> None:
    link = f"/run/{OWN.format(address)}"
    write(host, f"usr/local/lib/{OWN.format(address)}", address)
    assert mask(host, "mask", address) == (0, "")
    assert host.run("readlink", link) == "/dev/null\n"
    assert mask(host, "unmask", address) == (0, "")
    assert host.run("sh", "-c", f"ls {link} 2>&1 || true").endswith("No such file or directory\n")


@pytest.mark.parametrize(
    ("file", "address", "spelt"),
    [
        # In these two directories networkd would prefer the file to the link.
        (f"etc/{OWN.format(VIP)}", VIP, VIP),
        (f"run/{OWN.format(VIP)}", VIP, VIP),
        (f"etc/{OWN.format(VIP6)}", VIP6, VIP6),
        (FILE, VIP6, VIP6.upper()),
    ],
)
def test_a_file_that_no_link_hides_is_named(
    host: Namespace, file: str, address: str, spelt: str
) -> None:
    write(host, file, spelt)
    status, said = mask(host, "mask", address)
    assert status == 1
    assert said.startswith(f"/{file} has {address} too: move it to a file of its own")


def test_what_only_looks_like_the_address_is_not(host: Namespace) -> None:
    write(host, FILE, f"1{VIP}")
    host.run("sh", "-c", f"echo '# Address={VIP}/32' >>/{FILE}")
    assert mask(host, "mask", VIP) == (0, "")


@pytest.mark.parametrize(
    ("manager", "file", "line"),
    [
        ("networkd", f"/usr/local/lib/{OWN.format(VIP)}", "Address={}/32"),
        ("ifupdown2", f"/etc/network/interfaces.d/anycast-{VIP}", "    address {}/32"),
    ],
)
def test_no_file_that_has_another_address_is_hidden(
    host: Namespace, manager: str, file: str, line: str
) -> None:
    """A restart of the manager would take a VIP away that nobody has withdrawn."""

    def is_hidden() -> bool:
        if manager == "networkd":
            return host.run("find", "/run", "-lname", "/dev/null") != ""
        return line.format(VIP) not in host.run("cat", file)

    text = line.format(VIP)
    host.run("install", "-D", "/dev/stdin", file, input=f"{text}\n")
    assert mask(host, "mask", VIP, manager) == (0, "")
    assert is_hidden()
    assert mask(host, "unmask", VIP, manager) == (0, "")
    assert not is_hidden()
    host.run("sh", "-c", f"echo '{line.format('10.99.0.54')}' >>{file}")
    status, said = mask(host, "mask", VIP, manager)
    assert status == 1
    assert said.startswith(f"{file} has other addresses than {VIP} too: give each a file")
    assert not is_hidden()
