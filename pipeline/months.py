"""Lines that are only ever appended, a file a month: the newest in the file that is named, the others beside it.

``decisions.jsonl`` has ``decisions-2026-10.jsonl`` beside it, and ``decisions-2026-10.2.jsonl`` where that was taken or
became too large. A month is the one (UTC) in which its last line was written, so that nothing goes before its time.
"""

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.disk import alone, append_lines

__all__ = ["Months", "index_of"]

PARTS: Final = 4
"""A file of more than this part of what may be kept is put aside before its month ends."""


class _Month(NamedTuple):
    """A file beside the one that is named."""

    year: int
    month: int
    part: int
    path: Path

    @property
    def end(self) -> datetime:
        """When it is over."""
        return datetime(self.year + self.month // 12, self.month % 12 + 1, 1, tzinfo=UTC)


def index_of(path: Path) -> Path:
    """The place of what repeats the lines of ``path`` for look-ups; it goes wherever they go."""
    return path.with_name(f"{path.name}.index")


class Months:
    """The lines that ``path`` names. Several processes may use them at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, lines: Iterable[bytes], *, durable: bool = True) -> None:
        """Append lines; those of an earlier month are put aside first. Raises what append_lines raises."""
        new = list(lines)
        if new:
            with suppress(OSError):  # then they stay together, and nothing is lost
                self._turn()
        append_lines(self.path, new, durable=durable)

    def files(self, since: datetime | None = None) -> list[Path]:
        """The files that hold them, oldest first; with ``since`` those alone that may hold what was written later."""
        months = [one.path for one in self._months() if since is None or one.end > since]
        return [*months, self.path]

    def names(self, path: Path) -> bool:
        """Whether ``path`` is, or would be, one of the files of an earlier month."""
        return self._read_name(Path(os.path.realpath(path))) is not None

    def prune(self, before: datetime, most: int | None = None) -> list[Path]:
        """Remove the months that were over ``before``, and the oldest until no more than ``most`` bytes are left.

        Returns what was removed; the file that is named stays. Raises OSError.
        """
        with suppress(FileNotFoundError):
            self._turn(most)
        months = self._months()
        gone = [one.path for one in months if one.end <= before]
        if most is not None:
            left = [one.path for one in months[len(gone) :]]
            size = sum(map(_size, [*left, self.path]))
            for path in left:
                if size <= most:
                    break
                size -= _size(path)
                gone.append(path)
        for path in gone:
            index_of(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        return gone

    def _turn(self, most: int | None = None) -> None:
        """Put the file aside where its month is over, or where it is too large."""
        real = Path(os.path.realpath(self.path))
        if not _is_full(real.stat(), most):
            return
        with alone(real) as file:
            state = os.fstat(file)
            if _is_full(state, most):
                aside = self._free(real, datetime.fromtimestamp(state.st_mtime, UTC))
                with suppress(FileNotFoundError):
                    index_of(real).rename(index_of(aside))
                real.rename(aside)

    def _free(self, real: Path, month: datetime) -> Path:
        """A name of that month which is not taken, and comes after those that are."""
        taken = [one.part for one in self._months() if (one.year, one.month) == (month.year, month.month)]
        part = f".{max(taken) + 1}" if taken else ""
        return real.with_name(f"{real.stem}-{month:%Y-%m}{part}{real.suffix}")

    def _months(self) -> list[_Month]:
        folder = Path(os.path.realpath(self.path)).parent
        try:
            with os.scandir(folder) as entries:
                paths = [folder / entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        return sorted(one for path in paths if (one := self._read_name(path)) is not None)

    def _read_name(self, path: Path) -> _Month | None:
        real = Path(os.path.realpath(self.path))
        name = rf"{re.escape(real.stem)}-([0-9]{{4}})-(0[1-9]|1[0-2])(?:\.([1-9][0-9]*))?{re.escape(real.suffix)}"
        match = re.fullmatch(name, path.name) if path.parent == real.parent else None
        if match is None or match[1] in ("0000", "9999"):  # no calendar of ours has the month after the last
            return None
        return _Month(int(match[1]), int(match[2]), int(match[3] or 1), path)


def _is_full(state: os.stat_result, most: int | None) -> bool:
    """Whether a file is to be put aside: an earlier month's, or too large; one that is no file never is."""
    if not stat.S_ISREG(state.st_mode) or not state.st_size:
        return False
    written, now = datetime.fromtimestamp(state.st_mtime, UTC), datetime.now(UTC)
    is_over = (written.year, written.month) < (now.year, now.month)
    return is_over or (most is not None and state.st_size * PARTS > most)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
