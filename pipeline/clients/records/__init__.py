"""What the records of a client look like: which keys they have, what of that drifts, how a sample is read; pure."""
