"""One safe line of output; the exit boundaries need it, so it uses the standard library only."""

LIMIT = 200


def clean(text: str, limit: int = LIMIT) -> str:
    """Make one line of printable ASCII that has no ``|``.

    The words of peers, programs and exceptions become plugin output, in which a newline ends the
    status line and ``|`` begins the performance data.

    Args:
        text: any text, that of a peer included.
        limit: largest number of characters; a longer text is cut and then ends in ``...``.
    """
    printable = "".join(c if c.isprintable() and c.isascii() else _stand_in(c) for c in text)
    line = " ".join(printable.replace("|", "!").split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _stand_in(character: str) -> str:
    return " " if character.isspace() or ord(character) < 0x20 else "?"
