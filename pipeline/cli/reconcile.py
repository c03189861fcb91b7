"""``reconcile``: in what the two sides differ, order by order; with ``--fix`` the run that mends it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from pipeline.cli.conduct import conduct, shown
from pipeline.cli.logs import note
from pipeline.cli.output import Json, is_terminal, print_json, said, width_of_terminal
from pipeline.cli.progress import watched
from pipeline.cli.start import Wait, begin
from pipeline.cli.steps import suggest
from pipeline.cli.summary import summary_of
from pipeline.cli.tables import Column, print_table
from pipeline.history.journal import Journal, new_run
from pipeline.orders.compare import Gap, GapKind
from pipeline.service.effects import Live
from pipeline.service.reconcile import Comparison, Fixing, Looking, Reconciling
from pipeline.service.run import Ended
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings

__all__ = ["reconcile"]

COLUMNS: Final = [
    Column("what"),
    Column("order", leads=True, is_named=True),
    Column("field", leads=True),
    Column("TracOS", wraps=True),
    Column("client", wraps=True),
    Column("a run would"),
    Column("rule", wraps=True),
    Column("of"),
]

WORDS: Final = {
    GapKind.UNMARKED: "not marked",
    GapKind.ONLY_CLIENT: "only the client",
    GapKind.ONLY_TRACOS: "only TracOS",
    GapKind.DIFFERS: "differs",
}

DOES: Final = {"take": "take the client's", "send": "send ours", "nothing": "do nothing"}

COUNTED: Final = {
    "unmarked": "edited in TracOS and not marked",
    "only_client": "only at the client",
    "only_tracos": "only in TracOS",
    "differs": "with values that differ",
    "waits": "waiting for the next run",
    "unsure": "marked as synced by others, so that nobody knows what the client holds",
    "dead": "items that would be dead",
    "still_dead": "items still dead",
}


def reconcile(
    *,
    client: str | None = None,
    fix: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    wait: Wait = 0,
    json: Json = False,
) -> int:
    """Compare both sides, order by order, and write nothing; exits with 4 when they differ.

    Args:
        client: For this client alone.
        fix: Mark what nobody has marked, run with everything read anew, and tell what is left then.
        wait: Seconds to wait for orders that another run is working on, instead of leaving with 6.
        json: Print JSON.
    """
    settings = begin(quiet=not fix)  # the tables say what the log would
    effects, record = Looking(), new_run("reconcile")
    looking = Sessions(settings, only=client, effects=effects)
    work: Reconciling
    if fix:
        work = Fixing(settings, looking, effects, watched(settings.log_format))
        acting = Sessions(settings, run=record.run, only=client, effects=Live(wait=wait))
        ended = conduct(acting, work, record, Journal(settings.data_journal))
    else:
        work = Reconciling()
        ended = conduct(looking, work, record)  # told to no journal: nothing is written
    with ExitStack() as opened, shown():
        for one in work.comparisons:
            opened.callback(one.gaps.close)
        if json and work.comparisons:
            print_json(_as_data(work))
        elif not json:
            _print(work, ended, settings)
    return ended.exit


def _as_data(work: Reconciling) -> dict[str, Any]:
    data: dict[str, Any] = {"counts": _sum([one.counts for one in work.comparisons])}
    if isinstance(work, Fixing):
        data["before"] = _sum(work.before)
    data["gaps"] = [msgspec.Raw(msgspec.json.encode(gap)) for one in work.comparisons for gap in one.gaps]
    data["notes"] = [{"client": one.client, "note": note} for one in work.comparisons for note in one.notes]
    return data


def _print(work: Reconciling, ended: Ended, settings: Settings) -> None:
    if isinstance(work, Fixing) and any(ended.reports.values()):
        told = summary_of(ended, settings, width_of_terminal())
        if is_terminal():
            sys.stdout.write(f"{told}\n")
        else:
            for line in filter(None, told.splitlines()):
                note(line)
    found = work.comparisons
    is_same = not any(count for one in found for kind, count in one.counts.items() if kind in set(GapKind))
    if not is_same:
        print_table(COLUMNS, _rows(found))
    for one in found:
        counted = "; ".join(f"{count:,} {COUNTED[kind]}" for kind, count in one.counts.items() if count)
        note(f"{one.client}: {counted or 'both sides say the same'}")
        for line in one.notes:
            note(f"{one.client}: {line}")
    if not is_same and not isinstance(work, Fixing):
        suggest(("mend it", "reconcile --fix"))


def _rows(found: Sequence[Comparison]) -> Iterator[list[str]]:
    for gap in (gap for one in found for gap in one.gaps):
        yield [WORDS[gap.kind], _named(gap), gap.field or "", said(gap.ours), said(gap.theirs), *_what(gap)]


def _named(gap: Gap) -> str:
    """The order's number and, where the client calls it otherwise, its id there."""
    return str(gap.number) if gap.id is None or str(gap.id) == str(gap.number) else f"{gap.number} ({gap.id})"


def _what(gap: Gap) -> list[str]:
    return [DOES[gap.does], gap.rule, gap.client]


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {kind: sum(one[kind] for one in counts) for kind in COUNTED}
