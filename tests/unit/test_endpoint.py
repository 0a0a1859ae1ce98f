"""Looking at an endpoint, on answers that no endpoint at hand gives; tests/lab has real ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import repeat

import pytest
from anycast_handlers.activators._evidence import evidence_argv
from anycast_handlers.decision.facts import State
from anycast_handlers.endpoint.check import confirmation
from anycast_handlers.endpoint.confirmation import confirm
from anycast_handlers.endpoint.latch import UNREADABLE_HOLD, Hold, Latch
from anycast_handlers.endpoint.noted import notes_argv
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import CommandFailedError, OutcomeUnknownError
from anycast_handlers.fleet.values import Vip
from anycast_handlers.transport.shell import Result

from anycast_checks.addresses import ARGV as ADDRESSES
from tests.support.handler import unopened
from tests.support.namespace import VIP
from tests.support.shell import Asked, FakeShell, Said

BOOT = "9b3c1f0e-2a51-4a80-9f0c-6a3d9a3a7f11"
LATCH_FILE = f"/var/lib/anycast/{VIP}.latch.json"
HOLD_FILE = f"/var/lib/anycast/{VIP}.hold.json"
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="ip")
LO = [
    {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "label": "lo"},
    {"family": "inet", "local": VIP, "prefixlen": 32, "label": "lo:0"},
    {"family": "inet6", "local": "::1", "prefixlen": 128},
]
MANY = [{"local": f"2001:db8::{number:x}", "prefixlen": 128} for number in range(2001)]
SHOWN = json.dumps([{"ifname": "lo", "addr_info": LO}, {"ifname": "eth0", "addr_info": []}])
FILES = f"==> /proc/sys/kernel/random/boot_id <==\n{BOOT}\n\n==> /proc/uptime <==\n350.25 600.12\n"
NOTES = notes_argv(RESOLVER)


def endpoint(
    shown: str = SHOWN, files: str = FILES, stderr: str | None = None, notes: Iterable[Said] = ()
) -> FakeShell:
    """Make an endpoint whose answers no endpoint at hand gives.

    Args:
        shown: what ip prints.
        files: what head prints of files.
        stderr: what head says of the files that it does not show.
        notes: the answers to the first questions for the notes.
    """
    missing = "".join(unopened(note) for note in (LATCH_FILE, HOLD_FILE) if note not in files)
    stderr = missing if stderr is None else stderr
    read = Result(1 if stderr else 0, files, stderr)
    first = iter(notes)

    def answer(asked: Asked) -> Said:
        if asked.argv == ADDRESSES:
            return Result(0, shown, "")
        return next(first, read) if asked.argv == NOTES else read

    return FakeShell(answer)


def patience_with_notes(shell: FakeShell) -> list[float]:
    """List the seconds that each question for the notes was given."""
    return [asked.timeout for asked in shell.asked if asked.argv == NOTES]


def latched(text: str) -> str:
    return f"{FILES}\n==> {LATCH_FILE} <==\n{text}"


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (f"[{'{},' * 40_000}{{}}]", "too many values"),
        (f"[{'1.5,' * 200_000}1]", "too many values"),
        (json.dumps([{"ifname": "lo", "addr_info": MANY}]), "more than 2000 addresses"),
        (json.dumps([{"ifname": "lo", "addr_info": [{**LO[0], "local": "1" * 65}]}]), "too long"),
    ],
    ids=["objects", "numbers", "addresses", "a long name"],
)
def test_what_no_host_has_is_refused_before_it_takes_memory(shown: str, why: str) -> None:
    with pytest.raises(CommandFailedError, match=why):
        Site(endpoint(shown), RESOLVER).look()


def test_a_look_sees_addresses_boot_and_uptime() -> None:
    look = Site(endpoint(), RESOLVER).look()
    assert look.present
    assert (look.boot_id, look.uptime) == (BOOT, 350.25)
    assert look.neighbors == {"127.0.0.1/8", "::1/128"}
    assert (look.elsewhere, look.latch, look.trouble) == ((), Latch(), "")


def test_an_address_on_another_interface_is_present_and_not_in_place() -> None:
    shown = json.dumps([{"ifname": "lo"}, {"ifname": "eth0", "addr_info": LO[1:2]}])
    site = Site(endpoint(shown), RESOLVER)
    look = site.look()
    assert look.present
    assert not look.in_place
    assert look.elsewhere == ("eth0",)
    assert look.seen(1).misplaced
    assert site.is_present()


@pytest.mark.parametrize("text", ["10.99.0.5", "10.99.0.531", "110.99.0.53"])
def test_a_similar_address_is_another_address(text: str) -> None:
    shown = json.dumps([{"ifname": "lo", "addr_info": [{"local": text, "prefixlen": 32}]}])
    assert not Site(endpoint(shown), RESOLVER).look().present


def test_the_age_of_a_latch_is_measured_in_uptime() -> None:
    latch = Latch(since=300.0, boot_id=BOOT, by="x", reason="y", withdrawals=(1,))
    assert Site(endpoint(files=latched(latch.render())), RESOLVER).look().latch_age == 50.25


def test_a_latch_of_another_boot_has_no_age() -> None:
    latch = Latch(since=300.0, boot_id="another", withdrawals=(1, 2))
    look = Site(endpoint(files=latched(latch.render())), RESOLVER).look()
    assert look.latch_age is None
    assert look.latch.withdrawals == (1, 2)
    assert look.seen(1).stale_latch


def test_a_latch_from_before_a_container_was_started_anew_has_no_age() -> None:
    """Such a container has the boot id of its host, as before, and an uptime of its own."""
    latch = Latch(since=350.26, boot_id=BOOT)
    look = Site(endpoint(files=latched(latch.render())), RESOLVER).look()
    assert (look.uptime, look.latch_age) == (350.25, None)
    assert look.seen(1).stale_latch
    off = Site(endpoint(files=latched(latch.take_off().render())), RESOLVER).look()
    assert not off.seen(1).stale_latch


def test_take_backs_are_counted_by_the_clock_of_the_endpoint() -> None:
    text = Latch(take_backs=(1000, 2000, 2300)).render()
    look = Site(endpoint(files=latched(text)), RESOLVER).look()
    assert look.needs_clock
    assert look.seen(2400).take_backs == 2


def test_a_latch_that_cannot_be_parsed_counts_as_none_and_is_unopened() -> None:
    look = Site(endpoint(files=latched("{")), RESOLVER).look()
    assert look.latch == Latch()
    assert look.trouble.startswith(f"{LATCH_FILE} cannot be read: ")


def test_a_latch_that_cannot_be_opened_is_unopened() -> None:
    stderr = unopened(LATCH_FILE, "Permission denied") + unopened(HOLD_FILE)
    look = Site(endpoint(stderr=stderr), RESOLVER).look()
    assert (look.latch, look.hold) == (Latch(), None)
    assert look.trouble == f"{LATCH_FILE} cannot be read: Permission denied"


@pytest.mark.parametrize(
    "stderr",
    [
        unopened(LATCH_FILE) + unopened(HOLD_FILE, "Permission denied"),
        unopened(LATCH_FILE) + unopened(HOLD_FILE, "Is a directory"),
        unopened(LATCH_FILE),
    ],
    ids=["denied", "of no kind that it can be", "lost"],
)
def test_a_hold_that_may_be_there_counts(stderr: str) -> None:
    """Only where the endpoint says that there is no hold, a person has given no order."""
    assert Site(endpoint(stderr=stderr), RESOLVER).look().hold == UNREADABLE_HOLD


def test_why_a_hold_cannot_be_read_is_said() -> None:
    stderr = unopened(LATCH_FILE) + unopened(HOLD_FILE, "Permission denied")
    look = Site(endpoint(stderr=stderr), RESOLVER).look()
    assert look.trouble == f"{HOLD_FILE} cannot be read: Permission denied"


@pytest.mark.parametrize(
    "why",
    [
        "Input/output error",
        "I/O error",
        "Structure needs cleaning",
        "Bad message",
        "Stale file handle",
        "Transport endpoint is not connected",
        "Cannot allocate memory",
    ],
)
def test_a_disk_that_fails_is_no_hold(why: str) -> None:
    stderr = unopened(LATCH_FILE, why) + unopened(HOLD_FILE, why)
    look = Site(endpoint(stderr=stderr), RESOLVER).look()
    assert (look.hold, look.hold_unknown) == (None, True)
    assert look.trouble.count(why) == 2


def test_a_hold_that_could_be_opened_and_not_read_is_a_disk_that_fails() -> None:
    """head prints the heading of the file, and nothing below it."""
    stderr = unopened(LATCH_FILE) + f"head: error reading '{HOLD_FILE}': Input/output error\n"
    look = Site(endpoint(files=f"{FILES}\n==> {HOLD_FILE} <==\n", stderr=stderr), RESOLVER).look()
    assert (look.hold, look.hold_unknown) == (None, True)
    assert look.trouble == f"{HOLD_FILE} cannot be read: Input/output error"


def refusal(status: int, stderr: str) -> Iterator[Said]:
    """Say no to each question for the notes, in this way."""
    return repeat(Result(status, "", stderr))


def test_what_the_gate_does_not_show_counts_as_a_hold_and_is_told() -> None:
    """The gate's list is older than the handler; a person can still act with --force."""
    shell = endpoint(notes=refusal(126, "anycast-gate: refused: /usr/bin/env ...\n"))
    look = Site(shell, RESOLVER).look()
    assert (look.hold, look.hold_unknown) == (UNREADABLE_HOLD, False)
    remedy = "install it anew by `anycast-handler gate --install`: the forced command there refuses"
    assert look.trouble.startswith(f"{remedy} `/usr/bin/env LC_ALL=C ")


