"""Ask one table in this network namespace, and print what was said as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

from tests.lab.beside import PLUGINS, VIP, Compared, Row
from tests.support.program import check_anycast


def compare(row: Row) -> Compared:
    """Ask our check and each plugin."""
    theirs, lines = {}, {}
    with row.server() as port:

        def filled(words: tuple[str, ...]) -> list[str]:
            return [word.replace("PORT", str(port)).replace("VIP", VIP) for word in words]

        name, *more = filled(row.ours)
        ours = check_anycast(name, "-H", VIP, *more, "--tries", "1")
        for program, *words in row.theirs:
            argv = [f"{PLUGINS}/{program}", *filled(tuple(words))]
            ended = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", check=False, timeout=60
            )
            theirs[program] = ended.returncode
            lines[program] = ended.stdout.split("\n")[0]
    return Compared(row.says, row.right, ours.code, theirs, {"ours": ours.line, **lines})


def main(name: str) -> None:
    """Ask each row of a table."""
    for argv in (["link", "set", "lo", "up"], ["address", "add", f"{VIP}/32", "dev", "lo"]):
        subprocess.run(["ip", *argv], check=True)
    rows = import_module(f"tests.lab.beside.{name}").ROWS
    print(json.dumps([compare(row) for row in rows]))


if __name__ == "__main__":
    main(sys.argv[1])
