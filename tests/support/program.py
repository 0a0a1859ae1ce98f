"""check_anycast as an engine starts it: without HOME and PATH, in the C locale and in /."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.printed import Printed

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}


def command_line(*arguments: str, source: Path = ROOT, before: str = "") -> list[str]:
    """Return a command that runs some preparation, then the console script in isolated mode."""
    code = (
        f"import sys; sys.path.insert(0, {str(source)!r}); {before}\n"
        "from anycast_checks.__main__ import main\n"
        "sys.exit(main())"
    )
    return [sys.executable, "-I", "-c", code, *arguments]


def check_anycast(
    *arguments: str,
    source: Path = ROOT,
    before: str = "",
    wrapper: Sequence[str] = (),
    preexec_fn: Callable[[], Any] | None = None,
) -> Printed:
    """Run check_anycast to its end; nothing may be on stderr, whatever happens."""
    done = subprocess.run(
        [*wrapper, *command_line(*arguments, source=source, before=before)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd="/",
        timeout=60,
        check=False,
        preexec_fn=preexec_fn,
    )
    assert done.stderr == ""
    return Printed(done.returncode, done.stdout)


def start(*arguments: str, source: Path = ROOT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*arguments, source=source),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd="/",
    )
