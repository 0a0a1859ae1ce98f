"""Checks of an anycast service, which run on each endpoint: they ask, and never act."""

__version__ = "0.1.0"
