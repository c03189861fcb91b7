"""The letters of one flow on disk: listed, written durably, and closed into an archive, never thrown away.

A folder holds one file for each open letter, and beside them ``resolved.jsonl`` and ``discarded.jsonl``, the closed
ones whole, a file a month, and ``closed.jsonl``, a short line for each of those: how it was closed, and the state its
place was in.
"""

import errno
import fcntl
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter
from pipeline.deadletters.letter import (
    Closed,
    Letter,
    as_json,
    digest_of,
    digest_of_name,
    key_of,
    key_of_name,
    load_letter,
    name_of,
    unreadable,
)
from pipeline.disk import append_lines, read_lines, remove_leftovers, write_files
from pipeline.errors import Fatal, See
from pipeline.months import Months
from pipeline.orders.workorder import ExternalId, Moment, id_key
from pipeline.translation.json import encode

__all__ = ["ARCHIVES", "CLOSED", "CLOSINGS", "Drawer", "prune_drawer"]

CLOSED: Final = "closed.jsonl"
ARCHIVES: Final[Mapping[Closed, str]] = {
    "resolved": "resolved.jsonl",
    "overtaken": "resolved.jsonl",
    "retried": "resolved.jsonl",
    "discarded": "discarded.jsonl",
}
"""The closed letters, by how they were closed: each the newest file of its months."""


