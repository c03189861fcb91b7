"""Times in a client's own zone, for the conformance suite: zones far from UTC, and hours that come twice or never."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

__all__ = ["FAR", "LOCAL", "TURNS", "Said", "has_local_times", "meant_by", "said_otherwise"]

FAR: Final = (
    "Pacific/Kiritimati",
    "Pacific/Marquesas",
    "Asia/Kathmandu",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
)
"""+14:00, -09:30, +05:45, and three whose clocks are set back and forward: by an hour, or by half of one."""

_CHANGES: Final = (
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
)
TURNS: Final = [
    datetime(2026, 7, 15, 12, tzinfo=UTC),
    *(change + timedelta(minutes=minutes) for change in _CHANGES for minutes in (-45, -15, 15, 45)),
]
"""An instant like any other, and those around the changes of these clocks."""

LOCAL: Final = [
    "2026-07-15T12:00:00",
    "2026-01-15T23:30:00",
    *("2026-11-01T01:30:00", "2026-03-08T02:30:00"),
    *("2026-10-25T02:30:00", "2026-03-29T02:30:00"),
    *("2026-04-05T01:45:00", "2026-10-04T02:15:00"),
]
"""Two like any other, and for each of these clocks one that it shows twice and one that it leaves out."""

_TIME: Final = re.compile(rb'(?<=")[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9:.]+(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?(?=")')
_DAY_FIRST: Final = re.compile(
    rb"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{4} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?![0-9: ]*[Zz+-])"
)


class Said(NamedTuple):
    """One record with one of its times said in three ways."""

    local: bytes
    utc: bytes
    other: bytes
    """In another zone than UTC: whoever reads that time at all reads another instant."""


def said_otherwise(raw: bytes, local: str) -> Iterator[Said]:
    """The record with each of its times, where it is JSON, in turn at the hour ``local`` of several zones."""
    for match in _TIME.finditer(raw):
        yield Said(
            *(raw[: match.start()] + (local + zone).encode() + raw[match.end() :] for zone in ("", "Z", "+05:00"))
        )


def has_local_times(raw: bytes) -> bool:
    """Whether it shows a time as people of a place write it, without a zone."""
    return _DAY_FIRST.search(raw) is not None


def meant_by(clock: datetime, zone: tzinfo) -> set[datetime]:
    """The instants that a clock in ``zone`` may mean with what ``clock`` shows: two, in the hours of a change."""
    return {clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
