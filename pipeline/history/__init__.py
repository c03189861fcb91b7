"""What became of orders, and of runs: the decision log and the journal."""
