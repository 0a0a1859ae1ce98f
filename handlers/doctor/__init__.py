"""The examinations of `doctor`, which find by day what would go wrong at night."""
