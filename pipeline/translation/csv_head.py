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

from pipeline.errors import Rejected
from pipeline.translation.ids import show
from pipeline.translation.status_order import TABLE

__all__ = ["KEYS", "REQUIRED", "CsvForm", "Head", "plain", "understand"]

REQUIRED: Final = ("id", "status", "createdAt")
KEYS: Final = (*REQUIRED, "updatedAt", "title", "description", "deletedAt")

DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""Those that are tried where the head is not understood."""

NAMES: Final = 12
"""How many names of columns are told."""


class CsvForm(Struct, frozen=True, kw_only=True):
    """How rows are written."""

    delimiter: str = ","
    encoding: str = "utf-8"
    """Of files without a byte-order mark; ``utf-8-sig`` writes one."""
    date_format: str = ""
    """As strftime has it, such as ``%d.%m.%Y %H:%M:%S``; empty: RFC 3339."""
    decimal_comma: bool = False
    """A spreadsheet's whole numbers may come as ``12,0`` instead of ``12.0``."""
    columns: Mapping[str, str] = {}
    """Our key -> the column's head, where that is another: ``{"id": "Order"}``."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the columns, in the order of KEYS."""
        return tuple([self.columns.get(key, key) for key in KEYS]) if self.columns else KEYS


class Head(Struct, frozen=True):
    """A head that was understood."""

    keys: tuple[str | None, ...]
    """By column: our key, None for one that says nothing to us."""
    is_named: tuple[bool, ...]
    """By column: whether it has a name at all."""

    def is_row(self, line: str, delimiter: str) -> bool:
        """Whether a line looks like an order's row: an id, a status that is known, and a date of creation."""
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            return False
        said = {key: cell.strip() for key, cell in zip(self.keys, cells, strict=False) if key}
        return all(said.get(key) for key in REQUIRED) and said["status"] in TABLE.status.words


def understand(cells: Sequence[str], form: CsvForm) -> Head:
    """The head in ``cells``; raises Rejected where it does not name what is required, or names a column twice."""
    return _understood(tuple(cells), form.delimiter, form.heads)


def plain(name: str) -> str:
    """A name as it is compared, but for its case."""
    if name.isascii():
        return " ".join(name.split())
    seen = "".join(sign for sign in unicodedata.normalize("NFC", name) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())


@lru_cache(maxsize=256)
def _understood(cells: tuple[str, ...], delimiter: str, heads: tuple[str, ...]) -> Head:
    """``understand``, remembered: every record brings its head with it."""
    names = [plain(cell) for cell in cells]
    keys = _keys(names, heads)
    for key in KEYS:
        twice = [cell for cell, found in zip(cells, keys, strict=True) if found == key]
        if len(twice) > 1:
            raise Rejected(f"two columns for {key}: {show(twice[0])} and {show(twice[1])}: leave one of them")
    missing = [key for key in REQUIRED if key not in keys]
    if not missing:
        return Head(keys, tuple(map(bool, names)))
    if any(keys):
        wanted = ", ".join(head for key, head in zip(KEYS, heads, strict=True) if key in missing)
        there = [show(cell)[1:-1] for cell, key in zip(cells, keys, strict=True) if key is None and plain(cell)]
        more = ["..."] if len(there) > NAMES else []
        message = f"no column {wanted}; there is {', '.join(there[:NAMES] + more) or 'no other'}: see columns"
    else:
        message = f"the first line names no column that is known: expected {', '.join(heads[: len(REQUIRED)])}"
    raise Rejected(message + _hint(delimiter.join(cells), delimiter, heads))


def _keys(names: Sequence[str], heads: Sequence[str]) -> tuple[str | None, ...]:
    """By column, the key that its name means."""
    exact = {plain(head): key for key, head in zip(KEYS, heads, strict=True)}
    folded: dict[str, list[str]] = {}
    for head, key in exact.items():
        folded.setdefault(head.casefold(), []).append(key)

    def key_of(name: str) -> str | None:
        alike = folded.get(name.casefold(), [])
        return exact.get(name) or (alike[0] if len(alike) == 1 else None)

    return tuple(key_of(name) for name in names)


def _hint(line: str, delimiter: str, heads: Sequence[str]) -> str:
    """What another delimiter would make of the head."""
    for other, called in DELIMITERS.items():
        if other != delimiter and other in line:
            keys = _keys([plain(cell.strip(' "')) for cell in line.split(other)], heads)
            if set(REQUIRED) <= set(keys):
                return f"; divided at its {called} it names them: see delimiter"
    return ""
