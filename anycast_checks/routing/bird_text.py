"""What BIRD and the program that asks it have printed, taken apart into answers and protocols.

BIRD shows what a neighbor says when it shuts a session down. It lets no newline through, but what
Python's splitlines takes for the end of a line too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# The program prints each question behind this mark, and END behind the last answer.
_MARK, END = "== ", "end"
# Name, Proto, Table, State, Since (a time, or a date and a time) and Info.
_PROTOCOL = re.compile(r"(\S+) +(\S+) +\S+ +(up|down|start|stop|flush)\b.*")
_CHANNEL = re.compile(r"^  Channel (\S+)$")
_DETAIL = re.compile(r"^ +(State|Neighbor address|BGP state|Restart time): +(\S+)")
_OURS = re.compile(r"^ +(Local|Neighbor) capabilities$")


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


def sections(text: str) -> dict[str, str]:
    """Take what HELPER printed apart into the answers, by their questions."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_MARK):
            lines = found.setdefault(line.removeprefix(_MARK), [])
        elif not (line.startswith("BIRD ") and line.endswith(" ready.")):
            lines.append(line)
    return {question: "\n".join(_without_greeting(lines)) for question, lines in found.items()}


def _without_greeting(lines: list[str]) -> list[str]:
    return lines[1:] if lines[:1] == ["Access restricted"] else lines


def read_speakers(text: str) -> Iterator[Speaker]:
    """Read `show protocols all`."""
    speaker: Speaker | None = None
    channel, is_ours = "", False
    for line in text.split("\n"):
        if line[:1] not in ("", " "):
            if speaker:
                yield speaker
            found, channel, is_ours = _PROTOCOL.fullmatch(line), "", False
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
