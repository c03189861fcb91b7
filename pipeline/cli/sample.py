"""``clients try``: how a sample file is read, field by field, and what would be told back."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from pipeline.cli.logs import note
from pipeline.cli.output import Json, as_json, is_terminal, print_json, print_lines
from pipeline.cli.start import begin
from pipeline.cli.tables import Column, print_rows, print_table
from pipeline.clients.records.reading import FieldRead, unmatched
from pipeline.errors import WrongUsage
from pipeline.service.effects import Dry
from pipeline.service.sampling import Sampled, offline, sampled
from pipeline.service.session import Session, Sessions
from pipeline.translation.times import format_time

__all__ = ["try_"]

DEAD_LETTERS: Final = 3
CUT: Final = 60
"""Characters of a value that are shown."""
COLUMNS: Final = [
    Column("in TracOS", leads=True),
    Column("in the record", wraps=True),
    Column("what is there", wraps=True),
    Column("means", wraps=True),
    Column("wrong", wraps=True),
]


def try_(file: Annotated[Path, Parameter(name="FILE")], /, *, client: str | None = None, json: Json = False) -> int:
    """Show how a client reads FILE, record by record and field by field, and what it would be told back.

    FILE is a file as the client writes them, or an answer of its API that was saved. Nobody is asked, nothing is
    written; exits with 3 when a record would be dead.

    Args:
        file: Of the client's records.
        client: The client that reads it, where the settings have several.
        json: Print JSON.
    """
    session = _session(Sessions(offline(begin(quiet=True)), only=client, effects=Dry()))
    found = sampled(session.client, file)
    if json:
        read = list(found)
        print_json(read)
        dead = sum(one.verdict == "would be dead" for one in read)
    else:
        dead = _print(found)
    return DEAD_LETTERS if dead else 0


def _session(sessions: Sessions) -> Session:
    names = [session.client.name for session in sessions]
    if len(names) > 1 or sessions.problems:
        raise WrongUsage(f"say which client reads it, --client NAME: {', '.join([*names, *sessions.problems])}")
    return sessions.get(names[0])


def _print(found: Iterable[Sampled]) -> int:
    """Show the records as they are read; returns how many would be dead."""
    counts = {"passes": 0, "would be dead": 0, "of others": 0}
    for one in found:
        counts[one.verdict] += 1
        if not is_terminal():
            print_rows([one.locator, one.verdict, *row] for row in (*map(_row, one.fields), *_rows_beside(one)))
            continue
        print_lines(_head(one))
        if one.fields:
            print_table(COLUMNS, map(_row, one.fields))
        print_lines(_rest(one))
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    note(told or "no records")
    return counts["would be dead"]


def _rows_beside(one: Sampled) -> Iterator[Sequence[str]]:
    """What is to be said of a record beside its fields, in cells like theirs; the first says what it is."""
    for reason in unmatched(one.fields, one.reasons):
        yield ["wrong", "", "", "", str(reason)]
    for path in one.unnamed:
        yield ["not named", path, "", "", ""]
    for told in one.told:
        yield [f"told back {told.when}", "", told.body, "", "; ".join(map(str, told.reasons))]


def _head(one: Sampled) -> Iterator[str]:
    layout = f", {one.layout}" if one.layout else ""
    stage = f" at {one.stage}" if one.stage else ""
    skipped = ": skipped, and told to nobody" if one.verdict == "of others" else ""
    yield f"{one.locator}{layout}: {one.verdict}{stage}{skipped}"


def _rest(one: Sampled) -> Iterator[str]:
    for reason in unmatched(one.fields, one.reasons):
        yield f"  wrong: {reason}"
    if one.unnamed:
        yield f"  not named by the layout: {', '.join(one.unnamed)}"
    for told in one.told:
        if told.reasons:
            yield f"  cannot be told back {told.when}: {'; '.join(map(str, told.reasons))}"
        else:
            yield f"  told back {told.when}:"
            yield from (f"    {line}" for line in told.body.splitlines())
    yield ""


def _row(field: FieldRead) -> Sequence[str]:
    said = "-" if field.said is None else _cut(as_json(field.said, sys.stdout))
    return [field.field, field.path, said, _meaning(field.means), "; ".join(field.reasons)]


def _meaning(means: Any) -> str:
    if isinstance(means, datetime):
        return format_time(means)
    if isinstance(means, bool):
        return str(means).lower()
    return "-" if means is None else _cut(str(means))


def _cut(text: str) -> str:
    return text if len(text) <= CUT else f"{text[: CUT - 1]}…"
