"""How the page says things: values without tricks, numbers, times and how long ago they are."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.history.meaning import meaning

__all__ = [
    "FILTERS",
    "NONE",
    "ago",
    "brief",
    "by_side",
    "counted",
    "distinctive",
    "number",
    "side",
    "took",
    "visible",
    "when",
]

NONE: Final = "\u2013"
"""Stands where there is nothing."""
BRIEF: Final = 300
"""How much of a value is shown in a list."""

JUST_NOW: Final = 5
"""Seconds."""

_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_FLAGS: Final = {True: "yes", False: "no"}
_SIDES: Final = {"tracos": "TracOS"}


class _Html(str):
    """HTML of our own making, in which nothing is anybody else's: templates leave it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def visible(text: object) -> str:
    """Text of a payload without what would hide or turn around what it says."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def brief(value: object) -> str:
    """A value as a list shows it: the beginning of a long one, and a sign where there is none."""
    text = NONE if value is None else _FLAGS[value] if isinstance(value, bool) else str(value)
    return visible(text if len(text) <= BRIEF else f"{text[:BRIEF]}…")


def number(value: int) -> str:
    """A count with its thousands apart."""
    return f"{value:,}"


def counted(count: int, thing: str, things: str = "") -> str:
    """So many of something: ``1 letter``, ``3,002 letters``."""
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"


def side(name: str) -> str:
    """Whose value it is, as a person says it."""
    return _SIDES.get(name, "the client")


def by_side(counts: Mapping[str, int]) -> str:
    """How many values gave way, by the side that they were of."""
    return ", ".join(f"{count:,} of {side(name)}" for name, count in sorted(counts.items()))


def when(time: datetime | None, style: str = "%Y-%m-%d %H:%M") -> str:
    """A time in UTC; a dash where there is none."""
    if time is None:
        return NONE
    time = time.astimezone(UTC)
    return _Html(f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{time:{style}}</time>')


def ago(time: datetime | None, now: datetime) -> str:
    """How long ago a time is, with the time itself for whoever points at it; ``never`` where there is none."""
    if time is None:
        return "never"
    seconds = max(0, int((now - time).total_seconds()))
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "second"))
    said = f"{counted(seconds // size, unit)} ago" if seconds >= JUST_NOW else "just now"
    time = time.astimezone(UTC)
    return _Html(f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}" title="{time:%Y-%m-%d %H:%M:%S} UTC">{said}</time>')


def took(duration: timedelta) -> str:
    """How long something took: ``2 h 10 min``, ``35 s``."""
    seconds = max(0, int(duration.total_seconds()))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def distinctive(reason: object) -> str:
    """The longest part of a reason that is the same in all that are like it: what to look for to find them."""
    return max(re.split(r"\d+", str(reason)), key=len)


FILTERS: Final = {
    "visible": visible,
    "brief": brief,
    "number": number,
    "counted": counted,
    "side": side,
    "by_side": by_side,
    "when": when,
    "ago": ago,
    "took": took,
    "distinctive": distinctive,
    "rule": meaning,
}
"""By the name that the templates call them by."""
