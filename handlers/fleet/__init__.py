"""The fleet file, and what it says as frozen values."""
