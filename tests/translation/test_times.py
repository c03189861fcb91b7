"""Times, in and out."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.translation.times import format_time, parse_time

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(moments)
def test_what_is_written_is_read_back(moment):
    assert parse_time(format_time(moment), UTC) == moment


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_iso_8601_with_milliseconds(moment):
    assert format_time(moment) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        "2026-10-31 12:16:45Z",
        "2026-10-31T12:16Z",
        "2026-10-31T24:00:00Z",
        "2026-10-31T23:59:60Z",
        "2026-10-31T12:16:45+0300",
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
