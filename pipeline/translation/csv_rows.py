"""One order as a row of CSV, under a head that names its columns; pure.

A record's bytes are the head and the row: whoever looks at it sees what each cell means, and it can be read alone.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.translation.times import parse_time

__all__ = ["CsvForm", "read_row", "write_row"]

TIMES: Final = ("createdAt", "updatedAt", "deletedAt")
_WHOLE: Final = re.compile(r"-?[0-9]+")


class CsvForm(Struct, frozen=True, kw_only=True):
    """How rows are written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    date_format: str = ""
    """As strftime has it, such as ``%d.%m.%Y %H:%M:%S``; empty: RFC 3339."""
    decimal_comma: bool = False
    """A spreadsheet's whole numbers may come as ``12,0`` instead of ``12.0``."""
    columns: Mapping[str, str] = {}
    """Our key -> the column's head, where that is another: ``{"id": "Order"}``."""

    @property
    def key_of(self) -> dict[str, str]:
        """The column's head -> our key."""
        return {head: key for key, head in self.columns.items()}


def read_row(raw: bytes, form: CsvForm) -> dict[str, Any]:
    """The cells of the one row below the head, by our keys, as the layout ``status_order`` takes them.

    An empty cell says nothing. Raises Rejected with all reasons.
    """
    head, cells = _cells(raw, form)
    key_of = form.key_of
    data: dict[str, Any] = {}
    reasons = []
    for name, cell in zip(head, cells, strict=True):
        key = key_of.get(name, name)
        if key in data:
            reasons.append(Reason(f"two columns of the name {name!r}"))
        data[key] = cell or None
    for key in TIMES:
        if data.get(key) and form.date_format:
            try:
                data[key] = datetime.strptime(data[key], form.date_format).isoformat()
            except ValueError:
                reasons.append(Reason(f"not a date: expected {form.date_format}", f"$.{key}"))
    if isinstance(data.get("id"), str):
        data["id"] = _number(data["id"], form)
    if reasons:
        raise Rejected(*reasons)
    return data


def write_row(data: Mapping[str, Any], keys: Sequence[str], form: CsvForm) -> bytes:
    """The head and the row of ``data`` with the columns ``keys``; times are told in UTC.

    Raises Rejected for what the encoding cannot say.
    """
    told = dict(data)
    for key in TIMES:
        if told.get(key) and form.date_format:
            told[key] = parse_time(told[key], UTC).strftime(form.date_format)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\r\n")
    writer.writerow([form.columns.get(key, key) for key in keys])
    writer.writerow(["" if told.get(key) is None else told[key] for key in keys])
    try:
        return text.getvalue().encode(form.encoding)
    except UnicodeEncodeError as error:
        raise Rejected(f"a character that {form.encoding} cannot say: {error.object[error.start]!a}") from None


def _cells(raw: bytes, form: CsvForm) -> tuple[list[str], list[str]]:
    try:
        text = raw.decode(form.encoding)
    except UnicodeDecodeError as error:
        raise Rejected(Reason(f"not {form.encoding}", offset=error.start)) from None
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter, strict=True) if row]
    except csv.Error as error:
        raise Rejected(f"not CSV: {error}") from None
    if len(rows) != 2:  # noqa: PLR2004 - the head and the row
        raise Rejected(f"not CSV: expected a head and one row, found {len(rows)} rows")
    head, cells = rows
    if len(cells) != len(head):
        raise Rejected(f"{len(cells)} cells, but the head names {len(head)} columns: see the delimiter and the quotes")
    return head, cells


def _number(cell: str, form: CsvForm) -> int | str:
    """A whole number as one, however a spreadsheet wrote it; any other text as it is."""
    mark = "," if form.decimal_comma else "."
    whole, _, fraction = cell.partition(mark)
    if _WHOLE.fullmatch(whole) and not fraction.strip("0") and str(int(whole)) == whole:
        return int(whole)
    return cell
