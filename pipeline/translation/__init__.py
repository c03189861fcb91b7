"""The layouts: pure translations between a client's JSON and the canonical work order."""
