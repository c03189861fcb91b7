"""The decision log: one JSON line for each record whose value lost to another, or that came too late."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.ports import Resource
from pipeline.disk import in_thread, write_all
from pipeline.errors import Fatal
from pipeline.merge import Lost, Rule
from pipeline.translation.json import encode
from pipeline.workorder import ExternalId

__all__ = ["DecisionLog", "Entry", "read_decisions"]

REMEMBERED: Final = 10_000
"""Lines that are not written a second time: a stale file that is kept would add one each run."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision that kept a value out."""

    at: datetime
    client: str
    number: ExternalId
    locator: str
    rule: Rule
    version: datetime | None = None
    """The record's effective version."""
    lost: tuple[Lost, ...] = ()


_DECODER: Final = msgspec.json.Decoder(Entry)
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


class DecisionLog(Resource):
    """Appends entries to a file of JSON lines, mode 0600: it holds values of work orders.

    An entry that differs only in its time from one of the last 10,000 is not written again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: deque[bytes] | None = None

    async def record(self, entries: Sequence[Entry]) -> None:
        """Append ``entries``; they are durable when this returns. Raises Fatal when that cannot be done."""
        if entries:
            await in_thread(self._append, entries)

    def _append(self, entries: Sequence[Entry]) -> None:
        try:
            if self._known is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._known = deque(map(_body, _tail(self._path)), REMEMBERED)
            known = set(self._known)
            fresh = {body: entry for entry in entries if (body := _body(entry)) not in known}
            if not fresh:
                return
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(file).st_size
                torn = size and os.pread(file, 1, size - 1) != b"\n"
                lines = b"".join(encode(entry) + b"\n" for entry in fresh.values())
                write_all(file, b"\n" + lines if torn else lines)
                os.fsync(file)
            finally:
                os.close(file)
            self._known.extend(fresh)
        except OSError as error:
            raise Fatal(
                f"the decision log {self._path} cannot be written ({error.strerror}): nothing was overwritten; free "
                "the disk or set DATA_DECISION_LOG to a place that can be written, then run again"
            ) from error


def read_decisions(path: Path) -> Iterator[Entry]:
    """All entries, oldest first; a line torn by a crash is passed over, a missing file has none."""
    if path.exists():
        with path.open("rb") as lines:
            yield from _decoded(lines)


def _tail(path: Path) -> Iterator[Entry]:
    if path.exists():
        with path.open("rb") as lines:
            yield from _decoded(deque(lines, REMEMBERED))


def _decoded(lines: Iterable[bytes]) -> Iterator[Entry]:
    for line in lines:
        try:
            yield _DECODER.decode(line)
        except msgspec.DecodeError:
            continue


def _body(entry: Entry) -> bytes:
    """A hash of what an entry says, but for when."""
    return hashlib.blake2b(encode(replace(entry, at=_NO_TIME)), digest_size=12).digest()
