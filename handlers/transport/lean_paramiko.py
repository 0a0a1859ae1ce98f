"""paramiko, told to print nothing and to import nothing that is not needed."""

from __future__ import annotations

import logging

from anycast_checks.imports import lean

# paramiko needs invoke for `Match exec` in a user's ssh_config, which is never read here; invoke
# would take a third of the time that importing paramiko takes.
lean("paramiko", "invoke")
import paramiko as paramiko  # noqa: E402 - the other modules import it from here
from paramiko.buffered_pipe import BufferedPipe as BufferedPipe  # noqa: E402
from paramiko.packet import Packetizer as Packetizer  # noqa: E402

# Without a logging configuration paramiko's transport thread prints tracebacks to stderr.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False
