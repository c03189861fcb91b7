"""Files as they lie in a folder: JSON, lines, CSV and gzip come apart into records, and one odd record costs itself."""

import contextlib
import gzip
import io
import os
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator

import msgspec

from pipeline.dataflow.locators import Locator
from pipeline.errors import Rejected
from pipeline.transports.folder.archive import _parts, erase_archived
from pipeline.transports.folder.csv_head import CsvForm
from pipeline.transports.folder.csv_reader import csv_files, rows
from pipeline.transports.folder.csv_rows import read_row, write_row
from pipeline.transports.folder.files import Opened
from pipeline.transports.folder.formats import json_files
from pipeline.transports.folder.records import UNREADABLE, Broken, Part, is_lines, lines, unreadable, whole
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_reasons
from tests.fuzz.places import place
from tests.fuzz.registry import target
from tests.fuzz.targets.records import CLIENTS

LAYOUTS = tuple(CLIENTS["erp_json"].layouts.values())
GOOD = tuple(b'{"id": %d, "status": "NEW", "createdAt": "2026-10-01"}' % number for number in range(3))
JSON, CSV = json_files(LAYOUTS), csv_files(CsvForm())
FORMS = (
    CsvForm(),
    CsvForm(delimiter=";", encoding="cp1252", date_format="%d.%m.%Y", decimal_comma=True, columns={"id": "Order No."}),
    CsvForm(delimiter="\t", encoding="utf-8-sig"),
)
_RAW = msgspec.json.Decoder(msgspec.Raw)


