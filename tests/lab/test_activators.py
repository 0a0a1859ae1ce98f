"""What configures interfaces on an endpoint: each program for real, through the handler.

ifupdown2 and ifupdown-ng are Debian's packages, unpacked in one host of the lab. network-scripts
are not in Debian: two small scripts stand for them, which do to lo what the real ones do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import Host, Lab
from lab.topology import VIP
from tests.lab.scene import Scene

SBIN, KEPT, PACKAGES = "/usr/sbin", "/run/kept", "/run/packages"
PROGRAMS = ("ifup", "ifdown", "ifquery")
SCRIPTS = "/etc/sysconfig/network-scripts"
# The files of each package that are copied onto the host, and removed afterwards.
FILES = {
    "ifupdown2": ("/usr/share/ifupdown2", "/etc/network/ifupdown2"),
    "ifupdown-ng": ("/usr/libexec/ifupdown-ng", "/etc/network/ifupdown-ng.conf"),
}
IFUP = f"""#!/bin/sh
# `ifup lo` brings every alias back; the exit status tells nothing.
cd {SCRIPTS}
case $1 in
lo) files=$(ls -d ifcfg-lo:*) ;;
*) files=ifcfg-$1 ;;
esac
for file in $files; do
    [ -e "$file" ] || {{ echo "Usage: ifup <configuration>" >&2; exit 1; }}
    . "./$file"
    ip address add "$IPADDR/32" dev lo label "$DEVICE" 2>/dev/null
done
exit 0
"""
IFDOWN = f"""#!/bin/sh
# Takes away what has the label, and all global IPv6 of lo; the exit status tells nothing.
[ -e "{SCRIPTS}/ifcfg-$1" ] || {{ echo "Usage: ifdown <configuration>" >&2; exit 1; }}
ip address flush dev lo label "$1" scope global
ip -6 address flush dev lo scope global
exit 0
"""
OTHER_VIP, OTHER_ALIAS = "10.99.0.80", "lo:1"
OTHER = f"""
[vip.web]
address = "{OTHER_VIP}"
interface = "{OTHER_ALIAS}"
check = ["/bin/false"]
[vip.web.endpoints]
ns1 = "10.0.1.2"
"""
WITHOUT_LABEL = [f"ip address del {VIP}/32 dev lo"], [f"ip address add {VIP}/32 dev lo"]
DROP_IN = f"10-lo.network.d/anycast-{VIP}.conf"
BY_IP = ([f"ip address del {VIP}/32 dev lo"], [f"ip address add {VIP}/32 dev lo label lo:0"])
IPV6 = "2001:db8::53/128"


@pytest.fixture
def scene(lab: Lab) -> Scene:
    return Scene(lab)


@pytest.fixture(scope="module")
def packages(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Unpack both packages on ns1, below PACKAGES."""
    directory = tmp_path_factory.mktemp("packages")
    said = _apt(directory, "download", *FILES)
    if said:
        # The package lists may be too old, or missing.
        said = _apt(directory, "update", "-qq") or _apt(directory, "download", *FILES)
    if said:
        pytest.skip(f"{' and '.join(FILES)} cannot be downloaded: {said}")
    host = lab.endpoint("ns1").host
    for name in FILES:
        (file,) = directory.glob(f"{name}_*.deb")
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], capture_output=True, check=True)
        host.make_directory(f"{PACKAGES}/{name}")
        unpack = host.enter(["tar", "-x", "-C", f"{PACKAGES}/{name}"])
        subprocess.run(unpack, input=tar.stdout, check=True, timeout=60)
        # Debian 12 has the programs in /sbin, and 13 in /usr/sbin, where ifup-ng is ifupdown-ng's.
        link = """cd "$0"; shift
            [ -e sbin ] || ln -s usr/sbin sbin
            for name; do [ ! -e "sbin/$name-ng" ] || ln -sf "$name-ng" "sbin/$name"; done"""
        host.run(["sh", "-euc", link, f"{PACKAGES}/{name}", "", *PROGRAMS], check=True)
    # The installation of the package would do this.
    main = f"{PACKAGES}/ifupdown2/usr/share/ifupdown2/__main__.py"
    host.run(["chmod", "755", main], check=True)


