"""The service: a real unbound on each endpoint, and the ways in which it breaks."""

from __future__ import annotations

from .daemon import Daemon
from .host import Host
from .topology import NETWORK, QUERY, RIGHT_ANSWER, Place

PIDFILE = "/run/unbound.pid"
CONFIGURATION = "/etc/unbound/unbound.conf"
# All other names end in SERVFAIL at once: the only forwarder is one that unbound refuses to ask.
TEXT = """\
server:
    interface-automatic: yes
    access-control: {network} allow_snoop
    access-control: {vip} allow_snoop
    access-control: 127.0.0.0/8 allow_snoop
    access-control: ::1 allow_snoop
    access-control: 2001:db8::/32 allow_snoop
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


class Resolver(Daemon):
    """The unbound of one endpoint; every change has taken effect when its method returns."""

    def __init__(self, host: Host, place: Place) -> None:
        self._place = place
        super().__init__(host, ["unbound", "-c", CONFIGURATION], PIDFILE)

    def start(self) -> None:
        """Start it with the right answer, and wait until it works."""
        text = TEXT.format(
            name=self._host.name,
            network=NETWORK,
            vip=self._place.prefix,
            pidfile=PIDFILE,
            query=QUERY,
            answer=RIGHT_ANSWER,
        )
        self._host.write(CONFIGURATION, text)
        self._host.write("/var/log/unbound.log", "", owner="unbound")
        super().start()

    def answer(self, address: str) -> None:
        """Make it answer the query with that address, which may be wrong."""
        self._control("local_zone", f"{QUERY}.", "static")
        self._control("local_data_remove", f"{QUERY}.")
        self._control("local_data", f"{QUERY}. 5 IN A {address}")

    def servfail(self) -> None:
        """Make it answer the query with SERVFAIL."""
        self._control("local_zone_remove", f"{QUERY}.")

    def repair(self) -> None:
        """Make it answer rightly again, whatever was done to it."""
        super().repair()
        self.answer(RIGHT_ANSWER)

    def _control(self, *words: str) -> str:
        return self._host.run(["unbound-control", "-c", CONFIGURATION, *words], check=True).stdout

    def _obeys(self) -> bool:
        argv = ["unbound-control", "-c", CONFIGURATION, "status"]
        return self._host.run(argv).returncode == 0
