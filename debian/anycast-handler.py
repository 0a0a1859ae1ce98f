#!/usr/bin/python3
"""Withdraw and restore anycast endpoints."""

import sys

# What this release of Debian has too old; where it has all, there is no such directory.
sys.path.insert(0, "/usr/lib/anycast-handler")

from anycast_handlers.__main__ import main

sys.exit(main())
