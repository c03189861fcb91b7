"""An ERP that writes and reads work orders as CSV files in two folders: a row an order, under a head."""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import asdict, fields

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import Reason, WrongSettings
from pipeline.finding import Finding
from pipeline.orders.workorder import Record
from pipeline.translation import status_order
from pipeline.translation.csv_rows import CsvForm, read_row, write_row
from pipeline.transports.folder import FileFormat, FolderOptions
from pipeline.transports.folder.records import BLOCK, MAX_RECORD, Broken, Part, Readable

__all__ = ["CsvFolder", "connect"]

KEYS: Final = ("id", "status", "createdAt", "updatedAt", "title", "description", "deletedAt")
LINES: Final = 200
"""How many lines one row may have: a quote that is never closed must not swallow the rows below it."""


class CsvOptions(FolderOptions, frozen=True, kw_only=True):
    """The options of a client of CSV files: two folders, and how rows are written (see CsvForm)."""

    delimiter: str = ","
    encoding: str = "utf-8"
    date_format: str = ""
    decimal_comma: bool = False
    columns: dict[str, str] = msgspec.field(default_factory=dict)


class CsvFolder(JsonConnector):
    """CSV files in and out, in the words of the layout ``status_order``; a row may come alone in a file, or with many.

    A row's locator ends in the number of its line. Goes out as a file an order, which is whole or not there.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings, (status_order.LAYOUT,))
        self._options = settings.read(CsvOptions)
        said = asdict(self._options)
        self._form = CsvForm(**{field.name: said[field.name] for field in fields(CsvForm)})
        problems = [f"{self.name}: {problem}" for problem in _problems(self._form)]
        if problems:
            raise WrongSettings(problems)

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return self._options.check(self.settings.called)

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The inbound folder."""
        form = FileFormat((".csv",), lambda name, stream: rows(stream, self._form))
        return self._options.source(self.settings, witness, form=form)

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        return self._options.sink(self.settings, suffix=".csv")

    def parse(self, raw: bytes) -> dict[str, Any]:
        """The row in ``raw``, by our keys."""
        return read_row(raw, self._form)

    def from_record(self, record: Record) -> Outgoing:
        """The record as a head and a row."""
        out = super().from_record(record)
        return Outgoing(out.id, write_row(msgspec.json.decode(out.body), KEYS, self._form), is_new=out.is_new)


def connect(settings: ClientSettings) -> CsvFolder:
    """The client that ``settings`` describe."""
    return CsvFolder(settings)


def rows(stream: Readable, form: CsvForm) -> Iterator[Part | Broken]:
    """The rows of a file however long, each below its head, with the number of its line; a bad row is bad alone."""
    pending: deque[tuple[int, bytes]] = deque()
    lines = enumerate(_lines(stream), 1)
    head = next((line for _, line in lines if line.strip()), b"").removeprefix(codecs.BOM_UTF8)
    head = head.rstrip(b"\r\n") + b"\r\n"
    while (row := _row(lines, pending, form)) is not None:
        number, taken = row
        if len(taken) > MAX_RECORD:
            yield Broken(f":{number}", Reason(f"a row of more than {MAX_RECORD // 2**20} MB: split it"))
        elif taken.strip():
            yield Part(f":{number}", head + taken)


def _row(
    lines: Iterator[tuple[int, bytes]], pending: deque[tuple[int, bytes]], form: CsvForm
) -> tuple[int, bytes] | None:
    """The next row and its first line's number: all lines up to the closing quote, or the first alone without one."""
    taken: list[tuple[int, bytes]] = []

    def following() -> Iterator[str]:
        while len(taken) < LINES and (line := pending.popleft() if pending else next(lines, None)):
            taken.append(line)
            yield line[1].decode(form.encoding, "replace")

    try:
        next(csv.reader(following(), delimiter=form.delimiter, strict=True), None)
    except csv.Error:
        pending.extendleft(reversed(taken[1:]))
        del taken[1:]
    return (taken[0][0], b"".join(line for _, line in taken)) if taken else None


def _lines(stream: Readable) -> Iterator[bytes]:
    """The lines with their ends; one that has none for long comes in pieces."""
    rest = b""
    while block := stream.read(BLOCK):
        *complete, rest = (rest + block).split(b"\n")
        for line in complete:
            yield line + b"\n"
        if len(rest) > MAX_RECORD:
            yield rest
            rest = b""
    if rest:
        yield rest


def _problems(form: CsvForm) -> Iterator[str]:
    try:
        if "a;\n".encode(form.encoding) != b"a;\n":
            yield "encoding: expected one in which ASCII is one byte a character, such as utf-8 or cp1252"
    except LookupError:
        yield "encoding: there is no such encoding"
    if len(form.delimiter) != 1 or not form.delimiter.isascii() or form.delimiter in '"\r\n':
        yield "delimiter: expected one ASCII character"
    unknown = sorted(set(form.columns) - set(KEYS))
    if unknown:
        yield f"columns: no such key: {', '.join(unknown)}; known: {', '.join(KEYS)}"
