"""The forced command of the account that check_by_ssh logs in to, and its list."""

from __future__ import annotations

import json
import random
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.gate import checks, files

from anycast_checks.command import checks as check_anycast
from anycast_checks.routing import questions, vtysh

PROGRAM = "/usr/lib/nagios/plugins/check_anycast"
VIP, VIP6 = "10.99.0.53", "2001:db8:99::53"
DNS = Vip(
    "resolver",
    VIP,
    "lo:0",
    (PROGRAM, "dns", "--query", "www.example.org"),
    (Endpoint("ns1", "192.0.2.11"),),
)
HTTP = DNS._replace(
    name="web",
    address="10.99.0.80",
    check=(
        *(PROGRAM, "http", "-p", "8080", "--instance=192.0.2.11", "--ca-file", "/etc/ca.pem"),
        *("--cert", "/etc/client.pem", "--key=/etc/client.key"),
    ),
)
LDAP = DNS._replace(
    name="ldap",
    address="10.99.0.38",
    check=(PROGRAM, "plugin", "-t", "4", "--", "/usr/lib/nagios/plugins/check_ldap", "{address}"),
)
ALL = DNS._replace(
    name="both",
    address="10.99.0.54",
    check=(
        PROGRAM,
        "all",
        "--check",
        "dns --query 'a b' -p 5353",
        "--check=plugin -- /x {address}",
    ),
)
OWN = DNS._replace(name="own", check=("/opt/check own", "so", "a'b"))
VIPS = (DNS, HTTP, LDAP, ALL, OWN)
SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"]]
LDAP_PROGRAM = "/usr/lib/nagios/plugins/check_ldap"
LDAP_WORDS = f"{LDAP_PROGRAM} {{address}}"
STREAM = "--stream --interval 0.2 --retry-delay 0.02 --tries 2"
# The account may ask all of these.
GOOD = [
    f"{PROGRAM} dns -H {VIP} --query www.example.org",
    f"'{PROGRAM}' 'dns' '--address' '{VIP}' '--query' 'other.example.net'",
    f"{PROGRAM} dns --address={VIP} --query x --expect 'it'\\''s' --expect \"a b\"",
    f"{PROGRAM} dns -H {VIP} --query a\\ b  --tries 2 --warning=-1:0.5",
    f"{PROGRAM} dns -H {VIP} --query '; $(touch /tmp/owned) `id` | & > < * ? ~ !'",
    f"{PROGRAM} dns -H {VIP} --query '' -vvv -t 5 -w 1 -c 2",
    f"{PROGRAM} http -H 10.99.0.80 --port 8080 --string 'é' --instance 192.0.2.11",
    f"{PROGRAM} http -H 10.99.0.80 --port=8080 --instance=none --ca-file=/etc/ca.pem",
    f"{PROGRAM} http -H 10.99.0.80 --cert=/etc/client.pem --key /etc/client.key",
    f"{PROGRAM} all -H 10.99.0.54 --check \"dns --query 'a b' -p 5353\" --tries 1",
    f"{PROGRAM} all -H {VIP} --check='plugin -- /x {{address}}' -t 5",
    f"{PROGRAM} route -H {VIP}",
    f"{PROGRAM} pool -H {VIP} --critical=2: --expect-router 192.0.2.11",
    f"{PROGRAM} plugin -H {VIP} --deadline 20 -t 5 -- {LDAP_WORDS}",
    f"'{PROGRAM}' 'plugin' '--address' '{VIP}' '--' '{LDAP_PROGRAM}' '{{address}}'",
    f"'/opt/check own' so \"a'b\" -H {VIP}",
    f"{PROGRAM} dns --query www.example.org -H {VIP} {STREAM}",
    f"{PROGRAM} plugin -t 4 -H 10.99.0.38 {STREAM} -- {LDAP_WORDS}",
]  # fmt: skip
BAD = [
    "",
    " ",
    "id",
    "/bin/sh",
    "/bin/sh -c id",
    PROGRAM,
    f"{PROGRAM} -V",
    f"{PROGRAM} ntp -H {VIP}",
    f"{PROGRAM} tcp -H {VIP} -p 6379",
    f"/tmp/check_anycast dns -H {VIP}",
    f"check_anycast dns -H {VIP}",
    f"{PROGRAM} dns -H {VIP}; id",
    f"{PROGRAM} dns -H {VIP} | id",
    f"{PROGRAM} dns -H {VIP} & id",
    f"{PROGRAM} dns -H {VIP}\nid",
    f"{PROGRAM} dns -H {VIP} > /tmp/owned",
    f"{PROGRAM} dns -H {VIP} $(id)",
    f"{PROGRAM} dns -H {VIP} `id`",
    f'{PROGRAM} dns -H {VIP} "$(id)"',
    f'{PROGRAM} dns -H {VIP} "`id`"',
    f'{PROGRAM} dns -H {VIP} "\\""',
    f"{PROGRAM} dns -H {VIP} 'x",
    f'{PROGRAM} dns -H {VIP} "x',
    f"{PROGRAM} dns -H {VIP} x\\",
    f"{PROGRAM} dns -H {VIP} ~root",
    f"{PROGRAM} dns -H {VIP} /etc/*",
    f"{PROGRAM} dns -H {VIP} #",
    f"{PROGRAM} dns -H {VIP} é",
    f"{PROGRAM} dns -H {VIP} 'a\tb'",
    f"{PROGRAM} dns -H 127.0.0.1 --query x",
    f"{PROGRAM} dns -H127.0.0.1 --query x",
    f"{PROGRAM} dns -vH127.0.0.1 --query x",
    f"{PROGRAM} dns --address=127.0.0.1 --query x",
    f"{PROGRAM} dns --address= --query x",
    f"{PROGRAM} dns -H {VIP} --query x -H 127.0.0.1",
    f"{PROGRAM} dns -H {VIP} --query --address 127.0.0.1",
    f"{PROGRAM} dns -H",
    f"{PROGRAM} dns -H '{VIP}\n' --query x",
    f"{PROGRAM} dns -H '{VIP} ' --query x",
    f"{PROGRAM} dns -H '*' --query x",
    f"{PROGRAM} dns -H {VIP} --query x -p 22",
    f"{PROGRAM} dns -H {VIP} --query x -p22",
    f"{PROGRAM} dns -H {VIP} --query x --port=22",
    f"{PROGRAM} dns -H {VIP} --query x --instance 192.0.2.99",
    f"{PROGRAM} http -H 10.99.0.80 --tls --ca-file /etc/shadow",
    f"{PROGRAM} http -H 10.99.0.80 --tls --cert /etc/shadow",
    f"{PROGRAM} http -H 10.99.0.80 --tls --cert=/etc/client.pem --key=/etc/shadow",
    f"{PROGRAM} dns -H {VIP} --query x -- {LDAP_WORDS}",
    f"{PROGRAM} dns -H {VIP} --query x --stream",
    f"{PROGRAM} dns --query www.example.org -H {VIP} {STREAM} --interval 0.01",
    f"{PROGRAM} dns --query other.example.org -H {VIP} {STREAM}",
    f"{PROGRAM} dns -H {VIP} --stream --query x --interval 0.01",
    f"{PROGRAM} plugin -H {VIP} --stream -- {LDAP_WORDS}",
    f"{PROGRAM} all -H {VIP} --check 'dns --query x -p 22'",
    f"{PROGRAM} all -H {VIP} --check 'plugin -- /bin/sh -c id {{address}}'",
    f"{PROGRAM} all -H {VIP} --check='plugin -- /x {{address}} y'",
    f"{PROGRAM} all -H {VIP} --check 'plugin -- /x {{address}}' --check 'tcp -p 6379'",
    f"{PROGRAM} all -H {VIP} --check",
    f"{PROGRAM} plugin -H {VIP} {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} -- /bin/sh -c id {{address}}",
    f"{PROGRAM} plugin -H {VIP} -- {LDAP_WORDS} more",
    f"{PROGRAM} plugin -H {VIP} -- '{LDAP_WORDS}'",
    f"{PROGRAM} plugin -H {VIP} -- /usr/lib/nagios/plugins/check_ldap",
    f"{PROGRAM} plugin -H {VIP} --",
    f"{PROGRAM} plugin -H {VIP} /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} -t -- /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} -t --tries /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} -v /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} --client /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} --frobnicate /bin/sh -- {LDAP_WORDS}",
    f"{PROGRAM} plugin -H {VIP} -- {LDAP_WORDS} -- /bin/sh",
    f"{PROGRAM} plugin -H {VIP} '' -- {LDAP_WORDS}",
    "'/opt/check own' so",
    f"'/opt/check own' so \"a'b\" -H {VIP} more",
    f"'/opt/check own' so \"a'b\" -H {VIP} ''",
    "# end",
    "scp -t /tmp",
    "internal-sftp",
    "x" * 5000,
]


