"""Servers from Debian that speak TLS and HTTP: healthy is OK; hung, killed and wrong CRITICAL."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.real_servers import NAME, RIGHT, Net, await_state, find, net
from tests.lab.real_tls import (
    NAME_SERVERS,
    POSTFIX,
    WEB_SERVERS,
    answer,
    with_certificate,
)
from tests.lab.test_real_servers import ONCE, fails

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ["unshare", "nsenter", "ip", "setpriv"])),
    reason="network namespaces need root, util-linux and iproute2",
)
QUESTION = ("dns", "--query", NAME, "--expect", RIGHT, *ONCE)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Net]:
    tmp_path.chmod(0o755)
    with net(tmp_path) as made:
        yield made


@pytest.mark.parametrize("name", NAME_SERVERS)
def test_name_server_over_tls_and_https(here: Net, name: str, tmp_path: Path) -> None:
    server, trusted = with_certificate(NAME_SERVERS[name], tmp_path)
    trust = ("--ca-file", trusted)
    ways = {"--tls": (*QUESTION, "--tls", *trust), "--https": (*QUESTION, "--https", *trust)}
    with here.serving(server) as running:
        for way, words in ways.items():
            seen = await_state(lambda words=words: here.check(*words, "-v"), 0)  # type: ignore[misc]
            assert (", h2\n" in seen.output) == (way == "--https")
            assert here.check(*words, "--cert-warning", "91").code == 1
            assert here.check(*words, "--tls-minimum", "1.3", "--host", NAME).code == 0
            fails(here.check(*words, "--host", "other.example.org"), "mismatch")
        questions = [
            w for way in ways for w in ("--check", f"dns --query {NAME} {way} --no-verify")
        ]
        assert here.check("all", *questions, *ONCE).code == 0
        fails(here.check(*ways["--https"], "--url", "/other"), "HTTP 404 for /other")
        running.hang()
        for words in ways.values():
            fails(here.check(*words), "no TLS handshake within 1 s")
        running.resume()
        running.kill()
        for words in ways.values():
            fails(here.check(*words), "connection refused")
    with here.serving(server, wrong=True):
        for words in ways.values():
            seen = await_state(lambda words=words: here.check(*words), 2)  # type: ignore[misc]
            while "refused" in seen.text:  # it has not started yet
                seen = here.check(*words)
            fails(seen, f"{RIGHT} is missing, got 192.0.2.66")


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_web_server(here: Net, name: str, tmp_path: Path) -> None:
    """HAProxy sends Early Hints (103) before each answer."""
    server, trusted = with_certificate(WEB_SERVERS[name], tmp_path)
    plain = ("http", "--string", "Welcome", *ONCE)
    secure = (*plain, "--tls", "--ca-file", trusted, "--host", NAME)
    with here.serving(server) as running:
        await_state(lambda: here.check(*plain), 0)
        assert here.check(*secure).code == 0
        assert here.check(*secure, "--cert-warning", "91").code == 1
        assert here.check("http", "--url", "/health", "--status", "204", *ONCE).code == 0
        running.hang()
        fails(here.check(*plain), "no answer within 1 s")
        fails(here.check(*secure), "no TLS handshake within 1 s")
        running.resume()
        running.kill()
        fails(here.check(*plain), "connection refused")
    with here.serving(server, wrong=True):
        await_state(lambda: here.check("http", *ONCE), 0)
        fails(here.check(*plain), "no 'Welcome' in the body")


def test_a_last_request_over_http_2(here: Net, tmp_path: Path) -> None:
    """With the last request that a connection may have, nginx says farewell before the answer."""
    server, trusted = with_certificate(WEB_SERVERS["nginx"], tmp_path)
    question = (*QUESTION, "--https", "--ca-file", trusted)
    with here.serving(server):
        home = max((one for one in tmp_path.iterdir() if one.is_dir()), key=lambda one: one.name)
        (home / "answer").write_bytes(answer(RIGHT))
        await_state(lambda: here.check(*question), 0)
        (home / "answer").write_bytes(answer("192.0.2.66"))
        fails(here.check(*question), f"{RIGHT} is missing, got 192.0.2.66")


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_mail_server(reachable: Path) -> None:
    find("postfix")
    server, trusted = with_certificate(POSTFIX, reachable)
    trust = ("--ca-file", trusted, "--host", NAME)
    question = ("tcp", "-p", "25", "--starttls", "smtp", "--tls", *trust, *ONCE)
    with net(reachable) as here, here.serving(server) as running:
        await_state(lambda: here.check(*question), 0)
        assert here.check(*question, "--cert-warning", "91").code == 1
        running.hang()
        fails(here.check(*question), "no answer within 1 s")
        running.resume()
        running.kill()
        fails(here.check(*question), "connection refused")
