"""The decision log: one JSON line for each record that was merged, sent, or came too late, and what gave way."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from pipeline.dataflow.ports import Resource
from pipeline.disk import in_thread, read_lines
from pipeline.errors import Fatal, See
from pipeline.history.index import lines_about, marks_in, refresh
from pipeline.history.lines import read_told, readable
from pipeline.months import Months
from pipeline.orders.merge import Lost, Rule
from pipeline.orders.workorder import MERGED_FIELDS, NOTHING, ExternalId, Moment, Values, WorkOrder, id_key

__all__ = [
    "ABSENT",
    "ENTRIES",
    "ERASED",
    "LOSSES",
    "MISSED",
    "RESTORED",
    "SENT",
    "Change",
    "DecisionLog",
    "Decisions",
    "Entry",
    "changed",
    "erase_decisions",
    "index_decisions",
    "names_of",
    "read_decisions",
    "read_order",
    "standing",
    "tells_loss",
]

CALLED: Final = "the decision log"

SENT: Final = "sent"
"""In place of a rule: the order was handed to the client."""

RESTORED: Final = "restored"
"""In place of a rule: a person has had a value set again that had given way."""

ABSENT: Final = "absent"
"""In place of a rule: the client had the order, and has it no more; so it was deleted in TracOS."""

ERASED: Final = "erased"
"""In place of a rule: a person has had all values of the order removed, here and from the letters."""

MISSED: Final = "missed"
"""In place of a rule: the entry of the same record and time was told ahead of a write that then was not made."""

LOSSES: Final = "\0lost"
"""What entries are found by that tell of a value that gave way, or was set again; no order can have that number."""

REMEMBERED: Final = 200_000
"""How many records are looked through for one that is told of already; those that were stale once all are."""


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
    by: str = ""
    """The person who had it done, with the host, where one had."""
    because: str = ""
    """Why they had."""


class _Named(Struct, frozen=True, gc=False):
    """What an entry is found by."""

    number: ExternalId
    id: ExternalId | None = None
    client: str = ""
    rule: str = ""


Mention: TypeAlias = Callable[[bytes], bool]
"""Whether bytes that nobody understands name an order."""

ENTRIES: Final = msgspec.json.Decoder(Entry)
_NAMED: Final = msgspec.json.Decoder(_Named)
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

    def __init__(self, run: str = "", by: str = "") -> None:
        self.run = run
        self.by = by
        """The person who gave the command."""
        self.entries: list[Entry] = []

    async def record(self, entries: Sequence[Entry]) -> None:
        """Keep ``entries``."""
        self.entries += entries


class DecisionLog(Decisions):
    """Appends entries to a file of JSON lines, mode 0600: it holds values of work orders.

    That a record is stale is not written where the log tells of that record at its place already: a file that is kept
    would add lines each run.
    """

    def __init__(self, path: Path, run: str = "", by: str = "") -> None:
        super().__init__(run, by)
        self.rules: Counter[str] = Counter()
        """How many entries were written by each rule."""
        self.gave_way_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How many values gave way, by client, and by the side that they were of; not what was taken back."""
        self._counting = Lock()
        self._path = path
        self._told: set[int] | None = None

    @property
    def gave_way(self) -> Counter[str]:
        """How many values gave way, by the side that they were of, whosever they were."""
        total = Counter[str]()
        for of_one in list(self.gave_way_of.values()):
            total.update(of_one)
        return total

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
            "the disk or set DATA_DECISION_LOG to a place that can be written, then run again",
            see=See.FILES,
        )

    async def record(self, entries: Sequence[Entry]) -> None:
        """Append ``entries``; those that kept a value out are durable when this returns. Raises Fatal if it fails."""
        if entries:
            await in_thread(self._append, entries)

    def _append(self, entries: Sequence[Entry]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._counting:  # threads of several batches, and clients
                fresh = self._fresh(entries)
            rules = Counter([entry.rule for entry in fresh])
            gave_way = [entry for entry in fresh if entry.lost]
            kept_out = bool(gave_way or rules[Rule.STALE] or rules[RESTORED] or rules[ERASED])
            Months(self._path).append([_ENCODER.encode_lines(fresh)] if fresh else (), durable=kept_out)
            with self._counting:
                self.rules += rules
                for entry in gave_way:
                    for lost in entry.lost:
                        self.gave_way_of[entry.client][lost.side] += -1 if entry.rule == MISSED else 1
        except OSError as error:
            raise self._unwritable(error) from error

    def _fresh(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """All but the stale records that the log tells of already."""
        if self._told is None:
            if not any(entry.rule == Rule.STALE for entry in entries):
                return entries
            months = Months(self._path).files()
            self._told = {mark for month in months for mark in marks_in(month, _names)}
            for month in reversed(months):  # what was told of a record by another rule is looked for in the newest
                if len(self._told) < REMEMBERED:
                    missed = Counter(_attempt(entry) for entry in read_lines(month, _missed) if entry is not None)
                    self._told.update(map(_key, _standing(read_lines(month, ENTRIES.decode), missed)))
        fresh = [entry for entry in entries if entry.rule != Rule.STALE or _key(entry) not in self._told]
        self._told.update(map(_key, fresh))
        return fresh


def read_decisions(path: Path, since: datetime | None = None) -> Iterator[Entry]:
    """All entries, oldest first; a line that is torn or damaged is passed over, a missing file has none.

    With ``since`` the months that were over by then are left out. What was told ahead of a write that was not made is
    left out too, and with it what takes it back. Raises what read_told raises.
    """
    missed = Counter(_attempt(entry) for entry in read_told(path, CALLED, _missed, since) if entry is not None)
    yield from _standing(read_told(path, CALLED, ENTRIES.decode, since), missed)


def read_order(path: Path, number: ExternalId) -> tuple[list[Entry], set[ExternalId]]:
    """The entries about an order, oldest first, and all ids that it is known by; ``number`` is one of them.

    Where the log is indexed, no more of it is read than what may be about it. Raises what read_told raises.
    """
    keys = {id_key(number)}
    while True:
        said = (line for month in _months(path) for line in _lines_about(month, keys))
        entries = [entry for line in said if (entry := _about(line, keys)) is not None]
        more = keys.union(*map(names_of, entries))
        if more == keys:
            return standing(entries), keys
        keys = more


def tells_loss(line: bytes) -> bool:
    """Whether a line may tell of a value that gave way, or was set again; quick."""
    return b'"lost":[' in line or b'"rule":"restored"' in line


def names_of(entry: Entry) -> set[ExternalId]:
    """By what the order of an entry is known."""
    return {id_key(entry.number), *([] if entry.id is None else [id_key(entry.id)])}


def erase_decisions(
    path: Path, client: str, numbers: Collection[ExternalId], ids: Collection[ExternalId], mention: Mention
) -> int:
    """Remove the entries about an order of ``client``, whatever they tell but that it was erased; how many there were.

    ``numbers`` are its own in TracOS, ``ids`` the client's, as ``id_key`` has them; a line that is damaged goes where
    it has a ``mention`` of it. May be killed at any instant and done again. Raises OSError.
    """

    def keep(line: bytes) -> bytes | None:
        try:
            named = _NAMED.decode(line)
        except (ValueError, RecursionError):
            return None if mention(line) else line
        is_note = named.client != client or named.rule == ERASED
        is_meant = id_key(named.number) in numbers or (named.id is not None and id_key(named.id) in ids)
        return None if is_meant and not is_note else line

    return Months(path).rewrite(keep)


def index_decisions(path: Path) -> None:
    """Make the log quick to be asked for an order; raises OSError, and then it is only slow."""
    for month in Months(path).files():
        with suppress(FileNotFoundError):
            refresh(month, _names)


def _months(path: Path) -> list[Path]:
    with readable(path, CALLED):
        return Months(path).files()


def _lines_about(month: Path, keys: set[ExternalId]) -> Iterator[bytes]:
    with readable(month, CALLED):
        yield from lines_about(month, [str(key) for key in keys])


def _about(line: bytes, keys: set[ExternalId]) -> Entry | None:
    """The entry in a line, where it is about one of ``keys``; quick where it is not."""
    with suppress(ValueError, RecursionError):
        named = _NAMED.decode(line)
        if not keys.isdisjoint(id_key(one) for one in (named.number, named.id) if one is not None):
            return ENTRIES.decode(line)
    return None


def _names(line: bytes) -> tuple[list[str], int | None]:
    """What a line is found by: the order's ids, and the record that it tells to be stale."""
    named = _NAMED.decode(line)
    keys = [str(id_key(one)) for one in (named.number, named.id) if one is not None] + [LOSSES] * tells_loss(line)
    return keys, _key(ENTRIES.decode(line)) if named.rule == Rule.STALE else None


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """Without what was told ahead of writes that were not made, and without what takes that back."""
    return list(_standing(entries, Counter(_attempt(entry) for entry in entries if entry.rule == MISSED)))


def _standing(entries: Iterable[Entry], missed: Counter[tuple[Any, ...]]) -> Iterator[Entry]:
    """Without what was told ahead of the attempts that missed, and without what says so."""
    for entry in entries:
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
    return ENTRIES.decode(line) if b'"rule":"missed"' in line else None


def _key(entry: Entry) -> int:
    """Stands for the record that an entry tells of, and its place."""
    said = _ENCODER.encode((entry.client, entry.number, entry.locator, entry.record, entry.version))
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest())
