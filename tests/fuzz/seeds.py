"""Good answers, for a fuzzer to begin with."""

from __future__ import annotations

import json
import ssl
import tempfile
import time
from pathlib import Path

import dns.edns
import dns.message
import dns.rrset
import h2.connection
from anycast_handlers.watch.document import document
from h2.config import H2Configuration

from tests.fuzz.targets import QUERY, VIP6
from tests.support.boards import rich
from tests.support.captured import bgp
from tests.support.peer import certificate, chain
from tests.unit import test_bird, test_frr_bgp, test_frr_ospf6

CAPTURED = Path(__file__).parents[1] / "unit/captured"


def _dns() -> list[bytes]:
    answer = dns.message.make_response(QUERY)
    answer.answer.append(dns.rrset.from_text("www.example.org.", 5, "IN", "CNAME", "x.example."))
    answer.answer.append(dns.rrset.from_text("x.example.", 5, "IN", "A", "192.0.2.80"))
    wire = answer.to_wire()
    answer.use_edns(0, options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"ns1")])
    odd = bytearray(answer.to_wire() + b"\0\0\1\0\1" + bytes(5) + b"\3abc")
    odd[11] += 1  # a record that cannot be read, beside the answer
    return [b"\0" + wire[2:], b"\xff" + wire, b"\0" + answer.to_wire()[2:], b"\0" + bytes(odd[2:])]


def _ospf() -> list[bytes]:
    """Whole answers, put together of what was captured question by question."""
    parts = ("neighbor", "database-router", "database-network", "database-external", "ospf")
    found = []
    for form in ("json", "txt"):
        style = "frr-8.4.4-redistribute-3-announce"
        files = [CAPTURED / f"{style}-{part}.{form}" for part in parts]
        found.append(b"".join(file.read_bytes() for file in files if file.exists()))
    return found + [file.read_bytes() for file in sorted(CAPTURED.glob("frr-8.4.4-*-all.*"))[:4]]


def _routing() -> list[bytes]:
    """Whole answers of daemons of both families, after the byte that names the family."""
    said = [(b"0", bgp("all")), (b"0", test_bird.ospf("all"))]
    said += [(b"1", bgp("all", VIP6)), (b"1", test_bird.ospf("all", VIP6))]
    said += [(b"0", test_frr_bgp.answer("bgp-all")), (b"1", test_frr_bgp.answer("bgp-all", VIP6))]
    said += [(b"1", test_frr_ospf6.answer(f"{style}-all")) for style in test_frr_ospf6.STYLES]
    return [family + answer.stdout.encode() for family, answer in said]


def _stream() -> list[bytes]:
    """A service that is well, and then fails."""
    hello = {"stream": 1, "version": "1", "boot": "b", "interval": 0.2, "wakeups": ["tcp"]}
    sample = {"present": True, "kind": "ok", "text": "fine", "samples": 0}
    bad = {"state": "CRITICAL", "failing": True, "kind": "refused", "samples": 3}
    lines = [hello | {"check": "dns", "address": "10.99.0.53"}]
    lines += [sample | {"state": "OK", "failing": False}, {"beat": 1, "samples": 5, "lag": 0.0}]
    lines += [{"suspect": True, "kind": "silent"}, *[sample | bad] * 12, {"end": "over"}]
    timed = [
        one | {"seq": number, "uptime": 100 + number / 10, "began": 100 + number / 10}
        for number, one in enumerate(lines)
    ]
    return ["\n".join(map(json.dumps, timed)).encode()]


def _endpoint() -> list[bytes]:
    """Notes of every kind; of the numbers in them, some are none."""
    shown = b'[{"ifname": "lo", "addr_info": [{"local": "10.99.0.53", "prefixlen": 32}]}]'
    booted = b"==> /proc/sys/kernel/random/boot_id <==\nb\n\n==> /proc/uptime <==\n350.25 600.12\n"
    latch = b'{"boot_id": "b", "since": %s, "changed": 1, "withdrawals": [%s], "restores": []}'
    hold = b'{"since": 1, "until": %s, "by": "x@y", "reason": "z", "announced": true}'
    notes = (
        b"==> /var/lib/anycast/10.99.0.53.latch.json <==\n%s\n\n"
        b"==> /var/lib/anycast/10.99.0.53.hold.json <==\n%s\n"
    )
    numbers = (b"5", b"1e400", b"NaN", b"-Infinity", b"9" * 400, b"[" * 2000, b"null")
    found = []
    for number in numbers:
        noted = notes % (latch % (number, number), hold % number)
        found.append(b"\0".join((shown, booted, noted, number)))
        found.append(b"\0".join((shown.replace(b"32", number), booted, noted, b"5")))
        found.append(b"\0".join((shown, booted.replace(b"350.25", number), noted, b"5")))
    return found