def _apt(directory: Path, *argv: str) -> str:
    """Run apt-get in a directory; returns what went wrong, in one line."""
    try:
        ended = subprocess.run(
            ["apt-get", *argv],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return " ".join(ended.stderr.split())[:200] if ended.returncode else ""


@contextmanager
def installed(host: Host, name: str) -> Iterator[None]:
    """Have another program than Debian's ifupdown on the host, or none where name is empty."""
    host.run(["mkdir", "-p", KEPT], check=True)
    ours = [f"{SBIN}/{program}" for program in PROGRAMS]
    host.run(["mv", *ours, KEPT], check=True)
    try:
        if name:
            for file in FILES[name]:
                host.run(["cp", "-a", f"{PACKAGES}/{name}{file}", file], check=True)
            for program in PROGRAMS:
                source = f"{PACKAGES}/{name}/sbin/{program}"
                # ifupdown-ng is one program, ifupdown2 is a link that must stay one.
                how = "-L" if name == "ifupdown-ng" else "-P"
                host.run(["cp", how, source, SBIN], check=True)
        yield
    finally:
        host.run(["rm", "-rf", *ours, *FILES.get(name, ())], check=True)
        host.run(["mv", *(f"{KEPT}/{program}" for program in PROGRAMS), SBIN], check=True)


@contextmanager
def network_scripts(host: Host) -> Iterator[None]:
    """Have the stand-in for network-scripts on the host, with two aliases of lo."""
    with installed(host, ""):
        for program, text in (("ifup", IFUP), ("ifdown", IFDOWN)):
            host.write(f"{SBIN}/{program}", text, mode=0o755)
        host.write(f"{SCRIPTS}/ifup-eth", "")
        for alias, address in (("lo:0", VIP), (OTHER_ALIAS, OTHER_VIP)):
            host.write(f"{SCRIPTS}/ifcfg-{alias}", f"DEVICE={alias}\nIPADDR={address}\n")
        try:
            yield
        finally:
            host.run(["rm", "-rf", "/etc/sysconfig"], check=True)
            host.run(["ip", "address", "del", f"{OTHER_VIP}/32", "dev", "lo"])


@contextmanager
def ipv6_on_lo(host: Host) -> Iterator[None]:
    """Have a global IPv6 address on the loopback."""
    host.run(["ip", "address", "add", IPV6, "dev", "lo"], check=True)
    try:
        yield
    finally:
        host.run(["ip", "address", "del", IPV6, "dev", "lo"])


@contextmanager
def labelled_again(host: Host) -> Iterator[None]:
    """Give the VIP its label again, as the other tests need it."""
    try:
        yield
    finally:
        host.run(["ip", "address", "del", f"{VIP}/32", "dev", "lo"])
        host.run(["ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0"], check=True)


@contextmanager
def instead_of_ip(host: Host) -> Iterator[None]:
    """Have an ip that deletes nothing."""
    refuses = '#!/bin/sh\ncase $* in *" del "*) exit 2 ;; esac\nexec /usr/bin/ip.real "$@"\n'
    host.run(["mv", "/usr/bin/ip", "/usr/bin/ip.real"], check=True)
    host.write("/usr/bin/ip", refuses, mode=0o755)
    try:
        yield
    finally:
        host.run(["mv", "/usr/bin/ip.real", "/usr/bin/ip"], check=True)


def configure(scene: Scene, activator: str, more: str = "") -> None:
    named = scene.fleet.replace("hold_down", f'activator = "{activator}"\nhold_down', 1)
    scene.set_fleet(named + more)


def of_lo(host: Host) -> list[str]:
    shown = host.run(["ip", "-o", "address", "show", "dev", "lo"], check=True).stdout
    return sorted(line.split()[3] for line in shown.splitlines())


def ran(scene: Scene, state: str) -> list[str]:
    """Handle a state that needs an act, and tell which programs ran for it on the endpoint."""
    getattr(scene.ns1.resolver, "kill" if state == "CRITICAL" else "repair")()
    code, said = scene.event(state)
    assert code == 0, said
    commands = [" ".join(command["argv"]) for command in scene.log()[-1]["commands"]]
    programs = [c.removeprefix("/usr/bin/sudo -n ") for c in commands]
    return [p.removeprefix("/sbin/") for p in programs if p.startswith("/sbin/")]


def withdraw_and_restore(scene: Scene) -> tuple[list[str], list[str]]:
    """Do both, and return what `ran` does; lo must lose the VIP alone, and get it back."""
    before = of_lo(scene.ns1.host)
    withdrew = ran(scene, "CRITICAL")
    assert of_lo(scene.ns1.host) == [a for a in before if a != f"{VIP}/32"] != before
    restored = ran(scene, "OK")
    assert of_lo(scene.ns1.host) == before
    return withdrew, restored


def assert_refused(scene: Scene, program: str) -> None:
    """A failed resolver changes nothing on lo, and one line names the program and the way out."""
    before = of_lo(scene.ns1.host)
    assert "127.0.0.1/8" in before
    scene.ns1.resolver.kill()
    code, said = scene.event("CRITICAL")
    assert code == 2, said
    assert said.count("\n") == 1
    assert program in said
    assert 'set activator = "ip" for vip.resolver' in said
    assert of_lo(scene.ns1.host) == before
    assert scene.log()[-1]["commands"] == []


class TestIfupdown:
    @pytest.mark.parametrize("activator", ["auto", "ifupdown"])
    def test_it_does_both(self, scene: Scene, activator: str) -> None:
        configure(scene, activator)
        assert withdraw_and_restore(scene) == (["ifdown lo:0"], ["ifup lo", "ifup lo:0"])

    def test_it_is_no_network_scripts(self, scene: Scene) -> None:
        configure(scene, "network-scripts")
        assert_refused(scene, "is ifupdown (ifup version 0.")


@pytest.mark.usefixtures("packages")
class TestIfupdown2:
    def test_auto_works_by_ip_without_the_label(self, scene: Scene) -> None:
        """ifupdown2's ifdown knows no alias, and only root may ask for its version."""
        configure(scene, "auto")
        host = scene.ns1.host
        with installed(host, "ifupdown2"), labelled_again(host):
            assert withdraw_and_restore(scene) == WITHOUT_LABEL

    def test_it_is_no_ifupdown(self, scene: Scene) -> None:
        configure(scene, "ifupdown")
        with installed(scene.ns1.host, "ifupdown2"):
            assert_refused(scene, "is ifupdown2 (")


def is_masked(host: Host) -> bool:
    """Whether the drop-in of the VIP is hidden, and everybody can see that."""
    link = host.run(["readlink", f"/run/systemd/network/{DROP_IN}"]).stdout
    note = host.run(["cat", f"/run/anycast-act/masked.{VIP}"], user="anycast").stdout
    assert (link, note) in {("/dev/null\n", "networkd\n"), ("", "")}
    return bool(link)


class TestMask:
    """networkd does not run here; test_managers.py has it, without a gate and without sudo."""

    @pytest.fixture
    def host(self, scene: Scene) -> Iterator[Host]:
        host = scene.ns1.host
        file = f"/usr/local/lib/systemd/network/{DROP_IN}"
        host.write(file, f"[Network]\nAddress={VIP}/32\n")
        configure(scene, "networkd")
        with labelled_again(host):
            yield host
        host.run(["rm", file], check=True)

    def test_a_withdrawal_masks_and_a_restore_unmasks(self, scene: Scene, host: Host) -> None:
        assert ran(scene, "CRITICAL") == WITHOUT_LABEL[0]
        assert is_masked(host)
        assert ["mask", "networkd"] in [one["argv"] for one in scene.log()[-1]["commands"]]
        assert ran(scene, "OK") == WITHOUT_LABEL[1]
        assert not is_masked(host)

    def test_a_mask_that_was_left_behind_is_taken_off(self, scene: Scene, host: Host) -> None:
        """As by a helper that was killed, or where a person brings the VIP back."""
        host.run(["anycast-mask", "mask", "networkd", VIP, "lo"], check=True)
        assert is_masked(host)
        code, said = scene.enforce("OK")
        assert code == 0, said
        assert not is_masked(host)

    def test_a_withdrawal_in_vain_leaves_no_mask(self, scene: Scene, host: Host) -> None:
        with instead_of_ip(host):
            scene.ns1.resolver.kill()
            code, said = scene.event("CRITICAL")
        assert code == 2, said
        assert "still announced" in said
        assert not is_masked(host)
        scene.ns1.resolver.repair()


@pytest.mark.usefixtures("packages")
class TestIfupdownNg:
    @pytest.mark.parametrize("activator", ["auto", "ifupdown", "network-scripts"])
    def test_it_is_refused(self, scene: Scene, activator: str) -> None:
        configure(scene, activator)
        with installed(scene.ns1.host, "ifupdown-ng"):
            assert_refused(scene, "is ifupdown-ng (ifupdown-ng 0.")

    def test_by_ip_it_works(self, scene: Scene) -> None:
        configure(scene, "ip")
        with installed(scene.ns1.host, "ifupdown-ng"):
            assert withdraw_and_restore(scene) == BY_IP

    def test_its_ifdown_empties_the_whole_loopback(self, scene: Scene) -> None:
        """The harm for which the handler refuses it, shown where there is nothing to lose."""
        there = "mount -t tmpfs tmpfs /run && ifup lo && ifup lo:0 && ip -4 -o address show dev lo"
        then = "ifdown lo:0 && ip -o address show dev lo"
        unshare = ["unshare", "--net", "--mount", "sh", "-c"]
        with installed(scene.ns1.host, "ifupdown-ng"):
            before = scene.ns1.host.run([*unshare, there], check=True).stdout
            after = scene.ns1.host.run([*unshare, f"{there} >&2 && {then}"], check=True).stdout
        assert "127.0.0.1/8" in before
        assert f"{VIP}/32" in before
        assert after == ""


class TestNoIfupdown:
    def test_auto_works_by_ip(self, scene: Scene) -> None:
        configure(scene, "auto")
        with installed(scene.ns1.host, ""):
            assert withdraw_and_restore(scene) == BY_IP

    @pytest.mark.parametrize("activator", ["ifupdown", "network-scripts"])
    def test_what_is_not_there_is_refused(self, scene: Scene, activator: str) -> None:
        configure(scene, activator)
        with installed(scene.ns1.host, ""):
            assert_refused(scene, "/sbin/ifup there is missing (")


class TestNetworkScripts:
    """These tests run the stand-in of which the head of this file speaks, not the real scripts."""

    @pytest.mark.parametrize("activator", ["auto", "network-scripts"])
    def test_it_does_both(self, scene: Scene, activator: str) -> None:
        configure(scene, activator)
        with network_scripts(scene.ns1.host):
            scene.ns1.host.run(["ifup", OTHER_ALIAS], check=True)
            assert withdraw_and_restore(scene) == (["ifdown lo:0"], ["ifup lo:0"])

    def test_another_vip_that_is_withdrawn_stays_withdrawn(self, scene: Scene) -> None:
        """`ifup lo` would bring the other VIP back."""
        configure(scene, "auto", OTHER)
        with network_scripts(scene.ns1.host):
            assert withdraw_and_restore(scene) == (["ifdown lo:0"], ["ifup lo:0"])

    def test_a_restore_that_brings_more_says_so(self, scene: Scene) -> None:
        """As a hook may, or an ifup that brings every alias back."""
        configure(scene, "network-scripts")
        host = scene.ns1.host
        with network_scripts(host):
            ran(scene, "CRITICAL")
            host.write(f"{SBIN}/ifup", IFUP.replace("case $1 in", "case lo in"), mode=0o755)
            scene.ns1.resolver.repair()
            code, said = scene.event("OK")
            assert code == 2, said
            assert f"{VIP} restored, and more than that" in said
            assert f"lo also got {OTHER_VIP}/32" in said
            assert scene.log()[-1]["verified"]["other_addresses"] is False

    def test_an_address_without_the_label_is_taken_away_by_ip(self, scene: Scene) -> None:
        """ifdown does not touch such an address, and still reports success."""
        configure(scene, "auto")
        host = scene.ns1.host
        with network_scripts(host):
            host.run(["ip", "address", "del", f"{VIP}/32", "dev", "lo"], check=True)
            host.run(["ip", "address", "add", f"{VIP}/32", "dev", "lo"], check=True)
            assert ran(scene, "CRITICAL") == ["ifdown lo:0", BY_IP[0][0]]
            assert not scene.is_announced()
            ran(scene, "OK")

    @pytest.mark.parametrize("activator", ["auto", "network-scripts"])
    def test_ipv6_on_lo_is_not_taken_along(self, scene: Scene, activator: str) -> None:
        configure(scene, activator)
        with network_scripts(scene.ns1.host), ipv6_on_lo(scene.ns1.host):
            assert_refused(scene, f"would take {IPV6} off lo too")

    def test_by_ip_it_works_with_ipv6_on_lo(self, scene: Scene) -> None:
        configure(scene, "ip")
        with network_scripts(scene.ns1.host), ipv6_on_lo(scene.ns1.host):
            assert withdraw_and_restore(scene) == BY_IP

    def test_it_is_no_ifupdown(self, scene: Scene) -> None:
        configure(scene, "ifupdown")
        with network_scripts(scene.ns1.host):
            assert_refused(scene, "is network-scripts (")
