"""What a person has changed in a payload: the lines that differ, and what in them, with some lines around. Pure."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, Literal

from msgspec import Struct

__all__ = ["Line", "Piece", "differing"]

MOST_CHARACTERS: Final = 200_000
MOST_LINES: Final = 3_000
MOST_WORDS: Final = 4_000
"""Where there are more, looking for what differs takes too long for a page."""
AROUND: Final = 2
"""Lines that are shown around what differs."""
_WORD: Final = re.compile(r"\w+|\s+|[^\w\s]")

Kind = Literal["same", "gone", "new", "cut"]


class Piece(Struct, frozen=True):
    """A part of a line; ``is_marked``: it is in this text alone."""

    text: str
    is_marked: bool = False


class Line(Struct, frozen=True):
    """One line of either text, or, ``cut``, where lines that are the same are left out."""

    kind: Kind
    number: int | None = None
    """In its own text, from 1."""
    pieces: Sequence[Piece] = ()


def differing(before: str, after: str) -> list[Line] | None:
    """What differs; nothing where they are equal, None where they are too large to be compared."""
    if before == after:
        return []
    old, new = before.splitlines(), after.splitlines()
    if len(before) + len(after) > MOST_CHARACTERS or len(old) + len(new) > MOST_LINES:
        return None
    lines: list[Line] = []
    last = 0
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(AROUND):
        if group[0][1] > last:
            lines.append(Line("cut"))
        for what, start, end, at, to in group:
            lines += _same(old, start, end) if what == "equal" else _changed(old, start, end, new, at, to)
            last = end
    if lines and last < len(old):
        lines.append(Line("cut"))
    return lines or [Line("new", None, [Piece("the ends of the lines alone")])]


def _same(old: Sequence[str], start: int, end: int) -> Iterator[Line]:
    for number in range(start, end):
        yield Line("same", number + 1, [Piece(old[number])])


def _changed(old: Sequence[str], start: int, end: int, new: Sequence[str], at: int, to: int) -> Iterator[Line]:
    """Lines that became others, word by word where each became one."""
    if end - start == to - at:
        pairs = [_words(old[start + index], new[at + index]) for index in range(end - start)]
        gone, come = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        gone, come = [[Piece(line)] for line in old[start:end]], [[Piece(line)] for line in new[at:to]]
    for index, pieces in enumerate(gone):
        yield Line("gone", start + index + 1, pieces)
    for index, pieces in enumerate(come):
        yield Line("new", at + index + 1, pieces)


def _words(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > MOST_WORDS:
        return [Piece(before)], [Piece(after)]
    gone, come = list[Piece](), list[Piece]()
    for what, start, end, at, to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for pieces, text in ((gone, "".join(old[start:end])), (come, "".join(new[at:to]))):
            if text:
                pieces.append(Piece(text, what != "equal"))
    return gone, come
