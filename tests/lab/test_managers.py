"""Each manager of interfaces, for real: withdrawn, brought back by the manager or not, restored.

Each runs on a host of its own, which has two VIPs of each family on lo, and two on an interface of
their own; the handler acts on the first one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
from anycast_handlers.activators._evidence import evidence_argv, read_evidence
from anycast_handlers.endpoint.change import HELPER, Change
from anycast_handlers.endpoint.look import Look
from anycast_handlers.endpoint.site import Site
from anycast_handlers.gate import files

from lab import networkmanager
from lab.host import Host
from lab.waiting import wait_until
from tests.lab.managed import (
    MANAGERS,
    OTHERS,
    THERE,
    VIPS,
    Managed,
    Networkd,
    NetworkManager,
    Systemd,
    around,
    vip_on,
)
from tests.support.act import restore, withdraw
from tests.support.alone import install_helper, site_on

CASES = [(interface, address) for interface, of in VIPS.items() for address in of]
# The plain run tries these; the rest is behind --all.
SAMPLE = [CASES[0], CASES[3]]


@pytest.fixture(scope="module", params=MANAGERS, ids=lambda one: one.title or one.name)
def managed(lab_is_possible: None, request: pytest.FixtureRequest) -> Iterator[Managed]:
    title = request.param.title or request.param.name
    if not THERE[title]():
        pytest.skip(f"there is no {title}")
    if issubclass(request.param, Systemd) and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    with request.param.make_host() as host:
        install_helper(host, *(vip_on(*case) for case in CASES))
        managed = request.param(host)
        managed.begin()
        yield managed


@pytest.fixture
def site(managed: Managed, request: pytest.FixtureRequest) -> Site:
    case = request.param
    if case not in SAMPLE and not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    managed.settle()
    # An address of IPv6 that was configured a moment ago is not there yet.
    managed.wait_for(case[1])
    return site_on(managed.host, vip_on(*case))


class Moment(NamedTuple):
    """A moment in an act: when this program has ended, which the helper was told to run."""

    program: str
    first_word: str


MASKED, UNMASKED = Moment(files.MASK, "mask"), Moment(files.MASK, "unmask")
TAKEN_OFF, PUT_BACK = Moment("/usr/bin/ip", "address del"), Moment("/usr/bin/ip", "address add")
# For so long an act may stand still before it is too late.
HELD_SECONDS = 60.0
HELD = "/run/held"
# It stands in the place of a program, which the helper runs by `timeout`.
STOPS_THE_HELPER = f"""\
#!/bin/sh
{{program}}.real "$@"
status=$?
read -r _ parent _ helper _ <"/proc/$PPID/stat"
case "$parent $* " in "(timeout) {{first_word}} "*)
    if [ ! -e {HELD} ]; then
        kill -STOP "$helper"
        echo "$helper" >{HELD}
    fi
    ;;
