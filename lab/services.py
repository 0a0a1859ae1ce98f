"""Services of an endpoint besides DNS: a real web server and a real time server."""

from __future__ import annotations

from .daemon import Daemon
from .host import Host
from .topology import QUERY

NGINX = "/etc/nginx/lab.conf"
CERTIFICATE, KEY = "/etc/nginx/lab.crt", "/etc/nginx/lab.key"
WEB = """\
pid /run/nginx.pid;
error_log /var/log/nginx-lab.log;
events {{ }}
http {{
    access_log off;
    default_type text/plain;
    server {{
        listen 80 default_server;
        listen [::]:80 default_server;
        listen 443 ssl default_server;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location = / {{ return 200 "Welcome to {name}\\n"; }}
        location = /error {{ return 500 "no\\n"; }}
        location = /moved {{ return 302 /; }}
        location = /slow {{ root /srv/web; limit_rate 1k; }}
        location = /early {{ return 444; }}
    }}
}}
"""
CHRONY = "/etc/chrony/lab.conf"
# chronyd serves its own time, and -x keeps it from touching the machine's clock.
TIME = """\
allow
port 123
cmdport 0
bindcmdaddress /run/chrony.sock
pidfile /run/chronyd.pid
"""


def web_server(host: Host, like: Host | None = None) -> Daemon:
    """Prepare nginx with HTTP and TLS, with a self-signed certificate.

    Args:
        host: where it runs.
        like: a host with a web server whose certificate this one is to have too.
    """
    host.make_directory("/srv/web")
    host.write("/srv/web/slow", "slow " * 10000)
    text = WEB.format(name=host.name, certificate=CERTIFICATE, key=KEY)
    host.write(NGINX, text)
    if like:
        for file in (CERTIFICATE, KEY):
            host.write(file, like.read(file))
    else:
        _make_certificate(host)
    return Daemon(host, ["nginx", "-c", NGINX], "/run/nginx.pid")


def _make_certificate(host: Host) -> None:
    names = ["-subj", f"/CN={QUERY}", "-addext", f"subjectAltName=DNS:{QUERY}"]
    files = ["-keyout", KEY, "-out", CERTIFICATE, "-days", "30"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    host.run([*new, "-nodes", *names, *files], check=True)


def time_server(host: Host, *, synchronised: bool = True) -> Daemon:
    """Prepare chronyd, which serves the time of this machine, or says that it has none."""
    host.write(CHRONY, f"local stratum 3\n{TIME}" if synchronised else TIME)
    return Daemon(host, ["chronyd", "-x", "-f", CHRONY, "-u", "root"], "/run/chronyd.pid")
