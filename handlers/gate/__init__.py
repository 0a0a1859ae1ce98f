"""What goes onto an endpoint, so that the handler's account can do what it must and no more."""
