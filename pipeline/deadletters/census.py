"""How many letters are open, and since when: counted again and again, each letter read once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from pipeline.deadletters.letter import key_of_name, read_letter

__all__ = ["Census", "Standing"]


class Standing(Struct, frozen=True):
    """The open letters of one flow."""

    since: Sequence[datetime] = ()
    """When each of them was first seen, the oldest first."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.since)

    def after(self, time: datetime) -> int:
        """How many were first seen later than ``time``."""
        return sum(one > time for one in self.since)


class Census:
    """Counts the open letters below ``root``, without any lock."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, Mapping[str, tuple[int, datetime]]] = {}
        """By folder and name: when a letter was written, in nanoseconds, and what it tells of was first seen."""

    def count(self, client: str) -> Mapping[str, Standing]:
        """What stands open for the client, by the last part of the flow's name; raises OSError.

        A letter that cannot be understood counts as first seen when it was written.
        """
        found: dict[str, Standing] = {}
        for folder in sorted(path for path in self._root.glob(f"{client}.*") if path.is_dir()):
            before, now = self._known.get(folder, {}), dict[str, tuple[int, datetime]]()
            for path in folder.iterdir():
                if key_of_name(path.name):
                    now.update(_seen(path, before.get(path.name)))
            self._known[folder] = now
            flow = folder.name.removeprefix(f"{client}.")
            found[flow] = Standing(tuple(sorted(first for _, first in now.values())))
        return found


def _seen(path: Path, before: tuple[int, datetime] | None) -> Mapping[str, tuple[int, datetime]]:
    """What is known of the letter in ``path``, unless it was closed just now."""
    try:
        written = path.stat().st_mtime_ns
    except FileNotFoundError:
        return {}
    if before is not None and before[0] == written:
        return {path.name: before}
    letter = read_letter(path)
    return {path.name: (written, letter.first_seen if letter else datetime.fromtimestamp(written / 1e9, UTC))}
