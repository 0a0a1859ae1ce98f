"""Routing: BIRD, as on real routers and endpoints."""

from __future__ import annotations

from .host import Host

CONFIGURATION, SOCKET, PIDFILE = "/etc/bird/bird.conf", "/run/bird/bird.ctl", "/run/bird/bird.pid"
BIRD = ("/usr/sbin/bird", "-c", CONFIGURATION, "-s", SOCKET, "-P", PIDFILE)
STARTS = (*BIRD, "-u", "bird", "-g", "bird")


def start(host: Host, text: str) -> None:
    """Start BIRD with that configuration."""
    for directory in ("/etc/bird", "/run/bird"):
        host.make_directory(directory, owner="bird")
    _write(host, text)
    host.run(STARTS, check=True)


def configure(host: Host, text: str) -> None:
    """Give BIRD another configuration."""
    _write(host, text)
    ask(host, "configure")


def ask(host: Host, question: str) -> str:
    """Ask BIRD, or tell it to do something, in birdc's words."""
    return host.run(["/usr/sbin/birdc", *question.split()], check=True).stdout


def _write(host: Host, text: str) -> None:
    host.write(CONFIGURATION, text, owner="bird", mode=0o640)
