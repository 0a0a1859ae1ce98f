"""Fuzz guided by coverage: ``python -m tests.fuzz [SECONDS [TARGET...]]``; needs atheris.

Each target runs so many seconds (60), as a process of its own. What it finds is left in the
directory ``.fuzz/`` below the current one, as is its corpus, with which the next run begins.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORPUS = Path(".fuzz")


def main(arguments: list[str]) -> int:
    """Run the targets one after another; 1 where one has found something."""
    from tests.fuzz.targets import TARGETS

    seconds = arguments[0] if arguments else "60"
    failed = []
    for name in arguments[1:] or TARGETS:
        code = f"from tests.fuzz.__main__ import fuzz; fuzz({name!r}, {seconds!r})"
        ended = subprocess.run([sys.executable, "-c", code], check=False)
        print(f"{name}: {'nothing found' if ended.returncode == 0 else 'FOUND SOMETHING'}")
        failed += [name] if ended.returncode else []
    return 1 if failed else 0


def fuzz(name: str, seconds: str) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    # Only modules that are imported within the block are watched.
    with atheris.instrument_imports():
        from tests.fuzz.seeds import SEEDS
        from tests.fuzz.targets import TARGETS
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=20000",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    artifacts = f"-artifact_prefix={corpus}-"
    atheris.Setup([sys.argv[0], *options, artifacts, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
