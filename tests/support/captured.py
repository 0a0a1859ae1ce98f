"""What real daemons have said, as tests/unit/captured/ has it."""

from __future__ import annotations

import re
from pathlib import Path

from anycast_checks.routing import bird
from anycast_checks.routing.daemon import Answer

# Scenarios of BIRD that were captured for one family.
IPV4_ALONE = ("graceful-restart", "export-limit")
DIRECTORY = Path(__file__).parents[1] / "unit" / "captured"
# Behind an answer with another exit status than 0 its status was noted.
_STATUS = re.compile(r"\n\(exit status (\d+)\)\n?\Z")


def captured(name: str) -> Answer:
    """Read an answer; its name is that of the file, without the ending."""
    (file,) = (one for one in DIRECTORY.glob(f"{name}.*") if one.stem == name)
    text = file.read_text()
    status = _STATUS.search(text)
    return Answer(int(status[1]) if status else 0, _STATUS.sub("", text), "")


def helper_says(parts: dict[str, str]) -> Answer:
    """Put captured answers together as the helper does."""
    said = "".join(f"== {question}\n{text}\n" for question, text in parts.items())
    return Answer(0, f"{said}== end\n", "")


def bgp(scenario: str, vip: str = "10.99.0.53", version: str = "bird-2.0.12") -> Answer:
    """Give what BIRD says of a VIP in BGP, in one of the captured scenarios."""
    name, prefix = f"{version}-bgp-{scenario}", bird.prefix_of(vip)
    parts = {
        "show status": captured(f"{name}-status").stdout,
        "show protocols all": captured(f"{name}-protocols-all").stdout,
    }
    for family in ("ipv4",) if scenario in IPV4_ALONE else ("ipv4", "ipv6"):
        # The helper asks every session about the one VIP; that of the other family has no route.
        is_its = (family == "ipv6") == (":" in vip)
        said = captured(f"{name}-{family}-route-export").stdout if is_its else ""
        parts[f"show route {prefix} exported 'uplink{family[3]}' all"] = said
    return helper_says(parts)
