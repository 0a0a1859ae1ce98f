"""A picture of what a terminal shows: the output of real commands, as SVG."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple
from xml.sax.saxutils import escape

from .errors import LabError
from .host import Host

COLUMNS = 88
# Pixels of one character, of a line, and around everything.
WIDTH, HEIGHT, MARGIN = 8.4, 19, 14
# The colours of click, by their numbers in an escape sequence.
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341"}
BOLD = "1"
ESCAPE = re.compile(r"\x1b\[([\d;]*)m")


class Piece(NamedTuple):
    """Some characters of a line, and the codes of their colour and weight."""

    text: str
    codes: frozenset[str] = frozenset()


def shown(host: Host, argv: Sequence[str], user: str) -> list[str]:
    """Run a command as a person does, in a terminal, and give its lines with their colours.

    Raises:
        LabError: the command has failed.
    """
    terminal, inside = os.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        # Without a terminal it prints no colours.
        process = host.popen(argv, user=user, stdout=inside, stderr=inside)
        os.close(inside)
        printed = "".join(_read(screen))
    typed = " ".join(argv)
    if process.wait() != 0:
        raise LabError(f"{host.name}: {typed}: exit status {process.returncode}: {printed}")
    return [f"$ {typed}", *printed.replace("\r", "").splitlines()]


def _read(screen: BinaryIO) -> Iterator[str]:
    # The end of the last process in a terminal is an error for whoever reads it.
    with suppress(OSError):
        while part := screen.read(65536):
            yield part.decode()


def draw(host: Host, commands: Sequence[Sequence[str]], user: str, file: Path) -> None:
    """Draw what a person sees who runs commands one after the other; see `shown` and `drawn`."""
    lines = chain.from_iterable([*shown(host, argv, user), ""] for argv in commands)
    file.write_text(drawn(list(lines)[:-1]))


def drawn(lines: Sequence[str]) -> str:
    """Draw lines as a terminal shows them; one that is too long goes on in the next row."""
    rows = list(chain.from_iterable(_rows(line) for line in lines))
    width, height = COLUMNS * WIDTH + 2 * MARGIN, len(rows) * HEIGHT + 2 * MARGIN
    font = 'font-family="monospace" font-size="14"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" {font}>',
        f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#0d1117"/>',
    ]
    for number, row in enumerate(rows):
        y = MARGIN + (number + 0.75) * HEIGHT
        spans = "".join(_span(piece) for piece in row)
        parts.append(
            f'<text x="{MARGIN}" y="{y:.1f}" xml:space="preserve" fill="#e6edf3">{spans}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _rows(line: str) -> Iterator[list[Piece]]:
    row: list[Piece] = []
    room = COLUMNS
    for piece in _pieces(line):
        text = piece.text
        while len(text) > room:
            yield [*row, Piece(text[:room], piece.codes)]
            text, row, room = text[room:], [], COLUMNS
        row.append(Piece(text, piece.codes))
        room -= len(text)
    yield row


def _pieces(line: str) -> Iterator[Piece]:
    codes: frozenset[str] = frozenset()
    text, *more = ESCAPE.split(line)
    yield Piece(text)
    for found, text in zip(more[::2], more[1::2], strict=True):
        # The code 0, and none at all, end all others.
        new = set(found.split(";")) - {""}
        codes = frozenset() if not new or "0" in new else codes | new
        yield Piece(text, codes)


def _span(piece: Piece) -> str:
    colour = next((COLOURS[code] for code in piece.codes if code in COLOURS), "")
    how = f' fill="{colour}"' if colour else ""
    how += ' font-weight="bold"' if BOLD in piece.codes else ""
    text = escape(piece.text)
    return f"<tspan{how}>{text}</tspan>" if how and text else text
