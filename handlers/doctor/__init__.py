"""What would go wrong at night, found by day."""