class Trickle(io.BytesIO):
    """Bytes that come a few at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or -1, 7) if size and size > 0 else 7)


def see_parts(parts: Iterator[Part | Broken]) -> list[Part | Broken]:
    """The parts of a file; each has a place of its own, and what is wrong with it can be told."""
    found = list(parts)
    law(len({part.suffix for part in found}) == len(found), "two records have one place")
    for part in found:
        Locator("x", part.suffix)
        if isinstance(part, Broken):
            see_reasons([part.reason])
    return found


@target(
    "file.erased",
    b"\n".join(GOOD),
    b"[%s]" % b", ".join(GOOD),
    b"[7, 2,\n3]",
    b"id,title\n7,a\n8,b\n",
    b"\xff\n7\n",
    share=0.2,
)
def erased(data: bytes) -> None:
    """Of any file that was put away the records of an erased order are gone, and all others are what they were."""

    def is_meant(raw: bytes) -> bool:
        return b"2" in re.split(rb"[\r\n]", raw.strip())[-1]

    archive = place("archive")
    for name, form in (("a.ndjson", JSON), ("b.json.1", JSON), ("c.csv", CSV)):
        path = archive / name
        path.write_bytes(
            data.replace(b'"', b"") if form is CSV else data
        )  # a quote that nothing closes takes what follows
        before = list(_parts(path, name.removesuffix(".1"), form))
        erase_archived(archive, form, is_meant)
        after = list(_parts(path, name.removesuffix(".1"), form)) if path.exists() else []
        if all(isinstance(part, Part) and (part.suffix[:1] == "[" or name[0] != "b") for part in before):
            left = [one.raw.strip() for one in before if not is_meant(one.raw)]
            law([one.raw.strip() for one in after] == left, "others have changed")
        path.unlink(missing_ok=True)


@target(
    "file.array",
    b'{"id": 7, "status": "NEW", "createdAt": "2026-10-01"}',
    *(b"null", b"[[]]", b'"\\ud800"', b"1e999", b'{"id": {"a": [1, 2]}}', b'"', b"{}, {}", b"NaN"),
)
def array(data: bytes) -> None:
    """Of an array with one odd element the others are read; what is no array is one thing with all its bytes."""
    body = b"[" + b",".join((GOOD[0], data, GOOD[1])) + b"]"
    parts = see_parts(iter(whole(body, LAYOUTS)))
    law(parts != [], "a file is read as nothing")
    try:
        _RAW.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        law([part.raw for part in parts] == [GOOD[0], data.strip(), GOOD[1]], "an odd element costs others")
    alone = see_parts(iter(whole(data, LAYOUTS)))
    if not data.removeprefix(BOM_UTF8).strip().startswith(b"["):
        law(len(alone) == 1 and alone[0].raw == data, "a file that is no array is not one thing")


@target(
    "file.lines",
    b'{"id": 7, "status": "NEW", "createdAt": "2026-10-01"}',
    *(b"{", b'{"id": 7}\r{"id": 8}', b"\xef\xbb\xbf{}", b"\r\r\n", b"\0", b'{"a": "\n"}', b" ", b"\xff\xfe"),
)
def ndjson(data: bytes) -> None:
    """Of lines with an odd one in the middle, the others are read, however the bytes come; no line is lost."""
    body = b"\n".join((GOOD[0], data, GOOD[1], GOOD[2]))
    found = [
        see_parts(lines(stream.read(size), stream)) for stream, size in ((io.BytesIO(body), 9**9), (Trickle(body), 7))
    ]
    law(found[0] == found[1], "lines are other ones where they come slowly")
    kept = [part.raw for part in found[0]]
    law(kept[0] == GOOD[0] and kept[-2:] == [GOOD[1], GOOD[2]], "an odd line costs others")
    odd = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    law(kept[1:-2] == odd, "an odd line is lost, or another one")
    is_lines(data)
    see_parts(lines(data, io.BytesIO(data)))


@target(
    "file.packed",
    gzip.compress(b"\n".join(GOOD), mtime=0),
    gzip.compress(GOOD[0], mtime=0) + gzip.compress(b"\n" + GOOD[1], mtime=0),
    gzip.compress(gzip.compress(GOOD[0], mtime=0), mtime=0),
    gzip.compress(b"id,status,createdAt\n7,NEW,2026-10-01\n", mtime=0)[:-6],
)
def packed(data: bytes) -> None:
    """A file, packed or not, gives records or what cannot be read, raises nothing, and is closed."""
    for name, form in (("a.ndjson.gz", JSON), ("a.json.gz", JSON), ("a.csv.gz", CSV), ("A.JSON", JSON)):
        see_parts(_opened(name, data).parts(form))
    with contextlib.suppress(*UNREADABLE):
        gzip.decompress(data)
        return
    law(any(isinstance(part, Broken) for part in _opened("a.ndjson.gz", data).parts(JSON)), "damage is not told")


def _opened(name: str, data: bytes) -> Opened:
    descriptor = os.memfd_create("fuzz")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return Opened(name, None, descriptor)


@target(
    "file.csv",
    b"7,NEW,2026-10-01,Pump",
    *(
        b'"7',
        b'7,"NEW"",2026',
        b"7;NEW",
        b"7,NEW,2026-10-01,x,y,z,",
        b",,,",
        b"\xe9,\x80",
        b"7,NEW\0",
        b"4E+11,,",
        b'"\r7',
    ),
)
def csv(data: bytes) -> None:
    """Of rows with an odd one in the middle the first is read, and the others too where it opens no quote."""
    head, good = b"id,status,createdAt,title", b"%d,NEW,2026-10-01,Pump"
    body = b"\r\n".join((head, good % 1, data, good % 2, good % 3, b""))
    found = [see_parts(rows(stream, FORMS[0])) for stream in (io.BytesIO(body), Trickle(body))]
    law(found[0] == found[1], "rows are other ones where they come slowly")
    read = [part for part in found[0] if isinstance(part, Part)]
    law(_cells(read[0])["id"] == 1, "the first row is lost")
    if b'"' not in data and b"\r" not in data and not data.endswith(b"\n"):
        ids = [_cells(part).get("id") for part in read[-2:]]
        law(ids == [2, 3], "an odd row costs others")
    see_parts(rows(io.BytesIO(data), FORMS[0]))


def _cells(part: Part) -> dict[str, object]:
    try:
        return read_row(part.raw, FORMS[0])
    except Rejected as error:
        see_reasons(error.reasons)
        return {}


@target(
    "file.csv_heads",
    b"sep=;\r\nOrder No.;status;createdAt\r\n7;NEW;31.10.2026\r\n",
    b"ID\t Status \tcreatedat\r7\tNEW\t2026-10-01\r",
    b'"Order\nNo.";status;createdAt\n12,0;DONE;01.02.2026\n',
    b"some title;;\n;;\nOrder No.;status;createdAt\n1;NEW;x\n",
    b"id,id,status,createdAt\n1,1,NEW,2026-10-01\n",
    share=0.5,
)
def csv_heads(data: bytes) -> None:
    """A file of CSV gives rows, each of which is read or told why not, or is one letter with all its bytes."""
    for form in FORMS:
        parts = see_parts(rows(Trickle(data), form))
        for part in parts:
            if isinstance(part, Part):
                try:
                    said = read_row(part.raw, form)
                    write_row({key: said.get(key) for key in form.heads}, form)
                except Rejected as error:
                    see_reasons(error.reasons)
            else:
                law(part.suffix != "" or part.raw == data, "a letter has other bytes")


@target("file.csv_told", bytes(range(50)), b"\x03\x02\x01\x00\x05", bytes(range(60, 160)), b"\x05\x03a,b\x02")
def csv_told(data: bytes) -> None:
    """A row that is told is read as the same texts, or is Rejected with reasons that can be kept."""
    given = Given(data)
    form = given.pick(FORMS)
    told = {head: given.text() for head in form.heads}
    told[form.table.id.path[0]] = given.text().strip() or "7"
    try:
        body = write_row(told, form)
    except Rejected as error:
        see_reasons(error.reasons)
        return
    found = see_parts(rows(io.BytesIO(body), form))
    law(len(found) == 1 and isinstance(found[0], Part), "what is told is not one row")
    back = read_row(found[0].raw, form)
    law(all((told[head] or None) == back[head] for head in form.texts), "a text is told as another")


@target("file.unpacked", zlib.compress(b"{}"), b"\x1f\x8b\x08\0", b"")
def unread(data: bytes) -> None:
    """Whatever reading a packed file raises can be told in a line."""
    try:
        gzip.decompress(data)
    except UNREADABLE as error:
        see_reasons([unreadable(error)])
