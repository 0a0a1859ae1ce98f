"""A real Icinga 2 is told by its API, by a user that can do nothing else; without a lab."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.fleet.values import Icinga as Settings
from anycast_handlers.watch.engines.examine import examine_engines
from anycast_handlers.watch.engines.icinga import IcingaApi
from anycast_handlers.watch.engines.report import RANK, RefusedReportError, Report, control, health
from anycast_handlers.watch.engines.teller import Teller

from lab.icinga import CONTROL, HEALTH
from lab.waiting import wait_until
from tests.lab.icinga_alone import SECONDS, VIP, Recorded, home, host, needs_icinga
from tests.support.peer import certificate, free_port

pytestmark = needs_icinga
WATCHER, READER, PASSWORD = "anycast-watcher", "reader", "secret-of-the-watcher"
TTL = 3.0
FAST = f"{VIP}, interval = 1, retry = 1, attempts = 3, control_interval = 600"
OBJECTS = f"""
include "%s/templates/*.conf"
object ApiListener "api" {{{{ bind_host = "127.0.0.1", bind_port = {{port}} }}}}
object Endpoint NodeName {{{{}}}}
object Zone ZoneName {{{{ endpoints = [ NodeName ] }}}}
object ApiUser "{READER}" {{{{ password = "{PASSWORD}", permissions = [ "objects/query/*" ] }}}}
object ApiUser "{WATCHER}" {{{{ import "anycast-reports", password = "{PASSWORD}" }}}}
object ApiUser "stranger" {{{{ password = "{PASSWORD}", permissions = [ "status/query" ] }}}}
object Host "mon" {{{{ check_command = "dummy", vars.anycast_watcher = true }}}}
object Service "other" {{{{
  host_name = "mon", check_command = "dummy", enable_active_checks = false
}}}}
"""


class Told:
    """An Icinga that has an API and runs nothing but recorders."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self._certs = recorded.certify()
        self._port = free_port()
        head = 'address = "192.0.2.11"\n check_command = "dummy"'
        objects = OBJECTS.format(port=self._port)
        recorded.configure(objects + host(f"{{ {FAST} }}", head))
        self._password = recorded.home / "password"
        self._password.write_text(f"{PASSWORD}\n")
        self._tls = ssl.create_default_context(cafile=str(self._certs / "ca.crt"))

    def way(self) -> IcingaApi:
        # The daemon's directory was given to its user, and the file belongs to the one who reads.
        subprocess.run(["chown", "root:", self._password], check=True)
        self._password.chmod(0o600)
        ca = str(self._certs / "ca.crt")
        return IcingaApi(Settings("localhost", self._port, WATCHER, str(self._password), ca), TTL)

    def fleet(self, **more: Any) -> Fleet:
        """Give a fleet file's values, with this Icinga."""
        settings = self.way()._settings._replace(**{"watcher": "mon", **more})
        endpoints = (Endpoint("ns1", "192.0.2.11"),)
        vip = Vip("resolver", "10.99.0.53", "lo:0", ("check_anycast",), endpoints)
        paths = Paths(str(self.recorded.home), str(self.recorded.home / "log"))
        ssh = Ssh("anycast", str(self.recorded.home / "id"), "")
        return Fleet("fleet.toml", ssh, (vip,), paths, icinga=settings)

    def ask(
        self, user: str, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, Any]:
        """Send one request; returns the status and the document of the answer."""
        login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        headers = {"Accept": "application/json", "Authorization": f"Basic {login}"}
        where = http.client.HTTPSConnection("localhost", self._port, timeout=10, context=self._tls)
        try:
            where.request(method, f"/v1/{path}", json.dumps(body or {}), headers)
            answer = where.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            where.close()

    def service(self, name: str) -> dict[str, Any]:
        status, document = self.ask(READER, "GET", f"objects/services/{name}")
        assert status == 200, document
        found: dict[str, Any] = document["results"][0]["attrs"]
        return found

    def answers(self) -> bool:
        try:
            return self.ask(READER, "GET", "objects/hosts")[0] == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with home() as directory:
        recorded = Recorded(directory)
        told = Told(recorded)
        try:
            with recorded.running():
                wait_until(told.answers, "Icinga answers", SECONDS)
                yield told
        finally:
            recorded.end()


def report(service: str, state: State, text: str = "said by the watcher") -> Report:
    name, _, of = service.partition("!")
    return Report(name, of, state, text, time.time())


def test_a_change_is_hard_when_it_was_told_as_often_as_the_service_has_attempts(
    told: Told,
) -> None:
    way = told.way()
    # A service that was never checked counts as failing already.
    way.send(health("ns1", "resolver", State.OK, "answers", time.time()))
    states = []
    for _ in range(3):
        way.send(health("ns1", "resolver", State.CRITICAL, "refused", time.time()))
        found = told.service(f"ns1!{HEALTH}")
        states.append((found["state"], found["state_type"]))
    way.close()

    assert states == [(2, 0), (2, 0), (2, 1)]
    assert told.service(f"ns1!{HEALTH}")["last_check_result"]["output"] == "refused"


