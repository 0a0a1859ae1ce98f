"""The examinations of the engines that the watcher reports to, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch

from ...doctor.finding import Finding
from ...doctor.here import may
from ...doctor.share import monitoring_user
from ...errors import HandlerError
from ...fleet.values import Fleet, Icinga
from . import watcher_host
from .icinga import IcingaApi
from .nagios import CommandFile
from .report import HEALTH, WATCHER

# The watcher needs these permissions in Icinga; each is followed by what goes wrong without it.
NEEDED = {
    "actions/process-check-result": "Icinga hears nothing of the watcher",
    "objects/query/service": "the watcher knows no downtimes, and restores in them",
}
TEMPLATE = '`import "anycast-reports"` in its ApiUser, and reload Icinga'
LISTED = 3


def examine_engines(fleet: Fleet) -> list[Finding]:
    """Examine the engines that the fleet file names; a finding names the table of that file."""
    found: list[Finding] = []
    for key, examination, remedy in (
        ("icinga", _icinga(fleet), "see url in [icinga]: does Icinga run there, with its API?"),
        ("nagios", _nagios(fleet), "see command_file in [nagios]"),
    ):
        about = f"{fleet.file}: {key}"
        try:
            found += [Finding(about, *one) for one in examination]
        except HandlerError as error:
            found.append(Finding(about, error.what, error.remedy or remedy))
    return found


def _icinga(fleet: Fleet) -> Iterator[tuple[str, str]]:
    settings = fleet.icinga
    if settings is None:
        return
    user = monitoring_user(fleet)
    way = IcingaApi(settings, owner=user.pw_uid if user else None)
    try:
        allowed = [one.lower() for one in way.permissions()]
        missing = [one for one in NEEDED if not any(fnmatch(one, each) for each in allowed)]
        for one in missing:
            yield f"Icinga does not allow {settings.user} {one}, so {NEEDED[one]}", TEMPLATE
        if not missing:
            yield from _services(fleet, settings, way.services())
    finally:
        way.close()


def _services(
    fleet: Fleet, settings: Icinga, there: set[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    wanted = [(e.name, HEALTH + vip.name) for vip in fleet.vips for e in vip.endpoints]
    if missing := [one for one in wanted if one not in there]:
        named = ", ".join("!".join(one) for one in missing[:LISTED])
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        yield (
            f"Icinga has no service {named}{more}, so it hears nothing about it",
            "give hosts and VIPs the same names in Icinga and in the fleet file",
        )
    host = settings.watcher or watcher_host()
    if (host, WATCHER) not in there:
        yield (
            f"Icinga has no service {host}!{WATCHER}, so nobody hears that the watcher is silent",
            f"set `vars.anycast_watcher = true` on the Host {host}, or icinga.watcher here",
        )


def _nagios(fleet: Fleet) -> Iterator[tuple[str, str]]:
    settings = fleet.nagios
    if settings is None:
        return
    CommandFile(settings).look()
    if not may(fleet, "-w", settings.command_file):
        user = monitoring_user(fleet)
        name = user.pw_name if user else "the monitoring user"
        yield (
            f"{name} cannot write {settings.command_file}, so Nagios hears nothing of the watcher",
            "see the owner of its directory, and `usermod -aG` for that group",
        )
