"""Icinga 2: passive results by its API, over one connection that is kept.

The standard library's http.client is used, and no larger one: there is one connection, to one host,
by one thread. It follows no redirect and no proxy of the environment, which would get the password.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from typing import Any

from anycast_checks.line import clean

from ...fleet.values import Icinga
from .answering import AnsweringSocket
from .credentials import password, trusting
from .known import Known, Seen
from .report import HEALTH, RANK, TTL, WATCHER, NotToldError, RefusedReportError, Report

# Time limit of a login, and that of a request with its answer, in seconds.
PATIENCE = 5.0
LONGEST_ANSWER, LONGEST_TEXT = 1_000_000, 900
# Bytes of an answer with its headers.
MOST = 2 * LONGEST_ANSWER
INFO, SERVICES = "/v1", "/v1/objects/services"
REPORT = "/v1/actions/process-check-result"
# Filters in the language of Icinga.
IN_DOWNTIME = (
    f'match("{HEALTH}*", service.name) && service.downtime_depth + host.downtime_depth > 0'
)
WATCHERS = f'service.name == "{WATCHER}"'
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404


class IcingaApi:
    """The way to Icinga 2.

    Args:
        settings: the table of the fleet file.
        ttl: how long a result is good for, in seconds; after that Icinga asks by itself.
        owner: who may own the file of the password beside root; None for whoever runs this.

    Raises:
        ConfigurationError: the file of the password or of the authority cannot be used.
    """

    def __init__(self, settings: Icinga, ttl: float = TTL, *, owner: int | None = None) -> None:
        self._settings = settings
        self._ttl = ttl
        login = f"{settings.user}:{password(settings.password_file, owner)}".encode()
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(login).decode()}",
        }
        self._tls = trusting(settings.ca)
        self._connection: http.client.HTTPSConnection | None = None
        self._socket: socket.socket | None = None
        self._is_closed = False

    def send(self, report: Report) -> None:
        """Pass on a report; see `Way`."""
        status, answer = self._exchange(REPORT, {**_result(report), "ttl": self._ttl})
        self._judge(status, answer, report)

    def ask(self, *, watchers: bool) -> Known:
        """Ask what Icinga knows; see `Way`."""
        downtimes = self._query(IN_DOWNTIME, ("host_name", "name"))
        found = self._query(WATCHERS, ("host_name", "last_check_result")) if watchers else []
        try:
            return Known(
                frozenset((str(one["host_name"]), str(one["name"])) for one in downtimes),
                tuple(seen for one in found if (seen := _seen(one))),
            )
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise self._odd() from error

    def permissions(self) -> list[str]:
        """Ask what this user may do; raises NotToldError."""
        status, answer = self._exchange(INFO, {})
        self._expect_ok(status)
        try:
            (told,) = json.loads(answer)["results"]
            return [str(one).removesuffix(" (filtered)") for one in told["permissions"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._odd() from error

    def services(self) -> set[tuple[str, str]]:
        """Ask for the services that this user can see, by host and name; raises as `ask` does."""
        found = self._query("true", ("host_name", "name"))
        return {(str(one.get("host_name")), str(one.get("name"))) for one in found}

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """End a `send` that waits; see `Way`."""
        self._is_closed = True
        if (connected := self._socket) is not None:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _query(self, which: str, attributes: tuple[str, ...]) -> list[dict[str, Any]]:
        """Ask for the attributes of services."""
        status, answer = self._exchange(SERVICES, {"filter": which, "attrs": attributes})
        if status in (FORBIDDEN, NOT_FOUND):
            raise RefusedReportError(
                f"{self._where} does not let {self._settings.user} ask for downtimes",
                'its ApiUser needs all of the template "anycast-reports"',
            )
        self._expect_ok(status)
        try:
            return [dict(one["attrs"]) for one in json.loads(answer)["results"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._odd() from error

    def _exchange(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        """Send a request; gives the status and the answer."""
        was_kept = self._connection is not None
        try:
            return self._post(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # Icinga ends a connection that is idle for 10 s, and all of them when it is reloaded. A
            # request may be sent twice without harm.
            if not was_kept or isinstance(error, TimeoutError):
                raise self._away(error) from error
        try:
            return self._post(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._away(error) from error

    def _post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        connection = self._connected()
        if isinstance(connection.sock, AnsweringSocket):
            connection.sock.ask(MOST, PATIENCE)
        # Icinga takes a question with a filter as a POST that stands for a GET.
        asks = {} if path == REPORT else {"X-HTTP-Method-Override": "GET"}
        connection.request("POST", path, json.dumps(body).encode(), {**self._headers, **asks})
        response = connection.getresponse()
        try:
            answer = response.read(LONGEST_ANSWER)
        except (ValueError, OverflowError) as error:
            # http.client believes the length of a chunk, whatever it is.
            raise http.client.HTTPException("it makes no sense") from error
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, answer

    def _connected(self) -> http.client.HTTPSConnection:
        if self._is_closed:
            raise OSError("the watcher ends")
        if self._connection is None:
            where = self._settings
            connection = http.client.HTTPSConnection(
                where.host, where.port, timeout=PATIENCE, context=self._tls
            )
            self._connection = connection
            connection.connect()
            # Without this the second segment of a request waits for the acknowledgement of the
            # first, which takes 40 ms.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = connection.sock
        return self._connection

    def _judge(self, status: int, answer: bytes, report: Report) -> None:
        service = f"{report.host}!{report.service}"
        user, where = self._settings.user, self._where
        if status == FORBIDDEN:
            raise NotToldError(f"{where} forbids {user} to report", "see its permissions")
        if status == NOT_FOUND:
            why = f"{where} has no service {service}, or {user} may not report on it"
            raise RefusedReportError(why)
        self._expect_ok(status)
        code = _code(answer)
        if code is None:
            raise self._odd()
        if code != OK:
            raise RefusedReportError(f"{where} refuses a result of {service}: code {code}")

    def _expect_ok(self, status: int) -> None:
        if status == UNAUTHORIZED:
            why = f"{self._where} refuses the user {self._settings.user} or the password"
            raise NotToldError(why, "see user and password_file in [icinga]")
        if status != OK:
            raise NotToldError(f"{self._where} answers with the status {status}")

    def _odd(self) -> NotToldError:
        return NotToldError(f"{self._where} gives an answer that is not Icinga's")

    def _away(self, error: OSError | http.client.HTTPException) -> NotToldError:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"{self._where} shows a certificate that is not trusted: {error.verify_message}"
            return NotToldError(why, "see url and ca in [icinga]")
        if isinstance(error, TimeoutError):
            return NotToldError(f"{self._where} does not answer")
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return NotToldError(f"{self._where} cannot be told: {said}")

    @property
    def _where(self) -> str:
        return f"Icinga at {self._settings.host} port {self._settings.port}"


def _result(report: Report) -> dict[str, Any]:
    return {
        "type": "Service",
        "service": f"{report.host}!{report.service}",
        "exit_status": report.state.value,
        "plugin_output": clean(report.text, LONGEST_TEXT),
        "performance_data": report.perfdata.split(),
        "execution_start": report.at,
        "execution_end": report.at,
    }


def _code(answer: bytes) -> int | None:
    """Read which code Icinga gave for the one result; None where the answer is of another form."""
    try:
        (result,) = json.loads(answer)["results"]
        return int(result["code"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _seen(service: dict[str, Any]) -> Seen | None:
    """Read the last report of a watcher; None where Icinga has asked itself since."""
    result = service["last_check_result"]
    if result is None or result["active"]:
        return None
    told = dict(one.split("=", 1) for one in result["performance_data"] or () if "=" in one)
    return Seen(str(service["host_name"]), int(told.get(RANK, 0)), float(result["execution_end"]))