def test_icinga_does_not_ask_as_long_as_it_is_told_and_asks_at_once_after_that(
    told: Told,
) -> None:
    way = told.way()
    recorded = told.recorded
    way.send(report(f"ns1!{HEALTH}", State.OK))
    # A check that was under way may end after the first result.
    wait_until(lambda: _is_passive(told), "a result of ours is the last one", SECONDS)
    before = len(recorded.calls("check_by_ssh"))
    for _ in range(2 * int(TTL)):
        way.send(report(f"ns1!{HEALTH}", State.OK))
        time.sleep(0.5)
    asked = len(recorded.calls("check_by_ssh")) - before
    told_at = told.service(f"ns1!{HEALTH}")["last_check_result"]["execution_end"]
    wait_until(lambda: len(recorded.calls("check_by_ssh")) > before, "a check", SECONDS)
    wait_until(lambda: not _is_passive(told), "the result of that check", SECONDS)
    asked_at = told.service(f"ns1!{HEALTH}")["last_check_result"]["execution_start"]
    way.close()

    assert asked == 0
    assert asked_at - told_at >= TTL - 0.5


def _is_passive(told: Told) -> bool:
    return not told.service(f"ns1!{HEALTH}")["last_check_result"]["active"]


def test_a_watcher_that_is_silent_is_critical(told: Told) -> None:
    teller = Teller("icinga", told.way(), 3, "mon")
    teller.start()
    teller.alive(State.OK, "watches 3 endpoints", time.time())
    wait_until(lambda: told.service(f"mon!{WATCHER}")["state"] == 0, "the watcher is OK", SECONDS)
    teller.close()

    def silent() -> bool:
        found = told.service(f"mon!{WATCHER}")
        return (found["state"], found["state_type"]) == (2, 1)

    wait_until(silent, "the watcher is CRITICAL", SECONDS)
    assert (
        "no word from the watcher" in told.service(f"mon!{WATCHER}")["last_check_result"]["output"]
    )


def test_the_user_can_report_on_these_services_and_on_no_other(told: Told) -> None:
    way = told.way()
    way.send(control("ns1", "resolver", State.OK, "as it should be", time.time()))
    assert told.service(f"ns1!{CONTROL}")["last_check_result"]["output"] == "as it should be"
    with pytest.raises(RefusedReportError, match="no service mon!other, or anycast-watcher may"):
        way.send(report("mon!other", State.CRITICAL))
    with pytest.raises(RefusedReportError, match="no service ns9!anycast-health-resolver"):
        way.send(report(f"ns9!{HEALTH}", State.CRITICAL))
    way.send(report(f"ns1!{CONTROL}", State.OK, "and it goes on"))
    way.close()

    assert told.service("mon!other")["last_check_result"] is None


OK_OF_HOST = {"type": "Host", "host": "ns1", "exit_status": 0, "plugin_output": "said"}
EVERY = {"type": "Service", "filter": "true"}
FORBIDDEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a result of a host": ("POST", "actions/process-check-result", OK_OF_HOST),
    "a check": ("POST", "actions/reschedule-check", {**EVERY, "force": True}),
    "a downtime": ("POST", "actions/schedule-downtime", EVERY),
    "the end": ("POST", "actions/shutdown-process", {}),
    "a question about a host": ("GET", "objects/hosts", {}),
    "a question about users": ("GET", "objects/apiusers", {}),
    "the variables": ("GET", "variables", {}),
    "a change": ("POST", f"objects/services/ns1!{HEALTH}", {"attrs": {"check_interval": 1}}),
    "a new object": ("PUT", "objects/hosts/new", {"attrs": {"check_command": "dummy"}}),
    "code": ("POST", "console/execute-script", {"command": "1"}),
    "the status": ("GET", "status", {}),
    "a package": ("GET", "config/packages", {}),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_user_can_do_nothing_else(told: Told, what: str) -> None:
    status, document = told.ask(WATCHER, *FORBIDDEN[what])

    # Where a filter hides all objects Icinga says that there are none.
    assert status in (403, 404), document
    assert told.service(f"ns1!{HEALTH}")["name"] == HEALTH


def test_a_filter_of_the_request_cannot_widen_what_the_user_may_do(told: Told) -> None:
    body = {**EVERY, "exit_status": 2, "plugin_output": "all of them"}
    status, document = told.ask(WATCHER, "POST", "actions/process-check-result", body)

    assert status == 200
    named = {one["status"].split("'")[1] for one in document["results"]}
    assert named == {f"ns1!{HEALTH}", f"ns1!{CONTROL}", f"mon!{WATCHER}"}


