"""network-scripts of RHEL 7 and 8, unmodified, on a host that has Debian's other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from .alone import unpacked
from .errors import LabError
from .host import Host

DIRECTORY, SBIN = "/etc/sysconfig/network-scripts", "/usr/sbin"
# Where each release of the sources has the scripts, and the functions that these read.
SOURCES: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        7: ("sysconfig/network-scripts", "rc.d/init.d/functions"),
        8: ("network-scripts", "etc/rc.d/init.d/functions"),
    }
)


def sources(release: int) -> Path | None:
    """Find the sources of a release of RHEL; None where they could not be had."""
    return unpacked(f"network-scripts-{release}") if unpacked("ipcalc-ng") else None


def install(host: Host, release: int, aliases: Mapping[str, str]) -> None:
    """Put the scripts in the place of Debian's ifupdown, and bring lo with its aliases up.

    Args:
        host: where.
        release: 7 or 8.
        aliases: the address of each alias of lo.
    """
    source, ipcalc = sources(release), unpacked("ipcalc-ng")
    if not source or not ipcalc:
        raise LabError(f"there are no network-scripts of RHEL {release}")
    scripts, functions = (source / name for name in SOURCES[release])
    host.run(["mkdir", "-p", "/etc/sysconfig", "/etc/init.d", "/run/netreport"], check=True)
    host.run(["cp", "-r", str(scripts), DIRECTORY], check=True)
    host.run(["cp", str(functions), "/etc/init.d/functions"], check=True)
    host.run(["cp", str(ipcalc / "usr/bin/ipcalc-ng"), "/usr/bin/ipcalc"], check=True)
    host.run(["rm", f"{SBIN}/ifquery"], check=True)
    for program in ("ifup", "ifdown"):
        host.run(["mv", f"{DIRECTORY}/{program}", f"{SBIN}/{program}"], check=True)
        host.run(["ln", "-s", f"{SBIN}/{program}", f"{DIRECTORY}/{program}"], check=True)
    # RHEL's sh is bash, and the scripts need that. They tell neighbors of a new address by arping.
    host.run(["ln", "-sf", "bash", "/usr/bin/sh"], check=True)
    host.run(["ln", "-sf", "true", "/usr/bin/arping"], check=True)
    host.write("/etc/sysconfig/network", "")
    for alias, address in aliases.items():
        write_alias(host, alias, address)
    host.run(["ifup", "lo"], check=True)


def write_alias(host: Host, alias: str, address: str) -> None:
    """Write the file of an alias of lo."""
    text = f"DEVICE={alias}\nIPADDR={address}\nNETMASK=255.255.255.255\nONBOOT=yes\n"
    host.write(f"{DIRECTORY}/ifcfg-{alias}", text)


def write_interface(host: Host, interface: str, addresses: Sequence[str]) -> None:
    """Write the file of lo, or of an interface that is there already, with single addresses."""
    v4 = [one for one in addresses if ":" not in one]
    v6 = [f"{one}/128" for one in addresses if ":" in one]
    lines = [f"DEVICE={interface}", "ONBOOT=yes"]
    if interface == "lo":
        lines += ["IPADDR=127.0.0.1", "NETMASK=255.0.0.0"]
    for number, address in enumerate(v4, 1):
        lines += [f"IPADDR{number}={address}", f"PREFIX{number}=32"]
    lines += ["IPV6INIT=yes", f"IPV6ADDR={v6[0]}", f'IPV6ADDR_SECONDARIES="{" ".join(v6[1:])}"']
    host.write(f"{DIRECTORY}/ifcfg-{interface}", "\n".join((*lines, "")))
