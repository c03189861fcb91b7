"""The head of a CSV file: which of its columns is which, however a spreadsheet or a person has dressed the names; pure.

Names are compared without blanks around them, with any run of blanks and line breaks as one blank, without characters
that cannot be seen, and, where that is unambiguous, without case.
"""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from pipeline.errors import Rejected
from pipeline.translation import status_order
from pipeline.translation.codecs import Number, Text, Time
from pipeline.translation.ids import show
from pipeline.translation.table import At, Table

__all__ = ["CsvForm", "Head", "plain", "understand"]

PLACES: Final = ("id", "reference", "created_at", "updated_at", "title", "description", "deleted_at")

DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Those that are tried where the head is not understood."""

NAMES: Final = 12
"""How many names of columns are told."""


class CsvForm(Struct, frozen=True, kw_only=True):
    """How rows are written: a table over columns, whose paths are their heads."""

    delimiter: str = ","
    encoding: str = "utf-8"
    """Of files without a byte-order mark; ``utf-8-sig`` writes one."""
    date_format: str = ""
    """Of the times of ``base``, as strftime has it, such as ``%d.%m.%Y %H:%M:%S``; empty: as they are."""
    decimal_comma: bool = False
    """Numbers have a comma; a spreadsheet's whole ones may come as ``12,0`` instead of ``12.0``."""
    columns: Mapping[str, str] = {}
    """A head of ``base`` -> that of the column, where it is another: ``{"id": "Order"}``."""
    base: Table = status_order.TABLE
    table: Table = status_order.TABLE
    """``base``, with all that is said above."""
    heads: tuple[str, ...] = ()
    """The names of the table's columns, in their order."""
    required: tuple[str, ...] = ()
    """Those without which no row can be read."""
    ids: frozenset[str] = frozenset()
    """Those of ids."""
    texts: frozenset[str] = frozenset()
    """Those of texts, which are read as they are."""

    def __post_init__(self) -> None:
        """Work out the table."""
        table = self.base
        places = {field: self._moved(getattr(table, field)) for field in PLACES}
        more = {field: self._moved(place) for field, place in table.more.items()}
        status = replace(table.status, path=self._renamed(table.status.path))
        table = replace(table, **places, status=status, more=more)
        needed = [table.id.path, () if table.status.form == "flags" else table.status.path]
        needed += [table.created_at.path] if table.created_at and table.created_at.required else []
        ids = (table.id, table.reference)
        texts = (table.title, table.description, *more.values())
        force_setattr(self, "table", table)
        force_setattr(self, "ids", frozenset(place.path[0] for place in ids if place))
        force_setattr(self, "texts", frozenset(one.path[0] for one in texts if one and isinstance(one.codec, Text)))
        force_setattr(self, "heads", tuple(path[0] for path in table.paths))
        force_setattr(self, "required", tuple(path[0] for path in needed if path))

    def _renamed(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.columns.get(head, head) for head in path)

    def _moved(self, place: At | None) -> At | None:
        if place is None:
            return None
        codec = place.codec
        if isinstance(codec, Time) and self.date_format:
            codec = Time(self.date_format)
        elif isinstance(codec, Number) and self.decimal_comma:
            codec = Number(decimal_comma=True)
        return replace(place, path=self._renamed(place.path), codec=codec)


class Head(Struct, frozen=True):
    """A head that was understood."""

    keys: tuple[str | None, ...]
    """By column: its head as the form has it, None for one that says nothing to us."""
    names: tuple[str, ...]
    """By column: its name as it is compared; empty where it has none."""

    def is_row(self, line: str, form: CsvForm) -> bool:
        """Whether a line looks like an order's row: all that is required, and a status that is known."""
        if line.count(form.delimiter) < len(form.required) - 1:
            return False
        try:
            cells = next(csv.reader([line], delimiter=form.delimiter), [])
        except csv.Error:
            return False
        said = {key: cell.strip() for key, cell in zip(self.keys, cells, strict=False) if key}
        status = form.table.status
        is_known = status.form != "word" or said.get(status.path[0]) in status.words
        return is_known and all(said.get(key) for key in form.required)


def understand(cells: Sequence[str], form: CsvForm) -> Head:
    """The head in ``cells``; raises Rejected where it does not name what is required, or names a column twice."""
    return _understood(tuple(cells), form.delimiter, form.heads, form.required)


def plain(name: str) -> str:
    """A name as it is compared, but for its case."""
    if name.isascii():
        return " ".join(name.split())
    seen = "".join(sign for sign in unicodedata.normalize("NFC", name) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())


@lru_cache(maxsize=256)
def _understood(cells: tuple[str, ...], delimiter: str, heads: tuple[str, ...], required: tuple[str, ...]) -> Head:
    """``understand``, remembered: every record brings its head with it."""
    names = [plain(cell) for cell in cells]
    keys = _keys(names, heads)
    for key in heads:
        twice = [cell for cell, found in zip(cells, keys, strict=True) if found == key]
        if len(twice) > 1:
            raise Rejected(f"two columns for {key}: {show(twice[0])} and {show(twice[1])}: leave one of them")
    missing = [key for key in required if key not in keys]
    if not missing:
        return Head(keys, tuple(names))
    if any(keys):
        there = [show(cell)[1:-1] for cell, key in zip(cells, keys, strict=True) if key is None and plain(cell)]
        more = ["..."] if len(there) > NAMES else []
        named = ", ".join(there[:NAMES] + more) or "no other"
        message = f"no column {', '.join(missing)}; there is {named}: see columns"
    else:
        message = f"the first line names no column that is known: expected {', '.join(required)}"
    raise Rejected(message + _hint(delimiter.join(cells), delimiter, heads, required))


def _keys(names: Sequence[str], heads: Sequence[str]) -> tuple[str | None, ...]:
    """By column, the head that its name means."""
    exact = {plain(head): head for head in heads}
    folded: dict[str, list[str]] = {}
    for name, head in exact.items():
        folded.setdefault(name.casefold(), []).append(head)

    def key_of(name: str) -> str | None:
        alike = folded.get(name.casefold(), [])
        return exact.get(name) or (alike[0] if len(alike) == 1 else None)

    return tuple(key_of(name) for name in names)


def _hint(line: str, delimiter: str, heads: Sequence[str], required: Sequence[str]) -> str:
    """What another delimiter would make of the head."""
    for other, called in DELIMITERS.items():
        if other != delimiter and other in line:
            keys = _keys([plain(cell.strip(' "')) for cell in line.split(other)], heads)
            if set(required) <= set(keys):
                return f"; divided at its {called} it names them: see delimiter"
    return ""
