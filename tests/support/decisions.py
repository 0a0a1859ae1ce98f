"""Lines of the log of decisions, as a night leaves them."""

from __future__ import annotations

import time
from typing import Any

from anycast_handlers.operation.log_line import one_line

from anycast_checks.times import iso
from tests.support.boards import MARKUP

# 2026-01-31 00:00:00Z
MIDNIGHT = 1769817600.0


def entry(at: float, endpoint: str = "ns1", **fields: Any) -> dict[str, Any]:
    """Make a look that found the endpoint present and had nothing to do, but for some fields."""
    usual = {
        "time": iso(at),
        "vip": "resolver",
        "endpoint": endpoint,
        "verb": "enforce",
        "user": "nagios",
        "dry_run": False,
        "state": "OK",
        "state_type": "HARD",
        "present": True,
        "afterwards": fields.get("present", True),
        "announced": True,
        "others": 2,
        "floor": 1,
        "rule": "announced",
        "action": "nothing",
        "reason": "announced",
        "severity": "OK",
        "commands": [],
        "verified": None,
        "timings": {},
        "exit": 0,
        "text": f"{endpoint}: 10.99.0.53 announced: nothing to do",
        "duration": 0.4,
    }
    return usual | fields


def withdrawal(at: float, endpoint: str = "ns1", **fields: Any) -> dict[str, Any]:
    """Make a withdrawal that worked."""
    argv = ["/sbin/ifdown", "lo:0"]
    usual = {
        "verb": "event",
        "state": "CRITICAL",
        "afterwards": False,
        "rule": "withdraw",
        "action": "withdraw",
        "reason": "the service fails",
        "severity": "WARNING",
        "verified": {"address": True},
        "commands": [{"at": at, "argv": argv, "status": 0, "said": ""}],
        "text": f"{endpoint}: 10.99.0.53 withdrawn by ifupdown: DNS CRITICAL - connection refused",
    }
    return entry(at, endpoint, **(usual | fields))


def restoration(at: float, endpoint: str = "ns1", **fields: Any) -> dict[str, Any]:
    """Make a restore that worked."""
    usual = {
        "present": False,
        "afterwards": True,
        "rule": "restore",
        "action": "restore",
        "verified": {"address": True},
        "text": f"{endpoint}: 10.99.0.53 restored by ifupdown: DNS OK - 1 ms",
    }
    return entry(at, endpoint, **(usual | fields))


def refusal(at: float, endpoint: str = "ns1", **fields: Any) -> dict[str, Any]:
    """Make a refusal to withdraw, because too few would be left."""
    usual = {
        "state": "CRITICAL",
        "rule": "floor",
        "action": "refuse",
        "severity": "CRITICAL",
        "exit": 2,
        "text": f"{endpoint}: 10.99.0.53 announced: would leave 1 of 3, the floor is 2",
    }
    return entry(at, endpoint, **(usual | fields))


def night() -> list[dict[str, Any]]:
    """Make the last hours of three endpoints, with something of everything and hostile text."""
    now = time.time()
    begin = now - 8 * 3600
    looks = [entry(begin + 60 * n, name) for n in range(480) for name in ("ns1", "ns2", "ns3")]
    out = (begin + 3600, begin + 9000)
    looks = [
        one | {"present": False, "afterwards": False}
        if one["endpoint"] == "ns1" and iso(out[0]) < one["time"] < iso(out[1])
        else one
        for one in looks
    ]
    refusing = begin + 20_000
    looks = [
        one
        for one in looks
        if one["endpoint"] != "ns2" or not iso(refusing) <= one["time"] < iso(refusing + 1500)
    ]
    acts = [withdrawal(out[0]), restoration(out[1])]
    refused = [refusal(refusing + 60 * n, "ns2") for n in range(25)]
    hostile = entry(
        begin + 15_000, "ns3", verb="hold", user=MARKUP, rule=MARKUP, action="hold", text=MARKUP
    )
    by_hand = withdrawal(now - 600, "ns3", verb="withdraw", user="alice", reason="by hand; disk")
    return sorted([*looks, *acts, *refused, hostile, by_hand], key=lambda one: one["time"])


def written(entries: list[dict[str, Any]]) -> bytes:
    """Write entries as the log has them."""
    return b"".join(map(one_line, entries))
