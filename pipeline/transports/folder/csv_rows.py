"""One order as a row of CSV, under a head that names its columns; pure.

A record's bytes are the head and the row: whoever looks at it sees what each cell means, and it can be read alone.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import id_key
from pipeline.translation.ids import fault_of
from pipeline.translation.paths import json_path
from pipeline.transports.folder.csv_cells import read_id, read_word
from pipeline.transports.folder.csv_head import CsvForm, Head, understand

__all__ = ["encoding_of", "read_row", "write_row"]

LOOKED_AT: Final = 50_000
"""Lines of a quoted cell that may be rows: where none of so many is one, it is a long text."""

csv.field_size_limit(2**31 - 1)  # how long a cell may be, the transport says


def encoding_of(beginning: bytes, form: CsvForm) -> tuple[bytes, str]:
    """The byte-order mark of what begins so, and the encoding behind it: a mark of UTF-8 is stronger than a setting."""
    if beginning.startswith(codecs.BOM_UTF8):
        return codecs.BOM_UTF8, "utf-8"
    return b"", "utf-8" if codecs.lookup(form.encoding).name == "utf-8-sig" else form.encoding


def read_row(raw: bytes, form: CsvForm) -> dict[str, Any]:
    """The cells of the one row below the head, by the heads of the table of ``form``, as its layout takes them.

    Those of other columns are there too, by their names, for whoever asks what a record has. An empty cell says
    nothing, and so do cells that are missing at the end. What cannot be read is a Reason in place of a value. Raises
    Rejected where it is no head and one row.
    """
    head, cells = _cells(raw, form)
    data: dict[str, Any] = {}
    for number, (cell, key, name) in enumerate(zip(cells, head.keys, head.names, strict=False), 1):
        if key is not None:
            if key in form.ids:
                data[key] = read_id(cell, json_path((key,)), decimal_comma=form.decimal_comma)
            else:
                data[key] = (cell or None) if key in form.texts else read_word(cell)
        elif name:
            data.setdefault(name, cell or None)
        elif cell.strip():
            raise Rejected(
                f"something is in column {number}, which has no name in the head: name it, or empty the cell"
            )
    return data


def write_row(data: Mapping[str, Any], form: CsvForm) -> bytes:
    """The head and the row of ``data``.

    Raises Rejected for what the encoding cannot say, and for what would not be read back as the same.
    """
    told = {head: "" if data.get(head) is None else str(data[head]) for head in form.heads}
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\r\n")
    writer.writerow(told)
    writer.writerow(told.values())
    try:
        body = text.getvalue().encode(form.encoding)
    except UnicodeEncodeError as error:
        raise Rejected(f"a character that {form.encoding} cannot say: {error.object[error.start]!a}") from None
    reasons = tuple(_changed(told, read_row(body, form), form))
    if reasons:
        raise Rejected(*reasons)
    return body


def _cells(raw: bytes, form: CsvForm) -> tuple[Head, list[str]]:
    mark, encoding = encoding_of(raw, form)
    try:
        text = raw.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError as error:
        raise Rejected(Reason(f"not {encoding}", offset=len(mark) + error.start)) from None
    try:
        found = csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter, strict=True)
        rows = [row for row in found if row]
    except csv.Error as error:
        raise Rejected(
            _malformed(text, str(error), form.delimiter, lambda before: len(mark + before.encode(encoding)))
        ) from None
    if len(rows) != 2:  # noqa: PLR2004 - the head and the row
        raise Rejected(f"not CSV: expected a head and one row, found {len(rows)} rows; a break in a cell needs quotes")
    head, cells = understand(rows[0], form), rows[1]
    if any(cell.strip() for cell in cells[len(head.keys) :]):
        raise Rejected(
            f"{len(cells)} cells, but the head names {len(head.keys)} columns: see the delimiter and the quotes"
        )
    if '"' in text and any(_has_rows(cell, head, form) for cell in cells):
        raise Rejected(
            "a quoted cell has lines that look like rows, which were not read: see whether a quote is missing above"
        )
    return head, cells


def _has_rows(cell: str, head: Head, form: CsvForm) -> bool:
    if "\n" not in cell and "\r" not in cell:
        return False
    return any(head.is_row(line, form) for line in cell.splitlines()[:LOOKED_AT])


def _malformed(text: str, message: str, delimiter: str, offset_of: Callable[[str], int]) -> Reason:
    if message == "unexpected end of data":
        quoted = re.finditer(rf'(?:^|[{re.escape(delimiter)}\r\n])"([^"]*+(?:""[^"]*+)*+)("|\Z)', text)
        opened = next((match.start(1) - 1 for match in quoted if not match[2]), len(text))
        return Reason("not CSV: a quote is opened here and never closed", offset=offset_of(text[:opened]))
    return Reason(f"not CSV: {message}")


def _changed(told: Mapping[str, str], back: Mapping[str, Any], form: CsvForm) -> Iterator[Reason]:
    """What would be read back as something else; an empty text says nothing, and is no loss."""
    own = form.table.id.path[0]
    given = back[own]
    is_id = isinstance(given, int | str) and id_key(str(given)) == id_key(told[own]) and fault_of(str(given)) is None
    if told[own] and not is_id:
        yield Reason("would be read as another id, or as none", json_path((own,)))
    for head, cell in told.items():
        if head != own and (cell or None) != (None if back[head] is None else str(back[head])):
            yield Reason("would be read as something else", json_path((head,)))
