"""``explain``: what happened to one work order, from the decision log."""

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.conduct import conduct
from pipeline.cli.output import Json, print_json, print_lines, said
from pipeline.cli.start import begin
from pipeline.deadletters import DeadLetterOffice
from pipeline.history.decisions import SENT, Entry, read_order
from pipeline.history.journal import new_run
from pipeline.history.meaning import meaning
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.looking import Both, Looking
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings

__all__ = ["explain"]


def explain(
    number: str,
    /,
    *,
    now: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """Tell what happened to the work order NUMBER: which run, what came in, which rule, what was written and sent.

    Args:
        number: The order's number in TracOS, or the client's own id of it.
        now: Look into TracOS too, for what both sides hold now: for the client what it showed last.
        json: Print JSON: the entries of the decision log, and the open dead letters.
    """
    settings = begin()
    entries, keys = read_order(settings.data_decision_log, number)
    letters = [
        filed
        for filed in DeadLetterOffice(settings.data_dead_letter_dir).find()
        if filed.letter.id is not None and id_key(filed.letter.id) in keys
    ]
    both, code = _now(settings, keys) if now else ([], 0)
    if json:
        print_json(
            {"number": number, "decisions": entries, "dead_letters": [filed.id for filed in letters]}
            | ({"now": both} if now else {})
        )
        return code
    if not entries and not letters:
        print_lines([f"nothing is known of order {number} in {settings.data_decision_log}"])
    for entry in entries:
        print_lines(_told(entry))
    for filed in letters:
        reasons = "; ".join(map(str, filed.letter.reasons))
        print_lines([f"dead letter {filed.id}: {filed.letter.locator} failed at {filed.letter.stage}: {reasons}"])
    for one in both:
        print_lines(_held(one))
    return code


def _now(settings: Settings, keys: Collection[ExternalId]) -> tuple[Sequence[Both], int]:
    """What both sides hold, and the exit code."""
    work = Looking(keys)
    ended = conduct(Sessions(settings), work, new_run("explain"))
    return work.found, ended.exit


def _held(one: Both) -> Iterator[str]:
    beside = "" if one.id in (None, one.number) else f", {one.id} there"
    yield f"now, order {one.number}{beside} of {one.client}: {'in sync' if one.is_synced else 'waits to be told'}"
    for reason in one.reasons:
        yield f"  the document in TracOS: {reason}"
    for field in one.fields:
        told = "" if field.told is None else f", told {said(field.told)}"
        yield f"  {field.field}: TracOS {said(field.tracos)}, {one.client} showed {said(field.shown)}{told}"


def _told(entry: Entry) -> Iterator[str]:
    version = f", of {entry.version:%Y-%m-%d %H:%M:%S} UTC" if entry.version else ""
    beside = "" if entry.id in (None, entry.number) else f"  order {entry.number}, {entry.id} there"
    place = f"{entry.locator}{version}"
    yield f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  run {entry.run or '(unknown)'}  {entry.client}{beside}  {place}"
    by, because = f", by {entry.by}" if entry.by else "", f": {entry.because}" if entry.because else ""
    yield f"  {entry.rule}: {meaning(entry.rule)}{by}{because}"
    verb = "told" if entry.rule == SENT else "written"
    for change in entry.changes:
        yield f"  {verb}: {change.field}: {said(change.old)} → {said(change.new)}"
    for lost in entry.lost:
        side = "the client" if lost.side == "client" else "TracOS"
        yield f"  gave way: {lost.field} of {side}: {said(lost.value)} → {said(lost.kept)}: {lost.because}"
