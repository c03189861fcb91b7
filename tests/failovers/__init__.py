"""Failovers of a real replica set in the middle of runs: nothing lost, nothing doubled, nothing told that is not so."""
