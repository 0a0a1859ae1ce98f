"""`gate --install`: what the person's own ssh gives to an endpoint, and takes from it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from anycast_handlers.errors import InstallationError
from anycast_handlers.gate import install as module

from tests.ssh.server import Sshd, key, public

# The person's configuration forwards what it can to every host, by way of a bastion.
CONFIG = """
Host endpoint
    Port {endpoint.port}
    ProxyJump bastion
Host near
    Port {endpoint.port}
Host bastion
    Port {bastion.port}
Host *
    HostName {endpoint.address}
    UserKnownHostsFile {known_hosts}
    IdentityAgent {agent}
    ForwardAgent yes
    ForwardX11 yes
    RemoteForward {forwarded} 127.0.0.1:9
"""
# It says more than is kept of an endpoint, and ends.
FLOOD = "exec head -c 100000000 /dev/zero"


class Person:
    """A person with an agent, whose configuration of ssh knows an endpoint behind a bastion."""

    def __init__(self, directory: Path) -> None:
        places = []
        for name in ("bastion", "endpoint"):
            (directory / name).mkdir()
            places.append(Sshd(directory / name))
        self.bastion, self.endpoint = places
        self.identity = key(directory / "own")
        for place in places:
            self.allow(place)
        known = directory / "known_hosts"
        known.write_text("".join(place.known_hosts.read_text() for place in places))
        self.agent, self.forwarded = directory / "agent", directory / "forwarded"
        self.config = directory / "config"
        self.config.write_text(CONFIG.format(known_hosts=known, **vars(self)))

    def allow(self, place: Sshd, options: str = "") -> None:
        """Let the person log in there, with these options."""
        file = place.directory / "authorized_keys"
        file.write_text(f"{options} {public(self.identity)}\n".lstrip())

    @contextmanager
    def at_work(self) -> Iterator[Person]:
        with ExitStack() as stack:
            for place in (self.bastion, self.endpoint):
                stack.enter_context(place.running())
            agent = ("ssh-agent", "-D", "-a", str(self.agent))
            running = stack.enter_context(subprocess.Popen(agent, stdout=subprocess.PIPE))
            stack.callback(running.kill)
            assert running.stdout
            # It has said so once it listens.
            running.stdout.readline()
            environment = {**os.environ, "SSH_AUTH_SOCK": str(self.agent)}
            add = ("ssh-add", "-q", str(self.identity))
            subprocess.run(add, check=True, env=environment, stderr=subprocess.DEVNULL)
            yield self


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    made = Person(tmp_path)
    program, *options = module.SSH
    monkeypatch.setattr(module, "SSH", (program, "-F", str(made.config), *options))
    with made.at_work():
        yield made


@pytest.mark.parametrize("where", ["near", "endpoint"])
def test_nothing_of_the_person_is_forwarded(person: Person, where: str) -> None:
    """The agent logs in, at the bastion too, and stays out of the reach of the endpoint."""
    script = f'echo "<$SSH_AUTH_SOCK$DISPLAY>"; test ! -e {person.forwarded} || echo forwarded'
    ended = subprocess.run(
        (*module.SSH, where, script), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "<>\n"), ended.stderr


def test_an_endpoint_that_stays_silent_is_left(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its connection alive, so ssh would wait for ever."""
    monkeypatch.setattr(module, "SECONDS", 3.0)
    person.allow(person.endpoint, 'command="exec sleep 600"')
    with pytest.raises(InstallationError) as caught:
        module.install("near", b"", dry_run=True)
    assert str(caught.value) == "near: not ended in 3 s: look there, and install again"


def test_an_endpoint_that_says_too_much_is_kept_up_to_a_limit(person: Person) -> None:
    for output in ("", " >&2"):
        person.allow(person.endpoint, f'command="{FLOOD}{output}"')
        with pytest.raises(InstallationError) as caught:
            module.install("near", b"", dry_run=True)
        why = f"more than {module.LARGEST_OUTPUT} bytes were said: look there, and install again"
        assert str(caught.value) == f"near: {why}"
