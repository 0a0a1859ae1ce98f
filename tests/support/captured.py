"""What real daemons have said, as tests/unit/captured/ has it."""

from __future__ import annotations

import re
from pathlib import Path

from anycast_checks.routing.daemon import Answer

DIRECTORY = Path(__file__).parents[1] / "unit" / "captured"
# Behind an answer with another exit status than 0 its status was noted.
_STATUS = re.compile(r"\n\(exit status (\d+)\)\n?\Z")


def captured(name: str) -> Answer:
    """Read an answer; its name is that of the file, without the ending."""
    (file,) = (one for one in DIRECTORY.glob(f"{name}.*") if one.stem == name)
    text = file.read_text()
    status = _STATUS.search(text)
    return Answer(int(status[1]) if status else 0, _STATUS.sub("", text), "")
