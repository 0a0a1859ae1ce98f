"""SSH to the endpoints: host key, accounts, sudo, and OpenSSH's own daemon."""

from __future__ import annotations

from .daemon import Daemon
from .host import Host
from .topology import Place
from .waiting import wait_until

PIDFILE = "/run/sshd.pid"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
CONFIGURATION = f"""\
ListenAddress {{address}}
HostKey {HOST_KEY}
PidFile {PIDFILE}
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
LogLevel VERBOSE
MaxStartups 200
"""
HELPER = "/usr/local/sbin/anycast-act"
SUDOERS_FILE = "/etc/sudoers.d/anycast"
MASK = "/usr/local/sbin/anycast-mask"
# The parts without which the handler can change nothing: their place and mode.
NEEDED = {
    "act": (HELPER, 0o755),
    "mask": (MASK, 0o755),
    "allow": ("/etc/anycast/gate.allow", 0o644),
}
# The benchmark measures the bare commands too.
HELPER_RULES = f"""\
Defaults:anycast !fqdn
anycast ALL=(root) NOPASSWD: {HELPER} "", /sbin/ifdown lo\\:0, /sbin/ifup lo\\:0
"""

SSHD = ["/usr/sbin/sshd", "-E", "/var/log/sshd.log"]


def make_key(host: Host, path: str, owner: str) -> str:
    """Make an ed25519 key pair that its owner can read, and return the public line."""
    host.run(["rm", "-f", path, f"{path}.pub"], check=True)
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", owner, "-f", path], check=True)
    host.run(["chown", f"{owner}:", path, f"{path}.pub"], check=True)
    return host.read(f"{path}.pub")


def make_account(host: Host, name: str, key: str) -> None:
    """Make an account that can be logged in to with that public key only."""
    # "*" means that no password is right; "!" would lock the account, and sshd without PAM would
    # then refuse its keys too.
    useradd = ["useradd", "--create-home", "--user-group", "--shell=/bin/sh", "--password=*", name]
    host.run(useradd, check=True)
    host.make_directory(f"/home/{name}/.ssh", owner=name, mode=0o700)
    host.write(f"/home/{name}/.ssh/authorized_keys", key, owner=name, mode=0o600)


def install_by_hand(host: Host, keys: dict[str, str]) -> None:
    """Make both accounts as one did before there was the gate, with all the rights of a login.

    Members of the group frrvty may ask the routing daemon by vtysh, and may configure it too.
    """
    for name, key in keys.items():
        make_account(host, name, key)
        host.run(["usermod", "-aG", "frrvty", name], check=True)
    host.make_directory("/var/lib/anycast", owner="anycast")
    host.write(SUDOERS_FILE, HELPER_RULES, mode=0o440)
    host.run(["visudo", "-cqf", SUDOERS_FILE], check=True)


def let_root_in(host: Host, key: str) -> None:
    """Let a person with that public key log in as root."""
    host.write("/root/.ssh/authorized_keys", key, mode=0o600)


def start(host: Host, place: Place) -> str:
    """Start sshd on the management address, and return its public host key."""
    key = make_key(host, HOST_KEY, "root")
    host.make_directory("/run/sshd")
    host.write("/etc/ssh/sshd_config", CONFIGURATION.format(address=place.address))
    listen(host)
    return key


def listen(host: Host, *wrapper: str) -> None:
    """Start the listener, by a command that runs another one if so, and wait until it listens.

    sshd goes to the background before it listens, and leaves its process id after that.
    """
    host.run(["rm", "-f", PIDFILE], check=True)
    host.run([*wrapper, *SSHD], check=True)
    wait_until(lambda: host.run(["test", "-s", PIDFILE]).returncode == 0, "sshd listens")


def restart(host: Host) -> None:
    """End the listener, as an upgrade does, and start it again."""
    host.end_daemon(PIDFILE)
    listen(host)


def signal_sessions(host: Host, account: str, name: str = "KILL") -> None:
    """Signal the processes that have a connection of an account, of which one has to run."""
    # Since OpenSSH 9.8 a program of its own has the connections.
    pattern = f"^sshd(-session)?: {account}"
    host.run(["pkill", f"-{name}", "-f", pattern], check=True)


def daemon(host: Host) -> Daemon:
    """Give the sshd that was started on a host."""
    return Daemon(host, SSHD, PIDFILE)
