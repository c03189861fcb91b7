"""The decision log: one JSON line for each record that was merged, sent, or came too late, and what gave way."""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.dataflow.ports import Resource
from pipeline.disk import append_lines, in_thread
from pipeline.errors import Fatal
from pipeline.history.lines import read_told
from pipeline.orders.merge import Lost, Rule
from pipeline.orders.workorder import MERGED_FIELDS, NOTHING, ExternalId, Moment, Values, WorkOrder

__all__ = [
    "ABSENT",
    "MISSED",
    "RESTORED",
    "SENT",
    "Change",
    "DecisionLog",
    "Decisions",
    "Entry",
    "changed",
    "read_decisions",
]

CALLED: Final = "the decision log"

REMEMBERED: Final = 200_000
"""How many of the last entries are looked through for a record that is told of already."""

SENT: Final = "sent"
"""In place of a rule: the order was handed to the client."""

RESTORED: Final = "restored"
"""In place of a rule: a person has had a value set again that had given way."""

ABSENT: Final = "absent"
"""In place of a rule: the client had the order, and has it no more; so it was deleted in TracOS."""

MISSED: Final = "missed"
"""In place of a rule: the entry of the same record and time was told ahead of a write that then was not made."""


class Change(Struct, frozen=True, gc=False):
    """One field that was written."""

    field: str
    old: Any
    new: Any


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one record did to one work order."""

    at: Moment
    run: str = ""
    client: str
    number: ExternalId
    """In TracOS; where both sides have one number, in the client's own type."""
    id: ExternalId | None = None
    """The client's, where it numbers its orders itself."""
    locator: str
    rule: str
    """The rule of the merge that decided, ``sent``, ``restored``, or ``missed``."""
    record: str = ""
    """A hash of the record."""
    version: Moment | None = None
    """The record's effective version."""
    changes: tuple[Change, ...] = ()
    """What was written: into TracOS, or, for ``sent``, what the client was told that it had not shown."""
    lost: tuple[Lost, ...] = ()


_DECODER: Final = msgspec.json.Decoder(Entry)
_ENCODER: Final = msgspec.json.Encoder()


def changed(before: WorkOrder | Values | None, after: WorkOrder | Values) -> tuple[Change, ...]:
    """The merged fields in which ``after`` differs from ``before`` (None: from nothing)."""
    changes = []
    before = before or NOTHING
    for field in MERGED_FIELDS:  # in the order of fields_of; one by one through get they cost twice as much
        old, new = getattr(before, field), getattr(after, field)
        if old != new and (old or new):
            changes.append(Change(field, old, new))
    for field in sorted(before.more.keys() | after.more.keys()) if before.more or after.more else ():
        old, new = before.more.get(field), after.more.get(field)
        if old != new:
            changes.append(Change(field, old, new))
    return tuple(changes)


class Decisions(Resource):
    """Keeps the entries of one run in memory; what keeps them on disk is DecisionLog."""

    def __init__(self, run: str = "") -> None:
        self.run = run
        self.entries: list[Entry] = []

    async def record(self, entries: Sequence[Entry]) -> None:
        """Keep ``entries``."""
        self.entries += entries


class DecisionLog(Decisions):
    """Appends entries to a file of JSON lines, mode 0600: it holds values of work orders.

    That a record is stale is not written where the log tells of that record at its place already: a file that is kept
    would add lines each run.
    """

    def __init__(self, path: Path, run: str = "") -> None:
        super().__init__(run)
        self.rules: Counter[str] = Counter()
        """How many entries were written by each rule."""
        self.gave_way: Counter[str] = Counter()
        """How many values gave way, by the side that they were of; what was taken back is not among them."""
        self._path = path
        self._told: set[int] | None = None

    async def open(self) -> None:
        """See that the file can be written, before anything is done that it is to tell of; it is not made."""
        await in_thread(self._check)

    def _check(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                os.close(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> Fatal:
        return Fatal(
            f"the decision log {self._path} cannot be written ({error.strerror}): no edit was overwritten; free "
            "the disk or set DATA_DECISION_LOG to a place that can be written, then run again"
        )

    async def record(self, entries: Sequence[Entry]) -> None:
        """Append ``entries``; those that kept a value out are durable when this returns. Raises Fatal if it fails."""
        if entries:
            await in_thread(self._append, entries)

    def _append(self, entries: Sequence[Entry]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._fresh(entries)
            rules = Counter([entry.rule for entry in fresh])
            gave_way = [entry for entry in fresh if entry.lost]
            kept_out = bool(gave_way or rules[Rule.STALE] or rules[RESTORED])
            append_lines(self._path, [_ENCODER.encode_lines(fresh)] if fresh else (), durable=kept_out)
            self.rules += rules
            for entry in gave_way:
                for lost in entry.lost:
                    self.gave_way[lost.side] += -1 if entry.rule == MISSED else 1
        except OSError as error:
            raise self._unwritable(error) from error

    def _fresh(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """All but the stale records that the log tells of already."""
        if self._told is None:
            if not any(entry.rule == Rule.STALE for entry in entries):
                return entries
            self._told = set(deque(map(_key, read_decisions(self._path)), REMEMBERED))
        fresh = [entry for entry in entries if entry.rule != Rule.STALE or _key(entry) not in self._told]
        self._told.update(map(_key, fresh))
        return fresh


def read_decisions(path: Path) -> Iterator[Entry]:
    """All entries, oldest first; a line that is torn or damaged is passed over, a missing file has none.

    What was told ahead of a write that was not made is left out, and with it what takes it back. Raises what
    read_told raises.
    """
    missed = Counter(_attempt(entry) for entry in read_told(path, CALLED, _missed) if entry is not None)
    for entry in read_told(path, CALLED, _DECODER.decode):
        if entry.rule == MISSED:
            continue
        if missed and missed[_attempt(entry)]:
            missed[_attempt(entry)] -= 1
            continue
        yield entry


def _attempt(entry: Entry) -> tuple[Any, ...]:
    """Which attempt at which record an entry is of."""
    return entry.run, entry.client, entry.locator, entry.number, entry.record, entry.at


def _missed(line: bytes) -> Entry | None:
    return _DECODER.decode(line) if b'"rule":"missed"' in line else None


def _key(entry: Entry) -> int:
    """Stands for the record that an entry tells of, and its place."""
    said = _ENCODER.encode((entry.client, entry.number, entry.locator, entry.record, entry.version))
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest())
