"""``plan``: what a run would do, by order and field, and the dead letters that it would make."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pipeline.cli.output import Json, print_json, print_lines, print_table
from pipeline.cli.start import begin, goes_on, tell_problems
from pipeline.dataflow.messages import DeadLetter
from pipeline.errors import Fatal, WrongSettings
from pipeline.history.decisions import SENT, Entry
from pipeline.service.effects import Dry
from pipeline.service.plan import Plan, make_plan
from pipeline.service.session import Sessions

__all__ = ["plan"]

SOMETHING_TO_DO: Final = 4


def plan(*, client: str | None = None, json: Json = False) -> int:
    """Show what a run would do, field by field, and write nothing; exits with 4 when there is something to do.

    Args:
        client: For this client alone.
        json: Print JSON.
    """
    sessions = Sessions(begin(quiet=True), only=client, effects=Dry())  # the tables say what the log would
    tell_problems(sessions)
    plans: list[Plan] = []
    failed: dict[str, Fatal] = {}
    with sessions.mongo() as uri:
        for session in sessions:
            with goes_on(sessions, session, failed):
                plans.append(asyncio.run(make_plan(session, uri)))
    writes = [entry for one in plans for entry in one.writes]
    letters = [letter for one in plans for letter in one.dead_letters]
    if json:
        print_json(_as_data(writes, letters))
    else:
        _print(writes, letters)
    if failed or sessions.problems:
        return Fatal.exit_code if failed else WrongSettings.exit_code
    return SOMETHING_TO_DO if writes or letters else 0


def _as_data(writes: Sequence[Entry], letters: Sequence[DeadLetter]) -> dict[str, Any]:
    return {
        "writes": [
            {"side": side(entry), **{key: value for key, value in msgspec.to_builtins(entry).items() if key != "at"}}
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
        head, tail = [str(entry.number), side(entry)], [entry.rule, entry.client]
        for change in entry.changes:
            yield [*head, change.field, said(change.old), said(change.new), *tail]
        if not entry.changes:
            yield [*head, "(bookkeeping alone)", "", "", *tail]


def side(entry: Entry) -> str:
    """Where an entry's values were written."""
    return "client" if entry.rule == SENT else "TracOS"


def said(value: Any) -> str:
    """A value as a person reads it."""
    return "-" if value is None else str(value)
