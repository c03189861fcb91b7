"""What becomes of an inbound file once all its records are settled: kept and remembered, archived or deleted."""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from loguru import logger
from msgspec import Struct, field

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Fate
from pipeline.disk import in_thread
from pipeline.transports.folder.files import Opened, place_of
from pipeline.transports.folder.known import KnownFiles, Proofs
from pipeline.transports.folder.names import ARCHIVE

__all__ = ["InboundAfter", "Settled", "Tally", "places_of_asides"]

InboundAfter: TypeAlias = Literal["keep", "archive", "delete"]
"""What becomes of an inbound file whose records are all settled."""

COPIES: Final = 10_000
"""Of one name in the archive."""

LONGEST: Final = 255
"""Bytes of a file's name."""

ASIDE: Final = ".~aside~"
"""How the name of a file begins while it is put away; where that was broken off, the next run reads it again."""


class Tally(Struct, gc=False):
    """The records of one file: those given are counted by the thread that reads, the rest where they are settled."""

    name: str
    """The file's own, which need not be valid UTF-8 as its place is."""
    state: os.stat_result | None
    given: int = 0
    is_whole: bool = False
    """The file was read to its end; set before its last record is given."""
    settled: int = 0
    stays: bool = False
    """It was not understood, or something of it is in no letter, or is left for the next run."""
    is_known: bool = True
    """Everything in it was delivered, and there is a proof of it."""
    proofs: Proofs = field(default_factory=Proofs)


class Settled:
    """Counts the records of each file, and remembers, archives or deletes it with its last one.

    A file that has changed since it was read stays, and so does one that was not understood, or with a record that no
    letter holds or that is left for the next run. Remembered is a file that is kept and whose records are all known.
    """

    def __init__(self, directory: Path, after: InboundAfter, known: KnownFiles | None = None) -> None:
        self._directory = directory
        self._after = after
        self._known = known
        self._files: dict[str, Tally] = {}

    @property
    def pending(self) -> int:
        """How many records are given and not settled."""
        return sum(tally.given - tally.settled for tally in self._files.values())

    def begin(self, place: str, file: Opened) -> Tally:
        """The file is going to be read; its records are counted in what is returned."""
        tally = self._files[place] = Tally(file.name, file.state)
        return tally

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Count these; the files that are done with them are put away, or remembered."""
        done = self._count(fates)
        if self._after != "keep":
            leaving = [tally for tally in done.values() if not tally.stays and tally.state is not None]
            if leaving:
                await in_thread(self._put_away, leaving)
        elif self._known is not None:
            for tally in done.values():
                if tally.is_known and not tally.stays and tally.state is not None:
                    self._known.add(place_of(tally.name), tally.state, tally.proofs)  # as the listing calls it

    def _count(self, fates: Mapping[Locator, Fate]) -> Mapping[str, Tally]:
        """The files that are done, by place: nothing is left to be said of them, and they are forgotten."""
        done: dict[str, Tally] = {}
        delivered: list[Locator] = []
        tallies: list[Tally] = []
        for locator, fate in fates.items():
            tally = self._files[locator.place]
            tally.settled += 1
            if fate is Fate.DELIVERED:
                delivered.append(locator)
                tallies.append(tally)
            elif fate is not Fate.SKIPPED:
                tally.is_known = False
                if fate is Fate.DEFERRED:
                    tally.stays = True
            if tally.is_whole and tally.settled >= tally.given:
                done[locator.place] = self._files.pop(locator.place)
        if self._known is not None:
            for tally, proof in zip(tallies, self._known.prove(delivered), strict=True):
                if proof is None:
                    tally.is_known = False
                else:
                    tally.proofs.add(proof)
        return done

    def _put_away(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            try:
                self._take_away(tally)
            except OSError as error:
                logger.warning(
                    "{} could not be put away ({}): it stays, and the next run reads it again",
                    Locator(tally.name),
                    error.strerror or error,
                )

    def _take_away(self, tally: Tally) -> None:
        """Move the file aside, see that it is the one that was read, and only then put it away; else put it back."""
        path = self._directory / tally.name
        if not _is_same(path.stat(), tally.state):
            logger.info("{} has changed since it was read: it stays, the next run reads it", Locator(tally.name))
            return
        aside = self._directory / _fitting(f"{ASIDE}{secrets.token_hex(4)}~", original(tally.name))
        path.rename(aside)
        try:
            if not _is_same(aside.stat(), tally.state):
                logger.info("{} has changed since it was read: the next run reads it", Locator(tally.name))
            elif self._after == "delete":
                aside.unlink()
                return
            else:
                _archive(aside, self._directory / ARCHIVE, original(tally.name))
                return
        except OSError:
            _put_back(aside, path)
            raise
        _put_back(aside, path)


def original(name: str) -> str:
    """The name under which a file came, whether or not it is being put away."""
    return name.split("~", 3)[3] if name.startswith(ASIDE) else name


def places_of_asides(names: Sequence[str]) -> Mapping[str, str]:
    """The places of those among all ``names`` of a folder whose putting away was broken off: under their own names.

    Where that name is taken they are places of their own.
    """
    asides = [name for name in names if name.startswith(ASIDE)]
    taken = {place_of(name) for name in names} if asides else set()
    places: dict[str, str] = {}
    for name in asides:
        place = place_of(original(name))
        if place not in taken:
            taken.add(place)
            places[name] = place
    return places


def _fitting(before: str, name: str, after: str = "") -> str:
    """The name between these; of one that would be too long for a file system only the end."""
    room = LONGEST - len(os.fsencode(before)) - len(after)
    return before + os.fsdecode(os.fsencode(name)[-room:]) + after


def _is_same(now: os.stat_result, read: os.stat_result | None) -> bool:
    """Whether this is the file that was read, and nobody has written it since; moving it changes its ctime alone."""
    return read is not None and (now.st_ino, now.st_size, now.st_mtime_ns) == (
        read.st_ino,
        read.st_size,
        read.st_mtime_ns,
    )


def _put_back(aside: Path, path: Path) -> None:
    """Under its own name, if nobody has taken that meanwhile; else it stays aside, where the next run reads it."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except OSError:
        return
    aside.unlink()


def _archive(path: Path, archive: Path, name: str) -> None:
    """Move ``path`` into ``archive`` and overwrite nothing there; once, however often it is broken off."""
    archive.mkdir(exist_ok=True)
    for number in range(COPIES):
        copy = archive / (_fitting("", name, f".{number}") if number else name)
        try:
            os.link(path, copy, follow_symlinks=False)
        except FileExistsError:
            if not os.path.samestat(copy.lstat(), path.lstat()):  # else it was broken off behind this
                continue
        path.unlink()
        return
    raise OSError(f"{archive} holds {COPIES:,} copies of this name: clear it out")
