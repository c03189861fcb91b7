"""The log on standard error: one line an event, as text for people or as JSON for machines."""

import sys
from typing import TYPE_CHECKING, Any

from loguru import logger

from pipeline.cli.output import as_json

if TYPE_CHECKING:
    from loguru import Message, Record

__all__ = ["configure"]


def configure(level: str, style: str) -> None:
    """Log from ``level`` on, in the ``style`` ``text`` or ``json``; exceptions are shown at TRACE alone."""
    logger.remove()
    trace = level == "TRACE"
    # Without diagnose a trace does not show the values of variables: they may be payloads or credentials.
    if style == "json":
        logger.add(_write_json, level=level, format=_exception if trace else "", backtrace=False, diagnose=False)
    else:
        logger.add(
            _write_text,
            level=level,
            format=_text_trace if trace else _text,
            colorize=sys.stderr.isatty(),
            backtrace=False,
            diagnose=False,
        )


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
