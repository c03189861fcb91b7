"""The dead letters: what could not pass, put aside with everything a person needs to mend it."""

from pipeline.deadletters.folder import DeadLetterFolder
from pipeline.deadletters.letter import Letter, read_letter, read_letters

__all__ = ["DeadLetterFolder", "Letter", "read_letter", "read_letters"]
