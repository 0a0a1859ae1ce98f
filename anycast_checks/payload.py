"""The types of the options that say what to send and what to expect: text, hexadecimal, regex."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from .dump import shown
from .pattern import is_in

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.|$)", re.DOTALL)
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_SHOWN = 40  # characters of an answer in a status line

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Expectation(NamedTuple):
    """Something that must be found in the answer.

    Attributes:
        text: the expectation as it was typed.
        pattern: bytes that must occur, or a regular expression that must match somewhere.
    """

    text: str
    pattern: bytes | re.Pattern[bytes]

    def is_met(self, data: bytes, until: float) -> bool:
        """Tell whether the data has what is expected. Raises: CheckError, as `missing` does."""
        if isinstance(self.pattern, bytes):
            return self.pattern in data
        return is_in(self.pattern, data, until)


def text(value: str) -> bytes:
    r"""Return the bytes of a text in which \r \n \t \0 \\ and \xNN are escapes.

    Raises: click.BadParameter.
    """

    def replace(found: re.Match[bytes]) -> bytes:
        name = found[1]
        if len(name) == 3:
            return bytes.fromhex(name[1:].decode())
        if name not in _PLAIN:
            raise click.BadParameter(
                f"{value!r} has an escape that is none of \\r \\n \\t \\0 \\\\ \\xNN"
            )
        return _PLAIN[name]

    return _ESCAPE.sub(replace, value.encode(errors="surrogateescape"))


def hexadecimal(value: str) -> bytes:
    """Return the bytes of "00 01 ff" or "0001ff". Raises: click.BadParameter."""
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not hexadecimal, such as 0001ff") from error


def expected_text(value: str) -> Expectation:
    """Return the expectation of a text with escapes. Raises: click.BadParameter."""
    return _required(Expectation(value, text(value)), value)


def expected_hex(value: str) -> Expectation:
    """Return the expectation of bytes in hexadecimal. Raises: click.BadParameter."""
    return _required(Expectation(value, hexadecimal(value)), value)


def expected_regex(value: str) -> Expectation:
    """Return the expectation of a regular expression. Raises: click.BadParameter."""
    try:
        pattern = re.compile(value.encode(errors="surrogateescape"))
    except re.error as error:
        raise click.BadParameter(f"{value!r} is not a regular expression: {error}") from error
    return _required(Expectation(value, pattern), value)


def expect_options(text_name: str, regex_name: str, where: str) -> Decorator:
    """Add two options of what to expect; the check gets them as ``texts`` and ``regexes``.

    Args:
        text_name: name of the option that takes a text.
        regex_name: name of the option that takes a regular expression.
        where: what is searched, in words that fit behind "in".
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        option = functools.partial(click.option, multiple=True)
        function = option(
            regex_name, "regexes", type=expected_regex, metavar="REGEX",
            help=f"Regular expression that must match in {where}; repeatable.",
        )(function)  # fmt: skip
        return option(
            text_name, "texts", type=expected_text, metavar="TEXT",
            help=f"Text that must be in {where}; repeatable.",
        )(function)  # fmt: skip

    return decorate


def missing(expected: Sequence[Expectation], data: bytes, until: float) -> Expectation | None:
    """Return the first expectation that the data does not meet; None where it meets all.

    Args:
        expected: the expectations.
        data: the answer.
        until: the end of the try, by `time.monotonic`.

    Raises:
        CheckError: a regular expression cannot be searched for in that time.
    """
    return next((one for one in expected if not one.is_met(data, until)), None)


def quoted(data: bytes | str) -> str:
    """Return the beginning of some data in quotes, for a status line."""
    seen = data if isinstance(data, str) else shown(data[:_SHOWN].rstrip(b"\r\n"))
    return f"'{seen}'" if len(seen) <= _SHOWN else f"'{seen[: _SHOWN - 3]}...'"


def _required(expectation: Expectation, value: str) -> Expectation:
    if not value:
        raise click.BadParameter("'' is met by any answer")
    return expectation
