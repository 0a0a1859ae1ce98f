"""Looking at an endpoint and changing it, with the kernel of a namespace."""

from __future__ import annotations

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.endpoint.change import LATCH, How, Note, failed_notes
from anycast_handlers.endpoint.confirmation import confirm
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import ChangedMeanwhileError, OutcomeUnknownError
from anycast_handlers.fleet.values import Vip

from tests.support.act import restore, withdraw
from tests.support.namespace import VIP, Namespace
from tests.support.shell import Asked, FakeShell, Said

LATCH_FILE = f"/var/lib/anycast/{VIP}.latch.json"
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="ip")


@pytest.fixture
def site(host: Namespace) -> Site:
    return Site(host.shell(), RESOLVER)


def write(site: Site, text: str = "{}") -> str:
    return site.note(site.look(), Note(LATCH, How.WRITE, text))


def test_withdraw_and_restore_on_a_real_loopback(host: Namespace, site: Site) -> None:
    before = site.look()
    assert before.present
    withdrawn, by = withdraw(site)
    assert by == f"ip address del {VIP}/32 dev lo"
    assert not withdrawn.present
    assert withdrawn.neighbors == before.neighbors
    assert host.addresses() == {"127.0.0.1/8"}
    restored, by = restore(site)
    assert by == f"ip address add {VIP}/32 dev lo label lo:0"
    assert restored.present
    assert " lo:0" in host.run("ip", "-4", "address", "show", "dev", "lo")
    assert [step.status for step in site.steps] == [0, 0]


def test_what_could_not_be_withdrawn_is_told(host: Namespace, site: Site) -> None:
    """The command does not remove the address if that has another prefix length."""
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    host.run("ip", "address", "add", f"{VIP}/24", "dev", "lo")
    after, _ = withdraw(site)
    assert after.present
    assert site.steps[0].status == 2
    assert "Address not found" in site.steps[0].said


def test_the_address_on_a_real_other_interface(host: Namespace, site: Site) -> None:
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    after, _ = withdraw(site)
    assert after.present
    assert not after.in_place
    assert after.elsewhere == ("va",)
    # Whether a command has worked is judged on the VIP's own interface.
    after, _ = restore(site, after=(Note(LATCH, How.WRITE, "{}"),))
    assert after.in_place
    assert f"{VIP}.latch.json\n" in host.run("ls", "/var/lib/anycast")


def test_an_address_that_has_come_to_any_interface_stops_a_change(
    host: Namespace, site: Site
) -> None:
    """A person may have brought it up somewhere else since it was decided to restore it."""
    withdraw(site)
    change = site.restoration(site.activator(), site.look(), (), ())
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    with pytest.raises(ChangedMeanwhileError):
        site.change(change)
    assert host.addresses() == {"127.0.0.1/8"}


def test_a_latch_is_written_read_and_removed(host: Namespace, site: Site) -> None:
    look = site.look()
    note = Latch().put_on(
        uptime=look.uptime, clock=site.clock(), boot_id=look.boot_id, by="x@y", reason="it's dead"
    )
    assert write(site, note.render().rstrip()) == ""
    again = site.look()
    assert again.latch == note
    assert again.latch_age is not None
    assert host.run("ls", "/var/lib/anycast").split() == [f"{VIP}.latch.json"]
    for _ in range(2):
        assert site.note(site.look(), Note(LATCH, How.REMOVE)) == ""
    assert site.look().latch == Latch()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (("rmdir", "/var/lib/anycast"), "No such file or directory"),
        (("mkdir", f"{LATCH_FILE}.new"), "Is a directory"),
        (("mkdir", LATCH_FILE), "overwrite directory"),
        (("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/anycast"), "Read-only"),
        (("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", "/var/lib/anycast"), "No space"),
    ],
    ids=["missing", "in the way", "a directory", "read-only", "full"],
)
def test_a_latch_that_cannot_be_written_is_said_and_stops_no_withdrawal(
    host: Namespace, site: Site, break_it: tuple[str, ...], said: str
) -> None:
    host.run(*break_it)
    trouble = write(site)
    assert trouble.startswith(f"{LATCH_FILE} could not be written: ")
    assert said in trouble
    after, _ = withdraw(site, Note(LATCH, How.WRITE, "{}"))
    assert not after.present


