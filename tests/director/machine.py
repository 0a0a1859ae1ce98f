"""A monitoring host with Icinga 2 and the real Director, in a root and namespaces of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.waiting import wait_until
from tests.support.beside import running
from tests.support.program import ROOT
from tests.support.root import unpack_root

HERE = Path(__file__).parent
BASKET = ROOT / "icinga2-templates/director-basket.json"
UNUSED = ROOT / "icinga2-templates/director-unused-fields.sql"
PACKAGES = (
    "icinga2 icingaweb2 icingaweb2-module-director icingacli mariadb-server php-cli php-mysql"
    " iproute2 procps"
)
STAGES = "/var/lib/icinga2/api/packages/director"
NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")
PRIVATE = ("--propagation", "private", "--fork", "--kill-child")
START = """
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
ip link set lo up
hostname mon
echo ready
# cat ends with the test's process, however that ends, and everything here ends with cat.
exec cat
"""


class Machine:
    """The host, after machine.sh, with what a person does there."""

    def __init__(self, root: Path, pid: int) -> None:
        self.root = root
        own = f"--pid=/proc/{pid}/ns/pid_for_children"
        enter = ["nsenter", "--target", str(pid), "--mount", "--net", "--uts", "--ipc", own, "--"]
        self._enter = [*enter, "chroot", str(root), "sh", "-euc"]

    def run(self, script: str) -> str:
        """Run a script as root that must work; gives what it prints."""
        ended = self._try(script)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def _try(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, script], capture_output=True, text=True, check=False, timeout=600
        )

    def restore(self, basket: dict[str, Any]) -> None:
        """Restore a basket, as a person does."""
        (self.root / "root/director-basket.json").write_text(json.dumps(basket))
        self.run("icingacli director basket restore < /root/director-basket.json")

    def create(self, kind: str, name: str, **properties: Any) -> None:
        """Create an object, as a form or a script of a person does."""
        words = shlex.join([kind, "create", name, "--json", json.dumps(properties)])
        self.run(f"icingacli director {words}")

    def shown(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object as it is in the Director."""
        return dict(json.loads(self.run(f"icingacli director {kind} show {name} --json")))

    def deploy(self) -> tuple[str, str]:
        """Render and deploy; gives the status, 0 where Icinga took it, and what Icinga logged."""
        self.run("icingacli director config render")
        stage = wait_until(self._upload, "Icinga takes a deployment")
        file = stage / "status"
        status = wait_until(lambda: file.exists() and file.read_text(), "Icinga has read it")
        return str(status).strip(), (stage / "startup.log").read_text()

    def _upload(self) -> Path | None:
        """Deploy what was rendered; gives its directory, and None while Icinga is busy."""
        before = self._stages()
        ended = self._try("icingacli director config deploy")
        said = ended.stdout + ended.stderr
        # Icinga takes one at a time, and may still be reading what the kickstart has deployed.
        if "ongoing package update" in said:
            return None
        assert ended.returncode == 0, said
        (stage,) = self._stages() - before
        return stage

    def _stages(self) -> set[Path]:
        found = (self.root / STAGES[1:]).glob("*/")
        return {one for one in found if one.is_dir()}

    def offered(self, kind: str, **properties: Any) -> set[str]:
        """List the variables that the form of such an object offers."""
        text = json.dumps({"object_type": "object", "object_name": "new", **properties})
        return set(json.loads(self.run(shlex.join(["php", "/root/fields.php", kind, text]))))

    def rows(self) -> dict[str, int]:
        """Count the rows of each table of the Director."""
        tables = self.run("mariadb -N director -e 'SHOW TABLES'").split()
        counts = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {name}" for name in tables)
        lines = self.run(f'mariadb -N director -e "{counts}"').splitlines()
        return {name: int(count) for name, count in map(str.split, lines)}

    def fields(self) -> list[str]:
        """List the names of the data fields of the suite, each as often as it is there."""
        asked = "SELECT varname FROM director_datafield WHERE varname LIKE 'anycast%'"
        return sorted(self.run(f'mariadb -N director -e "{asked}"').split())

    def remove_unused_fields(self) -> None:
        """Run the shipped statement, as a person does after the restore of a new version."""
        shutil.copy(UNUSED, self.root / "root")
        self.run(f"mariadb director < /root/{UNUSED.name}")

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask Icinga's API, and give what is in `results`."""
        words = ["php", "/root/api.php", method, path, json.dumps(body or {})]
        # While Icinga starts anew, nobody answers.
        answer = json.loads(wait_until(lambda: self.run(shlex.join(words)), "Icinga's API"))
        assert "results" in answer, answer
        return answer["results"]

    def services(self) -> dict[str, dict[str, Any]]:
        """Read the attributes of each service, as the daemon has it; the key is HOST!NAME."""
        return {one["name"]: one["attrs"] for one in self.api("GET", "objects/services")}

    def check(self, service: str) -> None:
        """Let Icinga check a service at once."""
        about = {"type": "Service", "filter": f'service.__name == "{service}"', "force": True}
        self.api("POST", "actions/reschedule-check", about)

    def says(self, service: str, status: int) -> None:
        """Give Icinga a result of a service, as a satellite does."""
        about = {"type": "Service", "filter": f'service.__name == "{service}"'}
        result = {"exit_status": status, "plugin_output": "said"}
        self.api("POST", "actions/process-check-result", {**about, **result})

    def plugin_ends(self, program: str, code: int) -> None:
        """Let a plugin end with this code from now on."""
        (self.root / "opt/state" / program).write_text(str(code))

    def calls(self, program: str, *words: str) -> list[list[str]]:
        """List the command lines so far of a program, of which the words are a part."""
        lines = (self.root / "opt/state/calls").read_text().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in whole if Path(one[0]).name == program and set(words) <= set(one)]

    def log(self) -> str:
        """Read Icinga's log."""
        return (self.root / "var/log/icinga2/icinga2.log").read_text(errors="replace")


@contextmanager
def machine(release: str, directory: Path) -> Iterator[Machine]:
    """Make the host of a release of Debian, and end it, with all that runs there."""
    unpack_root(release, PACKAGES, directory)
    for name in ("machine.sh", "recorder.php", "fields.php", "api.php"):
        shutil.copy(HERE / name, directory / "root")
    try:
        start = ["sh", "-c", START, "sh", str(directory)]
        with running(["unshare", *NAMESPACES, *PRIVATE, *start], "ready") as process:
            made = Machine(directory, process.pid)
            made.run("sh -eu /root/machine.sh")
            yield made
    finally:
        shutil.rmtree(directory)
