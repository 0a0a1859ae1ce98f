"""Looking at an endpoint and changing it, with the kernel of a namespace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.endpoint.confirmation import confirm
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import OutcomeUnknownError
from anycast_handlers.fleet.values import Vip

from tests.support.namespace import VIP, Namespace
from tests.support.shell import Asked, FakeShell, Said

LATCH_FILE = f"/var/lib/anycast/{VIP}.latch.json"
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="ip")


@pytest.fixture
def site(host: Namespace) -> Site:
    return Site(host.shell(), RESOLVER)


def test_withdraw_and_restore_on_a_real_loopback(host: Namespace, site: Site) -> None:
    before = site.look()
    assert before.present
    withdrawn, by = site.withdraw(site.activator(), before)
    assert by == f"ip address del {VIP}/32 dev lo"
    assert not withdrawn.present
    assert withdrawn.neighbors == before.neighbors
    assert host.addresses() == {"127.0.0.1/8"}
    restored, by = site.restore(site.activator(), withdrawn)
    assert by == f"ip address add {VIP}/32 dev lo label lo:0"
    assert restored.present
    assert " lo:0" in host.run("ip", "-4", "address", "show", "dev", "lo")
    assert [step.status for step in site.steps] == [0, 0]


def test_the_look_after_tells_and_not_the_exit_status(host: Namespace, site: Site) -> None:
    before = site.look()
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    after, by = site.withdraw(site.activator(), before)
    assert not after.present
    assert by
    assert site.steps[0].status == 2


def test_what_could_not_be_withdrawn_is_told(host: Namespace, site: Site) -> None:
    """The command does not remove the address if that has another prefix length."""
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    host.run("ip", "address", "add", f"{VIP}/24", "dev", "lo")
    after, by = site.withdraw(site.activator(), site.look())
    assert after.present
    assert by == ""


def test_the_address_on_a_real_other_interface(host: Namespace, site: Site) -> None:
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    after, _ = site.withdraw(site.activator(), site.look())
    assert not after.present
    assert after.elsewhere == ("va",)


def test_a_latch_is_written_read_and_removed(host: Namespace, site: Site) -> None:
    look = site.look()
    note = Latch().put_on(
        uptime=look.uptime, clock=site.clock(), boot_id=look.boot_id, by="x@y", reason="it's dead"
    )
    assert site.write_note(LATCH_FILE, note.render()) == ""
    again = site.look()
    assert again.latch == note
    assert again.latch_age is not None
    assert host.run("ls", "/var/lib/anycast").split() == [f"{VIP}.latch.json"]
    assert site.remove_note(LATCH_FILE) == ""
    assert site.remove_note(LATCH_FILE) == ""
    assert site.look().latch == Latch()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (("rmdir", "/var/lib/anycast"), "No such file or directory"),
        (("mkdir", f"{LATCH_FILE}.new"), "overwrite directory"),
        (("mkdir", LATCH_FILE), "overwrite directory"),
        (("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/anycast"), "Read-only"),
        (("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", "/var/lib/anycast"), "No space"),
    ],
    ids=["missing", "in the way", "a directory", "read-only", "full"],
)
def test_a_latch_that_cannot_be_written_is_said_and_raises_nothing(
    host: Namespace, site: Site, break_it: tuple[str, ...], said: str
) -> None:
    host.run(*break_it)
    trouble = site.write_note(LATCH_FILE, "{}")
    assert trouble.startswith(f"{LATCH_FILE} could not be written: ")
    assert said in trouble


def test_a_latch_does_not_follow_a_link_that_was_laid(host: Namespace, site: Site) -> None:
    """The SSH user owns the directory, and must not get root to write somewhere else."""
    host.run("ln", "-s", "/run/precious", f"{LATCH_FILE}.new")
    assert site.write_note(LATCH_FILE, "{}") == ""
    assert host.run("ls", "/run", "/var/lib/anycast").count("precious") == 0
    assert host.run("stat", "-c", "%F %a", LATCH_FILE) == "regular file 644\n"


def test_a_pipe_in_place_of_the_latch_does_not_stop_a_look(host: Namespace, site: Site) -> None:
    host.run("mkfifo", LATCH_FILE)
    look = site.look()
    assert look.present
    assert "outcome unknown" in look.trouble
    assert site.write_note(LATCH_FILE, Latch().render()) == ""
    assert site.look().trouble == ""


def deaf_to(program: str, host: Namespace) -> FakeShell:
    """Make a shell of this host that never hears how one program ended."""
    shell = host.shell()

    def answer(asked: Asked) -> Said:
        result = shell.run(*asked)
        if asked.argv[0].endswith(program):
            return OutcomeUnknownError(asked.argv, "it did not end in time")
        return result

    return FakeShell(answer)


@pytest.mark.parametrize("program", ["install", "mv"])
def test_a_latch_that_hangs_is_said_and_raises_nothing(host: Namespace, program: str) -> None:
    trouble = Site(deaf_to(program, host), RESOLVER).write_note(LATCH_FILE, "{}")
    assert "outcome unknown" in trouble


def overtaken(host: Namespace) -> FakeShell:
    """Make a shell between whose two commands another monitoring host writes the note, once."""
    shell = host.shell()
    theirs = iter(["theirs"])

    def answer(asked: Asked) -> Said:
        result = shell.run(*asked)
        if asked.argv[0].endswith("install") and (text := next(theirs, "")):
            new = asked.argv[-1]
            shell.run(asked.argv, text, asked.timeout)
            shell.run(("/bin/mv", "-fT", new, new.removesuffix(".new")), "", asked.timeout)
        return result

    return FakeShell(answer)


def test_two_that_write_a_note_at_once_leave_one_that_is_whole(host: Namespace) -> None:
    assert Site(overtaken(host), RESOLVER).write_note(LATCH_FILE, "ours") == ""
    assert host.run("cat", LATCH_FILE) == "ours"
    assert host.run("ls", "/var/lib/anycast").split() == [f"{VIP}.latch.json"]


def test_a_confirmation_that_hangs_says_no_argument(host: Namespace) -> None:
    """An argument may be a secret, and the engine shows the output to everybody."""
    shell = deaf_to("true", host)
    vip = RESOLVER._replace(check=("/bin/true", "--header", "Authorization: Bearer abc"))
    found = confirm(Site(shell, vip))
    assert found[:2] == (State.UNKNOWN, "/bin/true: it did not end in time")


def steps_of(change: Callable[[Site], object], host: Namespace) -> list[tuple[str, ...]]:
    site = Site(host.shell(), RESOLVER, dry_run=True)
    change(site)
    return [step.argv for step in site.steps]


def test_a_dry_run_lists_what_would_run_and_changes_nothing(host: Namespace) -> None:
    before = host.addresses()
    ip = "/sbin/ip"
    assert steps_of(lambda s: s.withdraw(s.activator(), s.look()), host) == [
        (ip, "address", "del", f"{VIP}/32", "dev", "lo")
    ]
    assert steps_of(lambda s: s.restore(s.activator(), s.look()), host) == [
        (ip, "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    ]
    assert steps_of(lambda s: s.write_note(LATCH_FILE, "{}"), host)[0][0] == "/usr/bin/install"
    assert host.addresses() == before
    assert host.run("ls", "/var/lib/anycast") == ""


def test_the_clock_is_the_endpoints(site: Site) -> None:
    assert site.clock() > 1_600_000_000
