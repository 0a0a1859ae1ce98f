"""The examinations of what could bring a withdrawn VIP back."""

from __future__ import annotations

from collections.abc import Iterator

from ..activators._choice import AUTO
from ..activators._evidence import IFUPDOWN, NETWORKD, Evidence, evidence_argv, read_evidence
from ..gate.files import MASK
from .finding import Examination, Finding, Subject

# Where each manager finds its files, and a file that has a VIP alone; {} is the VIP. In these
# directories a mask hides it.
FILES = {
    "networkd": (NETWORKD, "/usr/local/lib/systemd/network/ANY.network.d/anycast-{}.conf"),
    "ifupdown2": (IFUPDOWN, "/etc/network/interfaces.d/anycast-{}"),
}
MASKED_IN = ("/usr/local/lib/", "/usr/lib/", "/etc/network/interfaces.d/")


def files_that_bring_it_back(subject: Subject) -> Iterator[Finding]:
    """Hint at the files by which a manager brings a withdrawn VIP back, and that no mask hides."""
    evidence, activator = _evidence(subject), subject.activator
    vip = subject.vip
    if activator is None or activator.needs_alias:
        return
    if activator.name == "ip":
        if files := evidence.files_in(NETWORKD):
            yield subject.hint(
                f"a restart of networkd brings a withdrawn {vip.address} back: {files[0]} has it",
                f'set activator = "{AUTO}" for vip.{vip.name} in the fleet file',
            )
        return
    if activator.name not in FILES:
        return
    directories, own = FILES[activator.name]
    for file in evidence.files_in(directories):
        if not _is_own(file, vip.address):
            yield subject.hint(
                f"a restart of {activator.name} brings a withdrawn {vip.address} back: {file} has"
                " it, where no mask hides it",
                f"move the address to a file of its own there, {own.format(vip.address)}",
            )


def taken_off(subject: Subject) -> Iterator[Finding]:
    """Hint at an interface off which networkd takes a VIP that it does not know.

    It does not know what was masked when it read its files last.
    """
    evidence, vip, activator = _evidence(subject), subject.vip, subject.activator
    interface = vip.placement.interface
    if activator is None or activator.name != "networkd" or interface == "lo" or evidence.keeps:
        return
    yield subject.hint(
        f"where networkd was started while {vip.address} was withdrawn, a later `networkctl"
        f" reconfigure {interface}` takes the restored VIP off",
        f"write `KeepConfiguration=yes` below [Network] in {evidence.networkd or 'its file'}, or in"
        " a drop-in of that, and run `networkctl reload` there",
    )


def other_manager(subject: Subject) -> Iterator[Finding]:
    """Find an interface that networkd has, although the fleet file names another manager."""
    evidence, vip = _evidence(subject), subject.vip
    if vip.activator in ("networkmanager", "ifupdown2") and evidence.networkd:
        yield subject.found(
            f"networkd has {vip.placement.interface} ({evidence.networkd}), not {vip.activator}",
            f'set activator = "{AUTO}" for vip.{vip.name} in the fleet file, or have networkd leave'
            " the interface alone",
        )


def masks(subject: Subject) -> Iterator[Finding]:
    """Find a mask without a withdrawal, and hint at a withdrawal without a mask."""
    look, vip, activator = subject.look, subject.vip, subject.activator
    if not look:
        return
    words = f"{vip.address} {vip.placement.interface}"
    if look.in_place and look.masked:
        yield subject.found(
            f"{vip.address} is masked in {look.masked}, and missing after its next start",
            f"`{MASK} unmask {look.masked} {words}` there",
        )
    is_ours = not look.present and look.latch_age is not None
    if is_ours and not look.masked and activator and activator.masks:
        yield subject.hint(
            f"{vip.address} is withdrawn and not masked: {activator.name} may bring it back",
            f"`{MASK} mask {activator.name} {words}` there",
        )


def label(subject: Subject) -> Iterator[Finding]:
    """Find a VIP with a label, for which ifupdown2 would empty its interface."""
    look, vip = subject.look, subject.vip
    if not look or subject.activator is None or subject.activator.name != "ifupdown2":
        return
    for one in sorted(look.addresses):
        if one.address == vip.address and ":" in one.label:
            yield subject.found(
                f"{one} has the label {one.label}, for which the next `ifreload -a` takes every "
                f"other address off {one.interface}",
                f"`ip address del {one} dev {one.interface}` there, and add it without the label",
            )


def _evidence(subject: Subject) -> Evidence:
    said = subject.site.shell.run(evidence_argv(subject.vip)).stdout
    return read_evidence(subject.vip, said)


def _is_own(file: str, address: str) -> bool:
    name = file.rpartition("/")[2]
    return (
        file.startswith(MASKED_IN)
        and name.startswith(f"anycast-{address}")
        and (name.removeprefix(f"anycast-{address}") in ("", ".conf", ".intf"))
    )


MANAGER_EXAMINATIONS: tuple[Examination, ...] = (
    files_that_bring_it_back,
    taken_off,
    other_manager,
    masks,
    label,
)
