"""The index of known files: those whose records are all delivered, and need not be read again until they change.

It is only a short cut: without it every file is read, and every record found to be a repeat.
"""

import os
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger
from msgspec import Struct

from pipeline.dataflow.ports import Witness
from pipeline.disk import in_thread, remove_leftovers, write_files

__all__ = ["KnownFiles"]


class _Index(Struct, frozen=True, array_like=True):
    """What is kept from run to run."""

    understood: str
    seal: str
    files: dict[str, int] = {}
    """By name, a hash of the file's state."""


_DECODER: Final = msgspec.msgpack.Decoder(_Index)


class KnownFiles:
    """Remembers files in the file ``path``; ``understood`` says all that the meaning of a file's bytes depends on.

    What it remembers holds only as long as the witness knows nothing to the contrary, and as long as files are
    understood in the same way; without a witness nothing is known. Of use for one run.
    """

    def __init__(self, path: Path, understood: str) -> None:
        self._path = path
        self._understood = understood
        self._witness: Witness | None = None
        self._before: dict[str, int] = {}
        self._listed: list[str] = []
        self._new: dict[str, int] = {}
        self._is_changed = False
        self.spared = 0
        """How many files were known when they were listed."""

    def rely_on(self, witness: Witness) -> None:
        """What was delivered is still there as long as ``witness`` holds."""
        self._witness = witness

    async def recall(self) -> None:
        """Begin with what is remembered, if it still holds."""
        if self._witness is None:
            return
        index = await in_thread(self._load)
        if index is not None and await self._witness.holds(index.seal):
            self._before = index.files

    def spares(self, name: str, state: os.stat_result) -> bool:
        """Whether the file of this name and state, which was listed, is known; it stays so."""
        self._listed.append(name)
        before = self._before.get(name)
        if before == hash((state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)):
            self.spared += 1
            return True
        if before is not None:
            del self._before[name]
            self._is_changed = True
        return False

    def add(self, name: str, state: os.stat_result) -> None:
        """All records of the file, as it was in this state, are delivered."""
        self._new[name] = hash((state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino))

    async def save(self) -> None:
        """Remember what is known now; where that is what was known before, nothing is written."""
        is_as_before = not self._new and not self._is_changed and self.spared == len(self._before)
        seal = None if is_as_before or self._witness is None else await self._witness.seal()
        if seal is None:
            return
        marks = self._before | self._new
        # In the order of the listing, in which they will be looked up: memory is walked through, not jumped about in.
        files = {name: marks[name] for name in self._listed if name in marks}
        await in_thread(self._store, _Index(self._understood, seal, files))

    def _load(self) -> _Index | None:
        try:
            index = _DECODER.decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            logger.info("{} cannot be used: all inbound files are read again", self._path)
            return None
        return index if index.understood == self._understood else None

    def _store(self, index: _Index) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            body = msgspec.msgpack.encode(index)
            remove_leftovers(self._path.parent)
            write_files(self._path.parent, {self._path.name: body}, mode=0o600, durability="none")
        except OSError as error:
            logger.warning("{} cannot be written ({}): the next run reads all files again", self._path, error.strerror)
