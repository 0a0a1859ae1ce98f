"""How BIRD is asked, what it is asked, and how its answers are taken apart.

BIRD answers in text only. The names of its protocols are the operator's, so no list of commands can
ask about them: the program HELPER finds out the names, and puts the questions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import NoDaemonError, RoutingUnreadableError
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
_SUDO = "`anycast-handler gate --install` puts the line into sudoers"
_MARK, _END = "== ", "end"
_STATUS, _PROTOCOLS = "show status", "show protocols all"
_NO_HELPER = f"there is no {HELPER}"
_NOT_FOUND = 127
_ABSENT = {
    "there is no birdc": "there is no birdc",
    "anycast-birdc: command not found": _NO_HELPER,
    "control socket": "BIRD is not running",
}
_ROUTER_ID = re.compile(r"^Router ID is (\S+)$", re.MULTILINE)
# Name, Proto, Table, State, Since (a time, or a date and a time) and Info.
_PROTOCOL = re.compile(r"(\S+) +(\S+) +\S+ +(up|down|start|stop|flush)\b.*")
_CHANNEL = re.compile(r"^  Channel (\S+)$")
_DETAIL = re.compile(r"^ +(State|Neighbor address|BGP state|Restart time): +(\S+)")
_OURS = re.compile(r"^ +(Local|Neighbor) capabilities$")
_NO_ROUTES = ("No valid tables", "aren't accepting exports", "Network not found")
_ORIGIN = re.compile(r"^\s*(?:Type|source): (\S+)", re.MULTILINE)
# What this host brings into the routing itself, in BIRD's words; everything else it has learned.
_OWN = ("device", "static", "static-device", "inherit")


@dataclass
class Speaker:
    """A protocol of BIRD's configuration.

    Attributes:
        name: its name, which the operator chose.
        kind: "OSPF", "BGP" or another of BIRD's words.
        is_up: whether it is up; a BGP protocol is up where its session is Established.
        state: state of the BGP session in BIRD's word.
        neighbor: address of the BGP neighbor; empty where it is another kind, or only a range.
        channels: families of its routes, such as "ipv4", and the state of each.
        is_restarting: whether its neighbors are asked to keep its routes while it is away.
    """

    name: str
    kind: str
    is_up: bool
    state: str
    neighbor: str
    channels: dict[str, str]
    is_restarting: bool = False


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
        """Give the origin of each route of the VIP that passes the export filter of a protocol.

        Raises:
            RoutingUnreadableError: the answer makes no sense.
        """
        prefix = prefix_of(self.vip)
        said = self.answer(f"show route {prefix} export '{speaker.name}' all")
        origins = tuple(_ORIGIN.findall(said))
        lines = [line for line in said.splitlines() if line.strip()]
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
    return Question((HELPER, vip), by_sudo, _SOCKETS, only_there=True)


def read(vip: str, answer: Answer) -> Bird:
    """Take the answer to the question apart.

    Raises:
        NoDaemonError: BIRD does not run there.
        RoutingUnreadableError: the answer is not complete.
    """
    said = _sections(answer.stdout)
    if _END not in said:
        raise _trouble(answer)
    router_id = _ROUTER_ID.search(said.get(_STATUS, ""))
    if not router_id:
        raise unreadable("there is no router-id")
    if _PROTOCOLS not in said:
        raise unreadable("there are no protocols")
    return Bird(vip, router_id[1], tuple(_speakers(said[_PROTOCOLS])), said)


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
    said = f"{answer.stdout}\n{answer.stderr}"
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


def _sections(text: str) -> dict[str, str]:
    """Take what HELPER printed apart into the answers, by their questions."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            lines = found.setdefault(line.removeprefix(_MARK), [])
        elif not (line.startswith("BIRD ") and line.endswith(" ready.")):
            lines.append(line)
    return {question: "\n".join(_without_greeting(lines)) for question, lines in found.items()}


def _without_greeting(lines: list[str]) -> list[str]:
    return lines[1:] if lines[:1] == ["Access restricted"] else lines


def _speakers(text: str) -> Iterator[Speaker]:
    """Read `show protocols all`."""
    speaker: Speaker | None = None
    channel, is_ours = "", False
    for line in text.splitlines():
        if line[:1] not in ("", " "):
            if speaker:
                yield speaker
            found, channel = _PROTOCOL.fullmatch(line), ""
            speaker = Speaker(found[1], found[2], found[3] == "up", "", "", {}) if found else None
        elif speaker is None:
            continue
        elif found := _CHANNEL.match(line):
            channel = found[1]
            speaker.channels[channel] = ""
        elif found := _OURS.match(line):
            is_ours = found[1] == "Local"
        elif found := _DETAIL.match(line):
            _note(speaker, channel, found[1], found[2], is_ours=is_ours)
    if speaker:
        yield speaker


def _note(speaker: Speaker, channel: str, what: str, value: str, *, is_ours: bool) -> None:
    if what == "State" and channel and not speaker.channels[channel]:
        speaker.channels[channel] = value
    elif what == "Neighbor address" and not channel:
        speaker.neighbor = value
    elif what == "BGP state" and not channel:
        speaker.state = value
    elif what == "Restart time" and not channel and is_ours:
        speaker.is_restarting = True
