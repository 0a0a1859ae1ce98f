"""The JSON Schema of fleet files, for editors and for programs that generate them.

Whatever the handler takes is valid by this schema, be it the main file or one that it includes: a
file with nothing but VIPs is taken for the latter. The handler refuses more, such as an address
that two endpoints have: `anycast-handler fleet` has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .engines import MOST_ATTEMPTS, SHORTEST
from .file import LONGEST_DRAIN, MOST_ENDPOINTS
from .names import LONGEST_ENDPOINT, LONGEST_LOGIN, LONGEST_SITE, LONGEST_VIP

Schema = dict[str, Any]
VIP, ENDPOINT, SITE = (
    f"^[A-Za-z0-9][A-Za-z0-9_.-]{{0,{longest - 1}}}$"
    for longest in (LONGEST_VIP, LONGEST_ENDPOINT, LONGEST_SITE)
)
LOGIN = f"^[a-z_][a-z0-9_.-]{{0,{LONGEST_LOGIN - 1}}}$"
JUMP = r"^$|^([a-z_][a-z0-9_.-]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
INTERFACE = "^(lo:[A-Za-z0-9_]{1,12}|[A-Za-z0-9][A-Za-z0-9_.-]{0,14})$"
NETWORK = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}(/([0-9]|[12][0-9]|3[0-2]|[0-9]{1,3}(\.[0-9]{1,3}){3}))?$"
SHARE = "^0{0,2}(100|0?[0-9]{1,2})%$"


def schema(activators: Sequence[str]) -> Schema:
    """Give the schema; ``activators`` are the names that a VIP's activator may have."""
    vip, part = _vip(activators), _vip(activators)
    part.pop("required")
    vip["properties"]["endpoints"]["minProperties"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fleet file of anycast-handler",
        **_table(
            {
                "include": _list(_text("^.+$"), "Files with further VIPs and endpoints.", 0),
                "ssh": _ssh(),
                "vip": _names(VIP, part, "The anycast addresses."),
                "monitors": _names(
                    ENDPOINT, {"anyOf": [_text(""), _monitor()]}, "Monitoring hosts."
                ),
                "paths": _paths(),
                "watch": _watch(),
                "icinga": _icinga(),
                "nagios": _table({"command_file": _path(), **_told()}, "command_file"),
            },
        ),
        "if": {"propertyNames": {"const": "vip"}},
        # This is for a file that is included.
        "then": {"required": ["vip"]},
        "else": {
            "required": ["ssh"],
            # A file that includes others may leave to them what a VIP needs.
            "if": {"not": {"required": ["include"]}},
            "then": {
                "required": ["vip"],
                "properties": {"vip": {"minProperties": 1, "additionalProperties": vip}},
            },
        },
    }


def _ssh() -> Schema:
    keys = {
        "user": _text(LOGIN, "The account on the endpoints."),
        "identity": _path("The private key for that account."),
        "known_hosts": _path("The host keys of the endpoints."),
    }
    return _table(keys, "user identity known_hosts")


def _paths() -> Schema:
    return _table(
        {
            "state": _path("The directory of the locks."),
            "log": _path("The log of decisions."),
            "stop": _path("While this file exists the automation only looks."),
        }
    )


def _watch() -> Schema:
    own = {"common_cause_patience": _number(0, 3600), "rank": _whole(0, 9)}
    return _table({**_stream(), **own})


def _icinga() -> Schema:
    keys = {
        "url": _text("^https://"),
        "user": _text("^[^:]+$"),
        "password_file": _path(),
        "ca": _path(),
    }
    return _table({**keys, **_told()}, "url user password_file ca")


def _vip(activators: Sequence[str]) -> Schema:
    share = {"type": "string", "pattern": SHARE}
    floor = {"anyOf": [_whole(1, MOST_ENDPOINTS), share], "description": "The floor."}
    endpoint = {"anyOf": [_text(""), _endpoint()]}
    return _table(
        {
            "address": _text("", "The anycast address, literal."),
            "interface": _text(INTERFACE, "lo, an alias of lo, or an interface of VIPs alone."),
            "check": _list(_text(""), "The endpoint's own check: a program and its words.", 1)
            | {"prefixItems": [_path()]},
            "activator": _one_of("auto", *activators),
            "min_announcing": floor,
            "min_announcing_per_site": _whole(0, MOST_ENDPOINTS, "The floor of each site."),
            "routing": _one_of("auto", "ospf", "bgp", "none"),
            "count_by": _one_of("auto", "ospf", "peers"),
            "also_announced_by": _list(
                _text(NETWORK), "Router-ids of announcers that are no endpoints here.", 0
            ),
            "spacing": _number(0, None, "Seconds between two automatic withdrawals."),
            "restore": _one_of("auto", "manual"),
            "hold_down": _number(0, None, "Seconds from a withdrawal to its automatic restore."),
            "max_restores": _whole(0, None, "Automatic restores within a day."),
            "drain": _number(0, LONGEST_DRAIN, "Seconds for which it goes on answering."),
            "stream": _table(_stream()),
            "endpoints": _names(ENDPOINT, endpoint, "Hosts that carry it."),
        },
        "address interface check endpoints",
    )


def _endpoint() -> Schema:
    return _table(
        {
            "address": _text("", "The management address, literal."),
            "port": _whole(1, 65535, "The port of sshd."),
            "never_withdraw": {"type": "boolean"},
            "site": _text(f"^$|{SITE}", "The site, such as a data centre."),
            "jump": _text(JUMP, "The bastion through which SSH goes."),
        },
        "address",
    )


def _monitor() -> Schema:
    return _table({"address": _text(""), "port": _whole(1, 65535), "jump": _text(JUMP)}, "address")


def _stream() -> dict[str, Schema]:
    return {
        "interval": _number(SHORTEST, 60),
        "retry": _number(SHORTEST, 60),
        "samples": _whole(1, 100),
        "patience": _number(0, 60),
    }


def _told() -> dict[str, Schema]:
    return {"attempts": _whole(1, MOST_ATTEMPTS), "watcher": _text("")}


def _table(properties: dict[str, Schema], required: str = "") -> Schema:
    table: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**table, "required": required.split()} if required else table


def _names(name: str, value: Schema, text: str) -> Schema:
    names = {"propertyNames": {"pattern": name}, "additionalProperties": value}
    return {"type": "object", **names, "description": text}


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text} if text else schema


def _text(pattern: str, text: str = "") -> Schema:
    bounded = {"type": "string", "pattern": pattern} if pattern else {"type": "string"}
    return _described(bounded, text)


def _path(text: str = "") -> Schema:
    return _text("^/", text)


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def _list(items: Schema, text: str, least: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "description": text}


def _number(least: float, most: float | None, text: str = "") -> Schema:
    bounds = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return _described({"type": "number", **bounds}, text)


def _whole(least: int, most: int | None, text: str = "") -> Schema:
    return {**_number(least, most, text), "type": "integer"}
