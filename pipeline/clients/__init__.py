"""The customers' systems: one module each, beside the transports they use."""
