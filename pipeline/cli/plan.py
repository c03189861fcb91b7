"""``plan``: what a run would do, by order and field, and the dead letters that it would make."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipeline.cli.conduct import conduct, shown
from pipeline.cli.output import Json, print_json, print_lines, print_table, said
from pipeline.cli.start import begin
from pipeline.dataflow.messages import DeadLetter
from pipeline.history.decisions import SENT, Entry
from pipeline.history.journal import new_run
from pipeline.orders.merge import HAS_THE_SAY
from pipeline.service.effects import Dry
from pipeline.service.plan import Planning
from pipeline.service.session import Sessions

__all__ = ["plan"]


def plan(*, client: str | None = None, json: Json = False) -> int:
    """Show what a run would do, field by field, and write nothing; exits with 4 when there is something to do.

    Args:
        client: For this client alone.
        json: Print JSON.
    """
    sessions = Sessions(begin(quiet=True), only=client, effects=Dry())  # the tables say what the log would
    planning = Planning()
    ended = conduct(sessions, planning, new_run("plan"))  # told to no journal: nothing is written
    writes = [entry for one in planning.plans for entry in one.writes]
    letters = [letter for one in planning.plans for letter in one.dead_letters]
    with shown():
        if planning.plans and json:
            print_json(_as_data(writes, letters))
        elif planning.plans:
            _print(writes, letters)
    return ended.exit


def _as_data(writes: Sequence[Entry], letters: Sequence[DeadLetter]) -> dict[str, Any]:
    return {
        "writes": [
            {
                "side": side(entry),
                **{key: value for key, value in msgspec.to_builtins(entry).items() if key not in {"at", "record"}},
            }
            for entry in writes
        ],
        "dead_letters": [
            {"flow": one.flow, "stage": one.stage, "locator": str(one.locator), "reasons": one.reasons}
            for one in letters
        ],
    }


def _print(writes: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
    if writes:
        print_table(["order", "in", "field", "old", "new", "rule", "client"], _rows(writes), wide=["old", "new"])
    if letters:
        print_table(
            ["would be dead", "at", "because", "flow"],
            [[str(one.locator), one.stage, "; ".join(map(str, one.reasons)), one.flow] for one in letters],
        )
    orders = len({(entry.client, entry.number, entry.rule == SENT) for entry in writes})
    if not writes and not letters:
        print_lines(["nothing to do"])
    else:
        print_lines([f"{orders:,} orders would be written or sent, {len(letters):,} items would be dead"])


def _rows(entries: Sequence[Entry]) -> Iterator[list[str]]:
    for entry in entries:
        number, client = str(entry.number), entry.client
        decreed = {lost.field: lost for lost in entry.lost if lost.because in HAS_THE_SAY.values()}
        for change in entry.changes:
            rule = decreed.pop(change.field).because if change.field in decreed else entry.rule
            yield [number, side(entry), change.field, said(change.old), said(change.new), rule, client]
        for lost in decreed.values():
            where = "client" if lost.side == "client" else "TracOS"
            yield [number, where, lost.field, said(lost.value), said(lost.kept), lost.because, client]
        if not entry.changes and not decreed:
            yield [number, side(entry), "(bookkeeping alone)", "", "", entry.rule, client]


def side(entry: Entry) -> str:
    """Where an entry's values were written."""
    return "client" if entry.rule == SENT else "TracOS"
