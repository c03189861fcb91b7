"""Mutation: deliberate breaks of the program, one at a time, and whether the tests notice."""
