"""The service: a real unbound on each endpoint, and the ways in which it breaks."""

from __future__ import annotations

from .host import Host
from .topology import NETWORK, QUERY, RIGHT_ANSWER, VIP
from .waiting import wait_until

PIDFILE = "/run/unbound.pid"
CONFIGURATION = "/etc/unbound/unbound.conf"
# All other names end in SERVFAIL at once: the only forwarder is one that unbound refuses to ask.
TEXT = """\
server:
    interface-automatic: yes
    access-control: {network} allow_snoop
    access-control: {vip}/32 allow_snoop
    access-control: 127.0.0.0/8 allow_snoop
    access-control: ::1 allow_snoop
    identity: "{name}"
    nsid: "ascii_{name}"
    chroot: ""
    directory: "/etc/unbound"
    pidfile: "{pidfile}"
    username: "unbound"
    use-syslog: no
    logfile: "/var/log/unbound.log"
    num-threads: 1
    module-config: "iterator"
    do-not-query-localhost: yes
    local-zone: "{query}." static
    local-data: "{query}. 5 IN A {answer}"
remote-control:
    control-enable: yes
    control-interface: /run/unbound.ctl
    control-use-cert: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1
"""


class Resolver:
    """The unbound of one endpoint; every change has taken effect when its method returns."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def start(self) -> None:
        """Start it, answering rightly."""
        text = TEXT.format(
            name=self._host.name,
            network=NETWORK,
            vip=VIP,
            pidfile=PIDFILE,
            query=QUERY,
            answer=RIGHT_ANSWER,
        )
        self._host.write(CONFIGURATION, text)
        self._host.write("/var/log/unbound.log", "", owner="unbound")
        self._host.run(["unbound", "-c", CONFIGURATION], check=True)
        wait_until(self._obeys, f"{self._host.name}: unbound has started")

    def kill(self) -> None:
        """End it without warning: clients get a refusal."""
        self._signal("KILL")
        wait_until(lambda: not self._state(), f"{self._host.name}: unbound is dead")

    def hang(self) -> None:
        """Stop it where it stands: clients hear nothing."""
        self._signal("STOP")
        wait_until(lambda: self._state() == "T", f"{self._host.name}: unbound has stopped")

    def resume(self) -> None:
        """Let it go on after `hang`."""
        self._signal("CONT")
        wait_until(self._obeys, f"{self._host.name}: unbound goes on")

    def answer(self, address: str) -> None:
        """Make it answer the query with that address, be it wrong."""
        self._control("local_zone", f"{QUERY}.", "static")
        self._control("local_data_remove", f"{QUERY}.")
        self._control("local_data", f"{QUERY}. 5 IN A {address}")

    def servfail(self) -> None:
        """Make it answer the query with SERVFAIL."""
        self._control("local_zone_remove", f"{QUERY}.")

    def repair(self) -> None:
        """Make it answer rightly again, whatever was done to it."""
        state = self._state()
        if not state:
            self.start()
        elif state == "T":
            self.resume()
        self.answer(RIGHT_ANSWER)

    def _control(self, *words: str) -> str:
        return self._host.run(["unbound-control", "-c", CONFIGURATION, *words], check=True).stdout

    def _obeys(self) -> bool:
        argv = ["unbound-control", "-c", CONFIGURATION, "status"]
        return self._host.run(argv).returncode == 0

    def _pid(self) -> str:
        return self._host.run(["cat", PIDFILE]).stdout.strip()

    def _signal(self, name: str) -> None:
        self._host.run(["kill", "-s", name, self._pid()], check=True)

    def _state(self) -> str:
        """Give the letter of its process's state; empty where there is no process."""
        pid = self._pid()
        return self._host.run(["ps", "-o", "stat=", "-p", pid]).stdout[:1] if pid else ""
