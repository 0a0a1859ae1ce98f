"""The tests; they are a package so that they can import tests/support/."""
