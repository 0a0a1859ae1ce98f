"""How BIRD is asked, and what its answers say about one VIP.

BIRD answers in text only. The names of its protocols are the operator's, so no list of commands can
ask about them: the program HELPER finds out the names, and puts the questions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import NoDaemonError, RoutingUnreadableError
from .bird_text import END, Speaker, read_speakers, sections
from .daemon import Answer, Question, RoutingState, Weakness

# Whoever may write to BIRD's socket may also tell it to announce nothing. So the accounts of the
# checks and of the handler may not: they run this program by sudo, which asks BIRD in its
# restricted mode.
HELPER = "/usr/local/sbin/anycast-birdc"
# Remedies that OSPF and BGP share.
RETRACT = "let the export filter accept `source = RTS_DEVICE` only, and no static route"
ROUTER_ID = "configure `router id` with an address of its own"
# Where the packages put it, and where BIRD does that was built from its source.
_SOCKETS = ("/run/bird/bird.ctl", "/run/bird.ctl", "/usr/local/var/run/bird.ctl")
# Where HELPER looks for it.
_PROGRAMS = tuple(
    f"{directory}/birdc"
    for directory in ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin")
)
_SUDO = "`anycast-handler gate --install` puts the line into sudoers"
_STATUS, _PROTOCOLS = "show status", "show protocols all"
_NO_HELPER = f"there is no {HELPER}"
_NOT_FOUND = 127
_ABSENT = {
    "there is no birdc": "there is no birdc",
    "anycast-birdc: command not found": _NO_HELPER,
    "control socket": "BIRD is not running",
}
_ROUTER_ID = re.compile(r"^Router ID is (\S+)$", re.MULTILINE)
_NO_ROUTES = ("No valid tables", "aren't accepting exports", "Network not found")
_ORIGIN = re.compile(r"^\s*(?:Type|source): (\S+)", re.MULTILINE)
# A route of one of these kinds is this host's own, in BIRD's words; every other one was learned.
_OWN = ("device", "static", "static-device", "inherit")


@dataclass(frozen=True)
class Bird:
    """What BIRD has said about a VIP.

    Attributes:
        vip: the VIP.
        router_id: its router-id.
        speakers: its protocols.
        said: its answer to each question.
    """

    vip: str
    router_id: str
    speakers: tuple[Speaker, ...]
    said: Mapping[str, str]

    def speaking(self, kind: str) -> tuple[Speaker, ...]:
        """List the protocols of a kind that carry the family of the VIP.

        Raises:
            NoDaemonError: there is none.
        """
        family = f"ipv{ipaddress.ip_address(self.vip).version}"
        found = tuple(x for x in self.speakers if x.kind == kind and family in x.channels)
        if not found:
            raise NoDaemonError(f"BIRD has no {kind} for {self.vip}")
        return found

    def is_open(self, speaker: Speaker) -> bool:
        """Tell whether a protocol exchanges routes of the VIP's family with its neighbors."""
        family = f"ipv{ipaddress.ip_address(self.vip).version}"
        return speaker.is_up and speaker.channels.get(family) == "UP"

    def answer(self, question: str) -> str:
        """Give the answer to a question. Raises: RoutingUnreadableError."""
        if question not in self.said:
            raise unreadable(f"no answer to {question!r}")
        return self.said[question]

    def exported(self, speaker: Speaker) -> tuple[str, ...]:
        """Give the origin of each route of the VIP that is exported to a protocol.

        What passes the export filter need not be: a limit may keep it, and a filter may be new.

        Raises:
            RoutingUnreadableError: the answer makes no sense.
        """
        prefix = prefix_of(self.vip)
        said = self.answer(f"show route {prefix} exported '{speaker.name}' all")
        origins = tuple(_ORIGIN.findall(said))
        lines = [line for line in said.split("\n") if line.strip()]
        has_route = any(line.startswith(f"{prefix} ") for line in lines)
        says_none = not lines or any(sign in said for sign in _NO_ROUTES)
        if bool(origins) != has_route or not (origins or says_none):
            raise unreadable(f"{said.strip()[:40]!r} where routes belong")
        return origins


def prefix_of(vip: str) -> str:
    """Give the prefix of a VIP."""
    return f"{vip}/{ipaddress.ip_address(vip).max_prefixlen}"


def is_own(origin: str) -> bool:
    """Tell whether a route of that origin is this host's own, and was not learned."""
    return origin in _OWN


def question(vip: str) -> Question:
    """Give the question about a VIP, which OSPF and BGP share."""
    by_sudo = ("/usr/bin/sudo", "-n", HELPER, vip)
    return Question((HELPER, vip), by_sudo, _SOCKETS, only_there=True, programs=_PROGRAMS)


def read(vip: str, answer: Answer) -> Bird:
    """Take the answer to the question apart.

    Raises:
        NoDaemonError: BIRD does not run there.
        RoutingUnreadableError: the answer is not complete.
    """
    said = sections(answer.stdout)
    if END not in said:
        raise _trouble(answer)
    router_id = _ROUTER_ID.search(said.get(_STATUS, ""))
    if not router_id:
        raise unreadable("there is no router-id")
    if _PROTOCOLS not in said:
        raise unreadable("there are no protocols")
    return Bird(vip, router_id[1], tuple(read_speakers(said[_PROTOCOLS])), said)


def static_routes(bird: Bird, speakers: Iterable[Speaker]) -> Iterator[Weakness]:
    """Find a route of the VIP that does not follow its address."""
    for speaker in speakers:
        if any(origin.startswith("static") for origin in bird.exported(speaker)):
            yield Weakness(
                f"{speaker.name} announces a static route, which stays when the address is gone",
                "let `protocol direct` make the route, and no `protocol static`",
                hurts=False,
            )


def weaknesses(vip: str, state: RoutingState, own: str) -> Iterator[Weakness]:
    """Find the faults that the answer has shown, and a router-id that is the VIP."""
    yield from state.faults
    if state.router_id == vip:
        such = f", such as {own}" if own else ""
        yield Weakness(
            f"the {state.daemon.protocol} router-id is the VIP {vip}",
            f"{ROUTER_ID}{such}",
            hurts=True,
        )


def unreadable(what: str) -> RoutingUnreadableError:
    """Build the exception for an answer that makes no sense."""
    return RoutingUnreadableError(f"BIRD's answer cannot be read: {what}")


def _trouble(answer: Answer) -> RoutingUnreadableError:
    """Say why there is no complete answer."""
    lines = f"{answer.stdout}\n{answer.stderr}".split("\n")
    # What belongs to a protocol is indented, among it what a neighbor has said.
    said = "\n".join(line for line in lines if not line.startswith(" "))
    if "ermission denied" in said:
        return RoutingUnreadableError(f"BIRD is not permitted to answer: {_SUDO}")
    for sign, means in _ABSENT.items():
        if sign in said:
            return NoDaemonError(means)
    if answer.status == _NOT_FOUND:
        return NoDaemonError(_NO_HELPER)
    if "sudo" in said:
        return RoutingUnreadableError(f"sudo refuses {HELPER}: {_SUDO}")
    return unreadable("it is not complete")
