"""The files that confine the handler's account on an endpoint to what the handler needs."""
