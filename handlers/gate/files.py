"""The files that an endpoint needs: forced command, its closed list, sudoers, authorized_keys."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files

from anycast_checks.routing import bird
from anycast_checks.routing import vtysh as asked_by_vtysh

from ..endpoint.check import ROUTING, check_of, is_ours
from ..errors import ConfigurationError
from ..fleet.values import Ssh, Vip
from ..transport.shell import Argv
from .allowed import Allowed, Command

GATE = "/usr/local/sbin/anycast-gate"
ALLOW = "/etc/anycast/gate.allow"
SUDOERS = "/etc/sudoers.d/anycast"
MASK = "/usr/local/sbin/anycast-mask"
VTYSH = asked_by_vtysh.HELPER
BIRDC = bird.HELPER
CHECK_GATE = "/usr/local/sbin/anycast-check-gate"
CHECK_ALLOW = "/etc/anycast/check.allow"
CHECK_SUDOERS = "/etc/sudoers.d/anycast-check"
NRPE_SUDOERS = "/etc/sudoers.d/anycast-nrpe"
SUDO_WORD = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")
PUBLIC_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [ -~]*)?")
AGAIN = "# Made by `anycast-handler gate`; to be made anew after a change of the fleet file.\n"
NRPE = "/etc/nagios/nrpe.d/anycast.cfg"
# nrpe reads a line of its file into a buffer of 2048 bytes and silently cuts a longer one.
NRPE_LINE = 2000
# The last line of the list; a list that was cut short lacks it.
END = "# end\n"
# The list of the handler's account ends so. One that ends otherwise was installed with a forced
# command that takes one line at a time.
SEVERAL = "# end; of what does not read, several may be asked for at once\n"


def gate() -> str:
    """Give the forced command's text, for GATE."""
    return files(__package__).joinpath("anycast-gate").read_text()


def helper() -> str:
    """Give the text of the program that makes every change, for HELPER."""
    return files(__package__).joinpath("anycast-act").read_text()


def allow(listed: Sequence[Allowed], more: Sequence[Command] = ()) -> str:
    """Write the closed list, for ALLOW, with commands that are for no VIP."""
    blocks = dict.fromkeys(block for one in listed for block in blocks_of(one))
    blocks |= dict.fromkeys(map(_run, more))
    return f"{AGAIN}{''.join(blocks)}{SEVERAL}"


def blocks_of(allowed: Allowed) -> Iterator[str]:
    """Write what the closed list has for one VIP, a block for each command."""
    address = allowed.vip.address
    yield f"vip {address} {allowed.vip.placement.interface}\n"
    for argv in allowed.acts:
        yield _block(f"act {address}", argv)
    for by in allowed.masks:
        yield f"mask {address} {by}\n"
    if allowed.drains:
        yield f"drain {address}\n"
    for command in allowed.commands:
        yield _run(command)


def vtysh() -> str:
    """Give the text of the program that asks vtysh, for VTYSH."""
    return files(__package__).joinpath("anycast-vtysh").read_text()


def birdc() -> str:
    """Give the text of the program that asks BIRD, for BIRDC."""
    return files(__package__).joinpath("anycast-birdc").read_text()


def mask() -> str:
    """Give the text of the program that masks an address in the manager's files, for MASK."""
    return files(__package__).joinpath("anycast-mask").read_text()


def check_gate() -> str:
    """Give the text of the checks' forced command, for CHECK_GATE."""
    return files(__package__).joinpath("anycast-check-gate").read_text()


def sudoers(ssh: Ssh, listed: Sequence[Allowed], more: Sequence[Command] = ()) -> str:
    """Write which of these commands the account may run as root, for SUDOERS.

    Raises:
        ConfigurationError: an argument cannot be written so that every sudo reads the same.
    """
    commands = [*(command for one in listed for command in one.commands), *more]
    privileged = [command.privileged for command in commands]
    return AGAIN + rules(ssh.user, [argv for argv in privileged if argv])


