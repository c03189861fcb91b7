"""Hostile data: every parser is given bytes that nobody would write; ``python -m tests.fuzz`` does it for long."""
