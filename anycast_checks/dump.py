"""Bytes that were sent or received, as lines that a person can read; standard library only."""

_WIDTH = 76
_LINES = 200
_ESCAPES = {0x5C: "\\\\", 0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t"}


def shown(data: bytes) -> str:
    """Return bytes as printable ASCII, with the escapes that --send and --expect accept."""
    return "".join(_character(byte) for byte in data)


def dump(data: bytes) -> list[str]:
    """Return the lines of some data, with long lines split; no data at all is shown as "(end)".

    After 200 lines a last one gives the size of the data, and the rest is left out.
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
