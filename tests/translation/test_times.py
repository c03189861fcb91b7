"""Times, in and out."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.translation.times import can_be, format_time, happened, parse_time, tell

ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kathmandu")
]

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(moments)
def test_what_is_written_is_read_back(moment):
    assert parse_time(format_time(moment), UTC) == moment


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_iso_8601_with_milliseconds(moment):
    assert format_time(moment) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@st.composite
def nearly_usual(draw):
    """What ERPs write, but for a few characters."""
    text = list(draw(st.sampled_from(["2026-10-31T12:16:45.123Z", "2026-10-31T12:16:45Z", "2026-10-31T24:00:00Z"])))
    for position in draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
        text[position] = draw(st.sampled_from([*"0123456789-:.,+WTZtz ", "", "00", "\u0662", "\ud800"]))
    return "".join(text) + draw(st.sampled_from(["", "", "Z", "1", "+01:00", "\n"]))


def read(text, zone):
    """What it is read as, or why not."""
    try:
        return parse_time(text, zone)
    except ValueError as error:
        return str(error)


@settings(max_examples=1000)
@given(nearly_usual())
def test_the_usual_form_is_read_as_all_forms_are(text):
    """With a blank in place of T none is of the usual form."""
    if text.count("T") == 1 and " " not in text:
        assert read(text, ZONES[2]) == read(text.replace("T", " "), ZONES[2])


@given(moments, st.integers(-23 * 60, 23 * 60))
def test_an_offset_names_the_same_instant(moment, minutes):
    text = moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert parse_time(text, ZoneInfo("Asia/Tokyo")) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-31T12:16:45.123Z", "2026-10-31T12:16:45.123Z"),
        ("2026-10-31T12:16:45Z", "2026-10-31T12:16:45.000Z"),
        ("2026-10-31t12:16:45z", "2026-10-31T12:16:45.000Z"),
        ("2026-10-31T12:16:45.1Z", "2026-10-31T12:16:45.100Z"),
        ("2026-10-31T12:16:45.999999999Z", "2026-10-31T12:16:45.999Z"),
        ("2026-10-31T12:16:45-03:00", "2026-10-31T15:16:45.000Z"),
        ("2026-10-31T12:16:45", "2026-10-31T15:16:45.000Z"),
        ("2026-10-31", "2026-10-31T03:00:00.000Z"),
        ("2026-10-31T12:16Z", "2026-10-31T12:16:00.000Z"),
        ("2026-10-31T12:16", "2026-10-31T15:16:00.000Z"),
        ("2026-10-31 12:16:45Z", "2026-10-31T12:16:45.000Z"),
        ("2026-10-31 12:16:45.5", "2026-10-31T15:16:45.500Z"),
        ("2026-10-31T12:16:45+0000", "2026-10-31T12:16:45.000Z"),
        ("2026-10-31T12:16:45.123-0330", "2026-10-31T15:46:45.123Z"),
        ("2026-10-31 12:16+0200", "2026-10-31T10:16:00.000Z"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00.000Z"),
    ],
)
def test_the_grammar(text, expected):
    assert format_time(parse_time(text, ZoneInfo("America/Sao_Paulo"))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-10-25T02:30:00", "2026-10-25T00:30:00.000Z"), ("2026-03-29T02:30:00", "2026-03-29T01:30:00.000Z")],
)
def test_hours_that_clocks_show_twice_or_never(text, expected):
    assert format_time(parse_time(text, ZoneInfo("Europe/Berlin"))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "20261031",
        "2026-W40-1",
        "2026-10-31  12:16:45Z",
        "2026-10-31 12:16:45 +0200",
        "2026-10-31T12Z",
        "2026-10-31T12:16:45+00",
        "2026-10-31T12:16:45,123Z",
        "2026-10-31T12:16:45Z[UTC]",
        "/Date(1793450205000)/",
        "31.10.2026",
        "2026-10-31T24:00:00Z",
        "2026-10-31T23:59:60Z",
        "2026-10-31T12:16:45+3",
        "2026-10-31T12:16:45+24:00",
        "2026-10-31T12:16:45+03:60",
        "2026-10-31T12:16:45.Z",
        "2026-02-30",
        "0000-01-01",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "\u0662026-10-31",
        "2026-10-31T12:16:45Z\n",
        "1793448000",
    ],
)
def test_what_is_no_date_is_refused_without_being_repeated(text):
    with pytest.raises(ValueError, match="expected RFC 3339") as caught:
        parse_time(text, UTC)
    assert not text or text not in str(caught.value)


NONE = [
    *("", " ", "NULL", "null", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00.000Z", "0000-00-00t00:00"),
    *("00.00.0000", "00/00/0000 00:00", "00000000", "0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+14:00", "1753-01-01T00:00:00", "1899-12-30", "1899-12-31T00:00:00Z", "1900-01-01"),
    *("1970-01-01", "1970-01-01T00:00:00Z", "1969-12-31T19:00:00-05:00", "1970-01-01T14:00:00+14:00"),
    *("1970-01-01T00:00", "2099-12-31", "2999-12-31T23:59:59Z", "9999-12-31", "9999-12-31T23:59:59.9999999"),
    *("9999-12-31T23:59:59-12:00", "9999-12-31 23:59:59"),
]


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("text", NONE)
def test_a_date_that_nobody_means_is_no_fact_in_any_zone(text, zone):
    assert happened(text, zone) is None


@pytest.mark.parametrize(
    "text", ["nil", "0", "00-00", "0000-00-00x", "0000-13-01", "9999-99-99", "0001-02-30", "12.00.0000", "000000000"]
)
def test_what_is_neither_a_date_nor_none_is_refused(text):
    with pytest.raises(ValueError, match="expected RFC 3339"):
        happened(text, UTC)


@given(moments, st.sampled_from(ZONES))
def test_what_is_told_is_what_is_read_in_every_zone(moment, zone):
    told = tell(moment)
    assert (told is not None) is can_be(moment)
    assert happened(told or "", zone) == (moment if can_be(moment) else None)
    if 1980 < moment.year < 9999:  # before, offsets have seconds
        assert happened(moment.astimezone(zone).isoformat(), UTC) == (moment if can_be(moment) else None)


def test_times_of_this_age_are_facts():
    for text in ("1970-01-02T12:00:00Z", "1999-12-31T23:59:59.999Z", "2026-10-31", "2098-12-31T00:00:00Z"):
        assert happened(text, UTC) is not None
    assert tell(None) is None
