"""``explain``: what happened to one work order, from the decision log."""

from collections.abc import Iterator
from typing import Final

from pipeline.cli.output import Json, print_json, print_lines, said
from pipeline.cli.start import begin
from pipeline.deadletters import DeadLetterOffice
from pipeline.history.decisions import ABSENT, ERASED, RESTORED, SENT, Entry, read_order
from pipeline.orders.workorder import id_key

__all__ = ["explain"]

MEANING: Final = {
    "insert": "new in TracOS",
    "no_base": "nothing was known of what the client held: the newer side won whole",
    "three_way": "merged field by field with what the client had shown before",
    "stale": "older than what was taken already: undid nothing",
    "repeat": "known already: its new place was noted",
    ABSENT: "the client has the order no more",
    SENT: "handed to the client",
    ERASED: "all that was kept of it was removed",
    RESTORED: "a value that had given way was set again by hand",
}


def explain(number: str, /, *, json: Json = False) -> int:
    """Tell what happened to the work order NUMBER: which run, what came in, which rule, what was written and sent.

    Args:
        number: The order's number in TracOS, or the client's own id of it.
        json: Print JSON: the entries of the decision log, and the open dead letters.
    """
    settings = begin()
    entries, keys = read_order(settings.data_decision_log, number)
    letters = [
        filed
        for filed in DeadLetterOffice(settings.data_dead_letter_dir).find()
        if filed.letter.id is not None and id_key(filed.letter.id) in keys
    ]
    if json:
        print_json({"number": number, "decisions": entries, "dead_letters": [filed.id for filed in letters]})
        return 0
    if not entries and not letters:
        print_lines([f"nothing is known of order {number} in {settings.data_decision_log}"])
    for entry in entries:
        print_lines(_told(entry))
    for filed in letters:
        reasons = "; ".join(map(str, filed.letter.reasons))
        print_lines([f"dead letter {filed.id}: {filed.letter.locator} failed at {filed.letter.stage}: {reasons}"])
    return 0


def _told(entry: Entry) -> Iterator[str]:
    meaning = MEANING.get(entry.rule, entry.rule)
    version = f", of {entry.version:%Y-%m-%d %H:%M:%S} UTC" if entry.version else ""
    beside = "" if entry.id in (None, entry.number) else f"  order {entry.number}, {entry.id} there"
    place = f"{entry.locator}{version}"
    yield f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  run {entry.run or '(unknown)'}  {entry.client}{beside}  {place}"
    by, because = f", by {entry.by}" if entry.by else "", f": {entry.because}" if entry.because else ""
    yield f"  {entry.rule}: {meaning}{by}{because}"
    verb = "told" if entry.rule == SENT else "written"
    for change in entry.changes:
        yield f"  {verb}: {change.field}: {said(change.old)} → {said(change.new)}"
    for lost in entry.lost:
        side = "the client" if lost.side == "client" else "TracOS"
        yield f"  gave way: {lost.field} of {side}: {said(lost.value)} → {said(lost.kept)}: {lost.because}"
