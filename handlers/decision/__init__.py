"""Pure: the facts, the guards, what the automation does and what a person may do."""