@pytest.mark.parametrize(
    "no",
    [(126, "sh: /usr/bin/env: Input/output error\n"), (2, "sh: 1: Cannot fork\n"), (1, "")],
    ids=["disk", "processes", "lost"],
)
def test_a_question_for_the_notes_that_does_not_run_is_asked_again_and_is_no_hold(
    no: tuple[int, str],
) -> None:
    shell = endpoint(notes=refusal(*no))
    look = Site(shell, RESOLVER).look()
    assert (look.hold, look.hold_unknown) == (None, True)
    assert len(patience_with_notes(shell)) == 2
    assert f"exit status {no[0]}" in look.trouble


UNHEARD = OutcomeUnknownError(NOTES, "it did not end in time")


def test_notes_that_are_slow_are_asked_for_once_more() -> None:
    """A slow answer must not make the handler overlook a person's hold."""
    hold = Hold(1, None, "anna", "mine", present=True)
    files = f"{FILES}\n==> {HOLD_FILE} <==\n{hold.render()}"
    shell = endpoint(files=files, notes=[UNHEARD])
    look = Site(shell, RESOLVER).look()
    assert (look.hold, look.hold_unknown, look.trouble) == (hold, False, "")
    assert patience_with_notes(shell) == [1.0, 3.0]


def test_notes_that_hang_cost_their_time_once() -> None:
    shell = endpoint(notes=repeat(UNHEARD))
    site = Site(shell, RESOLVER)
    for _ in range(2):
        look = site.look()
        assert (look.hold, look.hold_unknown) == (None, True)
        assert "outcome unknown" in look.trouble
    assert patience_with_notes(shell) == [1.0, 3.0, 1.0]


