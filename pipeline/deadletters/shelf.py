"""What a page shows of the open letters, however many there are: each is read once, a few at a time, and kept in mind.

What is kept of a letter has no bytes: 100,000 of them take some 100 MB.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from pipeline.deadletters.grouping import Group, grouped
from pipeline.deadletters.letter import Letter, id_of_name, key_of_name, read_letter
from pipeline.deadletters.office import Filed
from pipeline.errors import Reason

__all__ = ["OnShelf", "Shelf"]

AT_ONCE: Final = 500
"""How many letters a step reads."""
SHOWN_SECONDS: Final = 2.0
"""How often what was read by then is shown, while there are many to read."""
TRUSTED_SECONDS: Final = 30.0
"""How long a folder that does not look changed is taken for unchanged."""

SETTLED_NANOSECONDS: Final = 100_000_000
"""A folder that has changed within such a time may change again and look the same: clocks of file systems tick."""

_Place = tuple[str, str]
"""Folder and name."""


class OnShelf(Struct, frozen=True, kw_only=True):
    """The open letters, as far as they have been read; a letter's bytes are not among what is kept of it."""

    letters: Sequence[Filed] = ()
    """The last seen first."""
    groups: Sequence[Group] = ()
    """The same by what is known against them, the newest first."""
    unread: int = 0
    """How many more there are."""
    flows: Mapping[str, int] = {}
    clients: Mapping[str, int] = {}
    stages: Mapping[str, int] = {}
    at: datetime

    @property
    def total(self) -> int:
        """How many there are, read or not."""
        return len(self.letters) + self.unread


class Shelf:
    """Looks at the letters below ``root``, without any lock. For one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[_Place, tuple[int, Filed | None]] = {}
        """By place: when the letter was written, in nanoseconds, and what it says, where it can be understood."""
        self._pending: list[tuple[int, _Place]] = []
        """What is to be read, the newest last."""
        self._same: dict[tuple[Reason, ...], tuple[Reason, ...]] = {}
        """Reasons that many letters have, kept once."""
        self._stamps: Mapping[str, int] = {}
        self._listed = self._showed = float("-inf")
        self._is_changed = True
        self.seen = OnShelf(at=datetime.now(UTC))
        """What is known by now."""

    def step(self) -> bool:
        """Do a little of what is to be done, some milliseconds' worth; whether more is left. Raises OSError."""
        if self._pending:
            for _ in range(min(AT_ONCE, len(self._pending))):
                written, place = self._pending.pop()
                self._known[place] = (written, self._read(place))
        else:
            self._list()
        if self._is_changed and (not self._pending or time.monotonic() - self._showed > SHOWN_SECONDS):
            self._show()
        return bool(self._pending)

    def _list(self) -> None:
        stamps = {folder.name: folder.stat().st_mtime_ns for folder in self._folders()}
        if stamps == self._stamps and time.monotonic() - self._listed < TRUSTED_SECONDS:
            return
        there = {(folder, name): at for folder in stamps for name, at in _written(self._root / folder).items()}
        is_settled = time.time_ns() - max(stamps.values(), default=0) > SETTLED_NANOSECONDS
        self._listed, self._stamps = time.monotonic(), stamps if is_settled else {}
        gone = self._known.keys() - there.keys()
        for place in gone:
            del self._known[place]
        self._pending = sorted((at, place) for place, at in there.items() if self._known.get(place, (None,))[0] != at)
        self._is_changed = bool(self._is_changed or gone or self._pending)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if path.is_dir()) if self._root.is_dir() else []

    def _read(self, place: _Place) -> Filed | None:
        flow, name = place
        letter = read_letter(self._root / flow / name)
        if letter is None:
            return None
        letter = replace(
            letter,
            flow=flow,
            client=letter.client if letter.flow == flow else flow.rpartition(".")[0] or flow,
            text=None,
            base64=None,
            mended=None if letter.mended is None else "",
            reasons=self._same.setdefault(letter.reasons, letter.reasons),
            raw_reasons=(),
        )
        return Filed(id_of_name(flow, name), self._root / flow / name, letter)

    def _show(self) -> None:
        letters = [filed for _, filed in self._known.values() if filed is not None]
        letters.sort(key=lambda filed: filed.letter.last_seen, reverse=True)
        self.seen = OnShelf(
            letters=letters,
            groups=grouped(letters),
            unread=len(self._pending),
            flows=_counted(letters, lambda letter: letter.flow),
            clients=_counted(letters, lambda letter: letter.client),
            stages=_counted(letters, lambda letter: letter.stage),
            at=datetime.now(UTC),
        )
        self._showed, self._is_changed = time.monotonic(), bool(self._pending)


def _written(folder: Path) -> dict[str, int]:
    """When each letter in a folder was written."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if key_of_name(entry.name):
                try:
                    found[entry.name] = entry.stat().st_mtime_ns
                except FileNotFoundError:  # it was closed just now
                    continue
    return found


def _counted(letters: Sequence[Filed], of: Callable[[Letter], str]) -> Mapping[str, int]:
    """How many there are of each, the most first."""
    return dict(Counter(of(filed.letter) for filed in letters).most_common())
