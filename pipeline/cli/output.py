"""What commands print, beside tables: lines for people, and JSON."""

import json
import re
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Final, TextIO

import msgspec
from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from pipeline.cli.streams import takes_unicode

__all__ = [
    "Json",
    "as_json",
    "clean",
    "console",
    "counted",
    "fitted",
    "hanging",
    "is_terminal",
    "many",
    "print_json",
    "print_lines",
    "said",
    "width_of_terminal",
    "wrapped",
]

Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
"""The option of every command that reports."""


HANGS: Final = 2
"""Blanks by which what goes on from a line stands further in than its beginning."""

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_ANY: Final = Console(file=None, width=80)
"""rich wraps texts for a console; which one makes no difference."""


def console() -> Console:
    """Standard output as rich writes to it."""
    return Console(highlight=False, soft_wrap=False)


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def print_json(data: Any) -> None:
    """``data`` as JSON, indented."""
    sys.stdout.write(as_json(data, sys.stdout, indent=2) + "\n")


def as_json(data: Any, stream: TextIO, *, indent: int = -1) -> str:
    """``data`` as JSON that ``stream`` can take: in ASCII alone where it is not UTF-8; on one line, or indented."""
    try:
        text = msgspec.json.format(msgspec.json.encode(data), indent=indent).decode()
    except UnicodeEncodeError:  # half a pair of surrogates, as in the name of a file that is no UTF-8
        return json.dumps(msgspec.to_builtins(data), indent=indent if indent >= 0 else None)
    return text if takes_unicode(stream) else _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)


def print_lines(lines: Iterable[str]) -> None:
    """Lines, broken between words where a terminal is too narrow; what would break it, or them, as an escape."""
    width = width_of_terminal()
    for line in map(clean, lines):
        sys.stdout.write("".join(f"{one}\n" for one in fitted(line, width)))


def width_of_terminal() -> int:
    """How many cells standard output has in a line; 0 where it is no terminal: no end."""
    return console().width if is_terminal() else 0


def fitted(line: str, width: int) -> list[str]:
    """The line, broken between words where it is longer than ``width``; what goes on stands further in."""
    if not width or cell_len(line) <= width:
        return [line]
    text = line.lstrip()
    return [one.plain for one in hanging(Text(line[: len(line) - len(text)]), Text(text), width)]


def hanging(lead: Text, text: Text, width: int, blanks: int | None = None) -> list[Text]:
    """``lead`` and the text after it, in lines; all but the first begin ``blanks`` in, else a little further than it.

    Only a word that is longer than a line is broken.
    """
    blanks = lead.cell_len + HANGS if blanks is None else blanks
    first, *more = wrapped(text, width - max(blanks, lead.cell_len))
    return [lead + first, *(Text(" " * blanks) + one for one in more)]


def wrapped(text: Text, width: int) -> list[Text]:
    """The text in lines, broken between words; a word that is longer than a line goes over several."""
    if text.cell_len <= width and "\n" not in text.plain:
        text.rstrip()
        return [text]
    lines = list(text.wrap(_ANY, max(width, 1), overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines or [Text()]


def counted(count: int) -> str:
    """A number: for people with commas, for programs without."""
    return f"{count:,}" if is_terminal() else str(count)


def many(count: int, what: str) -> str:
    """So many of something: 1 order, 2 orders."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def said(value: Any) -> str:
    """A value as a person reads it."""
    return "-" if value is None else str(value)


def clean(text: str) -> str:
    """``text`` without anything that would break its line or the terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
