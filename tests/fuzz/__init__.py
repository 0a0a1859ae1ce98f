"""Fuzzing: any bytes of a peer end in a state and one clean line. See __main__.py."""
