#!/usr/bin/python3
"""Ask a service of this host."""

import sys

from anycast_checks.__main__ import main

sys.exit(main())
