"""OSPFv2 of FRR, asked in JSON; a version without complete JSON is asked as Quagga is."""

from __future__ import annotations

from .ospf_vtysh import VtyshOspf

DAEMON = VtyshOspf(as_json=True)
