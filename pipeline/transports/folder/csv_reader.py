"""CSV files as spreadsheets and programs write them: a head, and rows that come apart into records of their own.

A file is read as it is streamed, however long it is. Lines end in LF, CRLF or CR; a first line ``sep=;`` and rows of
nothing but delimiters are left out; each row is given below its head, with the number of its line.
"""

import contextlib
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from pipeline.errors import Reason, Rejected
from pipeline.translation.foreign import foreign
from pipeline.transports.folder.csv_head import CsvForm, Head, understand
from pipeline.transports.folder.csv_rows import encoding_of
from pipeline.transports.folder.formats import FileFormat
from pipeline.transports.folder.records import (
    BLOCK,
    MAX_RECORD,
    UNREADABLE,
    Broken,
    Part,
    Readable,
    not_understood,
    unreadable,
)

__all__ = ["csv_files", "rows"]

Line: TypeAlias = tuple[int, bytes]
"""A line's number, from 1, and its bytes with its end."""

_END: Final = re.compile(rb'"[^"]*"|(\r*\n|\r)')
"""What is quoted, or the end of a line."""
_CUTS: Final = re.compile(rb"(?<=\r)")
"""Behind every CR."""
_BREAKS: Final = re.compile(rb"[\r\n]+")
_SEP: Final = re.compile(r'"?sep=([^\r\n])"?\1*[\r\n]*', re.IGNORECASE)
"""What Excel writes above a head to name the delimiter."""

LOOKED_AT: Final = 10
"""In how many rows a head is looked for that is not in the first."""


def csv_files(form: CsvForm) -> FileFormat:
    """Files ``.csv`` of this form."""
    return FileFormat((".csv",), lambda name, stream: rows(stream, form))


def rows(stream: Readable, form: CsvForm) -> Iterator[Part | Broken]:
    """The rows of a file; a bad row is bad alone, and a file without a head that is understood is one Broken."""
    file = _Remembering(stream)
    start = file.read(BLOCK)
    if what := foreign(start):
        yield not_understood(Reason(f"not CSV: {what}", offset=0), start, stream)
        return
    mark, encoding = encoding_of(start, form)
    found = _Rows(start.removeprefix(mark), file, form, encoding)
    try:
        head = mark + found.take_head()
    except Rejected as error:
        yield not_understood(error.reasons[0], file.read_so_far, stream)
        return
    file.forget()
    number = 1
    try:
        for number, row in found:
            if len(row) > MAX_RECORD:
                message = f"a row of more than {MAX_RECORD // 2**20} MB: split it, or close its quote"
                yield Broken(f":{number}", Reason(message))
            else:
                yield Part(f":{number}", head + row, head=len(head))
    except UNREADABLE as error:
        yield Broken(f":{number + 1}", unreadable(error))


