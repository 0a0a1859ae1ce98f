"""Which program configures the interface of a VIP, one file each; and their registry."""

from __future__ import annotations

from .activator import Activator
from .ifupdown import IFUPDOWN
from .ip import PLAIN_IP
from .network_scripts import NETWORK_SCRIPTS

# In the order in which `auto` tries them. A new activator is a line here.
ACTIVATORS: tuple[Activator, ...] = (IFUPDOWN, NETWORK_SCRIPTS, PLAIN_IP)
NAMES = tuple(activator.name for activator in ACTIVATORS)
