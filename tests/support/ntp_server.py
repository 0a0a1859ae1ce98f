"""Answers of time servers, byte by byte."""

from __future__ import annotations

import struct
import time
from typing import Any

EPOCH = 2208988800


def stamp(seconds: float) -> int:
    return int((seconds + EPOCH) * 2**32) % 2**64


def packet(query: bytes, **changes: Any) -> bytes:
    """Return the answer of a good server, with these changes."""
    good: dict[str, Any] = {
        "leap": 0, "version": 4, "mode": 4, "stratum": 2, "reference": bytes([192, 0, 2, 1]),
        "origin": int.from_bytes(query[40:48], "big"), "ahead": 0.0, "dispersion": 0.01,
    } | changes  # fmt: skip
    now = stamp(good.get("at", time.time()) + good["ahead"])
    return struct.pack(
        "!BBbbII4sQQQQ",
        good["leap"] << 6 | good["version"] << 3 | good["mode"],
        good["stratum"], 6, -20, 0x1000, int(good["dispersion"] * 65536),
        good["reference"], now, good["origin"], now, now,
    )  # fmt: skip
