"""Times between text and aware UTC datetimes of whole milliseconds, in one strict grammar.

Read are RFC 3339 (``2026-10-31T12:16:45.123Z``, ``2026-10-31T09:16:45-03:00``), the same without a zone, and a date
alone (its midnight). Seconds are required; ``T`` and ``Z`` may be lower case; the basic forms and week dates of ISO
8601 are refused. Fractions beyond milliseconds are cut off, not rounded, so that no time moves into the next second.
"""

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final

__all__ = ["format_time", "parse_time"]

_GRAMMAR: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?)?"
)

_EXPECTED: Final = "expected RFC 3339 such as 2026-10-31T12:16:45.123Z, the same without a zone, or a date"


def parse_time(text: str, zone: tzinfo) -> datetime:
    """The instant that ``text`` names, in UTC; without a zone of its own it is read in ``zone``.

    In the hour that a zone's clocks show twice, the first is meant; in the one they leave out, the offset before the
    change counts. Raises ValueError, with a message that does not repeat the text.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date: {_EXPECTED}")
    year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    micro = int(fraction[:3].ljust(3, "0")) * 1000 if fraction else 0
    try:
        if zulu:
            own: tzinfo = UTC
        elif sign:
            offset = time(int(hours), int(minutes))  # which checks their ranges
            ahead = timedelta(hours=offset.hour, minutes=offset.minute)
            own = timezone(-ahead if sign == "-" else ahead)
        else:
            own = zone
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro, tzinfo=own
        )
        return moment if own is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"no such date or time of day: {_EXPECTED}") from None


def format_time(moment: datetime) -> str:
    """``2026-10-31T12:16:45.123Z``: UTC, always with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
