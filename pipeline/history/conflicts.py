"""Conflicts: the values that gave way to another side's, as the decision log tells them, and which were set again."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from pipeline.history.decisions import (
    CALLED,
    ENTRIES,
    LOSSES,
    MISSED,
    RESTORED,
    Entry,
    read_decisions,
    standing,
    tells_loss,
)
from pipeline.history.index import newest_about
from pipeline.history.lines import readable
from pipeline.months import Months
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["Conflict", "conflicts_in", "newest_conflicts", "read_conflicts"]

READ_AT_ONCE: Final = 16 * 1024 * 1024
"""How many bytes of the log are read for the newest conflicts, and a block more."""

Where: TypeAlias = tuple[str, ExternalId, str]
"""Client, order and field."""


class Conflict(Struct, kw_only=True, omit_defaults=True):
    """One value that an edit had set, and that a merge did not keep."""

    at: datetime
    run: str
    client: str
    number: ExternalId
    locator: str
    """Of the record that was merged."""
    field: str
    side: Literal["client", "tracos"]
    """Whose value gave way."""
    value: Any
    """What gave way."""
    kept: Any
    because: str
    restored: datetime | None = None
    """When a person has had it set again, last."""
    restored_by: str = ""
    """Who has."""


def read_conflicts(path: Path, since: datetime | None = None) -> list[Conflict]:
    """All conflicts in the decision log at ``path``, newest first; with ``since`` not those of months over by then.

    What was restored is the one of its field that gave way last before.
    """
    return conflicts_in(read_decisions(path, since))


def newest_conflicts(path: Path, count: int) -> tuple[list[Conflict], bool]:
    """The newest ``count`` conflicts, newest first, and whether these are all; quick, however long the log is.

    Where much of the log is not indexed yet there may be fewer. Raises what read_told raises.
    """
    blocks, left, wanted, is_all = list[list[Entry]](), READ_AT_ONCE, count, True
    for block in _losses(path, left):
        blocks.append(_understood(block))
        left -= len(block)
        wanted -= sum(-len(entry.lost) if entry.rule == MISSED else len(entry.lost) for entry in blocks[-1])
        if left <= 0 or wanted < 0:
            is_all = False
            break
    found = conflicts_in(standing([entry for entries in reversed(blocks) for entry in entries]))
    return found[:count], is_all and len(found) <= count


def _losses(path: Path, most: int) -> Iterator[bytes]:
    """Blocks of lines, the newest first, among which is all that tells of values that gave way, or were set again."""
    with readable(path, CALLED):
        months = Months(path).files()
    for month in reversed(months):
        with readable(month, CALLED):
            yield from newest_about(month, LOSSES, most)


def _understood(block: bytes) -> list[Entry]:
    found = []
    for line in block.split(b"\n"):
        if tells_loss(line):
            with suppress(ValueError, RecursionError):
                found.append(ENTRIES.decode(line))
    return found


def conflicts_in(entries: Iterable[Entry]) -> list[Conflict]:
    """The conflicts that these entries tell of, as ``read_conflicts`` has them."""
    found: list[Conflict] = []
    last: dict[Where, Conflict] = {}
    for entry in entries:
        for lost in entry.lost:
            found.append(
                Conflict(
                    at=entry.at,
                    run=entry.run,
                    client=entry.client,
                    number=entry.number,
                    locator=entry.locator,
                    field=lost.field,
                    side=lost.side,
                    value=lost.value,
                    kept=lost.kept,
                    because=lost.because,
                )
            )
            last[_where(entry, lost.field)] = found[-1]
        if entry.rule == RESTORED:
            for change in entry.changes:
                if conflict := last.get(_where(entry, change.field)):
                    conflict.restored, conflict.restored_by = entry.at, entry.by
    found.reverse()
    return found


def _where(entry: Entry, field: str) -> Where:
    return entry.client, id_key(entry.number), field