class Gate:
    """The forced command with the list of VIPS and with programs that print their words."""

    def __init__(self, directory: Path, shell: Sequence[str]) -> None:
        printer = directory / "print"
        printer.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done\ncat\n')
        printer.chmod(0o755)
        self._allow = directory / "check.allow"
        self.allow(checks.check_allow(VIPS))
        text = files.check_gate().replace(files.CHECK_ALLOW, str(self._allow))
        text = text.replace("logger -t", "true -t")
        text = text.replace('LC_ALL=C "$@" <', f'LC_ALL=C {printer} "$@" <')
        assert text.count(str(printer)) == 1
        self._script = directory / "anycast-check-gate"
        self._script.write_text(text)
        self._shell = shell

    def allow(self, text: str) -> None:
        self._allow.unlink(missing_ok=True)
        self._allow.write_text(text)
        self._allow.chmod(0o444)

    def ask(self, asked: str | bytes) -> tuple[int, list[str], str]:
        """Ask; returns exit status, the words that the program got, and what was said."""
        ended = subprocess.run(
            [*self._shell, str(self._script)], input=b"input", capture_output=True,
            env={"SSH_ORIGINAL_COMMAND": asked}, check=False, timeout=60,
        )  # fmt: skip
        *words, rest = ended.stdout.decode(errors="replace").split("\0")
        assert rest == ""
        return ended.returncode, words, ended.stderr.decode(errors="replace")


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def gate(request: pytest.FixtureRequest, tmp_path: Path) -> Gate:
    program, *more = request.param
    if not (found := shutil.which(program)):
        pytest.skip(f"there is no {program}")
    return Gate(tmp_path, [found, *more])


