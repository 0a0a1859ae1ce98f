"""The parts of dnspython that the checks use, under the name ``dns``."""

# ruff: noqa: E402
from .imports import lean

# dnspython imports this one only to find out which of its optional features are installed.
lean("dns.name", "importlib.metadata")

import dns
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename

__all__ = ["dns"]
