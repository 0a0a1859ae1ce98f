"""OSPFv2 of Quagga, and of FRR before its JSON was complete, asked in text."""

from __future__ import annotations

from .ospf_vtysh import VtyshOspf

DAEMON = VtyshOspf(as_json=False)
