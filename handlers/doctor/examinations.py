"""All examinations of an endpoint, in the order in which they are made.

A new examination is a function in the file of its topic, and its name in the list there.
"""

from __future__ import annotations

from .access import ACCESS_EXAMINATIONS, gate_list
from .finding import Examination, HostExamination
from .login import certificate
from .managers import MANAGER_EXAMINATIONS
from .names import NAME_EXAMINATIONS
from .routing import ROUTING_EXAMINATIONS
from .service import SERVICE_EXAMINATIONS, SYSTEM_EXAMINATIONS
from .whereabouts import PLACE_EXAMINATIONS, notes

# These examine one VIP on the endpoint.
EXAMINATIONS: tuple[Examination, ...] = (
    *PLACE_EXAMINATIONS,
    *MANAGER_EXAMINATIONS,
    *ROUTING_EXAMINATIONS,
    notes,
    *SERVICE_EXAMINATIONS,
)
# These examine what the VIPs of an endpoint have in common, after its VIPs.
HOST_EXAMINATIONS: tuple[HostExamination, ...] = (
    *ACCESS_EXAMINATIONS,
    *NAME_EXAMINATIONS,
    *SYSTEM_EXAMINATIONS,
    gate_list,
    certificate,
)
