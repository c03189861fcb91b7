"""Ages and times, as people say them: 90m, 12h, 7d; 2026-10-31, 2026-10-31T12:00:00Z."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipeline.translation.times import parse_time

__all__ = ["age", "instant"]

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST: Final = 6
"""Longer ones reach back to before the years that there are."""

FIRST: Final = datetime(1970, 1, 2, tzinfo=UTC)


def age(_: Any, tokens: Sequence[Any]) -> timedelta:
    """The age that an option says, as cyclopts has it converted; raises ValueError for what is none."""
    text = tokens[0].value
    unit = UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or len(text) > LONGEST:
        raise ValueError("expected an age such as 90m, 12h or 7d")
    return timedelta(**{unit: int(text[:-1])})


def instant(_: Any, tokens: Sequence[Any]) -> datetime:
    """The time in the past that an option says, without a zone in UTC; raises ValueError for what is none."""
    time = parse_time(tokens[0].value, UTC)
    if not FIRST <= time <= datetime.now(UTC):
        raise ValueError("expected a time since 1970 that is over")
    return time
