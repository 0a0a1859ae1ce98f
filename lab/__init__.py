"""Hosts in network namespaces with real daemons; for the demo, the tests and the benchmarks.

`python -m lab up` builds a lab to play with; programs use `with Lab() as lab: ...`.
"""

from .errors import LabError
from .host import Host
from .lab import Endpoint, Lab

__all__ = ["Endpoint", "Host", "Lab", "LabError"]
