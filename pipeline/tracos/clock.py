"""The clock of the TracOS room."""

from datetime import UTC, datetime

__all__ = ["now"]


def now() -> datetime:
    """Now, aware UTC, in whole milliseconds, as MongoDB keeps it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
