"""Bytes that were sent or received, as lines that a person can read; standard library only."""

_WIDTH = 76
_LINES = 200
_ESCAPES = {0x5C: "\\\\", 0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t"}


def shown(data: bytes) -> str:
    """Return printable ASCII, with escapes for the rest, as --send and --expect take them."""
    return "".join(_character(byte) for byte in data)


def dump(data: bytes) -> list[str]:
    """Return the lines of it, those that are long cut into several; "(end)" for no bytes.

    Longer data ends in a line that says how much of it is not shown.
    """
    if not data:
        return ["(end)"]
    lines: list[str] = []
    for line in data.splitlines(keepends=True):
        text = shown(line)
        lines += [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
        if len(lines) >= _LINES:
            return [*lines[:_LINES], f"... {len(data)} bytes in all"]
    return lines


def _character(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
