"""The log on standard error: one line an event, as text for people or as JSON for machines; few lines of each kind."""

import logging
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from pipeline.cli.output import as_json

if TYPE_CHECKING:
    from loguru import Message, Record

__all__ = ["configure", "tell_the_rest"]

SHOWN: Final = 20
"""Lines of one kind that are shown; the rest is counted."""
DETAILED: Final = ("TRACE", "DEBUG")
"""Levels at which every line is shown."""


class _Kinds:
    """Counts lines by the place in the code that they come from: a run may have 20,000 that say the same of others."""

    def __init__(self) -> None:
        self.is_limited = False
        self._seen: Counter[str] = Counter()
        self._first: dict[str, Record] = {}

    def shows(self, record: "Record") -> bool:
        """Whether the line is to be shown; errors always are."""
        kind = record["extra"].get("kind", f"{record['file'].path}:{record['line']}")
        if not self.is_limited or kind is None or record["level"].no >= logging.ERROR:
            return True
        self._seen[kind] += 1
        self._first.setdefault(kind, record)
        return self._seen[kind] <= SHOWN

    def take_rest(self) -> list[tuple[str, int, str]]:
        """Level, count and the first line of each kind that was not all shown; counting begins anew."""
        more = [(kind, count - SHOWN) for kind, count in self._seen.items() if count > SHOWN]
        rest = [(self._first[kind]["level"].name, count, self._first[kind]["message"]) for kind, count in more]
        self._seen.clear()
        self._first.clear()
        return rest


class _Libraries(logging.Handler):
    """What libraries log goes the same way, as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.name}: {record.getMessage()}".partition("\n")[0]
        level = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        logger.bind(kind=f"{record.pathname}:{record.lineno}").opt(exception=record.exc_info).log(level, "{}", line)


_KINDS: Final = _Kinds()
_LIBRARIES: Final = _Libraries(logging.WARNING)


def configure(level: str, style: str, *, colored: bool = False) -> None:
    """Log from ``level`` on, in the ``style`` ``text`` or ``json``; exceptions are shown at TRACE alone."""
    logger.remove()
    trace = level == "TRACE"
    _KINDS.is_limited = level not in DETAILED
    # Without diagnose a trace does not show the values of variables: they may be payloads or credentials.
    options: dict[str, Any] = {"level": level, "filter": _KINDS.shows, "backtrace": False, "diagnose": False}
    if style == "json":
        logger.add(_write_json, format=_exception if trace else "", **options)
    else:
        logger.add(_write_text, format=_text_trace if trace else _text, colorize=colored, **options)
    logging.getLogger().addHandler(_LIBRARIES)  # once, however often it is added


def tell_the_rest() -> None:
    """Say how many lines were left out since the last time, kind by kind."""
    for level, count, first in _KINDS.take_rest():
        logger.bind(kind=None).log(level, "{:,} more lines of the same kind as: {}", count, first)


def _text(record: "Record") -> str:
    record["extra"]["line"] = _one_line(record["message"])
    return "<dim>{time:HH:mm:ss}</dim> <level>{level: <7}</level> {extra[line]}\n"


def _text_trace(record: "Record") -> str:
    return _text(record) + "{exception}"


def _exception(_: "Record") -> str:
    return "{exception}"


def _write_text(message: "Message") -> None:
    sys.stderr.write(message)  # whatever it is now: a display of progress may have taken its place


def _write_json(message: "Message") -> None:
    record = message.record
    line: dict[str, Any] = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": _one_line(record["message"]),
    }
    if message.strip():
        line["exception"] = str(message)
    sys.stderr.write(as_json(line, sys.stderr) + "\n")


def _one_line(message: str) -> str:
    """File names may hold anything: what would break the line, or the terminal, is written as an escape."""
    if message.isprintable():
        return message
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
