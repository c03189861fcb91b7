"""An ERP that writes and reads work orders as CSV files in two folders: a row an order, under a head."""

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict, replace

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.clients.spelling import spoken_by
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import WrongSettings
from pipeline.finding import Finding
from pipeline.orders.workorder import Record
from pipeline.translation import status_order
from pipeline.translation.codecs import precision
from pipeline.transports.folder import FolderOptions, csv_files
from pipeline.transports.folder.csv_head import CsvForm, plain
from pipeline.transports.folder.csv_rows import read_row, write_row
from pipeline.transports.folder.sample import read_sample

__all__ = ["OPTIONS", "CsvFolder", "connect"]

FORM: Final = ("delimiter", "encoding", "date_format", "decimal_comma", "columns")
ASCII: Final = "".join(map(chr, range(128)))


class CsvOptions(FolderOptions, frozen=True, kw_only=True):
    """The options of a client of CSV files: two folders, and how rows are written (see CsvForm)."""

    delimiter: str = ","
    encoding: str = "utf-8"
    date_format: str = ""
    decimal_comma: bool = False
    columns: dict[str, str] = msgspec.field(default_factory=dict)


class CsvFolder(JsonConnector):
    """CSV files in and out, a row an order; a row may come alone in a file, or with many.

    They are in the words of the layout ``status_order``, or in a table of the settings, whose paths are heads.
    A row's locator ends in the number of its line. Goes out as a file an order, which is whole or not there.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._options = settings.read(CsvOptions)
        (base,) = spoken_by(settings, (status_order.TABLE,), is_row=True)
        said = asdict(self._options)
        self._form = CsvForm(base=base, **{name: said[name] for name in FORM})
        super().__init__(settings, (self._form.table,))
        self.ids = self._options.ids
        problems = [f"{self.name}: {problem}" for problem in _problems(self._form, self.timezone)]
        if problems:
            raise WrongSettings(problems)

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return self._options.check(self.settings.called, csv_files(self._form))

    @property
    def watched(self) -> Sequence[Path]:
        """The folder of new files."""
        return (self._options.inbound_dir,)

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
        """The row in ``raw``, by the heads of its columns."""
        return read_row(raw, self._form)

    def from_record(self, record: Record) -> Outgoing:
        """The record as a head and a row."""
        out = super().from_record(record)
        return replace(out, body=write_row(msgspec.json.decode(out.body), self._form))


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
    if form.base is not status_order.TABLE:
        named = [name for name in ("columns", "date_format") if getattr(form, name)]
        yield from (f"{name}: the table says that: leave it out, or the layout" for name in named)
        return
    own = [path[0] for path in form.base.paths]
    unknown = sorted(set(form.columns) - set(own))
    if unknown:
        yield f"columns: no such key: {', '.join(unknown)}; known: {', '.join(own)}"
    by_head: dict[str, list[str]] = {}
    for key in own:
        by_head.setdefault(plain(form.columns.get(key, key)), []).append(key)
    if "" in by_head:
        yield f"columns: {by_head.pop('')[0]}: a name is required"
    yield from (f"columns: {' and '.join(keys)} have the same name" for keys in by_head.values() if len(keys) > 1)
