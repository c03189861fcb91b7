"""The targets, a file a group."""
