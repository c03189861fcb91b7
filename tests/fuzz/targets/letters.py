"""Dead letters as files that somebody else has written, or damaged, and payloads that are pointed into."""

from datetime import UTC, datetime, timedelta

from pipeline.clients.records.naming import naming
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter
from pipeline.deadletters import DeadLetterOffice, Filters, Letter
from pipeline.deadletters.drawer import CLOSED, Drawer
from pipeline.deadletters.erasing import erase_letters
from pipeline.deadletters.letter import again, as_json, first, key_of_name, mend, name_of, read_letter
from pipeline.deadletters.office import see_mendable
from pipeline.deadletters.pointer import lines_around, locate, readable
from pipeline.errors import Reason, WrongUsage
from tests.fuzz.given import Given
from tests.fuzz.laws import law
from tests.fuzz.places import place
from tests.fuzz.registry import target

FLOW = "erp_json.inbound"
AT = datetime(2026, 10, 31, 12, tzinfo=UTC)


def _letter(raw: bytes, where: Locator, *reasons: Reason) -> Letter:
    dead = DeadLetter(flow=FLOW, stage="parse", locator=where, reasons=reasons, at=AT, raw=raw, stamp="1")
    return first(dead, "erp_json", None)


GOOD = _letter(b'{"id": 7}', Locator("a.json"), Reason("not JSON", offset=3))
NAME = name_of(Locator("a.json"), GOOD.raw)


@target(
    "letter.file",
    as_json(GOOD),
    as_json(_letter(b"\xff\xfe", Locator("caf%E9.json", "[3]"), Reason("no", "$.id"))),
    as_json(mend(GOOD, "{}", None), indent=0),
    as_json(GOOD).replace(b'"text"', b'"base64"'),
    as_json(GOOD).replace(b"12:00:00.000Z", b"12:00:00"),
    as_json(GOOD).replace(b'"attempts": 1', b'"attempts": ' + b"9" * 30),
    share=0.3,
)
def letter_file(data: bytes) -> None:
    """A letter that somebody has changed is read, listed, filtered, counted, shown and mended, or is passed over."""
    (place(FLOW) / NAME).write_bytes(data)
    letter = read_letter(place(FLOW) / NAME)
    office = DeadLetterOffice(place(FLOW).parent)
    old = timedelta(days=1)
    found = list(office.find())
    law(len(found) == (letter is not None), "a letter is listed, and cannot be read")
    list(office.find(Filters(older=old, newer=old, reason="x", flow="inbound")))
    office.stats()
    if letter is None:
        return
    letter.where.whole  # noqa: B018 - it is to be made
    law(isinstance(letter.payload, bytes) and isinstance(letter.raw, bytes), "a payload is none")
    marks = [locate(letter.payload, reason) for reason in letter.reasons]
    lines_around(letter.payload, [mark for mark in marks if mark])
    law(sorted([letter.last_seen, AT]) != [], "a time cannot be compared")
    f"{letter.first_seen:%Y-%m-%d} {letter.attempts:,}"
    try:
        see_mendable(found[0])
    except WrongUsage:
        return
    kept = mend(again(letter, GOOD), "{}", lambda payload: ("parse", ()))
    (place(FLOW) / NAME).write_bytes(as_json(kept))
    law(read_letter(place(FLOW) / NAME) == kept, "a letter is not kept as it is")


@target(
    "letter.kept",
    b"\x05a.json[3]" + b'{"id": 7}',
    b"\x02\xff\xfe\xff",
    b"\x00",
    bytes(range(40)),
    b"\x09../../a.b$",
    share=0.5,
)
def kept(data: bytes) -> None:
    """Any bytes from any place are kept in a letter of its own name, in its folder, and are read again as they were."""
    given = Given(data)
    where, raw = Locator(given.text(), given.text()), given.rest()
    letter = _letter(raw, where, Reason("it", quote=readable(raw)))
    name = name_of(where, raw)
    law("/" not in name and not name.startswith(".") and len(name.encode()) <= 255, "a name is not safe")
    law(key_of_name(name) is not None, "a name is that of no letter")
    (place(FLOW) / NAME).write_bytes(as_json(letter))
    back = read_letter(place(FLOW) / NAME)
    law(back is not None and back.raw == raw and back.where == where, "a letter is read as another")


