"""The load of clients on the VIP, and what became of each query."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from .host import Host
from .topology import QUERY, RIGHT_ANSWER, VIP

SCRIPT = Path(__file__).with_name("client.py")
INSTALLED = "/usr/local/lib/anycast-lab/client.py"
LAST_ANSWERS_SECONDS = 30.0


@dataclass(frozen=True)
class Query:
    """How one query ended: "answered", "wrong" or "lost"; `sent` is in epoch seconds."""

    sent: float
    outcome: str
    seconds: float | None
    instance: str | None


class Load:
    """A client that asks the VIP at a steady rate until `stop`, or so many times.

    Args:
        client: the host that asks.
        server: the VIP.
        rate: queries a second.
        count: how many; 0 means until `stop`.
        over: "udp", or "tcp" or "http", which are over connections, one at a time.
    """

    def __init__(
        self,
        client: Host,
        *,
        server: str = VIP,
        rate: float = 50.0,
        count: int = 0,
        over: str = "udp",
    ) -> None:
        # Another load may be about to read it.
        if client.run(["cat", INSTALLED]).stdout != SCRIPT.read_text():
            client.write(INSTALLED, SCRIPT.read_text())
        argv = ["/usr/bin/python3", "-I", INSTALLED, server, QUERY, "--expect", RIGHT_ANSWER]
        argv += ["--rate", f"{rate:g}", "--count", f"{count}", "--over", over]
        pipe = subprocess.PIPE
        self._process = client.popen(argv, user="nobody", stdin=pipe, stdout=pipe)
        self._ended: list[Query] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def queries(self) -> list[Query]:
        """List the queries that have ended so far, in the order of their end."""
        return list(self._ended)

    def wait(self, seconds: float) -> list[Query]:
        """Wait for the end of a counted load, and list all its queries."""
        self._process.wait(seconds)
        return self.stop()

    def stop(self) -> list[Query]:
        """Ask no more, and list all queries when the last one has ended."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(LAST_ANSWERS_SECONDS)
        self._reader.join()
        return self.queries()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._ended.append(Query(**json.loads(line)))
