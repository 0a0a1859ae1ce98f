"""Icinga 2: passive results by its API, over one connection that is kept.

The standard library's http.client is used, and no larger one: there is one connection, to one host,
by one thread. It follows no redirect and no proxy of the environment, which would get the password.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import stat
from typing import Any

from anycast_checks.line import clean

from ...errors import ConfigurationError, unreadable
from ...fleet.values import Icinga
from .answering import AnsweringSocket
from .report import TTL, NotToldError, RefusedReportError, Report

# Time limit of a login, and that of a request with its answer, in seconds.
PATIENCE = 5.0
LONGEST_ANSWER, LONGEST_PASSWORD, LONGEST_TEXT = 65536, 1024, 900
# Bytes of an answer with its headers.
MOST = 2 * LONGEST_ANSWER
PATH = "/v1/actions/process-check-result"
OTHERS = stat.S_IWGRP | stat.S_IRWXO
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404


class IcingaApi:
    """The way to Icinga 2.

    Args:
        settings: the table of the fleet file.
        ttl: how long a result is good for, in seconds; after that Icinga asks by itself.

    Raises:
        ConfigurationError: the file of the password or of the authority cannot be used.
    """

    def __init__(self, settings: Icinga, ttl: float = TTL) -> None:
        self._settings = settings
        self._ttl = ttl
        login = f"{settings.user}:{_password(settings.password_file)}".encode()
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(login).decode()}",
        }
        self._tls = _trusting(settings.ca)
        self._connection: http.client.HTTPSConnection | None = None
        self._socket: socket.socket | None = None
        self._is_closed = False

    def send(self, report: Report) -> None:
        """Pass on a report; see `Way`."""
        body = json.dumps({**_result(report), "ttl": self._ttl}).encode()
        was_kept = self._connection is not None
        try:
            status, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # Icinga ends a connection that is idle for 10 s, and all of them when it is reloaded. A
            # result may be sent twice without harm.
            if not was_kept or isinstance(error, TimeoutError):
                raise self._away(error) from error
            self._send_anew(body, report)
        else:
            self._judge(status, answer, report)

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

    def _send_anew(self, body: bytes, report: Report) -> None:
        try:
            status, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._away(error) from error
        self._judge(status, answer, report)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        connection = self._connected()
        if isinstance(connection.sock, AnsweringSocket):
            connection.sock.ask(MOST, PATIENCE)
        connection.request("POST", PATH, body, self._headers)
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
        if status == UNAUTHORIZED:
            why = f"{where} refuses the user {user} or the password"
            raise NotToldError(why, "see user and password_file in [icinga]")
        if status == FORBIDDEN:
            raise NotToldError(f"{where} forbids {user} to report", "see its permissions")
        if status == NOT_FOUND:
            why = f"{where} has no service {service}, or {user} may not report on it"
            raise RefusedReportError(why)
        if status != OK:
            raise NotToldError(f"{where} answers with the status {status}")
        code = _code(answer)
        if code is None:
            raise NotToldError(f"{where} gives an answer that is not Icinga's")
        if code != OK:
            raise RefusedReportError(f"{where} refuses a result of {service}: code {code}")

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


def _trusting(ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = AnsweringSocket
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{ca}: has no certificate in it", "see icinga.ca") from error
    except OSError as error:
        raise unreadable(f"{ca}:", error, "icinga.ca") from error
    return context


def _open_at_once(file: str, flags: int) -> int:
    # A FIFO would keep the start waiting for somebody who writes to it.
    return os.open(file, flags | os.O_NONBLOCK)


def _password(file: str) -> str:
    try:
        with open(file, "rb", opener=_open_at_once) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigurationError(f"{file}: is no file", "see icinga.password_file")
            if found.st_uid not in (0, os.geteuid()):
                raise ConfigurationError(f"{file}: belongs to somebody else", "chown it")
            if found.st_mode & OTHERS:
                raise ConfigurationError(f"{file}: others may read or change it", "chmod 600")
            text = stream.read(LONGEST_PASSWORD + 1)
    except OSError as error:
        raise unreadable(f"{file}:", error, "icinga.password_file") from error
    try:
        password = text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: is not text in UTF-8") from error
    if not password or len(text) > LONGEST_PASSWORD or not password.isprintable():
        raise ConfigurationError(f"{file}: must have one line, the password")
    return password