@target("letter.erased", as_json(GOOD), as_json(GOOD, indent=0), b"{", b"\xff", b'{"id": 7', share=0.3)
def erased(data: bytes) -> None:
    """Whatever letters somebody has damaged, none of an erased order is left, and those of others are."""
    folder = place("erp_json.erased")
    archive, file = folder / "resolved.jsonl", folder / NAME
    other = as_json(_letter(b'{"id": 8}', Locator("b.json"), Reason("x")), indent=0)
    archive.write_bytes(as_json(GOOD, indent=0) + data.replace(b"\n", b" ") + b"\n" + other)
    (folder / CLOSED).write_bytes(data.replace(b"\n", b" ") + b"\n")
    file.write_bytes(data)
    drawer = Drawer(folder)
    drawer.look()
    mention = naming(["id"], [7])
    erase_letters(drawer, lambda letter: mention(letter.raw), mention)
    left = archive.read_bytes().splitlines(keepends=True)
    law(other in left and as_json(GOOD, indent=0) not in left, "a wrong letter is erased")
    law(read_letter(file) is None or b'{"id": 7}' not in file.read_bytes(), "an open letter is left")
    file.unlink(missing_ok=True)


@target(
    "letter.pointer",
    b'\x04$.a[1].b\0{"a": [1, {"b": 2}], "a": 3}',
    *(
        b"\x01$.id\0" + b'{"x": 1}',
        b"\x00\x05\0[1,\n2",
        b"\x03$.a['b.c']\0{}",
        b'\x02$.\xff\0{"\xff": "',
        b"\x02$.a\0[[[[",
    ),
)
def pointer(data: bytes) -> None:
    """A reason points at a line and a column of any payload, or at nothing; what is shown around it is short lines."""
    where, _, payload = data[1:].partition(b"\0")
    offset = data[0] * 3 if data[:1] and data[0] & 1 else None
    reason = Reason("x", where.decode("utf-8", "replace") or "$", offset)
    mark = locate(payload, reason)
    shown = lines_around(payload, [mark] if mark else [])
    law(mark is None or mark.line >= 1 <= mark.column, "a place is none")
    law(all(len(line.text) <= 170 for line in shown), "a line is too long to be shown")
    for line in shown:
        law(all(0 <= start < end for start, end in line.marks), "a stretch is none")


@target(
    "letter.closings",
    b'{"name":"a~0123456789ab~0123456789ab.json","how":"discarded","at":"2026-10-31T12:00:00Z","stamp":"1",'
    b'"lastSeen":"2026-10-31T12:00:00Z"}',
    *(b"\xff\xfe", b"[" * 3000, b"{}", b'{"name": 7}', b'{"x": "\xff"}'),
)
def closings(data: bytes) -> None:
    """Of closed letters with a damaged line, the others are still known."""
    line = closings_line(b"2" * 12)
    (place(FLOW) / CLOSED).write_bytes(b"\n".join((closings_line(b"1" * 12), data.replace(b"\n", b" "), line, b"")))
    drawer = Drawer(place(FLOW))
    drawer.look()
    law(len(drawer._closed) >= 2, "a damaged line costs others")
    (place(FLOW) / CLOSED).unlink()


def closings_line(key: bytes) -> bytes:
    """A good line."""
    times = b'"at":"2026-10-31T12:00:00Z","stamp":"1","lastSeen":"2026-10-31T12:00:00Z"}'
    return b'{"name":"a~%s~%s.json","how":"discarded",' % (key, key) + times
