"""Letters that are alike, by what is known against them: of three thousand a person reads three lines."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from pipeline.deadletters.letter import Letter
from pipeline.deadletters.office import Filed
from pipeline.errors import Reason

__all__ = ["Group", "grouped"]

_DIGITS: Final = re.compile(r"\d+")

_Kind = tuple[str, str, bool, tuple[str, ...]]


class Group(Struct):
    """Letters of one flow that failed at one stage for reasons that differ in numbers alone: a place, a count."""

    newest: Filed
    """The one that was seen last; it stands for all of them."""
    count: int = 0

    @property
    def letter(self) -> Letter:
        """That of ``newest``."""
        return self.newest.letter

    @property
    def reasons(self) -> Sequence[Reason]:
        """Those of ``newest``; none where nothing is known against them, since they were mended."""
        return self.newest.letter.reasons


def grouped(found: Iterable[Filed]) -> list[Group]:
    """The letters by kind, the kind with the newest first; of each kind one letter is kept in memory."""
    groups: dict[_Kind, Group] = {}
    for filed in found:
        group = groups.setdefault(_kind_of(filed.letter), Group(filed))
        group.count += 1
        if filed.letter.last_seen > group.letter.last_seen:
            group.newest = filed
    return sorted(groups.values(), key=lambda group: group.letter.last_seen, reverse=True)


def _kind_of(letter: Letter) -> _Kind:
    alike = tuple(sorted({_DIGITS.sub("0", str(reason)) for reason in letter.reasons}))
    return letter.flow, letter.stage, letter.mended is not None, alike
