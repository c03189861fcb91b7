"""``conflicts``: what gave way in merges, and a value that gave way set again."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from pipeline.cli.ages import age
from pipeline.cli.conduct import conduct, shown
from pipeline.cli.logs import note
from pipeline.cli.output import Json, print_json, print_lines, said
from pipeline.cli.start import Wait, begin, person
from pipeline.cli.steps import suggest
from pipeline.cli.summary import SIDES
from pipeline.cli.tables import Column, print_table
from pipeline.history.conflicts import Conflict, read_conflicts
from pipeline.history.journal import Journal, new_run
from pipeline.service.effects import Live
from pipeline.service.restoring import Restoring, find_conflict
from pipeline.service.session import Sessions

__all__ = ["list_", "restore"]

COLUMNS: Final = [
    Column("when (UTC)"),
    Column("client"),
    Column("order", leads=True, is_named=True),
    Column("field", leads=True),
    Column("whose"),
    Column("gave way", wraps=True),
    Column("kept", wraps=True),
    Column("because", wraps=True),
    Column("restored (UTC)"),
]

MINUTES: Final = "%Y-%m-%d %H:%M"


def list_(
    *,
    since: Annotated[timedelta | None, Parameter(converter=age, n_tokens=1)] = None,
    client: str | None = None,
    json: Json = False,
) -> int:
    """List the values that gave way to the other side's, newest first: whose, to what, and why.

    Args:
        since: That gave way at most so long ago: 90m, 12h, 7d.
        client: Of this client alone.
        json: Print JSON.
    """
    path = begin().data_decision_log
    oldest = None if since is None else datetime.now(UTC) - since
    found = [one for one in read_conflicts(path, oldest) if client in (None, one.client)]
    found = [one for one in found if oldest is None or one.at >= oldest]
    if json:
        print_json(found)
    elif found:
        print_table(COLUMNS, map(_row, found))
        suggest(("set one again", "conflicts restore NUMBER FIELD"))
    else:
        note(f"nothing gave way in {path}" + (" that is like this" if since is not None or client else ""))
    return 0


def restore(number: str, field: str, /, *, client: str | None = None, wait: Wait = 0, json: Json = False) -> int:
    """Set the value that gave way last again, as a new edit in TracOS; the next run tells the client.

    Args:
        number: The order's number in TracOS, as `conflicts list` shows it.
        field: Of the order, as `conflicts list` names it.
        client: The client, where several have an order of this number.
        wait: Seconds to wait for orders that another run is working on, instead of leaving with 6.
        json: Print JSON: what was set, and what becomes of it.
    """
    settings = begin()
    work, record = Restoring(find_conflict(settings.data_decision_log, number, field, client)), new_run("restore")
    sessions = Sessions(settings, run=record.run, by=person(), effects=Live(wait=wait))
    ended = conduct(sessions, work, record, Journal(settings.data_journal))
    with shown():
        one, change = work.conflict, work.change
        if json:
            print_json({"number": one.number, "client": one.client, "change": change, "next": work.next})
        elif change:
            what = f"order {one.number}: {field} set again: {said(change.old)} → {said(change.new)}"
            print_lines([f"{what}; {work.next}"])
    return ended.exit


def _row(one: Conflict) -> list[str]:
    return [
        f"{one.at:{MINUTES}}",
        one.client,
        str(one.number),
        one.field,
        SIDES.get(one.side, one.side),
        said(one.value),
        said(one.kept),
        one.because,
        f"{one.restored:{MINUTES}} {one.restored_by}".strip() if one.restored else "",
    ]