def test_a_latch_that_pretends_to_be_other_files_changes_nothing() -> None:
    """What the SSH user can write must not reset the boot or the uptime."""
    evil = "x\n==> /proc/uptime <==\n0.0 0.0\n==> /proc/sys/kernel/random/boot_id <==\nforged\n"
    look = Site(endpoint(files=latched(evil)), RESOLVER).look()
    assert (look.boot_id, look.uptime) == (BOOT, 350.25)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "null",
        "5",
        "[5]",
        '["lo"]',
        '[{"ifname": "lo", "addr_info": null}]',
        '[{"ifname": "lo", "addr_info": [5]}]',
        '[{"ifname": "lo", "addr_info": [{"local": "10.99.0.53"}]}]',
        '[{"addr_info": []}]',
        SHOWN[:-2],
        "[" * 100_000,
    ],
)
def test_addresses_that_cannot_be_read_are_an_error_not_an_absence(shown: str) -> None:
    with pytest.raises(CommandFailedError, match="cannot be read"):
        Site(endpoint(shown), RESOLVER).look()


@pytest.mark.parametrize("shown", ["{}", "[]"])
def test_a_host_without_a_loopback_is_an_error(shown: str) -> None:
    with pytest.raises(CommandFailedError, match="no loopback"):
        Site(endpoint(shown), RESOLVER).look()


