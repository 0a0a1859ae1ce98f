"""One VIP on one endpoint: look at it, its latch and hold, change it."""
