"""The dead letters: what could not pass, put aside with everything a person needs to mend it."""

from pipeline.deadletters.census import Census, Standing
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.folder import DeadLetterFolder, Identify
from pipeline.deadletters.grouping import Group, grouped
from pipeline.deadletters.letter import Letter, read_letter, read_letters
from pipeline.deadletters.office import DeadLetterOffice, Filed, Filters, Stats

__all__ = [
    "Census",
    "DeadLetterFolder",
    "DeadLetterOffice",
    "Drawer",
    "Filed",
    "Filters",
    "Group",
    "Identify",
    "Letter",
    "Standing",
    "Stats",
    "grouped",
    "read_letter",
    "read_letters",
]
