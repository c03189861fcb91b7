"""``state``: what clients remember from run to run; shown, forgotten, or set."""

from datetime import datetime
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter

from pipeline.cli.ages import instant
from pipeline.cli.conduct import conduct
from pipeline.cli.logs import note
from pipeline.cli.output import Json, print_json, print_lines
from pipeline.cli.start import Wait, begin
from pipeline.cli.tables import Column, print_table
from pipeline.history.journal import new_run
from pipeline.service.alone import Alone
from pipeline.service.effects import Live
from pipeline.service.remembering import forget, remembered, set_since
from pipeline.service.session import Sessions

__all__ = ["reset", "set_", "show"]

COLUMNS: Final = [
    Column("client", leads=True),
    Column("file", leads=True),
    Column("version", is_number=True),
    Column("says", wraps=True),
]


def show(*, client: str | None = None, json: Json = False) -> int:
    """Show what clients remember from run to run: how far they were read, what need not be read again.

    Args:
        client: Of this client alone.
        json: Print JSON.
    """
    settings = begin()
    found = list(remembered(settings, client))
    if json:
        print_json(found)
    elif found:
        rows = ([one.client, one.file, _version(one.version), said] for one in found for said in one.says)
        print_table(COLUMNS, rows)
    else:
        note(f"nothing is remembered in {settings.data_state_dir}")
    return 0


def reset(client: str, /, *, wait: Wait = 0) -> int:
    """Forget what a client remembers: its next run reads everything, and writes what is new alone.

    Args:
        client: The client.
        wait: Seconds to wait for orders that a run is working on, instead of leaving with 6.
    """
    record = new_run("state reset")
    work = Alone(forget)
    ended = conduct(Sessions(begin(), run=record.run, only=client, effects=Live(wait=wait)), work, record)
    if (gone := work.told) is not None:
        what = f"forgotten: {', '.join(gone)}; the next run reads everything" if gone else "nothing was remembered"
        print_lines([what])
    return ended.exit


def set_(
    client: str, /, *, since: Annotated[datetime, Parameter(converter=instant, n_tokens=1)], wait: Wait = 0
) -> int:
    """Set up to when an API counts as read: the next run asks for what changed since then.

    Args:
        client: The client.
        since: A time, such as 2026-10-31 or 2026-10-31T12:00:00Z; without a zone it is UTC.
        wait: Seconds to wait for orders that a run is working on, instead of leaving with 6.
    """
    record = new_run("state set")
    work = Alone(partial(set_since, time=since))
    ended = conduct(Sessions(begin(), run=record.run, only=client, effects=Live(wait=wait)), work, record)
    if work.told:
        print_lines([f"{client}: the next run reads what changed since {since:%Y-%m-%d %H:%M:%S} UTC"])
    return ended.exit


def _version(version: int | None) -> str:
    return "-" if version is None else str(version)
