"""What commands print: tables for people on a terminal, tab-separated lines otherwise, or JSON."""

import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Final, TextIO

import msgspec
from cyclopts import Parameter
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.streams import is_heard, takes_unicode

__all__ = ["Json", "as_json", "clean", "console", "is_terminal", "print_json", "print_lines", "print_table", "said"]

Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
"""The option of every command that reports."""


_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


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
    """Lines as they are; what would break them, or the terminal, as an escape."""
    for line in lines:
        sys.stdout.write(clean(line) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
    wide: Collection[str] | None = None,
) -> None:
    """A table on a terminal; where standard output is none, a line of tab-separated cells a row, without a head.

    ``right``: columns of numbers; ``wide``: those that break into lines where there is no room, else the last.
    """
    if not is_terminal():
        for row in rows:
            if not is_heard():
                break
            sys.stdout.write("\t".join(map(clean, row)) + "\n")
        return
    table = Table(box=SIMPLE, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        wraps = column in (columns[-1:] if wide is None else wide)
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=not wraps, overflow="fold", min_width=3
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console().print(table)


def said(value: Any) -> str:
    """A value as a person reads it."""
    return "-" if value is None else str(value)


def clean(text: str) -> str:
    """``text`` without anything that would break its line or the terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
