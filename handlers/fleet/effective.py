"""The fleet as a document with every key: what is in effect, in the form of a fleet file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .values import Endpoint, Fleet, Icinga, Vip, Watch

# Keys of these tables are names, so that they may need quotes.
Document = Mapping[str, Any]


def effective(fleet: Fleet) -> dict[str, Any]:
    """Give the fleet file as it is in effect: with every default, and without `include`."""
    document: dict[str, Any] = {
        "ssh": fleet.ssh._asdict(),
        "vip": {vip.name: _vip(vip) for vip in fleet.vips},
        "paths": fleet.paths._asdict(),
        "watch": _watch(fleet.watch),
    }
    if fleet.monitors:
        document["monitors"] = {one.name: _monitor(one) for one in fleet.monitors}
    if fleet.icinga:
        document["icinga"] = _icinga(fleet.icinga)
    if fleet.nagios:
        document["nagios"] = fleet.nagios._asdict()
    return document


def _vip(vip: Vip) -> dict[str, Any]:
    document = vip._asdict()
    del document["name"]
    floor = vip.min_announcing
    endpoints = {one.name: _endpoint(one) for one in document.pop("endpoints")}
    return document | {
        "check": list(vip.check),
        "min_announcing": floor if floor.endswith("%") else int(floor),
        "stream": vip.stream._asdict(),
        "endpoints": endpoints,
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    document = endpoint._asdict()
    del document["name"]
    return document | {"jump": str(endpoint.jump or "")}


def _monitor(host: Endpoint) -> dict[str, Any]:
    return {
        key: value for key, value in _endpoint(host).items() if key in ("address", "port", "jump")
    }


def _watch(watch: Watch) -> dict[str, Any]:
    document = watch._asdict()
    return {**document.pop("stream")._asdict(), **document}


def _icinga(icinga: Icinga) -> dict[str, Any]:
    document = icinga._asdict()
    host, port = document.pop("host"), document.pop("port")
    host = f"[{host}]" if ":" in host else host
    return {"url": f"https://{host}:{port}", **document}


def toml(document: Document) -> Iterator[str]:
    """Write such a document as the lines of a fleet file; an endpoint is one line."""
    for name, table in document.items():
        if name == "vip":
            for vip, keys in table.items():
                yield from _table(f"vip.{_key(vip)}", keys)
        else:
            yield from _table(name, table)


def _table(name: str, keys: Document) -> Iterator[str]:
    yield f"[{name}]"
    endpoints = keys.get("endpoints", {})
    for key, value in keys.items():
        if key != "endpoints":
            yield f"{key} = {_value(value)}"
    yield ""
    if endpoints:
        yield f"[{name}.endpoints]"
        yield from (f"{_key(key)} = {_value(value)}" for key, value in endpoints.items())
        yield ""


def _key(name: str) -> str:
    # A key without quotes would be cut at a dot.
    return f'"{name}"' if "." in name else name


def _value(value: object) -> str:
    """Write a value; all but tables are in TOML what they are in JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    # TOML has no pairs of surrogates, and permits no DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
