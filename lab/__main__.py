"""`python -m lab up`, `exec HOST -- COMMAND` and `down`: a lab to play with."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import state
from .errors import LabError
from .host import ENVIRONMENT
from .lab import Lab
from .topology import NAMES, STYLES, VIP

READY = "ready"
CHECKOUT = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if os.geteuid() != 0:
            raise LabError("needs root")
        return int(options.run(options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; nothing is left", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser("up", help="build the lab and leave it running")
    up.add_argument("--style", choices=STYLES, default=STYLES[0], help="how to announce the VIP")
    up.add_argument("--venv", type=Path, help="virtual environment with this package")
    up.add_argument("--hold-down", type=float, default=60.0, help="of the fleet file, in seconds")
    up.add_argument("--foreground", action="store_true", help="stay, and end it on Ctrl-C")
    up.set_defaults(run=_up)
    into = verbs.add_parser("exec", help="run a command in a host")
    into.add_argument("--user", default="root", help="whose rights it has (default: root)")
    into.add_argument("host", choices=NAMES, metavar="HOST", help=", ".join(NAMES))
    into.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    into.set_defaults(run=_exec)
    down = verbs.add_parser("down", help="end the lab")
    down.set_defaults(run=_down)
    return parser


def _up(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    venv = options.venv.resolve() if options.venv else None
    if options.foreground:
        lab = Lab(style=options.style, venv=venv, hold_down=options.hold_down)
        return _keep(lab)
    argv = [sys.executable, "-m", "lab", "up", "--foreground", "--style", options.style]
    argv += ["--hold-down", f"{options.hold_down}", *(["--venv", str(venv)] if venv else [])]
    # A process in a session of its own keeps the lab. It ends the lab again where this process has
    # ended before it could read that the lab is ready.
    keeper = subprocess.Popen(
        argv,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert keeper.stdout
    try:
        for line in keeper.stdout:
            if line.strip() == READY:
                print(f"The lab is up: {' '.join(NAMES)}. The VIP is {VIP}. For example:")
                print("  python -m lab exec client -- dig +nsid @10.99.0.53 www.example.org")
                print("  python -m lab down")
                return 0
            print(line, end="", file=sys.stderr)
        return keeper.wait()
    except KeyboardInterrupt:
        keeper.terminate()
        keeper.wait()
        raise


def _keep(lab: Lab) -> int:
    with state.occupied(), lab:
        state.note(lab.hosts)
        try:
            print(READY, flush=True)
        except BrokenPipeError as error:
            raise KeyboardInterrupt from error
        signal.pause()
    return 0


def _interrupt(*_: object) -> None:
    # Only the first signal counts: ending the lab must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _exec(options: argparse.Namespace) -> int:
    found = state.find()
    if found is None:
        raise LabError("no lab is up: start one with `python -m lab up`")
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise LabError("exec HOST -- COMMAND: the command is missing")
    enter = found[1][options.host].enter(argv, options.user)
    environment = {**ENVIRONMENT, "HOME": "/root", "TERM": os.environ.get("TERM", "dumb")}
    os.execvpe(enter[0], enter, environment)  # noqa: S606


def _down(options: argparse.Namespace) -> int:
    found = state.find()
    if found is None:
        print("No lab is up.")
    else:
        state.end(found[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