class _Remembering:
    """A stream that remembers what was read of it, until told otherwise."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._blocks: list[bytes] | None = []

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        if self._blocks is not None:
            self._blocks.append(block)
        return block

    @property
    def read_so_far(self) -> bytes:
        return b"".join(self._blocks or ())

    def forget(self) -> None:
        self._blocks = None


class _Rows:
    """The rows of one file that are more than delimiters: all lines up to the closing quote, or the first alone."""

    def __init__(self, start: bytes, stream: Readable, form: CsvForm, encoding: str) -> None:
        self._delimiter = form.delimiter
        self._encoding = encoding
        self._form = form
        self._padding = form.delimiter.encode() + b" \t\r\n"
        self._lines = _lines(start, stream)
        self._pending: deque[Line] = deque()
        self._head: Head | None = None
        self._ends_in_cr = next((match[1] for match in _END.finditer(start) if match[1]), b"") == b"\r"

    def __iter__(self) -> Iterator[Line]:
        while (row := self._next()) is not None:
            if not self._is_padding(row[1]):
                yield row

    def take_head(self) -> bytes:
        """The head as one line; raises Rejected where it is not understood."""
        first = next(self._lines, (1, b""))
        if (sep := _SEP.fullmatch(self._text(first[1]))) is None:
            self._pending.append(first)
        elif sep[1] != self._delimiter:
            raise Rejected(f"its first line says sep={sep[1]}, but the delimiter is {self._delimiter!a}: see delimiter")
        found = iter(self)
        _, head = next(found, (0, b""))
        if not head:
            raise Rejected("empty: expected a head, and rows below it")
        try:
            self._head = self._understood(head)
        except Rejected as error:
            below = [row for _, row in zip(range(LOOKED_AT), found, strict=False)]
            raise Rejected(f"{error}{self._head_below(below)}") from None
        return _BREAKS.sub(b" ", head.rstrip(b"\r\n")) + b"\r\n"

    def _head_below(self, below: list[Line]) -> str:
        for number, row in below:
            with contextlib.suppress(Rejected):
                self._understood(row)
                return f"; line {number} does: remove what is above it"
        return ""

    def _understood(self, row: bytes) -> Head:
        head = understand(self._cells(row), self._form)
        try:
            self._cells(row, strict=True)
        except csv.Error as error:
            raise Rejected(f"the head is not CSV: {error}") from None
        return head

    def _cells(self, row: bytes, *, strict: bool = False) -> list[str]:
        return next(csv.reader(io.StringIO(self._text(row), newline=""), delimiter=self._delimiter, strict=strict), [])

    def _text(self, row: bytes) -> str:
        return row.decode(self._encoding, "replace")

    def _is_padding(self, row: bytes) -> bool:
        left = row.strip(self._padding)
        return not left or (not left.strip(self._padding + b'"') and not any(map(str.strip, self._cells(row))))

    def _is_row(self, line: bytes) -> bool:
        return self._head is not None and self._head.is_row(self._text(line), self._form)

    def _next(self) -> Line | None:
        """The next row and its first line's number."""
        first = self._line()
        if first is None or len(first[1]) > MAX_RECORD:
            return first
        taken = [first]
        if b'"' in first[1]:
            self._take_quoted(taken)
        while self._is_broken(taken) and (line := self._line()) is not None:
            taken.append(line)
        return first[0], b"".join(line for _, line in taken)

    def _take_quoted(self, taken: list[Line]) -> None:
        """Take the lines up to the one in which the last quote is closed.

        Where it is not, the row is only what is above the next line that looks like a row; without one, it is all.
        """
        size = 0

        def following() -> Iterator[str]:
            nonlocal size
            yield self._text(taken[0][1])
            while size <= MAX_RECORD and (line := self._line()) is not None:
                taken.append(line)
                size += len(line[1])
                yield self._text(line[1])

        try:
            next(csv.reader(following(), delimiter=self._delimiter, strict=True), None)
        except csv.Error:
            place = next((place for place in range(1, len(taken)) if self._is_row(taken[place][1])), len(taken))
            self._pending.extendleft(reversed(taken[place:]))
            del taken[place:]
            while size > MAX_RECORD and not self._pending and (line := self._line()) is not None:
                if self._is_row(line[1]):
                    self._pending.append(line)

    def _is_broken(self, taken: list[Line]) -> bool:
        """Whether a stray CR, in a file whose lines end in LF, has cut the row in the middle of a cell."""
        if self._head is None or self._ends_in_cr or not taken[-1][1].endswith(b"\r"):
            return False
        return len(taken) > 1 or len(self._cells(taken[0][1])) < len(self._head.keys)

    def _line(self) -> Line | None:
        return self._pending.popleft() if self._pending else next(self._lines, None)


def _lines(start: bytes, stream: Readable) -> Iterator[Line]:
    """The lines with their ends; of one that is too long only as much as says so."""
    number, rest, block, is_behind = 0, b"", start, False
    while block:
        *complete, rest = _cut(rest + block)
        for line in complete:
            number += 1
            if not is_behind:
                yield number, line
            is_behind = False
        if len(rest) > MAX_RECORD and not is_behind:
            yield number + 1, rest
            is_behind = True
        if is_behind:
            rest = b"\r" if rest.endswith(b"\r") else b""  # its end may come; what is before that would only be copied
        block = stream.read(BLOCK)
    if rest and not is_behind:
        yield number + 1, rest


def _cut(data: bytes) -> list[bytes]:
    """The lines with their ends; the last has none yet, or CRs that an LF may follow."""
    *complete, rest = data.split(b"\n")
    if b"\r" not in data:
        return [*(line + b"\n" for line in complete), rest]
    found: list[bytes] = []
    for line in complete:
        text = line.rstrip(b"\r")  # CRs before the LF are one end with it, wherever a block ends
        *more, last = _CUTS.split(text) if b"\r" in text else (text,)
        found += [*more, last + line[len(text) :] + b"\n"]
    text = rest.rstrip(b"\r")
    *more, last = _CUTS.split(text)
    return [*found, *more, last + rest[len(text) :]]
