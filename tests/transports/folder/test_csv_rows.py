"""Rows of CSV: what a spreadsheet or an export has made of ids, words and dates, and what is wrong with a row."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import Reason, Rejected
from pipeline.translation.engine import layout_of
from pipeline.transports.folder.csv_head import CsvForm
from pipeline.transports.folder.csv_rows import read_row, write_row

HEAD = "id,status,createdAt,updatedAt,title,deletedAt\r\n"
GERMAN = CsvForm(delimiter=";", date_format="%d.%m.%Y %H:%M", decimal_comma=True)


def id_of(cell, form=CsvForm()):  # noqa: B008 - it is frozen
    quoted = cell.replace('"', '""')
    row = f'id;status;createdAt\r\n"{quoted}";NEW;2026-10-01'.replace(";", form.delimiter)
    return read_row(row.encode(), form)["id"]


def order_of(row, form=CsvForm(), head=HEAD, zone=UTC):  # noqa: B008 - it is frozen
    head = head.replace(",", form.delimiter)
    record = layout_of(form.table).validate(read_row((head + row).encode(), form), zone)
    return record.order


def why(row, form=CsvForm(), head=HEAD, zone=UTC):  # noqa: B008 - it is frozen
    with pytest.raises(Rejected) as caught:
        order_of(row, form, head, zone)
    return "; ".join(map(str, caught.value.reasons))


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12),
        ("12.0", 12),
        ("12.00", 12),
        ("-5", -5),
        ("012", "012"),
        ("1.5", "1.5"),
        ("12,0", "12,0"),
        ("A-1", "A-1"),
        (" 1001 ", 1001),
        ("\t1001\r\n", 1001),
        ('="000123"', "000123"),
        ('= "A""1"', 'A"1'),
        ('="1E5"', "1E5"),
        ('="1.001"', "1.001"),
        ("'000124", "000124"),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", "9223372036854775808"),
        ("9" * 5000, "9" * 5000),
        ("", None),
        ("  ", None),
        ('=""', None),
        ("'", None),
    ],
)
def test_an_id_is_what_the_export_meant(cell, number):
    assert id_of(cell) == number
    assert type(id_of(cell)) is type(number)


@pytest.mark.parametrize(
    ("cell", "number"), [("12,0", 12), ("12.0", "12.0"), ("12", 12), ("1001,00", 1001), ("1,5", "1,5")]
)
def test_with_a_decimal_comma(cell, number):
    assert id_of(cell, GERMAN) == number


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("4.00012E+11", "a spreadsheet has rounded it to 4.00012E+11"),
        ("4,00012E+11", "a spreadsheet has rounded it to 4,00012E+11"),
        ("1E+05", "rounded"),
        ("1e3", "rounded"),
        ("1.5e-7", "rounded"),
        ("1.001", "'1.001' may have marks of thousands"),
        ("1,001", "thousands"),
        ("400.012.000.123", "thousands"),
        ("1'001", "thousands"),
        ("12.000", "thousands"),
    ],
)
def test_an_id_whose_digits_are_lost_is_a_reason_that_shows_it(cell, says):
    for form in (CsvForm(), GERMAN):
        found = id_of(cell, form)
        assert isinstance(found, Reason)
        assert found.path == "$.id"
        assert says in found.message


@pytest.mark.parametrize("cell", ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "NULL", '="#N/A"'])
def test_an_error_or_no_value_is_no_id(cell):
    quoted = cell.replace('"', '""')
    assert why(f'"{quoted}",NEW,2026-10-01').startswith("$.id: not an id: ")


@pytest.mark.parametrize("cell", ["\xa01001", "1001\xa0", "\u200b1001", "10\x0001", "\ufeff1001", "\u3000"])
def test_an_id_with_what_cannot_be_seen_is_shown(cell):
    assert f"blanks around it: {cell!a}" in why(f'"{cell}",NEW,2026-10-01')


def test_all_that_is_wrong_with_a_row_is_told_at_once():
    row = "4.0E+11;LOST;soon;32.13.2026 08:00;x;"
    assert why(row, GERMAN) == (
        "$.id: not an id: a spreadsheet has rounded it to 4.0E+11: format the column as text, and export it again; "
        "$.status: unknown status; known: NEW, PENDING, IN_PROGRESS, ON_HOLD, DONE, CANCELLED; "
        "$.createdAt: not a date: expected %d.%m.%Y %H:%M; $.updatedAt: not a date: expected %d.%m.%Y %H:%M"
    )


def test_words_and_dates_are_read_without_what_is_around_them():
    order = order_of(' 1 ,\xa0NEW , 2026-10-01\u200b,="2026-10-02", a ,\'2026-10-03')
    assert (order.status, order.title, order.deleted) == ("created", " a ", True)
    assert (order.created_at.day, order.updated_at.day, order.deleted_at.day) == (1, 2, 3)


@pytest.mark.parametrize("none", ["00.00.0000", "00.00.0000 00:00", "NULL", "01.01.0001 00:00", "31.12.9999 23:59"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_a_date_in_the_client_s_form_that_nobody_means_is_none(none, zone):
    order = order_of(f"1;NEW;01.10.2026 08:00;{none};x;{none}", GERMAN, zone=ZoneInfo(zone))
    assert (order.updated_at, order.deleted) == (None, False)
    assert "stands for no date" in why(f"1;NEW;{none};;x;", GERMAN, zone=ZoneInfo(zone))


def test_a_date_with_an_offset_in_it_needs_no_zone():
    form = CsvForm(date_format="%d.%m.%Y %H:%M %z")
    order = order_of("1,NEW,01.10.2026 08:00 +0200,01.01.0001 00:00 +1400,x,", form, zone=ZoneInfo("Asia/Tokyo"))
    assert (order.created_at, order.updated_at) == (datetime(2026, 10, 1, 6, tzinfo=UTC), None)


def test_cells_that_are_missing_at_the_end_say_nothing_and_surplus_ones_must_be_empty():
    order = order_of("1,NEW,2026-10-01")
    assert (order.title, order.updated_at) == (None, None)
    assert order_of("1,NEW,2026-10-01,,a,,,  ,").title == "a"
    assert "7 cells, but the head names 6 columns" in why("1,NEW,2026-10-01,,a,,b")
    assert why("1,NEW") == "$.createdAt: required, but missing"


def test_what_is_under_no_head_must_be_empty():
    head = "id,status,,createdAt, ,Remarks\r\n"
    assert order_of("1,NEW,,2026-10-01,,anything", head=head).number == 1
    assert why("1,NEW,x,2026-10-01,,", head=head).startswith("something is in column 3, which has no name in the head")


def test_a_mark_of_utf_8_is_stronger_than_the_setting():
    cp1252 = CsvForm(encoding="cp1252")
    raw = (HEAD + "1,NEW,2026-10-01,,Müller,").encode()
    assert read_row(b"\xef\xbb\xbf" + raw, cp1252)["title"] == "Müller"
    assert read_row(raw, cp1252)["title"] == "MÃ¼ller"
    with pytest.raises(Rejected) as caught:
        read_row(b"\xef\xbb\xbf" + raw[:-2] + b"\xff", cp1252)
    (reason,) = caught.value.reasons
    assert (reason.message, reason.offset) == ("not utf-8", len(raw) + 1)


def test_a_quote_that_is_never_closed_is_pointed_at():
    for mark in (b"", b"\xef\xbb\xbf"):
        raw = mark + (HEAD + '"1",NEW,2026-10-01,,"say ""é"" and').encode()
        with pytest.raises(Rejected) as caught:
            read_row(raw, CsvForm())
        (reason,) = caught.value.reasons
        assert "a quote is opened here and never closed" in reason.message
        assert raw[reason.offset :].startswith(b'"say')


def test_a_quoted_cell_with_lines_that_look_like_rows_is_not_taken_for_a_text():
    swallowed = '1,NEW,2026-10-01,,"open\r\n2,DONE,2026-10-01,,b\r\n3,NEW,2026-10-01,,5"'
    assert "has lines that look like rows, which were not read" in why(swallowed)
    assert order_of('1,NEW,2026-10-01,,"NEW, and\r\n2,LOST,2026-10-01,,b\r\nmore"').title.count("\n") == 2
    data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01T00:00:00.000Z"}
    with pytest.raises(Rejected, match="look like rows"):
        write_row(data | {"title": "see\n2,DONE,2026-10-01"}, CsvForm())


def test_it_takes_a_head_and_one_row():
    for raw, found in ((HEAD, 1), (HEAD + "1,NEW\n2,NEW\n", 3), ("", 0)):
        with pytest.raises(Rejected, match=f"expected a head and one row, found {found} rows"):
            read_row(raw.encode(), CsvForm())


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('1,NEW,2026-10-01,,"a"b,', "not CSV: ',' expected after '\"'"),
        ("1,NEW\rx,b,c", "found 3 rows; a break in a cell needs quotes"),
    ],
)
def test_what_is_no_csv_is_told(row, says):
    assert says in why(row)
