"""An Icinga 2 daemon without a lab, for the tests of icinga2-templates/."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.icinga import DIRECTORIES, TEMPLATES
from lab.waiting import wait_until

ICINGA = shutil.which("icinga2")
VIP = 'address = "10.99.0.53", check = "dns", dns_query = "www.example.org"'
needs_icinga = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to own directories as nagios"),
    pytest.mark.skipif(ICINGA is None, reason="needs icinga2 (Debian package icinga2-bin)"),
]

SECONDS = 60.0


@contextmanager
def home() -> Iterator[Path]:
    """Make a directory that the daemon's user can enter, and that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="anycast-icinga-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Icinga:
    """An Icinga 2 of its own, in a directory that its unprivileged user can enter."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.node = "mon"
        self.config = home / "icinga2.conf"
        self._directories: list[str] = []
        for constant, name in {**DIRECTORIES, "ConfigDir": "etc"}.items():
            (home / name).mkdir()
            self._directories.append(f"-D{constant}={home / name}")
        self._directories.append(f"-DZonesDir={home / 'etc' / 'zones.d'}")
        shutil.copytree(TEMPLATES, home / "templates")

    def _own(self) -> None:
        subprocess.run(["chown", "-R", "nagios:nagios", self.home], check=True)
        subprocess.run(["chmod", "-R", "u+rwX,go+rX", self.home], check=True)

    def certify(self) -> Path:
        """Give it the certificate of its node, which its API needs; returns the directory."""
        certs = self.home / "data" / "certs"
        certs.mkdir(parents=True)
        made = ["openssl", "req", "-x509", "-days", "2", "-nodes", "-subj", f"/CN={self.node}"]
        made += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        made += ["-addext", f"subjectAltName=DNS:{self.node},DNS:localhost"]
        made += ["-keyout", str(certs / f"{self.node}.key")]
        made += ["-out", str(certs / f"{self.node}.crt")]
        subprocess.run(made, check=True, capture_output=True)
        (certs / "ca.crt").write_bytes((certs / f"{self.node}.crt").read_bytes())
        return certs

    def write(self, objects: str) -> None:
        """Configure the library, the templates and these objects."""
        self.config.write_text(
            'const PluginDir = "/usr/lib/nagios/plugins"\n'
            f'const NodeName = "{self.node}"\nconst ZoneName = "{self.node}"\n'
            f"include <itl>\ninclude <plugins>\n{objects}"
        )
        self._own()

    def validate(self, hosts: str, constants: str = "") -> subprocess.CompletedProcess[str]:
        """Load a configuration with these hosts, as `icinga2 daemon -C` does."""
        self.write(f'{constants}include "{self.home}/templates/*.conf"\n{hosts}')
        return self._run(["daemon", "-C", *self._dumping(), "-c", str(self.config)])

    def _dumping(self) -> list[str]:
        """Give the option without which `object list` finds nothing, from Icinga 2.14 on."""
        option = "--dump-objects"
        return [option] if option in self._run(["daemon", "--help"]).stdout else []

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ICINGA), *arguments, *self._directories],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def services(self) -> dict[str, dict[str, str]]:
        """Read the services of the last valid configuration: attributes and variables, as text."""
        listing = self._run(["object", "list", "--type", "Service"]).stdout
        found = {}
        for part in listing.split("Object '")[1:]:
            name, _, body = part.partition("'")
            found[name] = dict(re.findall(r"^ +\* (\w+) = (.*)$", body, re.M))
        return found

    def notifications(self) -> list[str]:
        """List the notifications of the last valid configuration, each as HOST!SERVICE!RULE."""
        listing = self._run(["object", "list", "--type", "Notification"]).stdout
        return re.findall(r"^Object '(.+)' of type", listing, re.M)

    def variables(self, service: str) -> dict[str, str]:
        """Read the custom variables of a service of the last valid configuration, as text."""
        listing = self._run(["object", "list", "--type", "Service", "--name", service]).stdout
        return dict(re.findall(r"^ +\* (anycast_\w+) = (.*)$", listing, re.M))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the daemon on the configuration that was written."""
        self._own()
        with (self.home / "out").open("wb") as out:
            daemon = subprocess.Popen(
                [str(ICINGA), "daemon", "-c", str(self.config), *self._directories],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            yield
        except BaseException:
            print((self.home / "out").read_text(errors="replace"))
            raise
        finally:
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()


def host(settings: str, head: str = 'address = "192.0.2.11"') -> str:
    return (
        f'object Host "ns1" {{\n import "anycast-endpoint"\n {head}\n'
        f' vars.anycast["resolver"] = {settings}\n}}\n'
    )


def pool(settings: str) -> str:
    head = 'import "anycast-pool-host"'
    return f'object Host "ns1" {{ {head}\n vars.anycast_pool["resolver"] = {{ {settings} }} }}\n'


def by_hand(variables: str, address: str = "192.0.2.11") -> str:
    """Write a host and its health service, which a person makes without the rules."""
    return f"""
include "%s/templates/*.conf"
object Host "ns1" {{ check_command = "dummy", address = "{address}" }}
object Service "anycast-health-resolver" {{
  import "anycast-health"
  host_name = "ns1"
  check_command = "anycast_by_ssh", event_command = "anycast_event", enable_event_handler = true
  check_interval = 1, retry_interval = 1, max_check_attempts = 2, check_timeout = 20
  vars.anycast_vip = "resolver", vars.anycast_address = "10.99.0.53"
  {variables}
}}
"""


RECORDER = """#!/usr/bin/python3 -I
import json, os, pathlib, subprocess, sys
home = pathlib.Path(__file__).resolve().parents[1]
with open(home / "calls", "a") as calls:
    print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), file=calls)
if os.path.basename(sys.argv[0]) == "check_by_ssh":
    state = (home / "state").read_text()
    if state == "hang":
        # Like ssh it outlives its parent, whose pipes it holds rather than the engine's.
        loop = ["/bin/sh", "-c", 'while [ -e "$0" ]; do sleep 0.2; done', home / "child"]
        child = subprocess.Popen(loop, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        (home / "child").write_text(str(child.pid))
        child.wait()
        state = (home / "state").read_text()
    sys.exit(int(state))
"""


class Recorded(Icinga):
    """An Icinga 2 whose check_by_ssh and anycast-handler write down what they are given."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        programs = home / "bin"
        programs.mkdir()
        (programs / "recorder").write_text(RECORDER)
        (programs / "recorder").chmod(0o755)
        for name in ("check_by_ssh", "check_nrpe", "check_dummy", "anycast-handler"):
            (programs / name).symlink_to("recorder")
        (home / "calls").touch()
        (home / "child").touch()
        self.check_says("0")

    def check_says(self, state: str) -> None:
        """Let the health check end with this code from now on, or hang."""
        fresh = self.home / "state.new"
        fresh.write_text(state)
        fresh.chmod(0o644)
        fresh.replace(self.home / "state")

    def configure(self, objects: str) -> None:
        """Configure these objects, with the recorder in place of the programs."""
        self.write(
            f'const AnycastHandler = "{self.home}/bin/anycast-handler"\n'
            'object CheckerComponent "checker" {}\n'
            f'object ExternalCommandListener "c" {{ command_path = "{self.home}/run/cmd" }}\n'
            + objects.replace("%s", str(self.home))
        )
        plugins, own = "/usr/lib/nagios/plugins", f"{self.home}/bin"
        text = self.config.read_text().replace(f'PluginDir = "{plugins}', f'PluginDir = "{own}', 1)
        for program in ("check_by_ssh", "check_nrpe", "check_dummy"):
            text = text.replace(f"{plugins}/{program}", f"{own}/{program}")
        self.config.write_text(text.replace("/usr/local/bin", own))

    def first_check(self, objects: str) -> list[str]:
        """Run these objects until their first check by SSH, and give its words."""
        self.configure(objects)
        (self.home / "calls").write_text("")
        with self.running():
            return wait_until(lambda: self.calls("check_by_ssh"), "a check", SECONDS)[0]

    def warned(self, text: str) -> bool:
        """Tell whether the daemon's log has a warning with this text."""
        lines = (self.home / "out").read_text().splitlines()
        return any("warning/" in line and text in line for line in lines)

    def calls(self, program: str, verb: str = "") -> list[list[str]]:
        """List the arguments of each call so far of a program, or of one verb of the handler."""
        lines = (self.home / "calls").read_text().splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        calls = [call[1:] for call in whole if call[0] == program]
        return [call for call in calls if not verb or call[0] == verb]

    def states(self, verb: str) -> list[tuple[str, str, str]]:
        """List the state, the state type and the downtime of each call of a verb so far."""
        found = []
        for call in self.calls("anycast-handler", verb):
            assert call[1:3] == ["resolver", "ns1"]
            options = dict(zip(call[3::2], call[4::2], strict=True))
            checked = options.pop("--checked", "")
            assert bool(checked) == (verb == "enforce")
            asked = [options.pop(name, None) for name in ("--address", "--management")]
            assert asked == (["10.99.0.53", "192.0.2.11"] if checked else [None, None])
            # Before the first check Icinga says -1, and nothing may act on the state then.
            assert not checked.startswith("-") or options["--state"] == "UNKNOWN"
            assert list(options) == ["--downtime", "--state", "--state-type"]
            found.append((options["--state"], options["--state-type"], options["--downtime"]))
        return found

    def end(self) -> None:
        """Wait for the end of what the daemon left running, hung programs included."""
        self.check_says("0")
        (self.home / "child").unlink()
        wait_until(lambda: not self._processes(), "the end of the programs", SECONDS)

    def _processes(self) -> list[Path]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(self.home) in (process / "cmdline").read_bytes():
                    found.append(process)
        return found

    def command(self, text: str) -> None:
        """Give the daemon an external command."""
        pipe = os.open(self.home / "run" / "cmd", os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, f"[{int(time.time())}] {text}\n".encode())
        os.close(pipe)