def rules(account: str, commands: Sequence[Argv]) -> str:
    """Write the rules by which an account may run commands as root; raises as `sudoers` does."""
    lines = dict.fromkeys(map(_rule, commands))
    if not lines:
        return f"# {account} needs no sudo.\n"
    listed = ", \\\n    ".join(lines)
    # Debian's sudo looks up the name of its own host, and where that is not in /etc/hosts asks a
    # name server for it: perhaps the one on this very endpoint that hangs and is to be withdrawn.
    return f"Defaults:{account} !fqdn\n{account} ALL=(root) NOPASSWD: \\\n    {listed}\n"


def nrpe(vips: tuple[Vip, ...]) -> str:
    """Write the commands by which NRPE runs the checks of some VIPs, for NRPE.

    nrpe gives each command to a shell; no part of a command comes from the network.

    Raises:
        ConfigurationError: a check has a line break, or is longer than nrpe.cfg can express.
    """
    return AGAIN + "".join(line for vip in vips for line in _nrpe_lines(vip))


def _nrpe_lines(vip: Vip) -> Iterator[str]:
    yield _nrpe_line(vip, f"anycast_{vip.name}", check_of(vip))
    if is_ours(vip.check):
        for name in ROUTING:
            argv = (vip.check[0], name, "-H", vip.address)
            # The check of a VIP never has this name, because that begins with `anycast_`.
            yield _nrpe_line(vip, f"{name}_anycast_{vip.name}", argv)


def _nrpe_line(vip: Vip, name: str, argv: Argv) -> str:
    words = shlex.join(argv)
    if "\n" in words:
        raise ConfigurationError(f"vip.{vip.name}.check: nrpe.cfg has no room for a line break")
    # nrpe takes what is between two $ for a macro, before its shell sees it.
    line = f"command[{name}]={words.replace('$', '$$')}\n"
    if len(line.encode()) > NRPE_LINE:
        raise ConfigurationError(
            f"vip.{vip.name}.check: nrpe.cfg has no room for a line of more than {NRPE_LINE}"
            " characters, and would cut it: put the command into a script"
        )
    return line


def authorized_keys(identity: str, gate: str = GATE) -> str:
    """Write the line of a key that may run one forced command, for an account's authorized_keys.

    Args:
        identity: the file of the private key; the public one is beside it.
        gate: the forced command.

    Raises:
        ConfigurationError: the public key is not beside the private one, or there is neither.
    """
    file = f"{identity}.pub"
    make = f"`ssh-keygen -y -f {identity} > {file}` makes it"
    try:
        with open(file, encoding="ascii", errors="replace") as stream:
            key = stream.readline().strip()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not os.path.exists(identity):
            make = f"`ssh-keygen -t ed25519 -N '' -f {identity}` makes both"
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}; {make}") from error
    if not PUBLIC_KEY.fullmatch(key):
        raise ConfigurationError(f"{file}: does not begin with a public key; {make}")
    return f'restrict,command="{gate}" {key}\n'


def _run(command: Command) -> str:
    return _block("feed" if command.is_fed else "run", command.argv)


def _block(how: str, argv: Argv) -> str:
    words = "".join(f"\t{word}\n" for word in argv)
    return f"{how} {shlex.join(argv)}\n{words}"


def _rule(argv: Argv) -> str:
    # Without an argument, `sudo` would allow any; "" stands for none.
    words = " ".join(map(_sudo_word, argv))
    return words if len(argv) > 1 else f'{words} ""'


def _sudo_word(word: str) -> str:
    # sudo and sudo-rs have to read the file alike. sudo-rs compares word by word, so it can allow
    # no argument with a blank, and no empty argument. It knows no patterns and no regular
    # expressions, and takes an unknown setting for an error. No command may have more than 1024
    # characters. Both programs take a backslash before these: , : =
    if not SUDO_WORD.fullmatch(word):
        raise ConfigurationError(
            f"{word!r} cannot stand in sudoers: use letters, digits, ./:=,@%+-"
        )
    return re.sub(r"([,:=])", r"\\\1", word)