@pytest.mark.parametrize(
    "files",
    [
        "",
        "==> /proc/uptime <==\n350.25 600.12\n",
        FILES.replace("350.25 600.12", ""),
        *(FILES.replace("350.25", number) for number in ("1e400", "nan", "inf", "-1", "9" * 400)),
        FILES.replace(BOOT, ""),
        FILES.replace(BOOT, "x" * 500_000),
    ],
)
def test_a_boot_or_uptime_that_cannot_be_read_is_an_error(files: str) -> None:
    with pytest.raises(CommandFailedError, match="cannot be read"):
        Site(endpoint(files=files), RESOLVER).look()


def confirmed(*check: str) -> tuple[str, ...]:
    return confirmation(RESOLVER._replace(check=check))


def test_confirming_runs_the_check_with_the_address_and_one_try() -> None:
    assert confirmed("/c", "dns", "--query", "www.example.org") == (
        *("/c", "dns", "--query", "www.example.org", "-H", VIP, "--tries", "1"),
    )


def test_the_options_of_another_plugin_stay_behind_its_dashes() -> None:
    assert confirmed("/c", "plugin", "--", "/p", "-H", "{address}", "--", "x") == (
        *("/c", "plugin", "-H", VIP, "--tries", "1", "--", "/p", "-H", "{address}", "--", "x"),
    )


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        (("/c", "dns"), 13.0),
        (("/c", "dns", "--deadline", "4"), 7.0),
        (("/c", "dns", "--deadline=4.5"), 7.5),
        (("/c", "dns", "--deadline", "4", "--deadline", "5"), 8.0),
        (("/c", "dns", "--deadline", "soon"), 13.0),
        (("/c", "dns", "--deadline"), 13.0),
        (("/p/check_anycast", "dns", "-t", "12.5"), 16.5),
        (("/p/check_anycast", "dns", "--timeout=12.5", "--tries", "5"), 16.5),
        (("/p/check_anycast", "plugin", "-t", "3", "--", "/p", "-t", "100"), 13.0),
        (("/p/check_anycast", "dns", "-t", "soon"), 13.0),
        (("/c", "dns", "-t", "12.5"), 13.0),
        (("/c", "plugin", "--deadline", "4", "--", "/p", "--deadline", "100"), 7.0),
        (("/c", "plugin", "--", "/p", "--deadline", "100"), 13.0),
    ],
)
def test_a_confirmation_is_bounded_by_the_deadline_of_the_check(
    check: tuple[str, ...], seconds: float
) -> None:
    shell = FakeShell(lambda _: Result(0, "", ""))
    Site(shell, RESOLVER._replace(check=check)).confirm()
    (asked,) = (asked for asked in shell.asked if asked.argv[0] == check[0])
    assert asked.timeout == seconds


def test_a_check_that_the_gate_refuses_is_answered_with_the_remedy() -> None:
    """A fleet file with another check than the list on the endpoint keeps a dead one announced."""
    refused = "anycast-gate: refused: /bin/check ...\n"
    site = Site(FakeShell(lambda _: Result(126, "", refused)), RESOLVER)
    state, said, _ = confirm(site)
    assert state is State.UNKNOWN
    assert said == (
        "install it anew by `anycast-handler gate --install`: the forced command refuses this check"
    )


WITH_IFUPDOWN = {
    evidence_argv(RESOLVER): Result(0, "", ""),
    confirmation(RESOLVER): Result(0, "CRITICAL", ""),
    ("/sbin/ifup", "--version"): Result(0, "ifup version 0.8.41", ""),
    ("/bin/date", "+%s"): Result(0, "1700000000", ""),
}


def lines(shell: FakeShell) -> list[str]:
    return [" ".join(asked.argv) for asked in shell.asked]


@pytest.mark.parametrize("activator", ["auto", "ip"])
def test_what_an_act_needs_next_is_asked_while_the_check_runs(activator: str) -> None:
    """It is asked only once: the replies are handed on to what needs them."""
    shell = FakeShell(WITH_IFUPDOWN)
    site = Site(shell, RESOLVER._replace(activator=activator))
    _, replies = site.confirm()
    choice = ["/sbin/ifup --version", " ".join(evidence_argv(RESOLVER))]
    ahead = ["/bin/date +%s", *(choice if activator == "auto" else [])]
    assert lines(shell)[1:] == ahead
    assert (site.activator(replies.choice).name, site.clock(replies.clock)) == (
        "ifupdown" if activator == "auto" else "ip",
        1_700_000_000,
    )
    assert lines(shell)[1:] == ahead
    site.clock()
    assert lines(shell)[1:] == [*ahead, "/bin/date +%s"]
