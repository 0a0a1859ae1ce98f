"""Counts who announces a VIP, and finds out whether the routing has followed an act."""