def test_a_record_that_cannot_be_written_stops_a_restore(host: Namespace, site: Site) -> None:
    withdraw(site)
    host.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/anycast")
    report = site.change(
        site.restoration(site.activator(), site.look(), (Note(LATCH, How.RECORD, "{}"),), ())
    )
    assert "Read-only" in failed_notes(RESOLVER, report)
    assert not site.look().present


def test_a_latch_that_cannot_be_settled_is_removed(host: Namespace, site: Site) -> None:
    """A latch that stays on would make the automation undo what a person does next."""
    assert write(site) == ""
    host.run("mkdir", f"{LATCH_FILE}.new")
    assert site.note(site.look(), Note(LATCH, How.SETTLE, "{}")) == ""
    assert f"{VIP}.latch.json\n" not in host.run("ls", "/var/lib/anycast")


def test_a_latch_does_not_follow_a_link_that_was_laid(host: Namespace, site: Site) -> None:
    """The SSH user owns the directory, and must not get root to write somewhere else."""
    host.run("ln", "-s", "/run/precious", f"{LATCH_FILE}.new")
    assert write(site) == ""
    assert host.run("ls", "/run", "/var/lib/anycast").count("precious") == 0
    assert host.run("stat", "-c", "%F %a", LATCH_FILE) == "regular file 644\n"


def test_a_pipe_in_place_of_the_latch_does_not_stop_a_look(host: Namespace, site: Site) -> None:
    host.run("mkfifo", LATCH_FILE)
    look = site.look()
    assert look.present
    assert "outcome unknown" in look.trouble
    assert site.note(look, Note(LATCH, How.WRITE, "{}")) == ""
    assert site.look().trouble == ""


@pytest.mark.parametrize("program", ["dd", "mv"])
def test_a_disk_that_hangs_is_said_and_stops_no_withdrawal(
    host: Namespace, site: Site, program: str
) -> None:
    host.run("install", "-m", "755", "/dev/stdin", "/run/hang", input="#!/bin/sh\nexec sleep 600\n")
    host.run("mount", "--bind", "/run/hang", f"/usr/bin/{program}")
    after, _ = withdraw(site, Note(LATCH, How.WRITE, "{}"))
    assert not after.present
    assert site.steps[0].argv == ("write", "latch")
    assert site.steps[0].status != 0


def deaf_to(program: str, host: Namespace) -> FakeShell:
    """Make a shell of this host that never hears how one program ended."""
    shell = host.shell()

    def answer(asked: Asked) -> Said:
        result = shell.run(*asked)
        if asked.argv[0].endswith(program):
            return OutcomeUnknownError(asked.argv, "it did not end in time")
        return result

    return FakeShell(answer)


def test_a_confirmation_that_hangs_says_no_argument(host: Namespace) -> None:
    """An argument may be a secret, and the engine shows the output to everybody."""
    shell = deaf_to("true", host)
    vip = RESOLVER._replace(check=("/bin/true", "--header", "Authorization: Bearer abc"))
    found = confirm(Site(shell, vip))
    assert found[:2] == (State.UNKNOWN, "/bin/true: it did not end in time")


def test_a_dry_run_lists_what_would_run_and_changes_nothing(host: Namespace) -> None:
    before = host.addresses()
    site = Site(host.shell(), RESOLVER, dry_run=True)
    withdraw(site, Note(LATCH, How.WRITE, "{}"))
    restore(site)
    assert [" ".join(step.argv) for step in site.steps] == [
        f"/sbin/ip address del {VIP}/32 dev lo",
        f"/sbin/ip address add {VIP}/32 dev lo label lo:0",
    ]
    assert host.addresses() == before
    assert host.run("ls", "/var/lib/anycast") == ""


def test_the_clock_is_the_endpoints(site: Site) -> None:
    assert site.clock() > 1_600_000_000
