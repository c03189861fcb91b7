"""The codecs, each alone: what is read, what is refused, what is told, and that what is told is read as the same."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.translation.codecs import Flag, Id, Number, Reference, Text, Time, Words
from pipeline.translation.times import TICKS

BERLIN = ZoneInfo("Europe/Berlin")
PRIORITY = Words({"1": "high", "2": "medium", "3": "low", "4": "low"}, {"low": "4"}, are_numbers=True)
YES = Flag("Y", "N")
COMMA = Number(decimal_comma=True)
GERMAN = Time("%d.%m.%Y %H:%M")


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("codec", "said", "value"),
    [
        (Text(), "Pump", "Pump"),
        (Text(), "", ""),
        (Text(), False, None),
        (Text(2), "Pump", "Pump"),
        (Id(), 7, 7),
        (Id(), "007", "007"),
        (Reference(), " 77 ", "77"),
        (Reference(), "", None),
        (Reference(), True, None),
        (Reference(), "a\u200bb", None),
        (Number(), 5, 5),
        (Number(), 5.0, 5),
        (Number(), -0.0, 0),
        (Number(), 2.5, 2.5),
        (Number(), "12.500", 12.5),
        (Number(), " 7 ", 7),
        (Number(), "1e5", 100_000),
        (Number(), "", None),
        (Number(), False, None),
        (COMMA, "12,5", 12.5),
        (COMMA, "12.5", 12.5),
        (COMMA, 3, 3),
        (Flag(), True, True),
        (Flag(), False, False),
        (YES, "Y", True),
        (YES, "N", False),
        (YES, " ", None),
        (Flag(1, 0), 1, True),
        (Time(), "2026-10-01", at(2026, 10, 1)),
        (Time(), "0001-01-01T00:00:00Z", None),
        (Time(), False, None),
        (Time(TICKS), "/Date(1793450205000+0120)/", at(2026, 10, 31, 12, 36, 45)),
        (Time(TICKS), "/Date(253402214400000)/", None),
        (GERMAN, " 01.10.2026 08:30 ", at(2026, 10, 1, 6, 30)),
        (GERMAN, "00.00.0000", None),
        (GERMAN, "01.01.1900 00:00", None),
        (GERMAN, "01.01.0001 00:00", None),
        (PRIORITY, 1, "high"),
        (PRIORITY, "1", "high"),
        (PRIORITY, 3, "low"),
        (PRIORITY, "", None),
    ],
)
def test_what_is_read(codec, said, value):
    found = codec.read(said, BERLIN if codec is GERMAN else UTC)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("codec", "said", "why"),
    [
        (Text(), 7, "not a text"),
        (Text(), True, "not a text"),
        (Text(), "\ud800", "not a text that UTF-8 can hold"),
        (Id(), 2**63, "not an id"),
        (Id(), True, "not an id"),
        (Id(), "", "not an id"),
        (Number(), True, "not a number"),
        (Number(), "12,5", "not a number"),
        (Number(), "1.234,5", "not a number"),
        (COMMA, "1.234,5", "not a number"),
        (Number(), "1e400", "not a number"),
        (Number(), "e5", "not a number"),
        (Number(), "²", "not a number"),
        (Number(), 2**63, "beyond the whole numbers of 64 bits"),
        (Number(), "9" * 19, "beyond"),
        (Number(), float("inf"), "not a number"),
        (Number(), [], "not a number"),
        (Flag(), "true", "not true or false"),
        (Flag(), 1, "not true or false"),
        (YES, True, "not Y or N"),
        (Flag(1, 0), True, "not 1 or 0"),
        (Time(), 5, "not a date: expected a text"),
        (Time(), "soon", "not a date"),
        (GERMAN, "2026-10-01", r"not a date: expected %d\.%m\.%Y %H:%M"),
        (PRIORITY, 9, "unknown word; known: 1, 2, 3, 4"),
        (PRIORITY, True, "unknown word"),
        (PRIORITY, 1.0, "unknown word"),
        (PRIORITY, [], "unknown word"),
    ],
)
def test_what_is_refused(codec, said, why):
    with pytest.raises(ValueError, match=why):
        codec.read(said, UTC)


@pytest.mark.parametrize(
    ("codec", "value", "said"),
    [
        (Id(as_text=True), 7, "7"),
        (Id(), 7, 7),
        (COMMA, 12.5, "12,5"),
        (COMMA, 12, "12"),
        (Number(), 12.0, 12),
        (YES, False, "N"),
        (Time(), at(2026, 10, 1), "2026-10-01T00:00:00.000Z"),
        (Time(), at(1900, 1, 1), None),
        (Time(TICKS), at(2026, 10, 31, 12, 36, 45), "/Date(1793450205000+0000)/"),
        (GERMAN, at(2026, 10, 1, 6, 30, 59), "01.10.2026 08:30"),
        (GERMAN, at(1900, 1, 1), None),
        (PRIORITY, "high", 1),
        (PRIORITY, "low", 4),
        (Words({"1": "high"}), "high", "1"),
    ],
)
def test_what_is_told(codec, value, said):
    assert codec.write(value, BERLIN) == said
    assert type(codec.write(value, BERLIN)) is type(said)


@pytest.mark.parametrize(
    ("codec", "value", "why"),
    [
        (Text(4), "Pumps", "more than the 4 characters"),
        (Text(), 4, "not a text"),
        (Number(), "4", "not a number"),
        (Number(), True, "not a number"),
        (Flag(), 1, "not true or false"),
        (Time(), "2026-10-01", "not a date"),
        (GERMAN, at(2026, 10, 25, 1, 30), "an hour that comes twice"),
        (PRIORITY, "urgent", "no word of the client's means it; known: high, medium, low"),
    ],
)
def test_what_cannot_be_told(codec, value, why):
    with pytest.raises(ValueError, match=why):
        codec.write(value, BERLIN)


moments = st.integers(0, 10**12).map(lambda ms: at(1980, 1, 1) + timedelta(milliseconds=ms))
LAWS = [
    (Text(), st.text(st.characters(codec="utf-8"))),
    (Number(), st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)),
    (COMMA, st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)),
    (Flag(), st.booleans()),
    (YES, st.booleans()),
    (Time(), moments),
    (Time(TICKS), moments),
    (Time("%d.%m.%Y %H:%M:%S.%f %z"), moments),
    (PRIORITY, st.sampled_from(["high", "medium", "low"])),
]


@given(st.data())
def test_what_is_told_is_read_as_the_same(data):
    codec, values = data.draw(st.sampled_from(LAWS))
    value = data.draw(values)
    assert codec.read(codec.write(value, BERLIN), BERLIN) == value


@given(moments, st.sampled_from(["%d.%m.%Y %H:%M", "%Y-%m-%d", "%m/%d/%Y %I:%M %p"]))
def test_a_time_loses_no_more_than_its_format_does_not_tell(moment, form):
    codec = Time(form)
    try:
        told = codec.write(moment, BERLIN)
    except ValueError:
        return
    lost = moment - codec.read(told, BERLIN)
    assert timedelta() <= lost < (timedelta(days=1) if "H" not in form and "I" not in form else timedelta(minutes=1))
