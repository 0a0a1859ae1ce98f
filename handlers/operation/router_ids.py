"""The router-ids of the endpoints, as each of them said last: a file for each VIP on this host."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..fleet.values import Endpoint, Vip
from . import state_file

_ROUTER_ID = re.compile(r"[0-9A-Fa-f.:]{1,45}")


class FileRouterIds:
    """Remembers router-ids in a directory of this host; see RouterIds.

    A file that is missing, or makes no sense, costs nothing but what it remembered: every run on an
    endpoint learns the router-id of that endpoint anew.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def known(self, vip: Vip) -> dict[str, str]:
        """Give the known router-ids; see RouterIds."""
        try:
            document = json.loads(state_file.read(self._file(vip)))
        except (OSError, ValueError, RecursionError):
            return {}
        entries = document if isinstance(document, dict) else {}
        found = {e.name: _router_id(entries.get(e.name), e) for e in vip.endpoints}
        return {name: router_id for name, router_id in found.items() if router_id}

    def learn(self, vip: Vip, endpoint: Endpoint, router_id: str) -> str:
        """Remember a router-id; see RouterIds."""
        return self.learn_all(vip, {endpoint.name: router_id})

    def learn_all(self, vip: Vip, said: Mapping[str, str]) -> str:
        """Remember several router-ids; see RouterIds."""
        before = self.known(vip)
        known = before | {name: one for name, one in said.items() if _ROUTER_ID.fullmatch(one)}
        if known == before:
            return ""
        document = {e.name: _entry(e, known[e.name]) for e in vip.endpoints if e.name in known}
        file = self._file(vip)
        try:
            state_file.replace(file, json.dumps(document, indent=1).encode())
        except OSError as error:
            return f"the router-id is not remembered: {file}: {error.strerror}"
        return ""

    def _file(self, vip: Vip) -> str:
        return f"{self._directory}/{vip.name}.routers.json"


def _entry(endpoint: Endpoint, router_id: str) -> dict[str, Any]:
    return {"address": endpoint.address, "port": endpoint.port, "router_id": router_id}


def _router_id(entry: object, endpoint: Endpoint) -> str:
    """Read an endpoint's router-id; an entry of another host of the same name tells nothing."""
    router_id = entry.get("router_id") if isinstance(entry, dict) else None
    if not isinstance(router_id, str) or not _ROUTER_ID.fullmatch(router_id):
        return ""
    return router_id if entry == _entry(endpoint, router_id) else ""
