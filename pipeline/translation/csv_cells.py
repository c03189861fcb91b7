"""Single cells of CSV, as spreadsheets and exports write ids, words and dates; pure.

What cannot be read is a Reason in place of a value, so that it is told with all that is wrong with the row.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from pipeline.errors import Reason
from pipeline.orders.workorder import INT64
from pipeline.translation.csv_head import CsvForm, plain
from pipeline.translation.ids import show
from pipeline.translation.times import means_none, parse_time

__all__ = ["precision", "read_id", "read_time", "read_word", "write_time"]

_BLANK: Final = " \t\r\n"
_MARKS: Final = ("=", "'")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
"""What an id most often is."""
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_FORMULA: Final = re.compile(r'=\s*"((?:[^"]|"")*)"')
"""How an export keeps a spreadsheet from reading a text as a number: ``="000123"``."""
_ROUNDED: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_THOUSANDS: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[.,'\u2019][0-9]{3})+")

_SAMPLE: Final = datetime(2026, 10, 31, 15, 16, 45, 123000)
_UNITS: Final = (
    timedelta(milliseconds=1),
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)


def read_id(cell: str, form: CsvForm) -> int | str | Reason | None:
    """A whole number as one, however a spreadsheet wrote it; any other text as it is, without blanks around it."""
    if _NUMBER.fullmatch(cell):
        return int(cell)
    text = cell.strip(_BLANK)
    bare = _bare(text)
    if bare != text:
        return bare or None
    if not text:
        return None
    whole, _, fraction = text.partition("," if form.decimal_comma else ".")
    if _THOUSANDS.fullmatch(text):
        message = f"not an id: {show(text)} may have marks of thousands: format the column as text, and export it again"
    elif _ROUNDED.fullmatch(text):
        message = f"not an id: a spreadsheet has rounded it to {text}: format the column as text, and export it again"
    elif _WHOLE.fullmatch(whole) and not fraction.strip("0") and str(int(whole)) == whole and int(whole) in INT64:
        return int(whole)
    else:
        return text
    return Reason(message, "$.id")


def read_word(cell: str) -> str | None:
    """A word or a date without what is around it."""
    if cell.isalnum():
        return cell
    return plain(_bare(cell.strip(_BLANK))) or None


def read_time(cell: str, key: str, form: CsvForm) -> str | Reason | None:
    """A date as a text that ``parse_time`` reads; one without a zone stays so."""
    text = read_word(cell)
    if text is None or not form.date_format:
        return text
    try:
        moment = datetime.strptime(text, form.date_format)
        return (moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
    except OverflowError:
        return moment.replace(tzinfo=None).isoformat()  # on the first or last day of all: no date
    except ValueError:
        return text if means_none(text) else Reason(f"not a date: expected {form.date_format}", f"$.{key}")


def write_time(text: str, form: CsvForm, zone: tzinfo) -> str:
    """A time of ours in the client's form, and in its zone unless that form is RFC 3339, which tells UTC."""
    if not form.date_format:
        return text
    return parse_time(text, zone).astimezone(zone).strftime(form.date_format)


@lru_cache(maxsize=64)
def precision(date_format: str, zone: tzinfo) -> timedelta | None:
    """The smallest unit that a format tells; None for a format whose dates are not read back as the same."""
    if not date_format:
        return _UNITS[0]
    sample = _SAMPLE.replace(tzinfo=zone)
    try:
        told = sample.strftime(date_format)
        if sample.replace(year=2025).strftime(date_format) == told:
            return None
        unit = next((unit for unit in _UNITS if (sample + unit).strftime(date_format) != told), None)
        read = datetime.strptime(told, date_format).replace(tzinfo=zone)
    except ValueError:
        return None
    return unit if unit is not None and timedelta() <= sample - read < unit else None


def _bare(text: str) -> str:
    """``="000123"`` and ``'000123`` as the text that they keep a spreadsheet from changing."""
    if text[:1] not in _MARKS:
        return text
    if formula := _FORMULA.fullmatch(text):
        return formula[1].replace('""', '"').strip(_BLANK)
    return text[1:].strip(_BLANK) if text.startswith("'") else text
