"""``dead-letters`` that look: list, show, stats."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Annotated, Any, Final

from cyclopts import Parameter

from pipeline.cli.ages import age
from pipeline.cli.faults import UNKNOWN, print_faults
from pipeline.cli.logs import note
from pipeline.cli.output import Json, is_terminal, many, print_json, print_lines
from pipeline.cli.start import begin
from pipeline.cli.steps import print_steps, suggest
from pipeline.cli.tables import Column, print_rows, print_table
from pipeline.deadletters import DeadLetterOffice, Filed, Filters, Group, Letter, grouped
from pipeline.deadletters.office import see_mendable
from pipeline.deadletters.pointer import locate, readable
from pipeline.errors import WrongUsage

__all__ = ["NONE", "Which", "list_", "show", "stats"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """Which letters."""

    flow: Annotated[str | None, Parameter(help="Of this flow: its name, or inbound or outbound.")] = None
    client: Annotated[str | None, Parameter(help="Of this client.")] = None
    stage: Annotated[
        str | None, Parameter(help="That failed at this stage: read, parse, validate, translate or deliver.")
    ] = None
    reason: Annotated[str | None, Parameter(help="With a reason that holds this text.")] = None
    older: Annotated[
        timedelta | None, Parameter(converter=age, n_tokens=1, help="First seen at least so long ago: 90m, 12h, 7d.")
    ] = None
    newer: Annotated[
        timedelta | None, Parameter(converter=age, n_tokens=1, help="Last seen at most so long ago: 90m, 12h, 7d.")
    ] = None

    @property
    def filters(self) -> Filters:
        """As the office takes them."""
        return Filters(
            flow=self.flow,
            client=self.client,
            stage=self.stage,
            reason=self.reason,
            older=self.older,
            newer=self.newer,
        )


NONE: Final = Which()

LETTERS: Final = [
    Column("because", wraps=True, leads=True),
    Column("where", wraps=True),
    Column("order"),
    Column("stage"),
    Column("id"),
    Column("tries", is_number=True),
    Column("last seen (UTC)"),
]
GROUPS: Final = [
    Column("letters", is_number=True, leads=True),
    Column("because", wraps=True, leads=True),
    Column("e.g.", wraps=True),
    Column("id"),
    Column("stage"),
    Column("last seen (UTC)"),
]


def list_(
    *,
    which: Which = NONE,
    each: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """List the open dead letters: on a terminal those together that failed for like reasons, elsewhere one a line.

    Args:
        which: Only these.
        each: One by one on a terminal too.
        json: Print JSON.
    """
    office = _office()
    found = office.find(which.filters)
    if json:
        print_json([_brief(filed) for filed in found])
        return 0
    if not is_terminal():
        rows = map(_row, found)
        first = next(rows, None)
        print_rows([] if first is None else chain([first], rows))
        total = 0 if first is None else 1
    elif each:
        shown = [_seen(filed) for filed in found]
        total = len(shown)
        print_table(LETTERS, shown)
    else:
        groups = grouped(found)
        total = sum(group.count for group in groups)
        print_table(GROUPS, map(_grouped, groups))
    _conclude(total, office, "" if which == NONE else " like these", each=each)
    return 0


def _conclude(total: int, office: DeadLetterOffice, like: str, *, each: bool) -> None:
    if not total:
        note(f"no open dead letters in {office.root}{like}")
    elif is_terminal():
        print_lines(["", f"{many(total, 'open dead letter')} in {office.root}{like}"])
        one_by_one = [] if each else [("one by one", "dead-letters list --each")]
        print_steps([("all reasons of one, and its payload", "dead-letters show ID"), *one_by_one])


def show(letter_id: Annotated[str, Parameter(name="ID")], /, *, json: Json = False) -> int:
    """Show one letter: all reasons, and the payload with the offending places marked.

    Args:
        letter_id: Its id, or the beginning of it.
        json: Print JSON.
    """
    filed = _office().get(letter_id)
    letter = filed.letter
    if json:
        marks = [locate(letter.payload, reason) for reason in letter.reasons]
        places = [None if mark is None else {"line": mark.line, "column": mark.column} for mark in marks]
        print_json({**_brief(filed), "places": places, "payload": readable(letter.payload)})
        return 0
    mended = f", mended since{_by(letter.mended_by)}" if letter.mended is not None else ""
    mended += f", retried{_by(letter.retried_by)}" if letter.retried_by else ""
    print_lines(
        [
            f"dead letter {filed.id}  {filed.path}",
            f"  {letter.locator} of {letter.flow}, failed at {letter.stage}"
            + (f", order {letter.id}" if letter.id else ""),
            f"  first seen {letter.first_seen:%Y-%m-%d %H:%M:%S} UTC, last {letter.last_seen:%Y-%m-%d %H:%M:%S} UTC, "
            f"{letter.attempts:,} attempt{'s' if letter.attempts > 1 else ''}{mended}",
            "",
        ]
    )
    print_faults(letter)
    suggest(
        *([("mend it", f"dead-letters edit {filed.id}")] if _is_mendable(filed) else []),
        ("run it again", f"dead-letters retry {filed.id}"),
        ("give it up", f"dead-letters discard {filed.id} --because WHY"),
    )
    return 0


def stats(*, which: Which = NONE, json: Json = False) -> int:
    """Count the open letters by flow, client, stage and reason.

    Args:
        which: Only these.
        json: Print JSON.
    """
    counts = _office().stats(which.filters)
    if json:
        print_json(counts)
        return 0
    note(f"{many(counts.total, 'open dead letter')}, {counts.mended:,} of them mended")
    kinds = ("reason", counts.reasons), ("stage", counts.stages), ("flow", counts.flows)
    for by, of_each in (*kinds, ("client", counts.clients)):
        if not is_terminal():
            print_rows([by, name, str(count)] for name, count in of_each.items())
        elif of_each:
            print_lines([""])
            print_table([Column("letters", is_number=True), Column(by, wraps=True)], _counts(of_each))
    return 0


def _counts(counts: Mapping[str, int]) -> Iterator[list[str]]:
    return ([f"{count:,}", name] for name, count in counts.items())


def _is_mendable(filed: Filed) -> bool:
    try:
        see_mendable(filed)
    except WrongUsage:
        return False
    return True


def _by(person: str) -> str:
    return f" by {person}" if person else ""


def _office() -> DeadLetterOffice:
    return DeadLetterOffice(begin().data_dead_letter_dir)


def _brief(filed: Filed) -> dict[str, Any]:
    letter = filed.letter
    return {
        "id": filed.id,
        "flow": letter.flow,
        "client": letter.client,
        "stage": letter.stage,
        "locator": letter.locator,
        "order": letter.id,
        "reasons": letter.reasons,
        "attempts": letter.attempts,
        "first_seen": letter.first_seen,
        "last_seen": letter.last_seen,
        "mended": letter.mended is not None,
        "path": str(filed.path),
    }


def _row(filed: Filed) -> list[str]:
    """For programs: all of it."""
    letter = filed.letter
    return [
        filed.id,
        "mended" if letter.mended is not None else "open",
        letter.flow,
        letter.stage,
        letter.locator,
        "" if letter.id is None else str(letter.id),
        str(letter.attempts),
        f"{letter.last_seen:%Y-%m-%d %H:%M}",
        _reasons(letter),
    ]


def _seen(filed: Filed) -> list[str]:
    """For people: what tells most first."""
    letter = filed.letter
    order = "" if letter.id is None else str(letter.id)
    tries, last = f"{letter.attempts:,}", f"{letter.last_seen:%Y-%m-%d %H:%M}"
    return [_briefly(letter), letter.locator, order, _stage(letter), filed.id, tries, last]


def _grouped(group: Group) -> list[str]:
    """The same of many that are alike."""
    letter = group.letter
    example = letter.locator if letter.id is None else f"{letter.locator}, order {letter.id}"
    last = f"{letter.last_seen:%Y-%m-%d %H:%M}"
    return [f"{group.count:,} ×", _briefly(letter), example, group.newest.id, _stage(letter), last]


def _reasons(letter: Letter) -> str:
    return "; ".join(map(str, letter.reasons)) or UNKNOWN


def _briefly(letter: Letter) -> str:
    first, *more = letter.reasons or (UNKNOWN,)
    return f"{first}" if not more else f"{len(more) + 1} reasons: {first}"


def _stage(letter: Letter) -> str:
    return letter.stage + (", mended" if letter.mended is not None else "")
