"""One safe line of output; standard library only, since the exit boundaries need it first."""

LIMIT = 200


def clean(text: str, limit: int = LIMIT) -> str:
    """Make one line of printable ASCII that carries no perfdata separator.

    Whatever a peer, a program or an exception says ends up in plugin output, where a newline
    ends the status line and ``|`` starts the perfdata.

    Args:
        text: anything, remote data included.
        limit: the most characters of the result; a longer text ends in ``...``.
    """
    printable = "".join(c if c.isprintable() and c.isascii() else _stand_in(c) for c in text)
    line = " ".join(printable.replace("|", "!").split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _stand_in(character: str) -> str:
    return " " if character.isspace() or ord(character) < 0x20 else "?"
