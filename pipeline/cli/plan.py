"""``plan``: what a run would do, by order and field, and the dead letters that it would make."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pipeline.cli.output import Json, print_json, print_lines, print_table
from pipeline.cli.start import begin
from pipeline.decisions import SENT, Entry
from pipeline.rehearsal import Plan, rehearse
from pipeline.session import Session

__all__ = ["plan"]

SOMETHING_TO_DO: Final = 4


def plan(*, client: str | None = None, json: Json = False) -> int:
    """Show what a run would do, field by field, and write nothing; exits with 4 when there is something to do.

    Args:
        client: For this client alone.
        json: Print JSON.
    """
    session = Session(begin(quiet=True), client=client, rehearse=True)  # the tables say what the log would
    with session.mongo() as uri:
        found = asyncio.run(rehearse(session, uri))
    if json:
        print_json(_as_data(found))
    else:
        _print(found)
    return SOMETHING_TO_DO if found.writes or found.dead_letters else 0


def _as_data(found: Plan) -> dict[str, Any]:
    letters = [
        {"flow": one.flow, "stage": one.stage, "locator": one.locator, "reasons": one.reasons}
        for one in found.dead_letters
    ]
    writes = [
        {"side": side(entry), **{key: value for key, value in msgspec.to_builtins(entry).items() if key != "at"}}
        for entry in found.writes
    ]
    return {"writes": writes, "dead_letters": letters}


def _print(found: Plan) -> None:
    if found.writes:
        print_table(["order", "in", "field", "old", "new", "rule"], _rows(found.writes), wide=["old", "new"])
    if found.dead_letters:
        print_table(
            ["would be dead", "at", "because"],
            [[one.locator, one.stage, "; ".join(map(str, one.reasons))] for one in found.dead_letters],
        )
    orders = len({(entry.number, entry.rule == SENT) for entry in found.writes})
    if not found.writes and not found.dead_letters:
        print_lines(["nothing to do"])
    else:
        print_lines([f"{orders:,} orders would be written or sent, {len(found.dead_letters):,} items would be dead"])


def _rows(entries: Sequence[Entry]) -> Iterator[list[str]]:
    for entry in entries:
        head = [str(entry.number), side(entry)]
        for change in entry.changes:
            yield [*head, change.field, said(change.old), said(change.new), entry.rule]
        if not entry.changes:
            yield [*head, "(bookkeeping alone)", "", "", entry.rule]


def side(entry: Entry) -> str:
    """Where an entry's values were written."""
    return "client" if entry.rule == SENT else "TracOS"


def said(value: Any) -> str:
    """A value as a person reads it."""
    return "-" if value is None else str(value)
