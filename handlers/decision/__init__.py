"""The rules, as pure functions: the guards, what the automation does and what a person may do."""
