"""Counting the announcers of a VIP, and seeing an act in the routing."""
