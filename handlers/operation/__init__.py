"""The path of a verb that acts: connect, lock, look, count, decide, confirm, act, verify, log."""