@pytest.mark.parametrize("asked", GOOD)
def test_the_engines_questions_pass_word_by_word(gate: Gate, asked: str) -> None:
    assert gate.ask(asked) == (0, shlex.split(asked), "")


@pytest.mark.parametrize("asked", BAD)
def test_everything_else_is_refused_in_one_harmless_line(gate: Gate, asked: str) -> None:
    status, words, said = gate.ask(asked)
    assert (status, words) == (126, []), said
    assert said.startswith("anycast-check-gate: refused: ")
    assert all(" " <= letter <= "~" for letter in said[:-1])
    assert len(said) < 250


def test_bytes_that_are_no_text_are_refused(gate: Gate) -> None:
    for asked in (bytes(range(1, 256)), f"{PROGRAM} dns -H {VIP} ".encode() + b"\xff"):
        assert gate.ask(asked)[0] == 126


def test_the_value_of_an_option_may_be_secret_and_is_not_said(gate: Gate) -> None:
    said = gate.ask(f"{PROGRAM} http -H 10.99.0.1 --header 'Authorization: Bearer abc'")[2]
    assert said == "anycast-check-gate: refused: this address is not in check.allow\n"


@pytest.mark.parametrize("option", ["-H ", "--address="])
def test_an_address_of_ipv6_has_one_spelling(gate: Gate, option: str) -> None:
    """The fleet file's is made shorter before it is listed; a longer one of the engine is named."""
    gate.allow(checks.check_allow((DNS._replace(address=VIP6),)))
    asked = f"{PROGRAM} route {option}"
    words = [PROGRAM, "route", *f"{option}{VIP6}".split()]
    assert gate.ask(asked + VIP6) == (0, words, "")
    for other in ("2001:DB8:99::53", "2001:db8:99:0::53", "2001:db8:99::54"):
        code, _, said = gate.ask(asked + other)
        assert code == 126
        assert said.endswith("refused: this spelling of an address is not in check.allow\n")


def test_a_list_that_was_cut_short_permits_nothing(gate: Gate) -> None:
    """Without its last words the command line of a plugin would be another one."""
    whole = checks.check_allow(VIPS)
    asked = f"{PROGRAM} plugin -H {VIP} -- {LDAP_WORDS}"
    for length in range(0, len(whole), 7):
        gate.allow(whole[:length])
        assert gate.ask(asked)[0] == 126
    gate.allow(whole)
    assert gate.ask(asked)[0] == 0


def test_without_a_list_nothing_runs(gate: Gate) -> None:
    gate.allow("")
    assert gate.ask(f"{PROGRAM} route -H {VIP}")[0] == 126


