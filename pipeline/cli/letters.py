"""``dead-letters``: list, show, stats, edit, retry, discard."""

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from loguru import logger
from msgspec import to_builtins
from rich.text import Text

from pipeline.cli.conduct import conduct, shown
from pipeline.cli.output import Json, clean, console, is_terminal, print_json, print_lines, print_table
from pipeline.cli.start import begin, editor
from pipeline.deadletters import DeadLetterOffice, Filed, Filters
from pipeline.deadletters.pointer import Mark, lines_around, locate, readable
from pipeline.errors import Rejected, WrongUsage
from pipeline.history.journal import Journal, new_run
from pipeline.service.replay import Retried, Retry
from pipeline.service.session import Sessions

__all__ = ["discard", "edit", "list_", "retry", "show", "stats"]


STILL_DEAD: Final = 3
AGES: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(_: Any, tokens: Sequence[Any]) -> timedelta:
    text = tokens[0].value
    unit = AGES.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        raise ValueError("expected an age such as 90m, 12h or 7d")
    return timedelta(**{unit: int(text[:-1])})


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
        timedelta | None, Parameter(converter=_age, n_tokens=1, help="First seen at least so long ago: 90m, 12h, 7d.")
    ] = None
    newer: Annotated[
        timedelta | None, Parameter(converter=_age, n_tokens=1, help="Last seen at most so long ago: 90m, 12h, 7d.")
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
    mended = ", mended since" if letter.mended is not None else ""
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


def edit(letter_id: Annotated[str, Parameter(name="ID")], /) -> int:
    """Mend a letter's payload in $VISUAL or $EDITOR; the original bytes are kept beside it.

    Args:
        letter_id: Its id, or the beginning of it.
    """
    settings = begin()
    office = DeadLetterOffice(settings.data_dead_letter_dir)
    filed = office.get(letter_id)
    if not filed.letter.flow.endswith(".inbound"):
        raise WrongUsage(f"{filed.id} is about an order in TracOS: mend the order there, then retry the letter")
    if not filed.letter.raw:
        raise WrongUsage(f"{filed.id} holds no bytes: mend {filed.letter.locator} where it came from")
    before = readable(filed.letter.payload)
    after = _edited(before)
    if after == before:
        print_lines(["nothing was changed"])
        return 0
    filed = office.mend(filed, after)
    client = Sessions(settings, only=filed.letter.client).get(filed.letter.client).client
    try:
        client.to_record(client.validate(client.parse(filed.letter.payload)))
    except Rejected as error:
        print_lines(["mended, but still wrong:", *(f"  {reason}" for reason in error.reasons)])
        return STILL_DEAD
    print_lines([f"mended; run it again with: workorder-sync dead-letters retry {filed.id}"])
    return 0


def retry(
    *ids: Annotated[str, Parameter(name="ID")],
    everything: Annotated[bool, Parameter(name="--all", negative=())] = False,
    which: Which = NONE,
    json: Json = False,
) -> int:
    """Run letters through the chain that they failed in, mended or as they were; exits with 3 when some fail again.

    What passes is delivered and its letter closed; what fails again keeps its letter, with one attempt more.

    Args:
        ids: Their ids, or the beginnings of them.
        everything: All open letters, or all that the filters leave.
        which: With --all: only these.
        json: Print JSON.
    """
    if everything == bool(ids) or (ids and which != NONE):
        raise WrongUsage("retry either the letters of some ids, or --all (with filters, if you like)")
    settings = begin()
    office = DeadLetterOffice(settings.data_dead_letter_dir)
    found = office.find(which.filters) if everything else map(office.get, dict.fromkeys(ids))
    work, record = Retry(settings.data_dead_letter_dir, found), new_run("retry")
    if not work.clients:
        code, error, told = 0, None, Retried()
    else:
        ended = conduct(Sessions(settings, run=record.run), work, record, Journal(settings.data_journal))
        code, error = ended.exit, ended.record.error
        told = work.told(report for reports in ended.reports.values() for report in reports)
    with shown():
        if json:
            print_json(to_builtins(told) | ({} if error is None else {"error": error}))
        else:
            _print_retried(told)
    return code


def discard(letter_id: Annotated[str, Parameter(name="ID")], /, *, because: str) -> int:
    """Give a letter up: it moves, with the reason, into an archive beside it, and is not tried again as it is.

    Args:
        letter_id: Its id, or the beginning of it.
        because: Why.
    """
    office = _office()
    filed = office.get(letter_id)
    office.discard(filed, because)
    print_lines([f"discarded {filed.id}; it is kept in {filed.path.parent / 'discarded.jsonl'}"])
    return 0


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
            "; ".join(map(str, letter.reasons)),
        ]


def _brief_rows(found: Iterator[Filed]) -> Iterator[list[str]]:
    """What fits on a terminal."""
    for filed in found:
        letter = filed.letter
        first, *more = letter.reasons
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


def _edited(text: str) -> str:
    with tempfile.TemporaryDirectory(prefix="workorder-sync-") as folder:
        path = Path(folder) / "payload.json"
        path.write_text(text, newline="")
        try:
            subprocess.run([*shlex.split(editor()), str(path)], check=True)  # noqa: S603 - the person's own editor
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise WrongUsage(f"the editor {editor()} failed ({error}): nothing was changed; set EDITOR") from error
        with path.open(newline="") as file:
            return file.read()


def _print_retried(told: Retried) -> None:
    print_lines([f"{told.tried:,} retried: {told.passed:,} passed and closed, {told.failed:,} failed again"])
    if told.released:
        print_lines(
            [f"{told.released:,} hold no bytes, or no order's number: the next run tries them where they came from"]
        )
    if told.gone:
        print_lines(
            [f"{told.gone:,} orders are not waiting in TracOS any more: discard their letters if that is right"]
        )
    if told.failed:
        logger.info("`dead-letters show ID` says why")
