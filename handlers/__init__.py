"""The handler: it takes a failing anycast endpoint out of the routing, and brings it back."""