def _https() -> list[bytes]:
    """Whole answers of a server over HTTP/2, one of them in many frames."""
    query = QUERY.to_wire()
    answer = dns.message.make_response(QUERY)
    answer.id = 0
    answer.answer.append(dns.rrset.from_text("www.example.org.", 5, "IN", "A", "192.0.2.80"))
    found = []
    for status in ("200", "404"):
        for parts in (1, 9):
            client = h2.connection.H2Connection(H2Configuration(client_side=True))
            server = h2.connection.H2Connection(H2Configuration(client_side=False))
            client.initiate_connection()
            server.initiate_connection()
            client.send_headers(1, [(":method", "POST"), (":path", "/"), (":scheme", "https"),
                                    (":authority", "x")])  # fmt: skip
            client.send_data(1, query, end_stream=True)
            server.receive_data(client.data_to_send())
            if parts > 1:
                server.send_headers(1, [(":status", "103"), ("link", "</a>")])
                server.ping(b"12345678")
            kind = ("content-type", "application/dns-message")
            server.send_headers(1, [(":status", status), kind])
            wire = answer.to_wire()
            size = len(wire) // parts
            for at in range(0, len(wire), size):
                server.send_data(1, wire[at : at + size])
            if parts > 1:
                server.send_headers(1, [("x-checked", "yes")], end_stream=True)
            else:
                server.end_stream(1)
            found.append(server.data_to_send())
    farewell = b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\1" + bytes(4)
    behind_settings = 9 + int.from_bytes(found[0][:3], "big")
    return [*found, found[0][:behind_settings] + farewell + found[0][behind_settings:]]


def _chains() -> list[bytes]:
    """Certificates, each behind its length."""
    with tempfile.TemporaryDirectory() as directory:
        certificate(Path(directory))
        alone = ssl.PEM_cert_to_DER_cert((Path(directory) / "cert.pem").read_text())
        chain(Path(directory), 90, 30)
        sent = (Path(directory) / "sent.pem").read_text().split("-----BEGIN ")[1:3]
        both = [ssl.PEM_cert_to_DER_cert(f"-----BEGIN {one}") for one in sent]
    # The version stands behind the lengths and its own tag.
    of_no_version = alone.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x42")
    of_no_text = both[1].replace(b"\x0c\x06middle", b"\x03\x06\0iddle")
    chains = ([alone], both, [of_no_version], [both[0], of_no_text])
    return [b"".join(len(one).to_bytes(2, "big") + one for one in ders) for ders in chains]


SEEDS: dict[str, list[bytes]] = {
    "dns": _dns(),
    "several": [(b"\0" * 3).join(_dns()), b"\xff" + b"\0\0\0".join(_dns()[:2])],
    "http": [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    "https": _https(),
    "starttls": [
        b"220 mail\r\n250-mail\r\n250 STARTTLS\r\n220 go\r\n",
        b"* OK imap\r\n* CAPABILITY\r\na OK go\r\n",
        b"+OK pop\r\n+OK go\r\n",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x84\0\0\0\x10\x02\x01\x01\x78\x84\0\0\0\x07\x0a\x01\x00\x04\x00\x04\x00",
    ],
    "chain": _chains(),
    "tcp": [b"220 mail\r\nready\r\n"],
    "ntp": [bytes([0x24, 2, 6, 0xEC]) + bytes(range(44)), bytes([0xE4, 0]) + b"INIT" * 12],
    "plugin": [b"\x01OK - fine | time=0.5s;1;2;0 'a b'=5%;@1:2;~:9;0;100\nmore", b"\x03"],
    "ospf": _ospf(),
    "routing": _routing(),
    "stream": _stream(),
    "watcher": [json.dumps(document(rich(), time.time())).encode()],
    "endpoint": _endpoint(),
}
