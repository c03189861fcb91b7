"""CSV files come apart into rows, each below its head, whatever a spreadsheet or a program has made of the file."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.transports.folder import csv_files, records
from pipeline.transports.folder.csv_head import CsvForm
from pipeline.transports.folder.csv_reader import rows
from pipeline.transports.folder.records import MAX_RECORD, Broken, Part
from tests.transports.folder.test_records import Blocks

HEAD = b"id,status,createdAt,title"
A, B, C = b"1,NEW,2026-10-01,a", b"2,DONE,2026-10-01,b", b"3,NEW,2026-10-01,c"
SEMICOLONS = CsvForm(delimiter=";")


def read(data, form=CsvForm()):  # noqa: B008 - it is frozen
    return list(rows(io.BytesIO(data), form))


def numbered(parts):
    """The rows without their heads, by number."""
    assert all(isinstance(part, Part) for part in parts), parts
    return {part.suffix: part.raw.partition(b"\r\n")[2].strip(b"\r\n") for part in parts}


def broken(data, form=CsvForm()):  # noqa: B008 - it is frozen
    """Why the file as a whole is not understood."""
    (item,) = read(data, form)
    assert isinstance(item, Broken), item
    assert item.suffix == ""
    assert item.raw == data
    return str(item.reason)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
@pytest.mark.parametrize("last", [b"", b"END"])
def test_lines_end_in_lf_crlf_or_cr(end, last):
    data = end.join([HEAD, A, b"", B]) + last.replace(b"END", end)
    assert numbered(read(data)) == {":2": A, ":4": B}


def test_a_quoted_break_is_no_end_of_a_line_whatever_ends_lines():
    for end in (b"\n", b"\r\n", b"\r"):
        row = b'1,NEW,2026-10-01,"a\rb\nc\r\nd"'
        assert list(numbered(read(end.join([HEAD, row, B]))).values()) == [row, B]


def test_a_stray_cr_never_cuts_a_cell_unseen():
    """In a file of LF a CR ends a whole row too; where what is before it is less than a row, all of it is one."""
    data = HEAD + b"\n" + A + b"\r" + B + b"\n" + b"3,NEW,2026-10-01\rPump,x\n" + C + b"\n"
    assert list(numbered(read(data)).values()) == [A, B, b"3,NEW,2026-10-01\rPump,x", C]


def test_padding_is_no_row():
    data = b";;;\r\n" + HEAD.replace(b",", b";") + b';;\r\n;;;;;\r\n1;NEW;2026-10-01;a;;\r\n ; ;"";;;\r\n;;;\r\n'
    assert numbered(read(data, SEMICOLONS)) == {":4": b"1;NEW;2026-10-01;a;;"}
    assert numbered(read(HEAD + b'\n1,NEW,2026-10-01,x\n"""",,,\n')) == {":2": b"1,NEW,2026-10-01,x", ":3": b'"""",,,'}


@pytest.mark.parametrize("line", [b"sep=;", b'"sep=;"', b"SEP=;", b"sep=;;;;", b"\xef\xbb\xbfsep=;"])
def test_the_line_that_names_the_delimiter_is_skipped(line):
    data = line + b"\r\n" + HEAD.replace(b",", b";") + b"\r\n1;NEW;2026-10-01;a\r\n"
    assert numbered(read(data, SEMICOLONS)) == {":3": b"1;NEW;2026-10-01;a"}
    assert broken(data) == "its first line says sep=;, but the delimiter is ',': see delimiter"


def test_tabs_can_be_named_too():
    data = b"sep=\t\r\nid\tstatus\tcreatedAt\r\n1\tNEW\t2026-10-01\r\n"
    assert numbered(read(data, CsvForm(delimiter="\t"))) == {":3": b"1\tNEW\t2026-10-01"}


def test_a_head_may_have_breaks_in_quotes():
    form = CsvForm(columns={"title": "Short\ntext"})
    for there in (b"\n", b"\r\n", b"\r", b" ", b"\n\n"):
        data = b'"id","status","createdAt","Short' + there + b'text"\r\n' + A + b"\r\n"
        (part,) = read(data, form)
        assert part.raw.count(b"\n") == 2
        assert part.raw.endswith(A + b"\r\n")


def test_a_head_alone_is_a_list_without_orders():
    for data in (HEAD, HEAD + b"\r\n", b"\xef\xbb\xbf" + HEAD + b"\n\n,,,\n", b"sep=,\n" + HEAD):
        assert read(data) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty: expected a head, and rows below it"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\r\n \n\r", "empty"),
        (b",,,\n,,,\n", "empty"),
        (b"sep=,\r\n", "empty"),
        (b"\0" * 4096, "not CSV: it begins with NUL bytes"),
        ((HEAD + b"\n" + A).decode().encode("utf-16"), "not CSV: this is UTF-16: save it as UTF-8"),
        ((HEAD + b"\n" + A).decode().encode("utf-16-be"), "this is UTF-16"),
        ((HEAD + b"\n" + A).decode().encode("utf-32-le"), "this is UTF-32"),
        (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "this is a workbook"),
        (A + b"\r\n", "the first line names no column that is known: expected id, status, createdAt"),
        (A + b"\r\n" + B + b"\r\n", "the first line names no column that is known"),
        (b"<html>\n<body>Sign in</body>\n</html>\n", "the first line names no column that is known"),
        (b"Work orders of October\n\n" + HEAD + b"\n" + A, "createdAt; line 3 does: remove what is above it"),
        (b"Work orders\nof October\n" + HEAD.replace(b",", b";"), "the first line names no column that is known"),
        (HEAD.replace(b",", b";") + b"\n" + A, "divided at its semicolons it names them: see delimiter"),
        (HEAD.replace(b",", b"\t"), "divided at its tabs it names them: see delimiter"),
        (b'"id"|"status"|"createdAt"\n', "divided at its bars it names them: see delimiter"),
        (b"id,status,Created,title\n" + A, "no column createdAt; there is Created: see columns"),
        (b"Order,Status,createdAt\n" + A, "no column id; there is Order: see columns"),
        (b"id,title\n1,a\n", "no column status, createdAt; there is no other: see columns"),
        (b"id,status,createdAt,title,title\n", "two columns for title: 'title' and 'title': leave one of them"),
        (b"id,ID,status,createdAt\n", "two columns for id: 'id' and 'ID': leave one of them"),
        (b'id,status,createdAt,"title\n' + A, "the head is not CSV: unexpected end of data"),
    ],
)
def test_a_file_without_a_head_that_is_understood_is_one_letter_with_its_bytes(data, why):
    assert why in broken(data)


def test_that_a_delimiter_is_wrong_is_told_in_the_names_that_are_set():
    form = CsvForm(columns={"id": "Order", "createdAt": "Created on"})
    assert broken(b"Order;status;Created on\n", form).endswith("semicolons it names them: see delimiter")
    assert broken(b"a,b\n", form).endswith("expected Order, status, Created on")


def test_a_letter_about_a_file_has_all_its_bytes_or_none():
    title = b"Orders\n" + (b"x" * 99 + b"\n") * 5000
    assert len(title) > records.BLOCK
    assert "names no column" in broken(title)
    assert "names no column" in broken(b"Orders\n" + (b"x" * 99_999 + b"\n") * 8)
    (item,) = read(title + b"x\n" * MAX_RECORD)
    assert item.raw == b""


@pytest.mark.parametrize(
    "names",
    [
        b"ID,Status,createdAt ,TITLE",
        "\xa0id,status\u200b, createdat ,title\u2060".encode(),
        b'"id","status","createdAt","title"',
        b" id , status,created\xc2\xadAt,title",
        b"\xef\xbb\xbf\xef\xbb\xbfid,status,createdAt,title",
        b"id,status,createdAt,title,,Remarks,Remarks, ",
    ],
)
def test_a_head_is_known_however_its_names_are_dressed(names):
    assert len(read(names + b"\r\n" + A + b"\r\n")) == 1


def test_a_mark_of_utf_8_stays_with_each_row():
    for part in read(b"\xef\xbb\xbf" + HEAD + b"\n" + A + b"\n" + B + b"\n", CsvForm(encoding="cp1252")):
        assert part.raw.startswith(b"\xef\xbb\xbf" + HEAD + b"\r\n")


class TestQuotes:
    def test_a_long_cell_is_one_row(self):
        row = b'1,NEW,2026-10-01,"' + b"\n".join(b"line %d" % number for number in range(5000)) + b'"'
        assert list(numbered(read(HEAD + b"\n" + row + b"\n" + B)).values()) == [row, B]
        wide = b'1,NEW,2026-10-01,"' + b"x" * 1_000_000 + b'"'
        assert list(numbered(read(HEAD + b"\n" + wide + b"\n" + B)).values()) == [wide, B]

    def test_one_that_is_never_closed_costs_its_own_row(self):
        data = b"\n".join([HEAD, A, b'9,NEW,2026-10-01,"open', B, C, b"4,ODD,x", b'5,NEW,2026-10-01,"closed"'])
        assert list(numbered(read(data)).values()) == [
            A,
            b'9,NEW,2026-10-01,"open',
            B,
            C,
            b"4,ODD,x",
            b'5,NEW,2026-10-01,"closed"',
        ]

    def test_of_a_file_that_breaks_off_in_a_long_cell_the_rest_is_one_letter(self):
        open_row = b'9,NEW,2026-10-01,"' + b"\n".join(b"line %d" % number for number in range(300))
        assert list(numbered(read(HEAD + b"\n" + A + b"\n" + open_row)).values()) == [A, open_row]

    def test_one_that_takes_more_than_a_letter_holds_is_told_without_bytes_and_rows_go_on_below(self):
        text = b"text that is no row\n" * (MAX_RECORD // 20 + 50_000)
        data = HEAD + b"\n" + A + b'\n9,NEW,2026-10-01,"' + text + B + b"\n" + C + b"\n"
        first, wide, *others = read(data)
        assert (first.suffix, wide.suffix, wide.raw) == (":2", ":3", b"")
        assert "more than 8 MB: split it, or close its quote" in str(wide.reason)
        assert list(numbered(others).values()) == [B, C]

    def test_a_line_that_is_too_long_is_one_letter(self):
        data = HEAD + b"\n1,NEW,2026-10-01," + b"x" * (MAX_RECORD * 2) + b"\n" + B + b"\n"
        wide, other = read(data)
        assert (wide.suffix, wide.raw) == (":2", b"")
        assert numbered([other]) == {":3": B}


cells = st.text(st.sampled_from('a1é ",\n\r'), max_size=6)


@given(
    st.lists(st.lists(cells, min_size=4, max_size=4), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(1, 9), max_size=9),
    st.booleans(),
)
def test_whatever_a_program_writes_as_csv_comes_apart_again(written, end, sizes, quoted):
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted or end != "\r\n" else csv.QUOTE_MINIMAL  # which quotes only what is in ``end``
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(["id", "status", "createdAt", "title"])
    writer.writerows(written)
    found = list(rows(Blocks(text.getvalue().encode(), [200, *sizes]), CsvForm()))
    shown = [list(csv.reader(io.StringIO(part.raw.decode(), newline="")))[1] for part in found]
    assert shown == [row for row in written if any(map(str.strip, row))]


@given(st.lists(st.sampled_from([HEAD, A, B, b'1,NEW,2026-10-01,"open', b'"', b"a", b",", b"\n", b"\r"]), max_size=14))
def test_no_row_is_lost_whatever_is_broken(pieces):
    """Every row that stands alone on its line is found, or is within the bytes of a letter."""
    data = HEAD + b"\n" + b"".join(pieces)
    found = read(data)
    told = b"".join(part.raw.partition(b"\r\n")[2] for part in found)
    for row in (A, B):
        assert told.count(row) == data.count(row)


def test_the_files_of_a_form():
    form = csv_files(CsvForm())
    assert form.endings == (".csv", ".csv.gz")
    assert len(list(form.records("a.csv", io.BytesIO(HEAD + b"\n" + A)))) == 1
