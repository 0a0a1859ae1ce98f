"""How a command reaches an endpoint: over SSH, or on this very host."""
