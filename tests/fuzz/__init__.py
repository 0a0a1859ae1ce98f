"""Whatever bytes come from a peer: a state, and one clean line. See __main__.py."""
