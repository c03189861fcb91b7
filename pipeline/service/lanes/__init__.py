"""Lanes as processes of this program: the run deals groups of records to them, and holds all that there is one of."""
