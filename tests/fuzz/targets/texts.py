"""Small parsers of texts: times, ids, names of files, paths in a record, bytes that are no text."""

import contextlib
import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.dataflow.locators import Locator
from pipeline.orders.renderings import is_rendering
from pipeline.orders.workorder import id_key
from pipeline.translation.codecs import Anything, Flag, Id, Number, Reference, Text, Time, Words
from pipeline.translation.foreign import foreign
from pipeline.translation.ids import fault_of, show
from pipeline.translation.paths import getter, json_path, missing, put
from pipeline.translation.times import TICKS, can_be, format_time, happened, means_none, parse_time, tell, ticks_of
from pipeline.transports.folder.csv_cells import read_id, read_word
from pipeline.transports.folder.files import place_of
from pipeline.transports.folder.names import REVERSIBLE, ending_of, id_of, name_of
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_line, see_reasons
from tests.fuzz.registry import target

ZONES = (UTC, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Asia/Kolkata"))
NUMBER = Number()
CODECS = (
    *(Text(), Text(40), Text(empty=False), Id(), Id(as_text=True), Reference(), Anything()),
    *(NUMBER, Number(decimal_comma=True), Flag(), Flag("Y", "N"), Flag(1, 0), Time(), Time(TICKS)),
    *(Time("%d.%m.%Y %H:%M:%S"), Time("%Y-%m-%d"), Time("%m/%d/%Y %I:%M %p"), Time("%Y%m%d %z")),
    *(Words({"1": "high", "2": "low"}, are_numbers=True), Words({"A": "a", "B": "a"}, {"a": "B"})),
)


@target(
    "text.times",
    *(b"2026-10-31T12:16:45.123Z", b"2026-10-31 09:16:45-0300", b"2026-10-31", b"/Date(1793450205000+0000)/"),
    *(b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59.9999999-14:00", b"0000-00-00", b"2026-02-30", b"NULL"),
)
def times(data: bytes) -> None:
    """A time is an instant in UTC, of whole milliseconds, that is written and read as the same; else ValueError."""
    text = data.decode("utf-8", "surrogateescape")
    means_none(text)
    for zone in ZONES:
        moments = []
        for read in (parse_time, happened):
            with contextlib.suppress(ValueError):
                moments.append(read(text, zone))
        for moment in moments:
            if moment is None:
                continue
            law(moment.tzinfo is UTC and moment.microsecond % 1000 == 0, "a time is not in whole milliseconds of UTC")
            law(parse_time(format_time(moment), zone) == moment, "a time is not read as it was written")
            if can_be(moment):
                law(happened(tell(moment) or "", zone) == moment, "what can be is told as nothing")
                law(happened(ticks_of(moment), zone) == moment, "ticks are not read as they were written")


@target("text.ids", b"007", b"9223372036854775808", b"4.00012E+11", b"#N/A", b"../../etc/passwd", b"~new", b"%7E", b".")
def ids(data: bytes) -> None:
    """Each id has a file's name of its own, which is safe, and whose id can be told again up to 200 bytes."""
    text = data.decode("utf-8", "surrogateescape")
    if not text:
        return  # no id
    fault = fault_of(text)
    if fault is not None:
        see_line(fault)
    see_line(show(text))
    name = name_of(text)
    law("/" not in name and "\0" not in name and name.isascii() and not name.startswith("."), "a name is not safe")
    law(len(name) <= 255 and name not in {".json", "..json"}, "a name is too long, or none")
    back = id_of(name)
    law(back in (None, text), "a name is that of another id")
    quoted = 3 * len(text.encode(errors="surrogatepass"))
    law(back is not None or quoted > REVERSIBLE, "a short id cannot be told from its name")
    law(id_key(id_key(text)) == id_key(text), "an id's key has another key")
    if type(id_key(text)) is int:
        law(str(id_key(text)) == text, "two texts are one number")


@target("text.places", b"orders.json", b"caf\xe9.json", b"caf%E9.json", b"\xed\xa0\x80", b"a%25E9.json", b"A.CSV.GZ")
def places(data: bytes) -> None:
    """A file's place is valid UTF-8, and two names have two."""
    name = os.fsdecode(data)
    place = place_of(name)
    law(place.encode() != b"" or name == "", "a place is none")
    law(str(Locator(place)) == place, "a place is no locator")
    other = place_of(place)
    law(place == name or other != place, "two names have one place")
    Locator(name, name[:5]).whole  # noqa: B018 - it is to be made
    ending_of(name)


@target("text.cells", b"4000123", b"12,0", b"1.000", b'="000123"', b"'007", b"4.00012E+11", b"\xc2\xa0x", b"a\nb")
def cells(data: bytes) -> None:
    """A cell is a number, a text, nothing, or a reason that can be told."""
    text = data.decode("utf-8", "replace")
    for comma in (True, False):
        found = read_id(text, "$.id", decimal_comma=comma)
        law(found is None or isinstance(found, int | str) or not see_reasons([found]), "a cell is something else")
        law(found != "", "an id is empty")
    word = read_word(text)
    law(word is None or (word != "" and word == word.strip()), "a word has blanks around it")


@target("text.foreign", b"\xff\xfe{\0", b"PK\x03\x04", b"\x1f\x8b\x08", b"{\0\0\0", b"\0{\0}", b'{"id": 1}')
def beginnings(data: bytes) -> None:
    """What begins with bytes of another kind is told in a line; ASCII is never foreign."""
    what = foreign(data)
    if what is not None:
        see_line(what)
        law(not data.isascii() or b"\0" in data or data[:2] == b"PK", "a text is taken for something else")


@target("text.renderings", b"Pump\0PUMP", b"a &amp; b\0a & b", b"long text\0long", b"  x \0x")
def renderings(data: bytes) -> None:
    """What is only the client's rendering of a text is a text; the same is one."""
    one, _, other = data.decode("utf-8", "replace").partition("\0")
    for field in ("title", "status", "note"):
        is_rendering(field, one, other)
        is_rendering(field, other, one)


@target("table.codecs", bytes(range(64)), b"\0\x03\x05", b"\x0b\x06\x02\x06", b"\x0e\x03\x03\x2f", bytes(range(40, 90)))
def codecs(data: bytes) -> None:
    """What a codec reads it writes, or says why not, and reads as the same again; else ValueError, in a line."""
    given = Given(data)
    codec, zone, said = given.pick(CODECS), given.pick(ZONES), given.json()
    if said is None:
        return
    try:
        value = codec.read(said, zone)
    except ValueError as error:
        see_line(str(error))
        return
    if value is None or isinstance(codec, Anything):
        return
    if isinstance(value, str):
        value.encode()
    if isinstance(value, datetime):
        law(value.tzinfo is UTC, "a time is not in UTC")
    try:
        told = codec.write(value, zone)
    except ValueError as error:
        see_line(str(error))
        return
    if told is not None:
        again = codec.read(told, zone)
        same = id_key(again) == id_key(value) if isinstance(codec, Id) else again == value
        law(same, f"what {codec} writes is read as something else")


@target("table.paths", b"\x06\x02\0\x06", bytes(range(100, 140)), b"a.b\0$\0", b"\x07\x01\x02\x05a.b.c\x03")
def paths(data: bytes) -> None:
    """What is put at a path is found there; what is in the way is a reason; a path is shown in a line."""
    given = Given(data)
    path = tuple(given.pick(("a", "b", "a.b", "$", "")) for _ in range(1 + given.byte() % 3))
    found = given.json()
    if isinstance(found, dict):
        said = getter(path)(found)
        if said is None:
            missing(found, path)
    told: dict[str, object] = {}
    put(told, path, 7)
    law(getter(path)(told) == 7, "what is put is not found")
    see_line(json_path(path))
