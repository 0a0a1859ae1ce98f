"""A table of the fleet file, read key by key, so that an error names file, key and reason."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ConfigurationError

T = TypeVar("T")


class Table:
    """One table of the file; a key that no code takes is unknown, and is refused."""

    def __init__(self, file: str, prefix: str, values: dict[str, Any]) -> None:
        self._file = file
        self._prefix = prefix
        self._values = dict(values)
        self._known: list[str] = []

    def names(self) -> list[str]:
        """List the keys that have not been taken yet."""
        return list(self._values)

    def peek(self, key: str) -> object:
        """Look at a value that is not taken yet."""
        return self._values.get(key)

    def wrong(self, key: str, reason: str) -> ConfigurationError:
        """Make the error that says what is wrong with a key."""
        name = f"{self._prefix}.{key}" if self._prefix and key else self._prefix or key
        return ConfigurationError(f"{self._file}: {name}: {reason}")

    def table(self, key: str, *, required: bool = True) -> Table:
        """Take a table."""
        value = self._pop(key, None if required else {})
        if not isinstance(value, dict):
            raise self.wrong(key, "must be a table")
        return self.inner(key, value)

    def inner(self, key: str, value: dict[str, Any]) -> Table:
        """Make a Table of a value in this table."""
        return Table(self._file, f"{self._prefix}.{key}" if self._prefix else key, value)

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Take a value of one kind; without a default it must be there."""
        value = self._pop(key, default)
        if kind is object:
            return value  # type: ignore[no-any-return]
        # Python counts a bool as an int, but a person who writes `true` means no number. A person
        # also writes 5 for 5.0.
        accepted: tuple[type, ...] = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, f"must be {_KINDS[kind]}")
        if isinstance(value, str) and "\0" in value:
            raise self.wrong(key, "has a NUL in it")
        try:
            return kind(value)  # type: ignore[call-arg]
        except OverflowError as error:
            raise self.wrong(key, f"must be {_KINDS[kind]} that is not too large") from error

    def _pop(self, key: str, default: object) -> Any:
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is not None:
            return value
        if misspelt := near(key, list(self._values)):
            raise self._unknown(misspelt, key)
        raise self.wrong(key, "is missing")

    def read_ip(self, key: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """Read the text of a key as a literal address."""
        try:
            return ipaddress.ip_address(text)
        except ValueError as error:
            raise self.wrong(key, f"{text!r} is not an IP address") from error

    def matching(
        self, key: str, is_sound: Callable[[str], bool], what: str, default: str = ""
    ) -> str:
        """Take text of a certain form."""
        value = self.take(key, str, default or None)
        if not is_sound(value):
            raise self.wrong(key, f"{value!r} is not {what}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """Take one of a few words."""
        value = self.take(key, str, default)
        if value not in choices:
            raise self.wrong(key, f"must be one of: {', '.join(choices)}")
        return value

    def path(self, key: str, default: str = "") -> str:
        """Take an absolute path."""
        value = self.take(key, str, default or None)
        if not value.startswith("/"):
            raise self.wrong(key, "must be an absolute path")
        return value

    def refuse_unknown(self) -> None:
        """Raise for the first key that has not been taken."""
        for key in self._values:
            raise self._unknown(key, near(key, self._known))

    def _unknown(self, key: str, meant: str) -> ConfigurationError:
        what = "is not a key of the fleet file"
        return self.wrong(key, f"{what}; did you mean {meant}?" if meant else what)


def near(name: str, names: list[str]) -> str:
    """Find the name that is nearly the same; empty where none is."""
    from difflib import get_close_matches

    return "".join(get_close_matches(name, names, n=1))


_KINDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
}
