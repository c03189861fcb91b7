"""Conflicts: the values that gave way to another side's, as the decision log tells them, and which were set again."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from pipeline.history.decisions import RESTORED, Entry, read_decisions
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["Conflict", "conflicts_in", "read_conflicts"]

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
