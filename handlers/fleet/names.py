"""Names in the fleet file: what they may be, and the one whose quotes are missing."""

from __future__ import annotations

import string

from ..errors import ConfigurationError
from .table import Table, near

LOWER, DIGITS = frozenset(string.ascii_lowercase), frozenset(string.digits)
LETTERS = frozenset(string.ascii_letters)
OTHERS = frozenset("_.-")
# The longest name of a host in DNS. Files are named after a VIP, with some more behind the name.
LONGEST_ENDPOINT, LONGEST_VIP, LONGEST_SITE, LONGEST_LOGIN = 253, 200, 63, 32
NOT_A_NAME = "is not a name: letters, digits, _ . - only"
KEYS_OF_VIP = frozenset(("address", "interface", "check", "endpoints"))
KEYS_OF_ENDPOINT = frozenset(("address", "port", "never_withdraw", "site", "jump"))


# These checks use no regular expressions, since compiling one costs as much as reading the whole
# file.
def is_login(text: str) -> bool:
    """Tell whether text is a login name."""
    return _is_word(text, LOWER, LOWER | {"_"}) and len(text) <= LONGEST_LOGIN


def is_port(text: str) -> bool:
    """Tell whether text is the number of a port, in at most five digits."""
    # Python does not convert a number of thousands of digits at all.
    return len(text) <= 5 and text.isascii() and text.isdecimal() and 0 < int(text) < 65536


def check_vip(tables: Table, name: str) -> None:
    """Raise ConfigurationError for a name that no VIP may have."""
    _check(tables, name, LONGEST_VIP)
    written, value = _written(tables, name, KEYS_OF_VIP)
    if written != name and isinstance(value, dict):
        raise _unquoted(tables, name, written)


def check_endpoint(endpoints: Table, name: str) -> None:
    """Raise ConfigurationError for a name that no endpoint may have."""
    _check(endpoints, name, LONGEST_ENDPOINT)
    written, value = _written(endpoints, name, KEYS_OF_ENDPOINT)
    if written != name and isinstance(value, str | dict):
        raise _unquoted(endpoints, name, written)


def check_site(endpoint: Table, name: str) -> None:
    """Raise ConfigurationError for a name that no site may have."""
    if not _is_word(name, LETTERS, LETTERS | DIGITS) or len(name) > LONGEST_SITE:
        raise endpoint.wrong("site", f"{name!r} {NOT_A_NAME}")


def _check(table: Table, name: str, longest: int) -> None:
    if not _is_word(name, LETTERS, LETTERS | DIGITS):
        raise table.wrong(name, NOT_A_NAME)
    if len(name) > longest:
        raise table.wrong(f"{name[:20]}...", f"is longer than {longest} characters")


def _is_word(text: str, letters: frozenset[str], first: frozenset[str]) -> bool:
    return text[:1] in first and letters | DIGITS | OTHERS >= {*text}


def _written(table: Table, name: str, known: frozenset[str]) -> tuple[str, object]:
    """Give the name as a person may have written it, and the value behind it.

    In TOML the dots of a name without quotes make tables, each in the other.
    """
    value = table.peek(name)
    while isinstance(value, dict) and value and not known & value.keys():
        word = next(iter(value))
        if near(word, sorted(known)):
            break
        name, value = f"{name}.{word}", value[word]
    return name, value


def _unquoted(table: Table, key: str, written: str) -> ConfigurationError:
    return table.wrong(key, f'has no address; a name with dots needs quotes: "{written}"')
