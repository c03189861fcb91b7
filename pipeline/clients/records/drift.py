"""Drift of a client's records: keys that were never there before, and keys that are there no more; pure.

Told are a key's path and counts of records, never a value. A key that the layout names is never new; one is gone when
it was in every record before, or often and the layout names it, and no record of a whole run has it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from pipeline.clients.records.shapes import Shape, outermost, paths_of, shape_of

__all__ = ["LIMIT", "Drift", "Keys", "Tally", "Watch"]

LIMIT: Final = 1000
"""How many paths of a client are remembered; of one with more, nothing is new."""
SHAPES: Final = 1000
"""How many shapes of records are held apart until they are counted together."""
ALL_OF: Final = 500
ONE_IN: Final = 16
"""All keys of so many records are looked at; after that of one in so many, and of the others the outermost keys."""
ENOUGH: Final = 100
"""In how many records a key must be missing that is not in all of them, to be gone."""
OFTEN: Final = 10
"""One in so many records of a run must have had such a key: what few records have may be in none by chance."""
SHOWN: Final = 10
"""How many paths are told in a line."""


class Keys(Struct, frozen=True, omit_defaults=True):
    """What is known of the keys of the records in one layout, by their paths."""

    seen: frozenset[str]
    always: frozenset[str] = frozenset()
    """Those that every record had so far."""
    often: frozenset[str] = frozenset()
    """Those that many records of some run had."""
    new: Mapping[str, str] = {}
    """Those that were seen later than at first, and the day."""
    gone: Mapping[str, str] = {}
    """Those that are there no more, and since which day; they are told once."""


class Drift(Struct, frozen=True):
    """What one run found in the records of one layout."""

    layout: str
    records: int
    new: Mapping[str, int]
    """Outermost paths, and in how many records they are."""
    gone: tuple[str, ...] = ()

    @property
    def lines(self) -> Iterator[str]:
        """One for what is new, one for what is gone."""
        if self.new:
            told = _some(f"{path} (in {count:,} of {self.records:,} records)" for path, count in self.new.items())
            yield f"{_keys(self.new)} never seen before in {self.layout}: {told}"
        if self.gone:
            yield f"{_keys(self.gone)} in none of {self.records:,} records in {self.layout}: {_some(self.gone)}"


class Tally(Struct):
    """The records of one layout in this run."""

    records: int = 0
    paths: Counter[str] = Counter()
    """In how many of them each path is."""


class _Seen(Struct):
    layout: str
    unknown: tuple[str, ...]
    count: int = 0


class Watch:
    """Looks at the keys of records, one run long: ``names`` are the paths that each layout names, ``known`` what was.

    A record costs little: the keys of a shape are worked out once. Of many records with the same outermost keys most
    count as having the shape of the one that was looked at last, unless it is ``thorough``.
    """

    def __init__(
        self, names: Mapping[str, frozenset[str]], known: Mapping[str, Keys], *, thorough: bool = False
    ) -> None:
        self._names = names
        self._known = known
        self._thorough = thorough
        self._noted = 0
        self._shapes: dict[Shape, _Seen] = {}
        self._alike: dict[Shape, _Seen] = {}
        """By outermost keys, what was looked at last."""
        self._tallies: dict[str, Tally] = {}
        self._is_full = sum(len(keys.seen) for keys in known.values()) >= LIMIT

    def note(self, data: Mapping[str, Any], recognise: Callable[[Any], str]) -> tuple[str, ...]:
        """Look at one record; returns the outermost of its keys that nobody names, and that were never there before.

        ``recognise`` tells its layout; where that raises, the record counts for none.
        """
        keys, alike = tuple(data), None
        self._noted += 1
        if self._noted > ALL_OF and self._noted % ONE_IN and not self._thorough:
            alike = self._alike.get(keys)
        seen = alike or self._look(data, keys, recognise)
        seen.count += 1
        return seen.unknown

    def _look(self, data: Mapping[str, Any], keys: Shape, recognise: Callable[[Any], str]) -> _Seen:
        shape = shape_of(data)
        seen = self._shapes.get(shape)
        if seen is None:
            layout = recognise(data)
            if len(self._shapes) >= SHAPES:
                self._fold()
            seen = self._shapes[shape] = _Seen(layout, self._unknown(layout, paths_of(shape)))
        self._alike[keys] = seen
        return seen

    def tallies(self) -> dict[str, Tally]:
        """What was noted, by layout."""
        self._fold()
        return self._tallies

    def add(self, tallies: Mapping[str, Tally]) -> None:
        """Count what another watch has noted of the same client's records."""
        for layout, other in tallies.items():
            tally = self._tallies.setdefault(layout, Tally(0, Counter()))
            tally.records += other.records
            tally.paths.update(other.paths)
            self._noted += other.records

    def ended(self, day: str, *, is_whole: bool, learns: bool) -> tuple[dict[str, Keys], list[Drift]]:
        """What is known now, and what has changed; of a run that is not whole nothing is gone.

        Nothing is known until a first run is whole: what some records have in common, the rest may not have. Where it
        does not learn, a key that nobody names stays unknown, but for the first records of a layout.
        """
        self._fold()
        known, found = dict(self._known), []
        for layout, tally in self._tallies.items():
            before, here = known.get(layout), frozenset(tally.paths)
            always = frozenset(path for path, count in tally.paths.items() if count == tally.records)
            often = frozenset(path for path, count in tally.paths.items() if count * OFTEN >= tally.records)
            if before is None:
                if is_whole:
                    seen = self._bounded(known, layout, here)
                    known[layout] = Keys(seen, always & seen, often & seen)
                continue
            new = {path: tally.paths[path] for path in self._unknown(layout, here)}
            gone = self._gone(layout, before, tally) if is_whole else frozenset()
            seen = self._bounded(known, layout, before.seen | (here if learns else here & self._named(layout)))
            known[layout] = Keys(
                seen=seen,
                always=before.always & always if is_whole else before.always,
                often=before.often | (often & seen),
                new={**before.new, **(dict.fromkeys(new, day) if learns else {})},
                gone={path: since for path, since in before.gone.items() if path not in here}
                | dict.fromkeys(gone, day),
            )
            if new or gone:
                found.append(Drift(layout, tally.records, new, outermost(gone)))
        return known, found

    def _unknown(self, layout: str, paths: frozenset[str]) -> tuple[str, ...]:
        keys = self._known.get(layout)
        if keys is None or self._is_full:
            return ()
        return outermost(paths - keys.seen - self._named(layout))

    def _gone(self, layout: str, before: Keys, tally: Tally) -> frozenset[str]:
        expected = before.always
        if tally.records >= ENOUGH:
            some = before.often & self._named(layout)
            is_sure = self._thorough or self._noted <= ALL_OF  # else one that few records have may have been overlooked
            expected |= some if is_sure else {path for path in some if not {".", "["} & set(path[2:])}
        return expected - frozenset(tally.paths) - frozenset(before.gone)

    def _named(self, layout: str) -> frozenset[str]:
        return self._names.get(layout, frozenset())

    def _fold(self) -> None:
        """Count the shapes together."""
        for shape, seen in self._shapes.items():
            tally = self._tallies.setdefault(seen.layout, Tally(0, Counter()))
            tally.records += seen.count
            for path in paths_of(shape):
                if path in tally.paths or len(tally.paths) < LIMIT:
                    tally.paths[path] += seen.count
        self._shapes.clear()
        self._alike.clear()

    def _bounded(self, known: Mapping[str, Keys], layout: str, paths: frozenset[str]) -> frozenset[str]:
        room = LIMIT - sum(len(keys.seen) for name, keys in known.items() if name != layout)
        return paths if len(paths) <= room else frozenset(sorted(paths)[: max(room, 0)])


def _keys(paths: Collection[str]) -> str:
    return f"{len(paths):,} key{'s' if len(paths) > 1 else ''}"


def _some(told: Iterable[str]) -> str:
    lines = list(told)
    more = [f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return ", ".join([*lines[:SHOWN], *more])
