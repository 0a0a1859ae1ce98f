"""OSPFv2 of Quagga, and of old FRR whose JSON is incomplete; both answer in text."""

from __future__ import annotations

from .ospf_vtysh import VtyshOspf

DAEMON = VtyshOspf(as_json=False)
