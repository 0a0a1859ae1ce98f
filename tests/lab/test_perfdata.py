"""What the real Icinga writes to InfluxDB is what the dashboard of the checks asks for."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from lab.errors import LabError
from lab.waiting import wait_until
from tests.lab.icinga_alone import SECONDS, VIP, Recorded, home, host, needs_icinga, pool

pytestmark = needs_icinga
BOARD = json.loads((Path(__file__).parents[2] / "grafana/anycast-checks.json").read_text())
QUERIES = [target["query"] for panel in BOARD["panels"] for target in panel["targets"]]
# Nothing runs by itself: the results are those of the test.
RARE = f"{VIP}, interval = 1h, control_interval = 1h"
OBJECTS = """
include "%s/templates/*.conf"
object InfluxdbWriter "influxdb" {{
  host = "127.0.0.1", port = {port}, database = "icinga2", flush_interval = 1s
}}
"""


class Asked(NamedTuple):
    """What a query of the dashboard is about."""

    service: str
    metric: str

    @property
    def host(self) -> str:
        """The services of a client and of the pool belong to the host that stands for the VIP."""
        return "pool" if self.service in ("client", "pool") else "ns1"


def asked(query: str) -> Asked:
    found = re.search(r"\"metric\" = '(\w+)' AND \"service\" =~ /\^anycast-(\w+)-\$vip\$/", query)
    assert found, query
    return Asked(found[2], found[1])


@contextmanager
def influxdb() -> Iterator[tuple[int, list[str]]]:
    """Take what is written, as InfluxDB does; gives the port, and the lines so far."""
    lines: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines.extend(body.decode().splitlines())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], lines
        finally:
            server.shutdown()
            thread.join()


def answers(query: str, line: str) -> bool:
    """Tell whether a point is one that the query of a panel selects, where all is chosen."""
    series, fields, _ = line.rsplit(" ", 2)
    measurement, *pairs = series.split(",")
    tags = dict(pair.split("=", 1) for pair in pairs)
    what = asked(query)
    return (
        bool(re.search(r"^anycast_", measurement))
        and tags["metric"] == what.metric
        and tags["service"] == f"anycast-{what.service}-resolver"
        and tags["hostname"] == what.host
        and "value=1" in fields.split(",")
    )


def test_every_panel_shows_what_icinga_writes() -> None:
    with home() as directory, influxdb() as (port, lines):
        recorded = Recorded(directory)
        of_pool = pool(f'{RARE}, ssh_address = "192.0.2.11"').replace("ns1", "pool")
        hosts = host(f"{{ {RARE} }}", 'address = "192.0.2.11"\n check_command = "dummy"')
        recorded.configure(OBJECTS.format(port=port) + hosts + of_pool)
        try:
            with recorded.running():
                wait_until((directory / "run/cmd").exists, "the file for commands", SECONDS)
                for what in map(asked, QUERIES):
                    service = f"{what.host};anycast-{what.service}-resolver"
                    said = f"0;said by the test|{what.metric}=1"
                    recorded.command(f"PROCESS_SERVICE_CHECK_RESULT;{service};{said}")
                with suppress(LabError):
                    wait_until(lambda: not unanswered(lines), "all points", SECONDS)
        finally:
            recorded.end()
    assert unanswered(lines) == [], lines


def unanswered(lines: list[str]) -> list[str]:
    return [query for query in QUERIES if not any(answers(query, line) for line in lines)]
