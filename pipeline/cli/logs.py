"""The log on standard error: one line an event, as text for people or as JSON for machines; few lines of each kind."""

import logging
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from pipeline.cli.output import as_json, is_terminal, print_lines
from pipeline.cli.started import in_full
from pipeline.service.telling import event_of

if TYPE_CHECKING:
    from loguru import Message, Record

__all__ = ["configure", "note", "tell_the_rest"]

SHOWN: Final = 20
"""Lines of one kind that are shown; the rest is counted."""
WHOSE: Final = ("client", "flow", "run")
"""What a line of JSON says of where it belongs, where it belongs anywhere."""
DETAILED: Final = ("TRACE", "DEBUG")
"""Levels at which every line is shown."""


class _Kinds:
    """Counts lines by client and by the place in the code that they come from: many may say the same of others."""

    def __init__(self) -> None:
        self.is_limited = False
        self._seen: Counter[tuple[str | None, str]] = Counter()
        self._first: dict[tuple[str | None, str], Record] = {}

    def shows(self, record: "Record") -> bool:
        """Whether the line is to be shown; errors always are."""
        place = record["extra"].get("kind", f"{record['file'].path}:{record['line']}")
        if not self.is_limited or place is None or record["level"].no >= logging.ERROR:
            return True
        kind = record["extra"].get("client"), place
        self._seen[kind] += 1
        self._first.setdefault(kind, record)
        return self._seen[kind] <= SHOWN

    def take_rest(self, client: str | None) -> list[tuple[int, "Record"]]:
        """Count and first line of each kind that was not all shown, of the client and nobody's, which begins anew."""
        kinds = [kind for kind in self._seen if client is None or kind[0] in (client, None)]
        counted = [(self._seen.pop(kind) - SHOWN, self._first.pop(kind)) for kind in kinds]
        return [(more, first) for more, first in counted if more > 0]


class _Libraries(logging.Handler):
    """What libraries log goes the same way, as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.name}: {record.getMessage()}".partition("\n")[0]
        level = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        bound = logger.bind(kind=f"{record.pathname}:{record.lineno}", event=record.name)
        bound.opt(exception=record.exc_info).log(level, "{}", line)


_STYLES: Final = {"text"}
"""The style that was configured last, alone."""
_KINDS: Final = _Kinds()
_LIBRARIES: Final = _Libraries(logging.WARNING)


def configure(level: str, style: str, *, colored: bool = False) -> None:
    """Log from ``level`` on, in the ``style`` ``text`` or ``json``; exceptions are shown at TRACE alone."""
    logger.remove()
    _STYLES.clear()
    _STYLES.add(style)
    trace = level == "TRACE"
    _KINDS.is_limited = level not in DETAILED
    # Without diagnose a trace does not show the values of variables: they may be payloads or credentials.
    options: dict[str, Any] = {"level": level, "filter": _KINDS.shows, "backtrace": False, "diagnose": False}
    if style == "json":
        logger.add(_write_json, format=_exception if trace else "", **options)
    else:
        logger.add(_write_text, format=_text_trace if trace else _text, colorize=colored, **options)
    logging.getLogger().addHandler(_LIBRARIES)  # once, however often it is added


def note(line: str) -> None:
    """A sentence about what is reported: for a person beside it, else on standard error, at whatever level is logged.

    So that what a program reads has one form alone.
    """
    if is_terminal():
        print_lines([line])
    elif "json" in _STYLES:
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        said = {"time": now, "level": "INFO", "message": _one_line(line), "event": "note"}
        sys.stderr.write(as_json(said, sys.stderr) + "\n")
    else:
        sys.stderr.write(_one_line(line) + "\n")


def tell_the_rest(client: str | None = None) -> None:
    """Say how many lines were left out since the last time, kind by kind: of all, or of ``client`` and nobody's.

    To be called whenever a pass, or all, has ended: counting begins anew then.
    """
    for count, first in _KINDS.take_rest(client):
        said = logger.bind(**{**first["extra"], "kind": None, "event": event_of(first)})
        said.log(first["level"].name, "{:,} more lines of the same kind as: {}", count, first["message"])


def _text(record: "Record") -> str:
    record["extra"]["line"] = in_full(_one_line(_whose(record) + record["message"]))
    return "<dim>{time:HH:mm:ss}</dim> <level>{level: <7}</level> {extra[line]}\n"


def _whose(record: "Record") -> str:
    """The client, where lines of several come in between each other and this one does not begin with its name."""
    name = record["extra"].get("client") if record["extra"].get("several") else None
    return "" if name is None or record["message"].startswith((f"{name}:", f"{name}.")) else f"{name}: "


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
        "event": event_of(record),
        **{key: record["extra"][key] for key in WHOSE if key in record["extra"]},
    }
    if message.strip():
        line["exception"] = str(message)
    sys.stderr.write(as_json(line, sys.stderr) + "\n")


def _one_line(message: str) -> str:
    """File names may hold anything: what would break the line, or the terminal, is written as an escape."""
    if message.isprintable():
        return message
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
