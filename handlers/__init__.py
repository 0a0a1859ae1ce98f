"""What acts: takes an anycast endpoint out of the routing, and brings it back."""
