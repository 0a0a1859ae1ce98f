"""Questions to the API of an Icinga 2 daemon in the lab."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from .errors import LabError
from .host import Host

PORT = 5665
ANSWER_SECONDS = 10.0


class Api:
    """The API of the daemon on one host.

    Args:
        host: where it listens, on 127.0.0.1.
        login: user and password.
        certificate: the one that the daemon must show, in PEM.
    """

    def __init__(self, host: Host, login: tuple[str, str], certificate: str) -> None:
        self._host = host
        self._login = base64.b64encode(":".join(login).encode()).decode()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.load_verify_locations(cadata=certificate)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Send a request for a path below /v1/, and return the JSON document of the answer.

        Raises:
            LabError: Icinga does not answer, or refuses.
        """
        try:
            with self._connection(ANSWER_SECONDS) as connection:
                return json.load(self._send(connection, method, path, body))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LabError(f"{self._host.name}: Icinga does not answer: {error}") from error

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "Authorization": f"Basic {self._login}"}
        connection.request(method, f"/v1/{path}", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            said = response.read().decode(errors="replace")
            raise LabError(f"Icinga refuses {method} {path}: {response.status} {said}")
        return response

    def _connection(self, seconds: float) -> _Connection:
        return _Connection(self._host, self._tls, seconds)


class _Connection(http.client.HTTPConnection):
    """A connection from within the host, where the API listens on 127.0.0.1."""

    def __init__(self, host: Host, tls: ssl.SSLContext, seconds: float) -> None:
        super().__init__(host.name, PORT, timeout=seconds)
        self._lab_host = host
        self._seconds = seconds
        self._tls = tls

    def connect(self) -> None:
        plain = self._lab_host.connect("127.0.0.1", PORT, self._seconds)
        try:
            self.sock: socket.socket = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()
