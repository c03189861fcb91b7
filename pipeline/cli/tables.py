"""Tables: columns for people on a terminal, stacked cards where those have no room, tab-separated lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

from pipeline.cli.output import clean, console, is_terminal, wrapped
from pipeline.cli.streams import is_heard

__all__ = ["Column", "laid_out", "print_rows", "print_table"]

GAP: Final = 2
"""Blanks between two columns, and before what a card says below its first line."""
ROOMY: Final = 100
"""From this width on a table of many columns may be one; on a narrower terminal it is always cards."""
FEW: Final = 5
"""Columns that are a table on any terminal that they fit on."""
READABLE: Final = 20
"""A column of texts that break into lines is no narrower, unless all of its texts are shorter."""
LONG: Final = 40
"""From this length on a word (a path, a hash) may go over several lines of its column."""
BETWEEN: Final = " · "


class Column(Struct, frozen=True):
    """What a column is called, and what may be done with it where there is little room."""

    head: str
    is_number: bool = False
    """Numbers stand under each other: to the right."""
    wraps: bool = False
    """Texts, which may go over several lines, between words."""
    leads: bool = False
    """Of a card: on its first line. The columns that tell most do."""
    is_named: bool = False
    """Of one that leads: its head stands before it."""


Row = Sequence[str]


def print_table(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """A table, or cards, on a terminal, whole words at any width; elsewhere what ``print_rows`` prints."""
    if not is_terminal():
        print_rows(rows)
        return
    out = console()
    for line in laid_out(columns, [[clean(cell) for cell in row] for row in rows], out.width):
        out.print(line, soft_wrap=True)


def print_rows(rows: Iterable[Row]) -> None:
    """A line of tab-separated cells a row, without a head, as ``cut`` and ``awk`` take them."""
    for row in rows:
        if not is_heard():
            break
        sys.stdout.write("\t".join(map(clean, row)) + "\n")


def laid_out(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Iterator[Text]:
    """The lines that show ``rows`` in ``width`` cells of a terminal.

    No word is cut or broken that is not itself longer than a line: where a table would have to, there are cards.
    """
    if not rows:
        return iter(())
    full = [at for at in range(len(columns)) if any(row[at] for row in rows)] or [0]  # an empty one tells nothing
    columns, rows = [columns[at] for at in full], [[row[at] for at in full] for row in rows]
    widths = _widths(columns, rows, width) if width >= ROOMY or len(columns) <= FEW else None
    return _table(columns, rows, widths) if widths else _cards(columns, rows, width)


def _widths(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[int] | None:
    """How wide each column is to be; None where they have no room side by side."""
    room = width - GAP * (len(columns) - 1)
    wanted = [
        max(cell_len(text) for text in (column.head, *(row[at] for row in rows))) for at, column in enumerate(columns)
    ]
    least = [
        max(cell_len(column.head), *(min(_longest_word(row[at]), LONG) for row in rows), min(wants, READABLE))
        if column.wraps
        else wants
        for at, (column, wants) in enumerate(zip(columns, wanted, strict=True))
    ]
    spare = room - sum(least)
    if spare < 0:
        return None
    for at in sorted(range(len(columns)), key=lambda at: wanted[at] - least[at]):  # who lacks little, gets it all
        open_ = sum(wants > has for wants, has in zip(wanted, least, strict=True))
        more = min(wanted[at] - least[at], spare // max(open_, 1))
        least[at] += more
        spare -= more
    return least


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _table(columns: Sequence[Column], rows: Sequence[Row], widths: Sequence[int]) -> Iterator[Text]:
    yield _line(columns, [Text(column.head, style="bold") for column in columns], widths)
    yield Text("─" * (sum(widths) + GAP * (len(widths) - 1)), style="dim")
    for row in rows:
        cells = [wrapped(Text(cell), width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            yield _line(columns, [lines[number] if number < len(lines) else Text() for lines in cells], widths)


def _line(columns: Sequence[Column], cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for column, cell, width in zip(columns, cells, widths, strict=True):
        blanks = " " * (width - cell.cell_len)
        line.append(blanks if column.is_number else "").append_text(cell).append("" if column.is_number else blanks)
        line.append(" " * GAP)
    line.rstrip()
    return line


def _cards(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Iterator[Text]:
    first = [at for at, column in enumerate(columns) if column.leads] or [0]
    rest = [at for at in range(len(columns)) if at not in first]
    for number, row in enumerate(rows):
        if number:
            yield Text()
        led = [f"{columns[at].head} {row[at]}" if columns[at].is_named else row[at] for at in first if row[at]]
        if led:
            yield from wrapped(Text((" " * GAP).join(led), style="bold"), width)
        yield from _flowing([(columns[at].head, row[at]) for at in rest if row[at]], width - GAP)


def _flowing(told: Sequence[tuple[str, str]], width: int) -> Iterator[Text]:
    """Heads and cells one after the other, as many on a line as have room; one that has none goes over several."""
    line = Text()
    for head, cell in told:
        one = Text.assemble((head, "dim"), " ", cell)
        if line and line.cell_len + len(BETWEEN) + one.cell_len > width:
            yield _indented(line, GAP)
            line = Text()
        line = line.append(BETWEEN, style="dim").append_text(one) if line else one
        if line.cell_len > width:
            begun, *more = wrapped(line, width - GAP)
            yield _indented(begun, GAP)
            yield from (_indented(rest, 2 * GAP) for rest in more)
            line = Text()
    if line:
        yield _indented(line, GAP)


def _indented(line: Text, blanks: int) -> Text:
    return Text(" " * blanks).append_text(line)