esac
exit "$status"
"""
# It stands in the place of the helper, because nsenter stops with its own child.
IS_NOT_STOPPED = f"""\
#!/bin/sh
{HELPER}.real
exit $?
"""


@contextmanager
def instead_of(host: Host, program: str, script: str) -> Iterator[None]:
    """Put a script in the place of a program, which can still be run as PROGRAM.real."""
    host.run(["mv", program, f"{program}.real"], check=True)
    host.write(program, script, mode=0o755)
    try:
        yield
    finally:
        host.run(["mv", f"{program}.real", program], check=True)


def restarted_at(managed: Managed, site: Site, change: Change, moment: Moment) -> Look:
    """Make a change, and restart the manager at a moment of it; gives what the helper saw last."""
    host, stops = managed.host, STOPS_THE_HELPER.format(**moment._asdict())

    def is_held() -> bool:
        return made.done() or host.run(["test", "-e", HELD]).returncode == 0

    with (
        instead_of(host, moment.program, stops),
        instead_of(host, HELPER, IS_NOT_STOPPED),
        ThreadPoolExecutor(1) as pool,
    ):
        made = pool.submit(site.change, change._replace(late=HELD_SECONDS))
        try:
            wait_until(is_held, f"the act has come to {moment}")
            assert not made.done(), made.result()
            managed.start_again()
        finally:
            host.run(["sh", "-c", f"kill -CONT $(cat {HELD})"])
        look = replace(change.look, addresses=made.result().after)
    host.run(["rm", HELD], check=True)
    return look


each_case = pytest.mark.parametrize("site", CASES, indirect=True, ids=" ".join)


@each_case
def test_it_is_found_and_nothing_brings_the_vip_back(managed: Managed, site: Site) -> None:
    choice, before = site.choice(), around(site, managed.host)
    assert choice.activator.name == managed.name, choice.why
    look, _ = withdraw(site)
    assert not look.present
    assert around(site, managed.host) == before
    assert [step.status for step in site.steps] == [0, 0], site.steps
    assert site.look().masked == managed.name
    for what in managed.bring_back(site.vip.placement.interface):
        assert not site.look().present, what
        assert around(site, managed.host) == before, what
    look, _ = restore(site)
    assert look.in_place
    assert around(site, managed.host) == before
    assert site.look().masked == ""
    assert all(step.status == 0 for step in site.steps), site.steps
    # What brings others back does not take this one away again.
    for what in managed.bring_back(site.vip.placement.interface):
        managed.wait_for(site.vip.address)
        assert site.look().in_place, what
        assert around(site, managed.host) == before, what


@each_case
def test_what_cannot_be_masked_is_said_and_comes_back(managed: Managed, site: Site) -> None:
    """The withdrawal works all the same; a restart undoes it, which the next look finds."""
    vip, before = site.vip, around(site, managed.host)
    with managed.unmaskable(vip.placement.interface, vip.address) as what:
        look, _ = withdraw(site)
        assert not look.present
        (mask,) = [step for step in site.steps if step.argv[0] == "mask"]
        assert mask.status == 1
        assert what in mask.said
        # NetworkManager has to go on before it can be started again.
        if managed.name != "networkmanager":
            managed.start_again()
    if managed.name == "networkmanager":
        managed.start_again()
    managed.wait_for(vip.address)
    assert site.look().in_place
    look, _ = withdraw(site)
    assert not look.present
    look, _ = restore(site)
    assert look.in_place
    assert site.look().masked == ""
    assert around(site, managed.host) == before


@each_case
def test_a_daemon_that_hangs_or_has_ended_delays_nothing(managed: Managed, site: Site) -> None:
    """It takes part in no act, and what it does afterwards changes nothing."""
    before = around(site, managed.host)
    if not isinstance(managed, (Networkd, NetworkManager)):
        pytest.skip("it has no daemon")
    managed.daemon.hang()
    try:
        look, _ = withdraw(site)
        assert not look.present
        # Only NetworkManager has to be asked for its mask.
        is_masked = site.steps[0].argv[0] == "mask"
        assert is_masked == isinstance(managed, Networkd)
    finally:
        managed.daemon.resume()
    managed.settle()
    assert not site.look().present
    managed.daemon.stop()
    look, _ = restore(site)
    assert look.in_place
    managed.daemon.start()
    managed.settle()
    managed.wait_for(site.vip.address)
    assert around(site, managed.host) == before


@each_case
def test_a_restart_in_the_middle_of_an_act_changes_nothing_of_it(
    managed: Managed, site: Site
) -> None:
    """Whatever has been done by then: a withdrawal is one, and its mask holds after the restart."""
    before = around(site, managed.host)

    def change(act: Callable[[], Change], moment: Moment) -> Look:
        look = restarted_at(managed, site, act(), moment)
        assert around(site, managed.host) == before, moment
        return look

    def withdrawal() -> Change:
        return site.withdrawal(site.activator(), site.look())

    def restoration() -> Change:
        return site.restoration(site.activator(), site.look(), (), ())

    for during, until in ((MASKED, UNMASKED), (TAKEN_OFF, PUT_BACK)):
        assert not change(withdrawal, during).present, (during, site.steps)
        assert not site.look().present, during
        assert site.look().masked == managed.name
        managed.start_again()
        assert not site.look().present, during
        assert change(restoration, until).in_place, (until, site.steps)
        assert site.look().masked == ""
        managed.start_again()
        managed.wait_for(site.vip.address)
        assert site.look().in_place, until


@pytest.mark.parametrize("site", CASES[2:], indirect=True, ids=" ".join)
def test_what_networkd_remembers_is_found_and_takes_nothing_away(
    managed: Managed, site: Site
) -> None:
    """It reads its files when it starts, and when it is told to: not for `reconfigure`."""
    if managed.title or managed.name != "networkd":
        pytest.skip("this is about networkd alone")
    before, interface = around(site, managed.host), site.vip.placement.interface
    evidence = read_evidence(site.vip, site.shell.run(evidence_argv(site.vip)).stdout)
    assert evidence.keeps

    def networkctl(*verb: str) -> None:
        managed.host.run(["networkctl", *verb], check=True)
        managed.settle()

    withdraw(site)
    networkctl("reconfigure", interface)
    managed.wait_for(site.vip.address)
    assert site.look().present
    look, _ = withdraw(site)
    assert not look.present
    networkctl("reload")
    networkctl("reconfigure", interface)
    assert not site.look().present
    managed.start_again()
    look, _ = restore(site)
    assert look.in_place
    # Now it knows nothing of the VIP, and takes away from an interface what it does not know.
    networkctl("reconfigure", interface)
    assert site.look().in_place
    assert around(site, managed.host) == before
    networkctl("reload")


def test_a_second_profile_with_the_vip_is_named_and_masked_once_it_is_active(
    managed: Managed,
) -> None:
    """A mask is for one profile; what brings the VIP back by another is found."""
    if not isinstance(managed, NetworkManager):
        pytest.skip("it has no profiles")
    host, (address, _) = managed.host, VIPS["lo"]
    site, file = site_on(host, vip_on("lo", address)), f"{networkmanager.PROFILES}/other"
    first = host.run(["cat", f"{networkmanager.PROFILES}/lo.nmconnection"], check=True).stdout
    second = first.replace("id=lo\nuuid=6f", "id=other\nautoconnect=false\nuuid=7f")

    def nmcli(*words: str) -> None:
        host.run(["nmcli", "connection", *words], check=True)
        managed.settle()

    def masks() -> list[tuple[int | None, str]]:
        return [(one.status, one.said) for one in site.steps if one.argv[0] == "mask"]

    host.write(f"{file}.nmconnection", second, mode=0o600)
    try:
        nmcli("reload")
        look, _ = withdraw(site)
        assert not look.present
        ((status, said),) = masks()
        assert status == 1
        assert said.startswith(f"{file}.nmconnection has {address} too: take it out of that ")
        nmcli("up", "other")
        managed.wait_for(address)
        look, _ = withdraw(site)
        assert not look.present
        assert masks()[1][1].startswith(f"{networkmanager.PROFILES}/lo.nmconnection has {address}")
        nmcli("up", "other")
        assert not site.look().present
        look, _ = restore(site)
        assert look.in_place
    finally:
        host.run(["rm", "-f", f"{file}.nmconnection"], check=True)
        nmcli("reload")
        nmcli("up", "lo")
    # No mask is left of either.
    managed.start_again()
    managed.wait_for(address)
    assert site.look().masked == ""


def test_masks_may_be_repeated_and_are_not_mixed_up(managed: Managed) -> None:
    """As after one that was killed in the middle; each VIP of an interface has its own mask."""

    def masked() -> list[str]:
        return [site_on(managed.host, vip_on("lo", one)).look().masked for one in VIPS["lo"]]

    def change(what: str, address: str) -> None:
        argv = ["anycast-mask", what, managed.name, address, "lo"]
        managed.host.run(argv, check=True)

    first, second = VIPS["lo"]
    for what, one, after in (
        ("mask", first, [managed.name, ""]),
        ("mask", first, [managed.name, ""]),
        ("mask", second, [managed.name, managed.name]),
        ("unmask", first, ["", managed.name]),
        ("unmask", first, ["", managed.name]),
        ("unmask", second, ["", ""]),
    ):
        change(what, one)
        assert masked() == after, (what, one)
    managed.start_again()
    for one in (*VIPS["lo"], *OTHERS["lo"]):
        managed.wait_for(one)