class _Closing(Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of ``closed.jsonl``."""

    name: str
    how: Closed
    at: Moment
    stamp: str
    last_seen: Moment
    because: str | None = None
    by: str = ""


CLOSINGS: Final = msgspec.json.Decoder(_Closing)


def prune_drawer(directory: Path, before: datetime) -> None:
    """Remove the letters of ``directory`` that were closed ``before``, a month at a time; the open ones stay.

    Raises OSError, and Fatal while somebody else has the folder: then the short lines about them stay.
    """
    for name in set(ARCHIVES.values()):
        Months(directory / name).prune(before)
    oldest = next(read_lines(directory / CLOSED, CLOSINGS.decode), None)
    if oldest is not None and oldest.at <= before:
        drawer = Drawer(directory)
        drawer.open()
        try:
            drawer.prune(before)
        finally:
            drawer.close()


class Drawer:
    """The folder of one flow. Everything that writes needs it open; only one process at a time has it open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open: dict[str, set[str]] = defaultdict(set)
        """The open letters' names, by the source's key."""
        self._telling: dict[str, set[str]] = defaultdict(set)
        """The open letters' names, by what they say of their bytes."""
        self._closed: dict[str, str] = {}
        """The stamps of what is closed though its place is unchanged, by the letter's name."""
        self._about: dict[ExternalId, set[str]] | None = None
        """The open letters' names, by the order's id; None until somebody asks."""
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder, take it, end what a killed run began; raises Fatal when that cannot be done."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_leftovers(self.directory)
            if not os.access(self.directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self.look()
            self._end_closings()
        except BlockingIOError:
            self.close()
            raise Fatal(
                f"another run is using the dead letters in {self.directory}: let it finish", see=See.LETTERS_IN_USE
            ) from None
        except OSError as error:
            self.close()
            raise self._unusable(error) from error

    def look(self) -> None:
        """List what is there; all that is needed to read, also while another process has the folder open."""
        self._open.clear()
        self._telling.clear()
        self._closed.clear()
        self._about = None
        if self.directory.is_dir():
            for path in self.directory.iterdir():
                self._remember(path.name)
            self._closed.update(
                (line.name, line.stamp)
                for line in read_lines(self.directory / CLOSED, CLOSINGS.decode)
                if line.how != "resolved"
            )

    def close(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no letter, open or closed at a place that may come again."""
        return not self._open and not self._closed

    def names(self, locator: Locator) -> set[str]:
        """The open letters about the place ``locator``."""
        return self._open.get(key_of(locator), set())

    def telling(self, raw: bytes) -> set[str]:
        """The open letters about these bytes, wherever they lay."""
        return self._telling.get(digest_of(raw), set())

    def open_names(self) -> set[str]:
        """The names of all open letters."""
        return set[str]().union(*self._open.values())

    def about(self, order_id: ExternalId) -> set[str]:
        """The open letters about the order ``order_id``; all letters are read when this is first asked."""
        if self._about is None:
            self._about = {}
            for name in [name for names in self._open.values() for name in names]:
                self._index(name, self.read(name))
        return self._about.get(id_key(order_id), set())

    def is_open(self, name: str) -> bool:
        """Whether there is an open letter of this name."""
        return name in self._open.get(key_of_name(name) or "", ())

    def state(
        self, locator: Locator, raw: bytes, stamp: str, but: Collection[str] = ()
    ) -> Literal["open", "closed"] | None:
        """``open`` or ``closed`` where there is a letter about these bytes at this place, unchanged since.

        None for an open one, which nobody has mended, of a failure at one of the stages ``but``.
        """
        name = name_of(locator, raw)
        if self.is_open(name):
            letter = self.read(name)
            is_told = letter is not None and letter.stamp == stamp and (letter.mended or letter.stage not in but)
            return "open" if is_told else None
        return "closed" if self._closed.get(name) == stamp else None

    def says(self, dead: DeadLetter) -> bool:
        """Whether an open letter says just that already."""
        name = name_of(dead.locator, dead.raw)
        letter = self.read(name) if self.is_open(name) else None
        if letter is None:
            return False
        return (letter.stamp, letter.stage, letter.reasons) == (dead.stamp, dead.stage, dead.reasons)

    def knows(self, locator: Locator, raw: bytes) -> bool:
        """Whether ``state`` may have something to tell: quick, reads nothing."""
        names = self._open.get(key_of(locator))
        if not names and not self._closed:
            return False
        name = name_of(locator, raw)
        return name in (names or ()) or name in self._closed

    def read(self, name: str) -> Letter | None:
        """The open letter of this name; None where there is none any more, or it is damaged, or not ours to read.

        Raises Fatal where it cannot be read for any other reason: what is to be closed would stay open for good.
        """
        try:
            return self.load(name)
        except PermissionError as error:
            logger.warning("the dead letter {} cannot be read and is passed over ({})", name, error.strerror)
            return None

    def load(self, name: str) -> Letter | None:
        """The open letter of this name, as ``read`` gives it; raises PermissionError where it is not ours to read."""
        try:
            return load_letter(self.directory / name)
        except PermissionError:
            raise
        except OSError as error:
            raise unreadable(self.directory / name, error) from error

    def write(self, letters: Mapping[str, Letter]) -> None:
        """Write letters under their names; they are durable when this returns. Raises Fatal when that fails."""
        try:
            write_files(self.directory, {name: as_json(letter) for name, letter in letters.items()}, mode=0o600)
        except OSError as error:
            raise self._unusable(error) from error
        for name, letter in letters.items():
            self._remember(name)
            self._index(name, letter)

    def archive(self, letters: Mapping[str, Letter], how: Closed, by: str = "") -> None:
        """Close letters, for the person ``by``: into the archive, durably, and only then away from the open ones."""
        if not letters:
            return
        at = datetime.now(UTC)
        done = {name: replace(letter, closed=how, resolved_at=at, closed_by=by) for name, letter in letters.items()}
        closings = [
            _Closing(
                name=name,
                how=how,
                at=at,
                stamp=letter.stamp,
                last_seen=letter.last_seen,
                because=letter.because,
                by=by,
            )
            for name, letter in done.items()
        ]
        try:
            append_lines(self.directory / CLOSED, map(encode, closings))
            Months(self.directory / ARCHIVES[how]).append(as_json(letter, indent=0) for letter in done.values())
            self._unlink(done)
        except OSError as error:
            raise self._unusable(error) from error
        if how != "resolved":
            self._closed.update((line.name, line.stamp) for line in closings)

    def prune(self, before: datetime) -> None:
        """Forget what was closed ``before``: the places of those letters are like any others. Raises OSError."""
        kept = [line for line in read_lines(self.directory / CLOSED, CLOSINGS.decode) if line.at > before]
        write_files(self.directory, {CLOSED: b"".join(encode(line) + b"\n" for line in kept)}, mode=0o600)
        self.look()

    def _end_closings(self) -> None:
        """Carry to its end what a killed run began to close: archived exactly once, and gone from the open ones."""
        last = {line.name: line for line in read_lines(self.directory / CLOSED, CLOSINGS.decode)}
        begun: dict[str, Letter] = {}
        for name in [name for names in self._open.values() for name in names if name in last]:
            letter, line = self.read(name), last[name]
            if letter is not None and letter.last_seen == line.last_seen:
                begun[name] = replace(
                    letter, closed=line.how, resolved_at=line.at, closed_by=line.by, because=line.because
                )
        for how, file in ARCHIVES.items():
            bodies = [as_json(letter, indent=0) for letter in begun.values() if letter.closed == how]
            if bodies:
                archive = Months(self.directory / file)
                kept = {body for path in archive.files() for body in read_lines(path, bytes)}.intersection(bodies)
                archive.append(body for body in bodies if body not in kept)
        self._unlink(begun)

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
            key = key_of_name(name) or ""
            self._open[key].discard(name)
            self._telling[digest_of_name(name)].discard(name)
            if not self._open[key]:
                del self._open[key]

    def _index(self, name: str, letter: Letter | None) -> None:
        if self._about is not None and letter is not None and letter.id is not None:
            self._about.setdefault(id_key(letter.id), set()).add(name)

    def _remember(self, name: str) -> None:
        key = key_of_name(name)
        if key is not None:
            self._open[key].add(name)
            self._telling[digest_of_name(name)].add(name)

    def _unusable(self, error: OSError) -> Fatal:
        return Fatal(
            f"cannot write into {self.directory} (DATA_DEAD_LETTER_DIR): {error.strerror}; nothing of the batch in "
            "hand is acked; make room or set the permissions right, then run again",
            see=See.LETTERS,
        )
