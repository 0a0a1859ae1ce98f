"""The one path of all that acts: connect, lock, look, count, decide, confirm, act, verify, log."""
