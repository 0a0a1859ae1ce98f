"""A program that runs beside a test, from the moment at which it says that it is ready."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def running(argv: Sequence[str], says: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program, wait for the line that it says first, and kill it in the end."""
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"{says}\n"
            yield process
        finally:
            process.kill()
