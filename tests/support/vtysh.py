"""Stands for vtysh of FRR 8.4.4 where no router can run: in the bare namespace of one test.

A star of routers in area 0 around 192.0.2.254, each with the VIP as a stub link in its router LSA
(`network`). This host is 192.0.2.1 and announces exactly while the VIP is on lo. A test changes
that by the file SITUATION, a JSON object with these keys (and their defaults):

    others: how many other routers announce (2);
    others_withdrawn: how many announce while the VIP is not on lo (others);
    bystanders: how many more routers the area has, which announce nothing (0);
    own: whether this router announces, whatever is on lo;
    router_id: the id of this router (192.0.2.1);
    daemons: what `show daemons` prints (zebra and ospfd);
    configured: what `show running-config` prints about router-ids (an unknown command);
    neighbor: the state of the adjacency with the centre (Full/-);
    silent: how many more neighbors are configured by hand and have never answered (0);
    fails: what vtysh says on stderr instead of an answer.
"""

import json
import subprocess
import sys
from typing import Any

SITUATION = "/run/vtysh.json"
VIP, SELF, CENTRE = "10.99.0.53", "192.0.2.1", "192.0.2.254"
NOT_RUNNING = "Exiting: failed to connect to any daemons."
SECTIONS = {
    "network": "networkLinkStates",
    "summary": "summaryLinkStates",
    "asbr-summary": "asbrSummaryLinkStates",
    "nssa-external": "nssaExternalLinkStates",
}


def is_on_lo() -> bool:
    argv = ("/sbin/ip", "-json", "address", "show", "dev", "lo")
    (shown,) = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    return any(entry["local"] == VIP for entry in shown["addr_info"])


def to_router(router: str) -> dict[str, str]:
    return {
        "linkType": "another Router (point-to-point)",
        "neighborRouterId": router,
        "routerInterfaceAddress": "198.51.100.1",
    }


def router_lsa(router: str, links: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "lsaAge": 11,
        "flags": 0,
        "lsaType": "router-LSA",
        "linkStateId": router,
        "advertisingRouter": router,
        "numOfLinks": len(links),
        "routerLinks": {f"link{number}": link for number, link in enumerate(links)},
    }


def router_lsas(*, own: bool, others: int, bystanders: int) -> list[dict[str, Any]]:
    stub = {
        "linkType": "Stub Network",
        "networkAddress": VIP,
        "networkMask": "255.255.255.255",
    }
    routers = {SELF: own} | {f"192.0.2.{2 + number}": True for number in range(others)}
    routers |= {f"10.9.{n // 256}.{n % 256}": False for n in range(bystanders)}
    leaves = [router_lsa(r, [to_router(CENTRE), *[stub] * a]) for r, a in routers.items()]
    return [*leaves, router_lsa(CENTRE, [to_router(router) for router in routers])]


def answer(question: str, lsas: list[dict[str, Any]], situation: dict[str, Any]) -> dict[str, Any]:
    if question == "show ip ospf json":
        area = {"areaIfTotalCounter": 1, "areaIfActiveCounter": 1}
        return {"routerId": SELF, "attachedAreaCounter": 1, "areas": {"0.0.0.0": area}}
    if question == "show ip ospf neighbor json":
        state = situation.get("neighbor", "Full/-")
        neighbor = {"nbrState": state, "ifaceName": "eth0:198.51.100.1"}
        silent = [
            {"nbrState": "Attempt/DROther", "ifaceAddress": f"10.77.0.{n}", "ifaceName": "tun9:x"}
            for n in range(1, 1 + situation.get("silent", 0))
        ]
        return {"neighbors": {CENTRE: [neighbor], **({"neighbor": silent} if silent else {})}}
    kind = question.split()[4]
    if kind == "router":
        return {"routerId": SELF, "routerLinkStates": {"areas": {"0.0.0.0": lsas}}}
    if kind == "external":
        return {"routerId": SELF, "asExternalLinkStates": []}
    return {"routerId": SELF, SECTIONS[kind]: {"areas": {"0.0.0.0": []}}}


def main(arguments: list[str]) -> str | None:
    if arguments[:2] == ["-d", "bgpd"]:
        return NOT_RUNNING
    try:
        with open(SITUATION, encoding="utf-8") as file:
            situation = json.load(file)
    except FileNotFoundError:
        situation = {}
    if situation.get("fails"):
        return str(situation["fails"])
    on_lo = is_on_lo()
    others = situation.get("others", 2)
    if not on_lo:
        others = situation.get("others_withdrawn", others)
    own, bystanders = situation.get("own", on_lo), situation.get("bystanders", 0)
    lsas = router_lsas(own=own, others=others, bystanders=bystanders)
    for question in arguments[1::2]:
        if question.startswith("show running-config"):
            print(situation.get("configured", "% Unknown command"))
        elif question == "show daemons":
            print(situation.get("daemons", " zebra ospfd"))
        else:
            text = json.dumps(answer(question, lsas, situation))
            print(text.replace(SELF, situation.get("router_id", SELF)))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