def test_whatever_passes_asks_what_the_list_has(tmp_path: Path) -> None:
    """Random lines: the check's own parser finds no other address, port or program in them."""
    dash = shutil.which("dash") or pytest.skip("there is no dash")
    gate, dice = Gate(tmp_path, [dash]), random.Random(7)
    alphabet = [
        "-H", VIP, "127.0.0.1", "--address", f"--address={VIP}", "-H127.0.0.1", "--query", "x",
        "-p", "8080", "22", "--port=22", "-t", "5", "--", "/bin/sh", "-c", "1", "-v", "--client",
        *LDAP_WORDS.split(), "--tries", "-1", "", "--deadline=9", "--instance", "none", "-",
    ]  # fmt: skip
    lines = []
    for _ in range(600):
        name = dice.choice(("dns", "http", "plugin", "plugin"))
        words = ["-H", VIP] if dice.random() < 0.7 else []
        words += dice.choices(alphabet, k=dice.randrange(6))
        if name == "plugin" and dice.random() < 0.7:
            words += ["--", *LDAP_WORDS.split()]
        lines.append((name, words))
    passed = 0
    for name, words in lines:
        if gate.ask(shlex.join((PROGRAM, name, *words)))[0] != 0:
            continue
        passed += 1
        check = check_anycast.get_command(click.Context(click.Group()), name)
        assert check
        try:
            seen = check.make_context(name, list(words), resilient_parsing=False).params
        except click.UsageError:
            continue
        assert seen["address"] in {vip.address for vip in VIPS}, words
        assert seen.get("port") in (None, 53, 80, 8080), words
        if name == "plugin":
            assert seen["words"] == tuple(LDAP_WORDS.split()), words
    assert passed > 30


def test_every_option_has_been_thought_of() -> None:
    """Whoever adds one decides here whether a thief may set it to anything."""
    free = {
        "critical", "deadline", "retry-delay", "timeout", "timeout-state", "tries", "warning",
        "client", "interval", "verbose", "help", "version",
        "query", "type", "expect", "expect-only", "expect-rcode", "require-flags", "forbid-flags",
        "recurse", "no-recurse", "tcp", "checking-disabled", "expect-nsid",
        "host", "url", "method", "header", "body", "status", "string", "regex", "max-bytes",
        "follow", "tls", "https", "no-verify", "cert-warning", "cert-critical", "tls-minimum",
        "starttls",
        "send", "expect-regex", "quit", "refuse-state", "send-hex", "expect-hex",
        "offset-warning", "offset-critical", "stratum-critical",
        "min-neighbors", "expect-router",
    }  # fmt: skip
    confined = {"address", "port", "instance", "ca-file", "cert", "key", "stream", "check"}
    found, group = set(), check_anycast
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        for param in command.get_params(context):
            words = [*param.opts, *param.secondary_opts]
            found |= {word[2:] for word in words if word.startswith("--")}
    assert found - free == confined
    assert free - found == set()


def test_a_control_character_is_refused() -> None:
    bad = DNS._replace(check=(*DNS.check, "--expect", "a\nprogram /bin/sh"))
    with pytest.raises(ConfigurationError, match=r"vip\.resolver\.check: .* control character"):
        checks.check_allow((bad,))


def test_vtysh_is_asked_what_the_checks_ask_and_nothing_else(tmp_path: Path) -> None:
    """Asked by the program that sudo runs, vtysh gets the words that root's question has."""
    printer = tmp_path / "vtysh"
    code = "import json,sys,os; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    printer.write_text(f"#!/usr/bin/python3 -I\n{code}\n")
    printer.chmod(0o755)
    script = tmp_path / "anycast-vtysh"
    script.write_text(files.vtysh().replace(vtysh.VTYSH, str(printer)))
    asked_of_vtysh = [one for vip in (VIP, VIP6) for one in questions(vip) if one[0] == vtysh.VTYSH]
    assert asked_of_vtysh
    for question in asked_of_vtysh:
        asked = [str(script), *question.by_sudo[3:]]
        ended = subprocess.run(
            ["/bin/sh", *asked], capture_output=True, text=True, check=False,
            env={"HOME": "/root", "VTYSH_PAGER": "touch /tmp/owned", "LD_LIBRARY_PATH": "/tmp"},
        )  # fmt: skip
        words, environment = json.loads(ended.stdout)
        assert words == list(question[1:])
        assert set(environment) - {"LC_CTYPE"} == {"LC_ALL", "HOME"}
        assert environment["HOME"] == "/nonexistent"
    more = f"{VIP} json -c write"
    bad = [[], ["json"], ["text", "x"], ["json", VIP, "x"], ["router-id", VIP], ["-c", "write"],
           ["json", more], ["json", ""], ["", VIP]]  # fmt: skip
    for words in bad:
        refused = subprocess.run(["/bin/sh", str(script), *words], capture_output=True, check=False)
        assert (refused.returncode, refused.stdout) == (126, b""), words
