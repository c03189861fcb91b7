"""``history``: the last runs, from the journal."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Final

from cyclopts import Parameter, validators

from pipeline.cli.logs import note
from pipeline.cli.output import Json, counted, is_terminal, print_json
from pipeline.cli.start import begin
from pipeline.cli.summary import WORDS, by_side
from pipeline.cli.tables import Column, print_table
from pipeline.history.journal import Run, last_runs

__all__ = ["history"]

COLUMNS: Final = [
    Column("began (UTC)", leads=True),
    Column("took", is_number=True),
    Column("command", leads=True),
    Column("ended", leads=True),
    Column("exit", is_number=True),
    *(Column(head, is_number=True) for head in ("read", "created", "updated", "sent", "dead")),
    Column("run"),
    Column("gave way", is_number=True),
]
"""On a terminal the last is a number; elsewhere it tells the sides."""


def history(
    *,
    last: Annotated[int, Parameter(alias="-n", validator=validators.Number(gte=1))] = 20,
    json: Json = False,
) -> int:
    """Show the last runs: when, how they ended, and what they did.

    Args:
        last: How many.
        json: Print JSON: the runs as the journal keeps them.
    """
    path = begin().data_journal
    runs = last_runs(path, last)
    if json:
        print_json(runs)
    elif runs:
        print_table(COLUMNS, map(_row, runs))
    else:
        note(f"no runs yet in {path}")
    return 0


def _row(run: Run) -> list[str]:
    outcomes = Counter[str]()
    for flow in run.flows:
        for outcome, count in flow.outcomes.items():
            outcomes[WORDS.get(outcome, outcome)] += count
    dead = sum(sum(flow.dead.values()) for flow in run.flows)
    counts = [sum(flow.read for flow in run.flows), *(outcomes[word] for word in ("created", "updated", "sent")), dead]
    return [
        f"{run.began:%Y-%m-%d %H:%M:%S}",
        _took(run.began, run.ended),
        run.command,
        run.ending or "under way, or killed",
        "" if run.exit is None else str(run.exit),
        *map(counted, counts),
        run.run,
        counted(sum(run.gave_way.values())) if is_terminal() else by_side(run.gave_way),
    ]


def _took(began: datetime, ended: datetime | None) -> str:
    return f"{(ended - began).total_seconds():.0f} s" if ended else ""
