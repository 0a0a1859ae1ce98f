"""The dashboards for Grafana can be imported, and ask for nothing that the suite does not say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs.enforce import printed
from anycast_handlers.watch.page.metrics import Metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.support.boards import rich
from tests.support.examples import HEALTH, subcommand
from tests.support.verbs import VERBS

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "icinga2-templates"
FILES = sorted((ROOT / "grafana").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {file.name: json.loads(file.read_text()) for file in FILES}
WATCHER, CHECKS = BOARDS["anycast-watcher.json"], BOARDS["anycast-checks.json"]
# Prometheus itself adds these to what it reads.
ADDED = {"instance", "job"}


def targets(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield from panel["targets"]


@pytest.mark.parametrize("name", BOARDS)
class TestImport:
    def test_it_has_what_an_import_needs(self, name: str) -> None:
        """Grafana asks for each input, gives the dashboard an id, and shows it by its title."""
        board = BOARDS[name]
        (asked,) = board["__inputs"]
        assert {"name", "label", "type", "pluginId", "pluginName"} <= asked.keys()
        assert (board["id"], board["uid"], asked["type"]) == (None, name[:-5], "datasource")
        assert board["title"]
        assert board["schemaVersion"] >= 36
        needed = {(one["type"], one["id"]) for one in board["__requires"]}
        shown = {("panel", panel["type"]) for panel in board["panels"]}
        assert needed == shown | {("datasource", asked["pluginId"]), ("grafana", "grafana")}

    def test_all_of_it_asks_the_data_source_that_the_person_has_chosen(self, name: str) -> None:
        board = BOARDS[name]
        (asked,) = board["__inputs"]
        source = {"type": asked["pluginId"], "uid": f"${{{asked['name']}}}"}
        asking = [*board["panels"], *targets(board), *board["templating"]["list"]]
        assert [one for one in asking if one["datasource"] != source] == []

    def test_each_panel_has_a_number_a_text_and_a_place_of_its_own(self, name: str) -> None:
        panels = BOARDS[name]["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert [panel["title"] for panel in panels if not panel["description"]] == []
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            columns = range(at["x"], at["x"] + at["w"])
            cells = {(x, y) for x in columns for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert max(columns) < 24, panel["title"]
            taken |= cells

    def test_each_variable_that_is_used_is_one(self, name: str) -> None:
        board = BOARDS[name]
        used = set(re.findall(r"\$(\w+)", " ".join(map(asked_by, targets(board)))))
        own = {one["name"] for one in board["templating"]["list"]}
        assert own <= used
        assert used - own <= {"__interval", "__rate_interval", "timeFilter", "tag_hostname"}


def asked_by(target: dict[str, Any]) -> str:
    return str(target.get("expr") or target["query"])


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """The labels of each metric that the watcher says."""
    text = Metrics().render(rich()).decode()
    families = text_string_to_metric_families(text)
    return {one.name: set(one.labels) for family in families for one in family.samples}


def queries_of_variables() -> Iterator[str]:
    for one in WATCHER["templating"]["list"]:
        yield one["query"]["query"]


def test_every_metric_is_one_of_the_watcher_and_has_the_labels(
    samples: dict[str, set[str]],
) -> None:
    asked = [(asked_by(one), one["legendFormat"]) for one in targets(WATCHER)]
    asked += [(query, "") for query in queries_of_variables()]
    for query, legend in asked:
        names = set(re.findall(r"\b(?:anycast|process)_\w+", query))
        assert names, query
        assert names <= samples.keys(), query
        words = re.findall(r'(\w+)=~?"', query) + re.findall(r"by \((\w+)\)", query)
        words += re.findall(r"label_values\(.*, (\w+)\)", query) + re.findall(r"{{(\w+)}}", legend)
        known = set.intersection(*(samples[name] for name in names)) | ADDED
        assert set(words) <= known, query


def test_every_metric_of_an_endpoint_or_vip_is_for_the_vips_that_are_chosen() -> None:
    queries = [asked_by(one) for one in targets(WATCHER)]
    of_vips = [query for query in queries if re.search("anycast_(endpoint|vip|failover)_", query)]
    assert of_vips
    assert [query for query in of_vips if 'vip=~"$vip"' not in query] == []


def labels(check: str) -> set[str]:
    perfdata = subcommand(check).perfdata  # type: ignore[attr-defined]
    return {one.split("=")[0] for one in perfdata.split()}


def labels_of_enforce() -> set[str]:
    vip = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), ())
    request = Request(VERBS["enforce"], vip, Endpoint("ns1", "192.0.2.11"))
    _, perfdata = printed(Outcome(request, SYSTEM_CLOCK)).split(" | ")
    return {one.split("=")[0] for one in perfdata.split()}


PRINTED = {
    "health": set.union(*map(labels, HEALTH)),
    "client": set.union(*map(labels, HEALTH)),
    "route": labels("route"),
    "pool": labels("pool"),
    "control": labels_of_enforce(),
}


def test_every_label_is_one_that_the_check_of_the_service_prints() -> None:
    found = []
    for target in targets(CHECKS):
        query = asked_by(target)
        (metric,) = re.findall(r"\"metric\" = '(\w+)'", query)
        (service,) = re.findall(r"\"service\" =~ /\^anycast-(\w+)-\$vip\$/", query)
        assert metric in PRINTED[service], query
        found.append((service, metric))
    assert len(set(found)) == len(found)
    assert {service for service, _ in found} == set(PRINTED)


def test_every_service_and_command_is_one_of_the_templates() -> None:
    services = (TEMPLATES / "anycast-services.conf").read_text()
    for service in PRINTED:
        assert f'"anycast-{service}-"' in services, service
    # The measurement is the name of the service's command.
    commands = (TEMPLATES / "anycast-commands.conf").read_text()
    names = re.findall(r'^object CheckCommand "(.*)"', commands, re.MULTILINE)
    assert [name for name in names if not name.startswith("anycast_")] == []
    for target in targets(CHECKS):
        assert " FROM /^anycast_/ WHERE " in asked_by(target)


def test_each_dashboard_is_installed_and_documented() -> None:
    page = (ROOT / "docs/watch.rst").read_text()
    assert [name for name in BOARDS if f"``{name}``" not in page] == []
    assert "grafana/*" in (ROOT / "debian/anycast-handler.examples").read_text()
    assert "grafana/*.json" in (ROOT / "setup.cfg").read_text()
    assert "graft grafana" in (ROOT / "MANIFEST.in").read_text()
