"""Stand in for Cabourotte: run a command at a steady pace, and answer by HTTP whether it succeeds.

This file is run by path on an endpoint, so it imports the standard library only. Unlike Cabourotte
it reports a failure only after SAMPLES failures in a row, since anycastd does not count them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer


class Checked:
    """What the command has found so far."""

    failures = 0
    ended = 0.0


def watch(interval: float, argv: list[str]) -> None:
    """Run the command for ever."""
    began = time.monotonic()
    while True:
        ended = subprocess.run(argv, capture_output=True, check=False)
        well = ended.returncode == 0 and ended.stdout.strip()
        Checked.failures = 0 if well else Checked.failures + 1
        Checked.ended = time.time()
        began += interval
        time.sleep(max(0.0, began - time.monotonic()))


def main() -> None:
    """Serve the result; the arguments are INTERVAL SAMPLES COMMAND..."""
    interval, samples, *argv = sys.argv[1:]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            result = {
                "name": "dns",
                "summary": "dns",
                "success": bool(Checked.ended) and Checked.failures < int(samples),
                "healthcheck-timestamp": datetime.now(timezone.utc).isoformat(),
                "message": "",
                "duration": 0,
                "source": "configuration",
            }
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(result).encode())

        def log_message(self, *_: object) -> None:
            pass

    threading.Thread(target=watch, args=(float(interval), argv), daemon=True).start()
    HTTPServer(("127.0.0.1", 9013), Answer).serve_forever()


if __name__ == "__main__":
    main()
