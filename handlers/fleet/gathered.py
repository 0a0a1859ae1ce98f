"""The tables of a fleet file and of the files that it includes, each with the name of its file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import ConfigurationError, unreadable
from . import names
from .table import Table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENDPOINTS = "endpoints"
LARGEST = 16 << 20  # bytes; ten thousand endpoints take a twentieth of it
_WILD = frozenset("*?[")


def read(file: str) -> dict[str, Any]:
    """Read a file of TOML; raises ConfigurationError where it cannot be read."""
    try:
        with open(file, "rb") as stream:
            text = stream.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ConfigurationError(f"{file}: is larger than {LARGEST >> 20} MiB")
        document: dict[str, Any] = tomllib.loads(text.decode())
    except FileNotFoundError as error:
        raise ConfigurationError(f"no {file}", "use --fleet or ANYCAST_FLEET") from error
    except OSError as error:
        raise unreadable(f"{file}:", error, "--fleet") from error
    except (ValueError, RecursionError) as error:  # tomllib raises more than its own error
        raise ConfigurationError(f"{file}: is not valid TOML: {error}") from error
    return document


class Gathered:
    """The VIPs of several files: each table is in one of them, and each endpoint.

    A file may have the table of a VIP, or only endpoints for a VIP of another file.

    Attributes:
        included: the files that are included, in their order.
    """

    def __init__(self, top: Table, file: str) -> None:
        """Take the keys ``include`` and ``vip`` from the tables of the main file.

        Raises:
            ConfigurationError: a file cannot be read or has what it must not have, or two files
                have the same VIP or endpoint; the text names both.
        """
        self._file = file
        self._vips: dict[str, Table] = {}
        self._endpoints: dict[str, list[Table]] = {}
        self._origins: dict[str, str] = {}
        self.included = tuple(_named(top, file))
        self._add(file, top.table("vip", required=not self.included))
        for one in self.included:
            # A pattern may match a pipe, which would be waited for.
            if not os.path.isfile(one):
                raise ConfigurationError(f"{one}: is no file that can be included")
            part = Table(one, "", read(one))
            self._add(one, part.table("vip"))
            part.refuse_unknown()

    def _add(self, file: str, vips: Table) -> None:
        for name in vips.names():
            names.check_vip(vips, name)
            key = f"vip.{name}"
            table = vips.table(name)
            members = table.table(ENDPOINTS) if ENDPOINTS in table.names() else None
            if members:
                for member in members.names():
                    self._note(f"{key}.{ENDPOINTS}.{member}", file)
                self._endpoints.setdefault(name, []).append(members)
            if table.names() or not self.included:
                self._note(key, file)
                self._vips[name] = table

    def _note(self, key: str, file: str) -> None:
        other = self._origins.setdefault(key, file)
        if other != file:
            raise ConfigurationError(f"{file}: {key}: is in {other} too")

    def vips(self) -> Iterator[tuple[str, Table, list[Table]]]:
        """Give each VIP: its name, its table without endpoints, and those that have endpoints.

        Raises:
            ConfigurationError: there are endpoints of a VIP that no file has.
        """
        for name, members in self._endpoints.items():
            if name not in self._vips:
                raise members[0].wrong("", f"no file has the other keys of vip.{name}")
        for name, table in self._vips.items():
            yield name, table, self._endpoints.get(name, [])

    def wrong(self, key: str, reason: str) -> ConfigurationError:
        """Make the error that says what is wrong with a key, wherever that is."""
        above = key
        while above and above not in self._origins:
            above = above.rpartition(".")[0]
        return ConfigurationError(f"{self._origins.get(above, self._file)}: {key}: {reason}")


def _named(top: Table, file: str) -> Iterator[str]:
    """Find the files that are to be included; a pattern may match none."""
    patterns = top.take("include", list, [])
    if not patterns:
        return
    found = {os.path.abspath(file)}
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern or "\0" in pattern:
            raise top.wrong("include", "must be a list of files, such as fleet.d/*.toml")
        path = os.path.join(os.path.dirname(os.path.abspath(file)), pattern)
        if _is_wild(pattern):
            matching = [one for one in _matching(path, file) if not os.path.isdir(one)]
        elif os.path.exists(path):
            matching = [path]
        else:
            raise top.wrong("include", f"there is no {path}")
        for one in matching:
            if os.path.abspath(one) not in found:
                found.add(os.path.abspath(one))
                yield one


def _is_wild(pattern: str) -> bool:
    return not _WILD.isdisjoint(pattern)


def _matching(pattern: str, file: str) -> list[str]:
    """Find what a pattern matches, in the order of the names.

    Raises:
        ConfigurationError: a directory cannot be looked into. It would seem to be empty, and
            without its endpoints the floors would be smaller.
    """
    # It takes longer to import than a fleet file takes to read, and most include nothing.
    from glob import glob

    above, name = os.path.split(pattern)
    for directory in _matching(above, file) if _is_wild(above) else [above]:
        try:
            if _is_wild(name):
                os.scandir(directory).close()
            else:
                os.stat(os.path.join(directory, "."))
        except (FileNotFoundError, NotADirectoryError):
            pass  # nothing in it is meant
        except OSError as error:
            raise unreadable(f"{file}: include: {directory}", error, "include") from error
    return sorted(glob(pattern))
