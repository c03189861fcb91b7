"""Single cells of CSV, as spreadsheets and exports write ids, words and dates; pure."""

import re
from typing import Final

from pipeline.errors import Reason
from pipeline.orders.workorder import INT64
from pipeline.translation.ids import show
from pipeline.transports.folder.csv_head import plain

__all__ = ["read_id", "read_word"]

_BLANK: Final = " \t\r\n"
_MARKS: Final = ("=", "'")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
"""What an id most often is."""
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_FORMULA: Final = re.compile(r'=\s*+"((?:[^"]++|"")*+)"')
"""How an export keeps a spreadsheet from reading a text as a number: ``="000123"``."""
_ROUNDED: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_THOUSANDS: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[.,'\u2019][0-9]{3})+")


def read_id(cell: str, path: str, *, decimal_comma: bool) -> int | str | Reason | None:
    """A whole number as one, however a spreadsheet wrote it; any other text as it is, without blanks around it.

    What cannot be read is a Reason in place of a value, so that it is told with all that is wrong with the row.
    """
    if _NUMBER.fullmatch(cell):
        return int(cell)
    text = cell.strip(_BLANK)
    bare = _bare(text)
    if bare != text:
        return bare or None
    if not text:
        return None
    whole, _, fraction = text.partition("," if decimal_comma else ".")
    if _THOUSANDS.fullmatch(text):
        message = f"not an id: {show(text)} may have marks of thousands: format the column as text, and export it again"
    elif _ROUNDED.fullmatch(text):
        message = f"not an id: a spreadsheet has rounded it to {text}: format the column as text, and export it again"
    elif _WHOLE.fullmatch(whole) and not fraction.strip("0") and str(int(whole)) == whole and int(whole) in INT64:
        return int(whole)
    else:
        return text
    return Reason(message, path)


def read_word(cell: str) -> str | None:
    """A word or a date without what is around it."""
    if cell.isalnum():
        return cell
    return plain(_bare(cell.strip(_BLANK))) or None


def _bare(text: str) -> str:
    """``="000123"`` and ``'000123`` as the text that they keep a spreadsheet from changing."""
    if text[:1] not in _MARKS:
        return text
    if formula := _FORMULA.fullmatch(text):
        return formula[1].replace('""', '"').strip(_BLANK)
    return text[1:].strip(_BLANK) if text.startswith("'") else text
