"""Simulated histories: one seed makes months of bad days, plays them with the real chains, and looks at the end."""
