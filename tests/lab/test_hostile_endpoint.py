"""An endpoint whose programs print anything: it is an error of that endpoint, in every verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.handler import Monitor, place
from tests.support.namespace import Namespace, write

ENDPOINTS = """
[vip.resolver.endpoints]
ns1 = "127.0.0.1"
ns2 = "127.0.0.2"
"""
NESTED = "[" * 100_000
ADDRESS = '[{"ifname": "lo", "addr_info": [{"local": "10.99.0.53", "prefixlen": %s}]}]'
NOTES = """==> /proc/sys/kernel/random/boot_id <==
b

==> /proc/uptime <==
5.00 5.00

==> /var/lib/anycast/10.99.0.53.latch.json <==
{{"boot_id": "b", "since": {0}, "changed": {0}, "withdrawals": [{0}], "restores": [{0}]}}

==> /var/lib/anycast/10.99.0.53.hold.json <==
{{"since": {0}, "until": {0}, "by": {0}, "reason": {0}, "announced": {0}}}
"""
BOOT = NOTES.replace("5.00", "{0}")
NUMBERS = ("9" * 400, "-" + "9" * 400, "9" * 5000, "1e400", "NaN")
SAYS = {
    "date": [*NUMBERS, "", "x" * 2_000_000, "\x1b[2J\n\n"],
    "head": [
        *(NOTES.format(number) for number in NUMBERS),
        *(BOOT.format(number) for number in NUMBERS),
        NOTES.format(NESTED),
        NOTES.format('{"by": ' * 900 + "1" + "}" * 900),
        "x" * 2_000_000,
        BOOT.format("5.00") + "\n" * 1_150_000,
    ],
    "ip": [
        *(ADDRESS % number for number in NUMBERS),
        *(ADDRESS % NESTED, NESTED, "{}", "[5]"),
        f"[{'{},' * 380_000}{{}}]",
    ],
    "vtysh": [NUMBERS[0], NESTED, f'{{"areas": {NESTED}}}', "{}" * 590_000],
}
REAL = {"date": "/bin/date", "head": "/usr/bin/head", "ip": "/sbin/ip", "vtysh": "/usr/bin/vtysh"}
HELD = '{"since": 1, "until": 1700000000, "by": "x@y", "reason": "z", "announced": true}'
VERBS = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("enforce", *place("CRITICAL", "HARD")),
    ("enforce", *place("OK", "HARD")),
    ("hold", "resolver", "--reason", "x", "--for", "2h"),
    ("release", "resolver"),
)


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Monitor:
    monitor = Monitor(tmp_path, host)
    fleet = tmp_path / "fleet.toml"
    before, _, after = fleet.read_text().partition("[vip.resolver.endpoints]")
    fleet.write_text(f"{before}{ENDPOINTS}{after[after.index('[paths]') :]}")
    return monitor


@pytest.mark.parametrize("program", SAYS)
def test_whatever_it_says_each_verb_ends_as_documented(
    host: Namespace, monitor: Monitor, program: str
) -> None:
    said = monitor.directory / "said"
    said.write_text("")
    # Bound over the program as a file: mounting happens once, and what it says changes.
    fake = write(monitor.directory / program, f"#!/bin/sh\nexec cat {said}\n")
    host.run("mount", "--bind", fake, host.run("readlink", "-f", REAL[program]).strip())
    if program == "date":
        host.run("sh", "-c", "cat >/var/lib/anycast/10.99.0.53.hold.json", input=HELD)
    for text in SAYS[program]:
        said.write_text(text)
        for verb in VERBS:
            code, output = monitor.run(*verb)
            where = f"{verb} with {program} saying {text[:60]!r}: {output[:500]}"
            assert "internal error" not in output, where
            assert "Traceback" not in output, where
            assert code in range(4), where
            assert output.isascii(), where
            assert max(map(len, output.splitlines()), default=0) <= 1000, where
            if verb == ("status", "--json"):
                assert len(json.loads(output)) == 2, where
    size = max(map(len, (monitor.directory / "log/decisions.jsonl").read_text().splitlines()))
    assert size < 16384
