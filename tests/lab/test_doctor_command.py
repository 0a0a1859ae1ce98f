"""`doctor` on one host that is its own endpoint; test_doctor.py has the lab's endpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.handler import Monitor
from tests.support.namespace import REMOTE, VIP, Namespace


class TestCommand:
    """The verb, on one host that is its own endpoint."""

    @pytest.fixture
    def host(self, host: Namespace) -> Namespace:
        host.run("sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1")
        return host

    @pytest.fixture
    def monitor(self, host: Namespace, tmp_path: Path) -> Monitor:
        monitor = Monitor(tmp_path, host)
        (tmp_path / "identity").touch(0o600)
        monitor.check_says("OK", 0)
        return monitor

    def test_hints_do_not_change_the_exit_code(self, host: Namespace, monitor: Monitor) -> None:
        host.run("sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=0")
        code, said = monitor.run("doctor", "resolver", "ns1")
        assert code == 0, said
        assert said.startswith("ns1: hint: net.ipv4.ip_nonlocal_bind is 0: ")
        assert said.endswith("\n1 endpoint examined: 1 hint")

    def test_nothing_found_is_0(self, monitor: Monitor) -> None:
        code, said = monitor.run("doctor", "resolver", "ns1")
        assert code == 0, said
        activator, summary = said.replace("\n     ", " ").splitlines()
        assert activator.startswith(f"ns1: {VIP} would be withdrawn by ")
        assert summary == "1 endpoint examined: nothing found"

    def test_all_endpoints_are_compared(self, monitor: Monitor) -> None:
        """In this test one host has two names in the fleet file, hence one router-id."""
        code, said = monitor.run("doctor")
        assert code == 1, said
        assert "ns1, ns9: they have the same OSPF router-id 192.0.2.1\n  -> configure " in said

    def test_a_finding_is_1_and_no_log(self, monitor: Monitor) -> None:
        monitor.check_says("CRITICAL", 2)
        code, said = monitor.run("doctor", "resolver", "ns1")
        assert code == 1, said
        assert "ns1: its own check says CRITICAL (" in said
        assert not (monitor.directory / "log/decisions.jsonl").exists()

    def test_one_that_cannot_be_asked_is_2(self, host: Namespace, monitor: Monitor) -> None:
        key = monitor.directory / "identity"
        key.unlink()
        host.run("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(key))
        (monitor.directory / "known_hosts").touch()
        monitor.configure(endpoint=f'"{REMOTE}"')
        code, said = monitor.run("doctor", "resolver", "ns1")
        assert code == 2, said
        assert f"ns1: could not be asked: {REMOTE} port 22: " in said

    @pytest.mark.parametrize("names", [("none",), ("resolver", "none"), ("a", "b", "c")])
    def test_unknown_names_are_3(self, monitor: Monitor, names: tuple[str, ...]) -> None:
        assert monitor.run("doctor", *names)[0] == 3
