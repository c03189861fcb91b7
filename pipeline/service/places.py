"""Claimed places: each folder, file and collection that settings and clients name has one owner, and lies in no other.

A place is known by where it is, not by how it is written: relative or absolute, through a link, through a second mount.
"""

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

__all__ = ["Claim", "claimed_collection", "claimed_path", "crossings"]


class Claim(Struct, frozen=True):
    """One place, and who has it."""

    owner: str
    """The client; empty: the settings themselves."""
    setting: str
    """The name by which a person sets it."""
    marks: frozenset[Hashable]
    """What the place is known by; two claims with a mark in common are of one place."""
    around: frozenset[Hashable] = frozenset()
    """The marks of every folder that it lies in."""

    def __str__(self) -> str:
        return f"{self.setting} of {self.owner}" if self.owner else self.setting


def claimed_path(owner: str, setting: str, path: Path) -> Claim:
    """The claim of a file, or of a folder with all that is in it; it need not be there yet."""
    try:
        real = Path(os.path.realpath(path))  # a circle of links is left as it is
    except ValueError:  # no file system has such a name
        real = Path(path).absolute()
    around = (mark for parent in real.parents for mark in _marks(parent))
    return Claim(owner, setting, frozenset(_marks(real)), frozenset(around))


def claimed_collection(owner: str, setting: str, database: str, collection: str) -> Claim:
    """The claim of a collection, and of the one beside it that holds our own notes."""
    return Claim(owner, setting, frozenset({(database, collection), (database, f"{collection}.sync")}))


def crossings(claims: Sequence[Claim]) -> Iterator[tuple[Claim, str]]:
    """Each claim of a place that another has, or that one lies in: the claim, and what is wrong with it.

    Of two equal ones both are told, of two of which one lies in the other the inner and the outer one.
    """
    by_mark: dict[Hashable, list[Claim]] = defaultdict(list)
    for claim in claims:
        for mark in claim.marks:
            by_mark[mark].append(claim)
    for claim in claims:
        for other in _having(claim.marks, by_mark, claim):
            yield claim, f"the same as {other}"
        for other in _having(claim.around, by_mark, claim):
            yield claim, f"lies in {other}"
            yield other, f"{claim} lies in it"


def _having(marks: frozenset[Hashable], by_mark: dict[Hashable, list[Claim]], claim: Claim) -> list[Claim]:
    """The other claims that have one of ``marks``, each once."""
    found = {id(other): other for mark in marks for other in by_mark.get(mark, ()) if other is not claim}
    return sorted(found.values(), key=str)


def _marks(path: Path) -> Iterator[Hashable]:
    yield str(path)
    try:
        state = path.stat()
    except (OSError, ValueError):
        return
    yield state.st_dev, state.st_ino
