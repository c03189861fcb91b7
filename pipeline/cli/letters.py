"""``dead-letters`` that look: list, show, stats."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.text import Text

from pipeline.cli.ages import age
from pipeline.cli.output import Json, clean, console, is_terminal, print_json, print_lines, print_table
from pipeline.cli.start import begin
from pipeline.deadletters import DeadLetterOffice, Filed, Filters
from pipeline.deadletters.pointer import Mark, lines_around, locate, readable

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

UNKNOWN: Final = "mended, and not retried yet: nothing is known against it"


def list_(*, which: Which = NONE, json: Json = False) -> int:
    """List the open dead letters.

    Args:
        which: Only these.
        json: Print JSON.
    """
    office = _office()
    found = office.find(which.filters)
    if json:
        print_json([_brief(filed) for filed in found])
        return 0
    rows = list(_brief_rows(found) if is_terminal() else _rows(found))
    if rows:
        print_table(["id", "where", "stage", "order", "tries", "last seen (UTC)", "because"], rows, right=["tries"])
    else:
        print_lines([f"no open dead letters in {office.root}" + (" like these" if which != NONE else "")])
    return 0


def show(letter_id: Annotated[str, Parameter(name="ID")], /, *, json: Json = False) -> int:
    """Show one letter: all reasons, and the payload with the offending places marked.

    Args:
        letter_id: Its id, or the beginning of it.
        json: Print JSON.
    """
    filed = _office().get(letter_id)
    letter = filed.letter
    marks = [locate(letter.payload, reason) for reason in letter.reasons]
    if json:
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
    if not letter.reasons:
        print_lines([f"  {UNKNOWN}"])
    for reason, mark in zip(letter.reasons, marks, strict=True):
        where = f"  (line {mark.line}, column {mark.column})" if mark else ""
        print_lines([f"  {reason}{where}"])
    print_lines([""])
    _print_payload(letter.payload, [mark for mark in marks if mark])
    return 0


def stats(*, which: Which = NONE, json: Json = False) -> int:
    """Count the open letters by flow, client, stage and reason.

    Args:
        which: Only these.
        json: Print JSON.
    """
    counted = _office().stats(which.filters)
    if json:
        print_json(counted)
        return 0
    print_lines([f"{counted.total:,} open dead letters, {counted.mended:,} of them mended"])
    for title, counts in (
        ("flow", counted.flows),
        ("client", counted.clients),
        ("stage", counted.stages),
        ("reason", counted.reasons),
    ):
        if counts:
            print_table([title, "letters"], [[name, f"{count:,}"] for name, count in counts.items()], right=["letters"])
    return 0


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


def _rows(found: Iterator[Filed]) -> Iterator[list[str]]:
    for filed in found:
        letter = filed.letter
        yield [
            filed.id,
            "mended" if letter.mended is not None else "open",
            letter.flow,
            letter.stage,
            letter.locator,
            "" if letter.id is None else str(letter.id),
            str(letter.attempts),
            f"{letter.last_seen:%Y-%m-%d %H:%M}",
            "; ".join(map(str, letter.reasons)) or UNKNOWN,
        ]


def _brief_rows(found: Iterator[Filed]) -> Iterator[list[str]]:
    """What fits on a terminal."""
    for filed in found:
        letter = filed.letter
        first, *more = letter.reasons or (UNKNOWN,)
        yield [
            filed.id,
            letter.locator,
            letter.stage + (", mended" if letter.mended is not None else ""),
            "" if letter.id is None else str(letter.id),
            str(letter.attempts),
            f"{letter.last_seen:%Y-%m-%d %H:%M}",
            f"{first}" if not more else f"{len(more) + 1} reasons: {first}",
        ]


def _print_payload(payload: bytes, marks: list[Mark]) -> None:
    lines = lines_around(payload, marks)
    width = len(str(lines[-1].number)) if lines else 1
    out = console()
    for line in lines:
        text = Text(f"  {line.number:>{width}} │ ", style="dim")
        text.append(clean(line.text), style="not dim")
        shift = len(f"  {line.number:>{width}} │ ")
        for start, end in line.marks:
            text.stylize("bold red", start + shift, end + shift)
        out.print(text, soft_wrap=True)
        if line.marks:
            under = [" "] * max(end for _, end in line.marks)
            for start, end in line.marks:
                under[start:end] = "^" * (end - start)
            out.print(Text(f"  {'':>{width}} │ {''.join(under)}", style="red"), soft_wrap=True)
