"""Fresh roots of a Debian release, as `scripts/roots.sh` makes and keeps them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .program import ROOT

SCRIPT = """
. scripts/setup.sh
. scripts/roots.sh
need_packages mmdebstrap
release=$1 directory=$2
shift 2
clean_root "$release" "$@"
mkdir "$directory"
tar -C "$directory" -xf "$ROOT_OF_RELEASE"
"""


def unpack_root(release: str, packages: str, directory: Path) -> None:
    """Make a directory that is the root of a release with these packages, between spaces."""
    argv = ["bash", "-euc", SCRIPT, "bash", release, str(directory), *packages.split()]
    made = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
