"""``state``: what clients remember from run to run; shown, forgotten, or set."""

from datetime import datetime
from typing import Annotated, Final

from cyclopts import Parameter

from pipeline.cli.ages import instant
from pipeline.cli.logs import note
from pipeline.cli.output import Json, print_json, print_lines
from pipeline.cli.start import begin
from pipeline.cli.tables import Column, print_table
from pipeline.deadletters import DeadLetterOffice
from pipeline.service.remembering import forget, remembered
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


def reset(client: str, /) -> int:
    """Forget what a client remembers: its next run reads everything, and writes what is new alone.

    Args:
        client: The client.
    """
    gone = forget(begin(), client)
    print_lines([f"forgotten: {', '.join(gone)}; the next run reads everything" if gone else "nothing was remembered"])
    return 0


def set_(client: str, /, *, since: Annotated[datetime, Parameter(converter=instant, n_tokens=1)]) -> int:
    """Set up to when an API counts as read: the next run asks for what changed since then.

    Args:
        client: The client.
        since: A time, such as 2026-10-31 or 2026-10-31T12:00:00Z; without a zone it is UTC.
    """
    settings = begin()
    session = Sessions(settings, only=client).get(client)
    with DeadLetterOffice(settings.data_dead_letter_dir).taken(client):
        session.client.set_since(since)
    print_lines([f"{client}: the next run reads what changed since {since:%Y-%m-%d %H:%M:%S} UTC"])
    return 0


def _version(version: int | None) -> str:
    return "-" if version is None else str(version)
