"""Ages, as people say them: 90m, 12h, 7d."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

__all__ = ["age"]

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST: Final = 6
"""Longer ones reach back to before the years that there are."""


def age(_: Any, tokens: Sequence[Any]) -> timedelta:
    """The age that an option says, as cyclopts has it converted; raises ValueError for what is none."""
    text = tokens[0].value
    unit = UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or len(text) > LONGEST:
        raise ValueError("expected an age such as 90m, 12h or 7d")
    return timedelta(**{unit: int(text[:-1])})
