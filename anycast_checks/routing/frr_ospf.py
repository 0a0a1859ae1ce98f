"""OSPFv2 of FRR, which answers in JSON; a version whose JSON is incomplete is asked like Quagga."""

from __future__ import annotations

from . import quagga_ospf
from .ospf_vtysh import VtyshOspf

DAEMON = VtyshOspf(as_json=True, older=quagga_ospf.DAEMON)
