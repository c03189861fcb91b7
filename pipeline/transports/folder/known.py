"""The index of known files: those whose records are all delivered, and need not be read again until they change.

It is only a short cut: without it every file is read, and every record found to be a repeat. Nothing in it is believed
that the systems which took the records do not bear out now.
"""

import os
import zlib
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, cast

import msgspec
from loguru import logger
from msgspec import Struct

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.ports import Witness
from pipeline.disk import in_thread, read_file, write_files

__all__ = ["KnownFiles", "Proofs", "described"]

PACK: Final = 4000
"""So many proofs of one file are packed together: each takes 40 bytes then, instead of 150."""
LARGEST: Final = 64 << 20
"""Bytes of a pack, unpacked: what is larger was never made here."""


class Proofs(Struct, gc=False):
    """The proofs of one file's records; most are packed where they are many, as a file may have millions."""

    loose: list[bytes] = []
    packs: list[bytes] = []

    def add(self, proof: bytes) -> None:
        """Keep the proof of one more record."""
        self.loose.append(proof)
        if len(self.loose) == PACK:
            self.packs.append(_packed(self.loose))
            self.loose.clear()


class _File(Struct, frozen=True, array_like=True, gc=False):
    """One file: a hash of its state, and a proof of each of its records."""

    mark: int
    proofs: tuple[bytes, ...]
    packs: tuple[bytes, ...] = ()
    """More of them, packed."""


class _Index(Struct, frozen=True, array_like=True):
    """What is kept from run to run."""

    understood: str
    files: dict[str, _File]
    """By place."""
    version: int = 0
    """Of this form; 0: the release that did not say it, which had that of 1: nothing packed."""


FORMAT: Final = 2


_DECODER: Final = msgspec.msgpack.Decoder(_Index)
_PACKED: Final = msgspec.msgpack.Decoder(list[bytes])


class KnownFiles:
    """Remembers files in the file ``path``, one run long; ``witness`` says what of it still holds.

    ``understood`` says all that the meaning of a file's bytes depends on: where it is another, nothing is known. What
    was written at ``since`` or later is as if it were not known.
    """

    def __init__(self, path: Path, understood: str, witness: Witness, since: datetime | None = None) -> None:
        self._path = path
        self._since = since
        self._understood = understood
        self._witness = witness
        self._before: dict[str, _File] = {}
        self._listed: list[str] = []
        self._new: dict[str, _File] = {}
        self._kept = 0
        self.spared = 0
        """How many files were known when they were listed."""

    async def recall(self) -> None:
        """Begin with what is remembered, as far as it holds now."""
        self._witness.attend()
        index = await in_thread(self._load)
        if index is None:
            return
        self._kept = len(index.files)
        holds = iter(await self._witness.hold([proof for file in index.files.values() for proof in file.proofs]))
        for place, file in index.files.items():
            proofs = tuple(islice(holds, len(file.proofs)))
            if None in proofs:
                continue
            packs = await self._all_held(file.packs)
            if packs is not None:
                self._before[place] = _File(file.mark, cast(tuple[bytes, ...], proofs), packs)

    async def _all_held(self, packs: Sequence[bytes]) -> tuple[bytes, ...] | None:
        """The packs to keep from now on; None, and no more is asked, where one of them does not hold."""
        held: list[bytes] = []
        for pack in packs:
            now = await self._held(pack)
            if now is None:
                return None
            held.append(now)
        return tuple(held)

    async def _held(self, pack: bytes) -> bytes | None:
        """The pack to keep from now on; None where one of its proofs does not hold, or it is damaged."""
        try:
            before = _unpacked(pack)
        except (ValueError, zlib.error):
            return None
        now = await self._witness.hold(before)
        if None in now:
            return None
        return pack if list(now) == before else _packed(cast(Sequence[bytes], now))

    def spares(self, place: str, state: os.stat_result) -> bool:
        """Whether the file at this place, which was listed in this state, is known."""
        self._listed.append(place)
        before = self._before.get(place)
        is_asked = self._since is not None and state.st_mtime >= self._since.timestamp()
        if before is not None and before.mark == _mark(state) and not is_asked:
            self.spared += 1
            return True
        self._before.pop(place, None)
        return False

    def prove(self, delivered: Sequence[Locator]) -> Sequence[bytes | None]:
        """The proofs of these records, which were just delivered."""
        return self._witness.take(delivered)

    def add(self, place: str, state: os.stat_result, proofs: Proofs) -> None:
        """All records of the file, as it was in this state, are delivered."""
        self._new[place] = _File(_mark(state), tuple(proofs.loose), tuple(proofs.packs))

    async def save(self) -> None:
        """Remember what is known now; where that is what was known before, nothing is written."""
        if not self._new and self.spared == self._kept:
            return
        # In the order of the listing, in which they will be looked up: memory is walked through, not jumped about in.
        known = self._before | self._new
        await in_thread(self._store, {place: known[place] for place in self._listed if place in known})

    def _load(self) -> _Index | None:
        try:
            index = _DECODER.decode(read_file(self._path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            logger.info("{} cannot be used: all inbound files are read again", self._path)
            return None
        return index if index.understood == self._understood and index.version <= FORMAT else None

    def _store(self, files: dict[str, _File]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            body = msgspec.msgpack.encode(_Index(self._understood, files, FORMAT))
            write_files(self._path.parent, {self._path.name: body}, mode=0o600, durability="none")
        except OSError as error:
            logger.warning("{} cannot be written ({}): the next run reads all files again", self._path, error.strerror)


def described(path: Path) -> tuple[int, list[str]]:
    """The version of what is remembered in ``path``, and what that is; raises OSError, and ValueError for damage."""
    index = _DECODER.decode(read_file(path))
    return index.version, [f"{len(index.files):,} files are not read again before they change"]


def _packed(proofs: Sequence[bytes]) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(proofs), 1)


def _unpacked(pack: bytes) -> list[bytes]:
    """Raises ValueError, or zlib.error, for what was never packed."""
    unpacking = zlib.decompressobj()
    body = unpacking.decompress(pack, LARGEST)
    if not unpacking.eof:
        raise ValueError("it is cut, or too large")
    return _PACKED.decode(body)


def _mark(state: os.stat_result) -> int:
    return hash((state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino))
