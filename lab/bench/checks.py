"""Cost of a check: beside the plugin that people use instead, and beside its own imports."""

from __future__ import annotations

from typing import Any, NamedTuple

from anycast_checks.routing import ospf_vtysh
from lab import services
from lab.lab import Lab
from lab.monitoring import PLUGINS
from lab.topology import QUERY, RIGHT_ANSWER, VIP

from .timing import compare, median, ratio

OURS = f"{PLUGINS}/check_anycast"
# A check is compared with a Python that only imports its libraries: as the checks do, without the
# modules that are never used, or whole.
LEAN = "from anycast_checks.imports import lean; lean('nagiosplugin', 'json', 'tempfile'); "
IMPORTS = "import click, nagiosplugin, dataclasses, ipaddress, socket"
# Seconds; no ratio is shown to a smaller cost, since it would be mostly noise: the cost of entering
# the host is subtracted.
SMALLEST = 0.001
DNSPYTHON = ("from anycast_checks import dnspython", "import dns.message")


class Question(NamedTuple):
    """A question, as several programs ask it.

    Attributes:
        own: the options of our check.
        plugin: the plugin that asks the same, with its options; empty where there is none.
        modules: the Python code that imports what our check needs besides.
        programs: the programs that our check has to run.
    """

    own: list[str]
    plugin: list[str]
    modules: str = ""
    programs: tuple[list[str], ...] = ()

    @property
    def floor(self) -> str:
        """Write the Python code that only imports those modules and runs those programs."""
        calls = "".join(f"; subprocess.run({argv}, capture_output=True)" for argv in self.programs)
        return f"{IMPORTS}{self.modules}{calls}"


DUMMY = [f"{PLUGINS}/check_dummy", "0"]
VTYSH = list(ospf_vtysh.argv(VIP))
CHECKS = {
    "dns": Question(
        ["-H", VIP, "--query", QUERY, "--expect", RIGHT_ANSWER],
        ["check_dig", "-H", VIP, "-l", QUERY, "-a", RIGHT_ANSWER],
        f"; {DNSPYTHON[0]}",
    ),
    "http": Question(["-H", VIP], ["check_http", "-I", VIP], ", http.client"),
    "http --tls": Question(
        ["-H", VIP, "--host", QUERY, "--ca-file", services.CERTIFICATE],
        ["check_http", "-I", VIP, "-H", QUERY, "--ssl", "--sni"],
        ", http.client, ssl",
    ),
    "tcp": Question(["-H", VIP, "-p", "53"], ["check_tcp", "-H", VIP, "-p", "53"]),
    # There is no plugin to compare with: check_udp sends text only, and a DNS query is binary.
    "udp": Question(
        ["-H", VIP, "-p", "53", "--send-hex", "1a2b010000010000000000000000060001"], []
    ),
    "ntp": Question(["-H", VIP], ["check_ntp_time", "-H", VIP, "-w", "1", "-c", "2"]),
    "plugin": Question(
        ["-H", VIP, "--", *DUMMY, "{address}"], ["check_dummy", "0", VIP], ", subprocess", (DUMMY,)
    ),
    "route": Question(
        ["-H", VIP],
        [],
        ", subprocess, json",
        (VTYSH, list(ospf_vtysh.ROUTER_ID_ARGV), ["/sbin/ip", "-json", "address", "show"]),
    ),
    "pool": Question(["-H", VIP], [], ", subprocess, json", (VTYSH,)),
}


def measure(lab: Lab, runs: int) -> list[dict[str, Any]]:
    """Measure every check on an endpoint, in turn with the programs that it is compared with."""
    host = lab.endpoint("ns1").host
    services.web_server(host).start()
    services.time_server(host).start()
    python = str(lab.venv / "bin/python") if lab.venv else "python3"
    rows = []
    for name, question in CHECKS.items():
        programs = {
            "ours": [OURS, *name.split(), *question.own],
            "imports": [python, "-c", LEAN + question.floor],
            "whole": [python, "-c", question.floor.replace(*DNSPYTHON)],
        }
        if question.plugin:
            programs["theirs"] = [f"{PLUGINS}/{question.plugin[0]}", *question.plugin[1:]]
        found = compare(host, programs, runs)
        row: dict[str, Any] = {kind: median(costs) for kind, costs in found.items()}
        row["to imports"] = ratio(found["ours"], found["imports"])
        row["to whole"] = ratio(found["ours"], found["whole"])
        rows.append(row | {"check": name, "plugin": (*question.plugin, "-")[0]})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Write a table of the checks beside their imports, and one beside the plugins."""
    units = f"{'CPU ms':>7}{'wall':>8}{'MiB':>7}"
    lines = [
        f"{'':<12}{'ours':^22}  {'x CPU of imports':>16}",
        f"{'':<12}{units}  {'as ours':>8}{'whole':>8}",
    ]
    for row in rows:
        ratios = f"{row['to imports']:8.2f}{row['to whole']:8.2f}"
        lines.append(f"{row['check']:<12}{row['ours']}  {ratios}")
    lines += [
        "",
        f"{'':<12}{'':<16}{'theirs':^22}  {'ours, x theirs':^20}",
        f"{'':<12}{'':<16}{units}  {'CPU':>6}{'wall':>7}{'MiB':>7}",
    ]
    for row in rows:
        if "theirs" in row:
            ours, theirs = row["ours"], row["theirs"]
            lines.append(
                f"{row['check']:<12}{row['plugin']:<16}{theirs}"
                f"  {_times(ours.cpu, theirs.cpu):>6}{_times(ours.wall, theirs.wall):>7}"
                f"{ours.memory / theirs.memory:>7.1f}"
            )
    return "\n".join(lines)


def _times(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.1f}" if theirs >= SMALLEST else "-"
