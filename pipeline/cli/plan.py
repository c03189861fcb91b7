"""``plan``: what a run would do, by order and field, and the dead letters that it would make."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pipeline.cli.conduct import conduct, shown
from pipeline.cli.logs import note
from pipeline.cli.output import Json, is_terminal, many, print_json, print_lines, said
from pipeline.cli.start import begin
from pipeline.cli.steps import suggest
from pipeline.cli.tables import Column, print_rows, print_table
from pipeline.dataflow.messages import DeadLetter
from pipeline.history.decisions import SENT, Entry
from pipeline.history.journal import new_run
from pipeline.orders.merge import HAS_THE_SAY
from pipeline.service.effects import Dry
from pipeline.service.plan import Planning
from pipeline.service.session import Sessions

__all__ = ["plan"]

WRITES: Final = [
    Column("order", leads=True, is_named=True),
    Column("in", leads=True, is_named=True),
    Column("field", leads=True),
    Column("old", wraps=True),
    Column("new", wraps=True),
    Column("rule", wraps=True),
    Column("client"),
]
LETTERS: Final = [
    Column("because", wraps=True, leads=True),
    Column("would be dead", wraps=True),
    Column("at"),
    Column("client"),
]


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
            _print(writes, letters, client)
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


def _print(writes: Sequence[Entry], letters: Sequence[DeadLetter], client: str | None) -> None:
    if not is_terminal():
        print_rows([*_rows(writes), *_dead_rows(letters)])
    if writes and is_terminal():
        print_table(WRITES, _rows(writes))
        print_lines([""])
    if letters and is_terminal():
        print_table(
            LETTERS, [[why, place, stage, client] for place, _, stage, _, _, why, client in _dead_rows(letters)]
        )
        print_lines([""])
    orders = len({(entry.client, entry.number, entry.rule == SENT) for entry in writes})
    if not writes and not letters:
        note("nothing to do")
    else:
        note(f"{many(orders, 'order')} would be written or sent, {many(len(letters), 'item')} would be dead")
        suggest(("do it", f"run --client {client}" if client else "run"))


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


def _dead_rows(letters: Sequence[DeadLetter]) -> Iterator[list[str]]:
    """Of the same cells as what would be written: where it is, `dead`, the stage, nothing twice, why, the client."""
    for one in letters:
        reasons = "; ".join(map(str, one.reasons))
        yield [str(one.locator), "dead", one.stage, "", "", reasons, one.flow.rpartition(".")[0]]


def side(entry: Entry) -> str:
    """Where an entry's values were written."""
    return "client" if entry.rule == SENT else "TracOS"
