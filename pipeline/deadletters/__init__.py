"""The dead letters: what could not pass, put aside with everything a person needs to mend it."""
