"""An ERP that writes and reads work orders as CSV files in two folders: a row an order, under a head."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict, fields

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import WrongSettings
from pipeline.finding import Finding
from pipeline.orders.workorder import Record
from pipeline.translation import status_order
from pipeline.translation.csv_cells import precision
from pipeline.translation.csv_head import KEYS, CsvForm, plain
from pipeline.translation.csv_rows import read_row, write_row
from pipeline.transports.folder import FolderOptions, csv_files
from pipeline.transports.folder.sample import read_sample

__all__ = ["OPTIONS", "CsvFolder", "connect"]

ASCII: Final = "".join(map(chr, range(128)))


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
        super().__init__(settings, (status_order.TABLE,))
        self._options = settings.read(CsvOptions)
        said = asdict(self._options)
        self._form = CsvForm(**{field.name: said[field.name] for field in fields(CsvForm)})
        problems = [f"{self.name}: {problem}" for problem in _problems(self._form, self.timezone)]
        if problems:
            raise WrongSettings(problems)

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return self._options.check(self.settings.called, csv_files(self._form))

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The inbound folder."""
        return self._options.source(self.settings, witness, form=csv_files(self._form))

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        return self._options.sink(self.settings, suffix=".csv")

    def sample(self, file: Path) -> Iterator[Envelope[bytes] | Unreadable]:
        """The rows of a file of CSV."""
        return read_sample(file, csv_files(self._form))

    def parse(self, raw: bytes) -> dict[str, Any]:
        """The row in ``raw``, by our keys."""
        return read_row(raw, self._form)

    def from_record(self, record: Record) -> Outgoing:
        """The record as a head and a row."""
        out = super().from_record(record)
        return Outgoing(out.id, write_row(msgspec.json.decode(out.body), self._form, self.timezone), is_new=out.is_new)


OPTIONS: Final = CsvOptions


def connect(settings: ClientSettings) -> CsvFolder:
    """The client that ``settings`` describe."""
    return CsvFolder(settings)


def _problems(form: CsvForm, zone: tzinfo) -> Iterator[str]:
    try:
        is_ascii = ASCII.encode(form.encoding).removeprefix(BOM_UTF8) == ASCII.encode()
        others = "é漢アы한".encode(form.encoding, "ignore").removeprefix(BOM_UTF8)
        if not is_ascii or ASCII.encode().decode(form.encoding) != ASCII or min(others, default=ord("0")) < ord("0"):
            yield "encoding: expected one in which ASCII is one byte a character, such as utf-8, utf-8-sig or cp1252"
    except LookupError:
        yield "encoding: there is no such encoding"
    except ValueError:
        yield "encoding: expected one of texts, such as utf-8, utf-8-sig or cp1252"
    mark = form.delimiter
    if len(mark) != 1 or not mark.isascii() or mark == '"' or not (mark.isprintable() or mark == "\t"):
        yield "delimiter: expected one ASCII character"
    if precision(form.date_format, zone) is None:
        yield "date_format: what it writes is not read as the same date; it needs at least a year, a month and a day"
    unknown = sorted(set(form.columns) - set(KEYS))
    if unknown:
        yield f"columns: no such key: {', '.join(unknown)}; known: {', '.join(KEYS)}"
    by_head: dict[str, list[str]] = {}
    for key, head in zip(KEYS, form.heads, strict=True):
        by_head.setdefault(plain(head), []).append(key)
    if "" in by_head:
        yield f"columns: {by_head.pop('')[0]}: a name is required"
    yield from (f"columns: {' and '.join(keys)} have the same name" for keys in by_head.values() if len(keys) > 1)
