"""The Shell over SSH, against a real sshd and against servers that misbehave."""