def test_the_user_sees_these_services_and_no_other(told: Told) -> None:
    status, document = told.ask(WATCHER, "GET", "objects/services")

    assert status == 200
    seen = {one["name"] for one in document["results"]}
    assert seen == {f"ns1!{HEALTH}", f"mon!{WATCHER}"}


@pytest.mark.parametrize("about", [f"SVC_DOWNTIME;ns1;{HEALTH}", "HOST_DOWNTIME;ns1"])
def test_it_is_asked_for_the_downtimes_of_a_service_and_of_its_host(told: Told, about: str) -> None:
    way, now = told.way(), int(time.time())
    mine = frozenset({("ns1", HEALTH)})
    assert way.ask(watchers=False).in_downtime == frozenset()
    told.recorded.command(f"SCHEDULE_{about};{now - 1};{now + 600};1;0;600;nagios;kernel")
    wait_until(lambda: way.ask(watchers=False).in_downtime == mine, "it is known", SECONDS)
    told.recorded.command("DEL_DOWNTIME_BY_HOST_NAME;ns1")
    wait_until(lambda: not way.ask(watchers=False).in_downtime, "it is over", SECONDS)
    way.close()


def test_it_shows_a_watcher_only_while_that_reports(told: Told) -> None:
    way, now = told.way(), time.time()
    way.send(Report("mon", WATCHER, State.OK, "watches", now, f"{RANK}=1"))
    (seen,) = way.ask(watchers=True).watchers
    assert (seen.host, seen.rank) == ("mon", 1)
    assert seen.told_at == pytest.approx(now)
    wait_until(lambda: not way.ask(watchers=True).watchers, "its word has run out", SECONDS)
    way.close()


class TestDoctor:
    """What `doctor` finds about Icinga."""

    def found(self, fleet: Fleet) -> tuple[str, str]:
        (found,) = examine_engines(fleet)
        assert found.about == "fleet.toml: icinga"
        return found.text, found.remedy

    def test_nothing_where_all_is_well(self, told: Told) -> None:
        assert examine_engines(told.fleet()) == []

    def test_a_wrong_password(self, told: Told, tmp_path: Path) -> None:
        wrong = tmp_path / "password"
        wrong.write_text("guessed\n")
        wrong.chmod(0o600)
        text, remedy = self.found(told.fleet(password_file=str(wrong)))
        assert text.endswith("refuses the user anycast-watcher or the password")
        assert remedy == "see user and password_file in [icinga]"

    def test_a_password_that_others_may_read(self, told: Told, tmp_path: Path) -> None:
        open_to_all = tmp_path / "password"
        open_to_all.write_text(f"{PASSWORD}\n")
        open_to_all.chmod(0o644)
        text, remedy = self.found(told.fleet(password_file=str(open_to_all)))
        assert (text, remedy) == (f"{open_to_all}: others may read or change it", "chmod 600")

    def test_a_certificate_of_another_authority(self, told: Told, tmp_path: Path) -> None:
        _, ca = certificate(tmp_path, name="localhost")
        text, remedy = self.found(told.fleet(ca=ca))
        assert "shows a certificate that is not trusted" in text
        assert remedy == "see url and ca in [icinga]"

    def test_a_host_where_no_icinga_listens(self, told: Told) -> None:
        text, remedy = self.found(told.fleet(port=1))
        assert text == "Icinga at localhost port 1 cannot be told: Connection refused"
        assert remedy == "see url in [icinga]: does Icinga run there, with its API?"

    def test_a_user_without_the_permissions(self, told: Told) -> None:
        report, ask = examine_engines(told.fleet(user="stranger"))
        assert "does not allow stranger actions/process-check-result, so Icinga" in report.text
        assert "does not allow stranger objects/query/service, so the watcher" in ask.text
        assert report.remedy == ask.remedy
        assert report.remedy.startswith('`import "anycast-reports"` in its ApiUser')

    def test_services_that_icinga_does_not_have(self, told: Told) -> None:
        fleet = told.fleet()
        vip = fleet.vips[0]._replace(name="resolver2")
        found = examine_engines(fleet._replace(vips=(*fleet.vips, vip)))
        assert [one.text for one in found] == [
            "Icinga has no service ns1!anycast-health-resolver2, so it hears nothing about it"
        ]

    def test_a_watcher_that_has_no_service(self, told: Told) -> None:
        text, remedy = self.found(told.fleet(watcher="mon9"))
        assert text.startswith("Icinga has no service mon9!anycast-watcher, so nobody hears")
        assert "`vars.anycast_watcher = true` on the Host mon9" in remedy
