"""Real servers that speak TLS or HTTP, for `test_real_tls.py`: their configurations."""

from __future__ import annotations

from pathlib import Path

import dns.message
import dns.rrset

from tests.lab.real_servers import NAME, NAMED, RIGHT, VIP, ZONE, Server
from tests.support.peer import certificate

LOCAL = f'  local-zone: "example.org." static\n  local-data: "{NAME}. 60 A {RIGHT}"\n'
SECURE_UNBOUND = f"""\
server:
  directory: "{{dir}}"
  username: ""
  chroot: ""
  pidfile: ""
  interface: {VIP}@853
  interface: {VIP}@443
  tls-port: 853
  https-port: 443
  access-control: {VIP} allow
  tls-service-key: "{{dir}}/key"
  tls-service-pem: "{{dir}}/cert"
{LOCAL}
remote-control:
  control-enable: no
"""
SECURE_NAMED = (
    'tls local { key-file "{dir}/key"; cert-file "{dir}/cert"; };\n'
    'http local { endpoints { "/dns-query"; }; };\n'
    + NAMED.replace(
        f"    listen-on {{ {VIP}; 127.0.0.1; }};",
        f"    listen-on port 853 tls local {{ {VIP}; }};\n"
        f"    listen-on port 443 tls local http local {{ {VIP}; }};",
    )
)
# HAProxy sends a head with the status 103 before the answer.
HAPROXY = f"""\
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind {VIP}:80
  bind {VIP}:443 ssl crt {{dir}}/both
  http-request early-hint Link "</a.css>; rel=preload"
  http-request return status 200 content-type text/plain string "Welcome" if {{ path / }}
  http-request return status 204 if {{ path /health }}
  http-request return status 404
"""
NGINX = f"""\
daemon off;
user root;
pid {{dir}}/pid;
error_log {{dir}}/error.log;
events {{ }}
http {{
  access_log off;
  root {{dir}};
  client_body_temp_path {{dir}}/body;
  server {{
    listen {VIP}:80;
    listen {VIP}:443 ssl http2;
    ssl_certificate {{dir}}/cert;
    ssl_certificate_key {{dir}}/key;
    keepalive_requests 1;
    location / {{ return 200 "Welcome"; }}
    location /health {{ return 204; }}
    location /dns-query {{
      default_type application/dns-message;
      error_page 404 405 =200 /answer;
    }}
    location /answer {{ internal; default_type application/dns-message; }}
  }}
}}
"""
MAIN_CF = f"""\
compatibility_level = 3.6
queue_directory = {{dir}}
data_directory = {{dir}}/data
maillog_file = {{dir}}/mail.log
maillog_file_prefixes = {{dir}}
inet_interfaces = {VIP}
myhostname = {NAME}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {{dir}}/cert
smtpd_tls_key_file = {{dir}}/key
smtpd_peername_lookup = no
smtputf8_enable = no
"""
MASTER_CF = """\
smtp inet n - n - - smtpd
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000 1 tlsmgr
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
postlog unix-dgram n - n - 1 postlogd
"""


def answer(address: str) -> bytes:
    """Make the answer to a question without an id, as all of DoH have none."""
    query = dns.message.make_query(NAME, "A", use_edns=0, id=0)
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "A", address))
    return response.to_wire()


def with_certificate(server: Server, directory: Path, days: float = 90.5) -> tuple[Server, str]:
    """Give a server a certificate; return it, and the file to trust."""
    _, trusted = certificate(directory, days, address=VIP)
    cert, key = Path(trusted).read_text(), (directory / "key.pem").read_text()
    files = {"cert": cert, "key": key, "both": cert + key}
    return server._replace(files={**server.files, **files}), trusted


NAME_SERVERS = {
    "unbound": Server("unbound", {"conf": SECURE_UNBOUND}, ("-d", "-c", "{dir}/conf")),
    "BIND": Server("named", {"conf": SECURE_NAMED, "zone": ZONE}, ("-g", "-c", "{dir}/conf")),
}
WELCOME = ("Welcome", "Goodbye")
WEB_SERVERS = {
    "HAProxy": Server("haproxy", {"conf": HAPROXY}, ("-db", "-f", "{dir}/conf"), WELCOME),
    "nginx": Server("nginx", {"conf": NGINX}, ("-c", "{dir}/conf"), WELCOME),
}
# `postfix start-fg` would leave the session by which a test ends what it has started.
POSTFIX = Server(
    "sh",
    {"main.cf": MAIN_CF, "master.cf": MASTER_CF},
    ("-c", "postfix -c {dir} check; exec /usr/lib/postfix/sbin/master -s -c {dir}"),
)
