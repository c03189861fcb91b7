"""CSV files: rows read alone with their lines, written so that they are read again, and what is wrong with them."""

import io
import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings
from pipeline.clients.csv_folder import connect
from pipeline.dataflow.messages import Empty, Unreadable
from pipeline.errors import Rejected, WrongSettings
from pipeline.orders.workorder import Record, Status, WorkOrder, id_key
from pipeline.transports.folder.csv_reader import rows

HEAD = b"id,status,createdAt,updatedAt,title\r\n"


def client_of(folder, zone="UTC", **options):
    options = {"inbound_dir": str(folder / "in"), "outbound_dir": str(folder / "out")} | options
    return connect(ClientSettings(name="erp", options=options, timezone=ZoneInfo(zone)))


async def items(folder, data, name="a.csv", **options):
    """What is read of one file: its locators and parsed records, or why not."""
    (folder / "in").mkdir(exist_ok=True)
    path = folder / "in" / name
    path.write_bytes(data)
    os.utime(path, (1_760_000_000, 1_760_000_000))
    client = client_of(folder, **options)
    found = []
    async with client.source() as source:
        async for group in source.read():
            for item in group:
                if isinstance(item, Empty):
                    continue
                if isinstance(item, Unreadable):
                    found.append((str(item.locator), "; ".join(map(str, item.reasons))))
                    continue
                try:
                    checked = client.validate(client.parse(item.payload))
                    found.append((str(item.locator), client.to_record(checked).order))
                except Rejected as error:
                    found.append((str(item.locator), "; ".join(map(str, error.reasons))))
    return found


async def test_rows_have_the_numbers_of_their_lines_and_a_bad_one_is_bad_alone(tmp_path):
    data = HEAD + (
        b'1,NEW,2026-10-01,,"two\nlines, ""quoted"""\r\n'
        b"2,ODD,2026-10-01,,x\r\n"
        b"3,NEW,2026-10-01,,x,y\r\n"
        b'4,NEW,2026-10-01,,"never closed\r\n'
        b"\r\n"
        b"5,NEW,2026-10-01,,\xff\r\n"
        b"6,DONE,2026-10-01,2026-10-02T08:00:00Z,last"
    )
    found = dict(await items(tmp_path, data))
    assert list(found) == ["a.csv:2", "a.csv:4", "a.csv:5", "a.csv:6", "a.csv:8", "a.csv:9"]
    assert found["a.csv:2"].title == 'two\nlines, "quoted"'
    assert found["a.csv:2"].number == 1
    assert "unknown status" in found["a.csv:4"]
    assert "6 cells, but the head names 5 columns" in found["a.csv:5"]
    assert found["a.csv:6"] == "not CSV: a quote is opened here and never closed"
    assert "not utf-8" in found["a.csv:8"]
    assert (found["a.csv:9"].status, found["a.csv:9"].title) == (Status.COMPLETED, "last")


async def test_every_form_can_be_set(tmp_path):
    data = "Auftrag;status;createdAt;title\r\n12,0;NEW;01.10.2026 08:30:00;Späne\r\n".encode("cp1252")
    options = {
        "delimiter": ";",
        "encoding": "cp1252",
        "date_format": "%d.%m.%Y %H:%M:%S",
        "decimal_comma": True,
        "columns": {"id": "Auftrag"},
    }
    ((locator, order),) = await items(tmp_path, data, **options)
    assert (locator, order.number, order.title) == ("a.csv:2", 12, "Späne")
    assert order.created_at == datetime(2026, 10, 1, 8, 30, tzinfo=UTC)
    client = client_of(tmp_path, **options)
    out = client.from_record(Record(order=order, external_id=12, layout="status_order"))
    head, row, end = out.body.decode("cp1252").split("\r\n")
    assert head == "Auftrag;status;createdAt;updatedAt;title;description;deletedAt"
    assert (row, end) == ("12;NEW;01.10.2026 08:30:00;;Späne;;", "")


async def test_a_byte_order_mark_an_empty_file_and_a_head_alone(tmp_path):
    ((_, order),) = await items(tmp_path, b"\xef\xbb\xbf" + HEAD + b"1,NEW,2026-10-01,,x\r\n")
    assert order.number == 1
    assert await items(tmp_path, b"") == [("a.csv", "empty: expected a head, and rows below it")]
    assert await items(tmp_path, HEAD) == []


@pytest.mark.parametrize(
    ("cell", "number"), [("12", 12), ("12.0", 12), ("012", "012"), ("12,0", "12,0"), ("1.5", "1.5"), ("A-1", "A-1")]
)
async def test_an_id_is_a_number_where_it_is_written_as_one(tmp_path, cell, number):
    row = f'"{cell}",NEW,2026-10-01,,x\r\n'.encode()
    ((_, order),) = await items(tmp_path, HEAD + row)
    assert order.number == number


def test_a_character_that_the_encoding_cannot_say_is_rejected(tmp_path):
    order = WorkOrder(number=1, status=Status.CREATED, created_at=datetime(2026, 10, 1, tzinfo=UTC), title="→")
    with pytest.raises(Rejected, match=r"cp1252 cannot say: '\\u2192'"):
        client_of(tmp_path, encoding="cp1252").from_record(Record(order=order, external_id=1, layout="status_order"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"encoding": "utf-16"}, "erp: encoding: expected one in which ASCII"),
        ({"encoding": "klingon"}, "erp: encoding: there is no such"),
        ({"delimiter": "::"}, "erp: delimiter: expected one"),
        ({"columns": {"ident": "x"}}, "erp: columns: no such key: ident"),
        ({"columns": {"title": "description"}}, "erp: columns: title and description have the same name"),
        ({"columns": {"title": "Text", "description": "Text "}}, "title and description have the same name"),
        ({"columns": {"id": " "}}, "erp: columns: id: a name is required"),
        ({"date_format": "%d.%m. %H:%M"}, "erp: date_format: what it writes is not read as the same"),
        ({"date_format": "%d.%m.%Y %I:%M"}, "erp: date_format"),
        ({"date_format": "%m.%Y"}, "erp: date_format"),
        ({"date_format": "%Q"}, "erp: date_format"),
        ({"encoding": "utf-7"}, "erp: encoding"),
        ({"encoding": "unicode_escape"}, "erp: encoding"),
        ({"encoding": "iso-2022-jp"}, "erp: encoding"),
        ({"encoding": "idna"}, "erp: encoding"),
        ({"encoding": "rot13"}, "erp: encoding"),
        ({"encoding": "a\0"}, "erp: encoding"),
        ({"encoding": ""}, "erp: encoding"),
        ({"delimiter": "\n"}, "erp: delimiter"),
        ({"delimiter": '"'}, "erp: delimiter"),
        ({"delimiter": ""}, "erp: delimiter"),
    ],
)
def test_wrong_options(tmp_path, options, why):
    with pytest.raises(WrongSettings, match=why):
        client_of(tmp_path, **options)


ZONES = [
    *("UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe"),
    *("Asia/Kathmandu", "America/St_Johns"),
]
FORMATS = ["", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S.%f", "%Y%m%d %H%M%S %z"]
UNITS = dict(zip(FORMATS, [0.001, 1, 86400, 60, 0.001, 1], strict=True))
texts = (
    st.none()
    | st.text(st.sampled_from("aZ é1\"'=,;\t|^\n\r\0\x0b\u2028"), min_size=1, max_size=20)
    | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
)
ids = st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=12) | st.from_regex(r"[0-9.,eE+-]{1,12}")
changes = [
    datetime(2026, 10, 25, 0, tzinfo=UTC),
    datetime(2026, 3, 29, 0, tzinfo=UTC),
    datetime(2026, 4, 4, 14, tzinfo=UTC),
]
moments = (
    st.datetimes(datetime(1972, 1, 2), datetime(2097, 12, 31), timezones=st.just(UTC))
    | st.builds(lambda day, ms: day + timedelta(milliseconds=ms), st.sampled_from(changes), st.integers(0, 7_200_000))
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))


def shown(client, raw):
    return client.to_record(client.validate(client.parse(raw)))


@given(
    title=texts,
    description=texts,
    number=ids,
    status=st.sampled_from(Status),
    created=moments,
    later=st.integers(0, 10**9),
    deleted=st.booleans(),
    zone=st.sampled_from(ZONES),
    date_format=st.sampled_from(FORMATS),
    delimiter=st.sampled_from(",;\t|^"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "shift_jis"]),
    decimal_comma=st.booleans(),
)
def test_what_is_written_is_read_again_as_the_same_or_told(
    tmp_path_factory, title, description, number, status, created, later, deleted, zone, date_format, **form
):
    """With every setting; an hour that comes twice, and what the encoding cannot say, is rejected and not guessed."""
    client = client_of(tmp_path_factory.getbasetemp(), zone=zone, date_format=date_format, **form)
    updated = created + timedelta(milliseconds=later)
    order = WorkOrder(
        number=number,
        status=status,
        created_at=created,
        updated_at=updated,
        title=title,
        description=description,
        deleted=deleted,
        deleted_at=updated if deleted else None,
    )
    try:
        out = client.from_record(Record(order=order, external_id=number, layout="status_order"))
    except Rejected as error:
        assert all(reason.message for reason in error.reasons)
        return
    record = shown(client, out.body)
    assert id_key(record.external_id) == id_key(number)
    assert record.order.values == replace(order.values, deleted_at=record.order.deleted_at)
    times = [(created, record.order.created_at), (updated, record.order.updated_at)]
    for ours, theirs in [*times, (updated, record.order.deleted_at)] if deleted else times:
        assert 0 <= (ours - theirs).total_seconds() < UNITS[date_format]
    (part,) = csv_rows_of(client, out.body)
    assert shown(client, part.raw).order == record.order


def csv_rows_of(client, data):
    return list(rows(io.BytesIO(data), client._form))


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("12.0", "another id"),
        (" 7", "another id"),
        ("'7", "another id"),
        ('="7"', "another id"),
        ("1E5", "another id"),
        ("1.001", "another id"),
        ("a\nb", "another id"),
        ("#N/A", "another id"),
        ("NULL", "another id"),
        ("012", None),
        (12, None),
        ("12", None),
        ("1" * 30, None),
        ("A;1", None),
    ],
)
def test_an_id_that_would_be_read_as_another_is_not_told(tmp_path, number, why):
    order = WorkOrder(number=number, status=Status.CREATED, created_at=datetime(2026, 10, 1, tzinfo=UTC))
    record = Record(order=order, external_id=number, layout="status_order")
    client = client_of(tmp_path)
    if why is None:
        assert id_key(shown(client, client.from_record(record).body).external_id) == id_key(number)
    else:
        with pytest.raises(Rejected, match=rf"\$\.id: would be read as {why}"):
            client.from_record(record)


def test_times_are_told_in_the_client_s_zone_and_an_hour_that_comes_twice_is_not(tmp_path):
    options = {"zone": "Europe/Berlin", "date_format": "%d.%m.%Y %H:%M:%S"}
    client = client_of(tmp_path, **options)

    def told(hour, minute):
        moment = datetime(2026, 10, 25, hour, minute, tzinfo=UTC)
        order = WorkOrder(number=1, status=Status.CREATED, created_at=moment)
        return client.from_record(Record(order=order, external_id=1, layout="status_order")).body

    assert b"25.10.2026 02:30:00" in told(0, 30)
    assert b"25.10.2026 03:30:00" in told(2, 30)
    with pytest.raises(Rejected, match=r"\$\.createdAt: cannot be told exactly, as in an hour that comes twice"):
        told(1, 30)
    client = client_of(tmp_path, **options | {"date_format": "%d.%m.%Y %H:%M:%S %z"})
    assert b"25.10.2026 02:30:00 +0100" in told(1, 30)


def test_utf_8_with_a_mark_is_written_for_spreadsheets(tmp_path):
    client = client_of(tmp_path, encoding="utf-8-sig")
    order = WorkOrder(number=1, status=Status.CREATED, created_at=datetime(2026, 10, 1, tzinfo=UTC), title="Müller")
    body = client.from_record(Record(order=order, external_id=1, layout="status_order")).body
    assert body.startswith(b"\xef\xbb\xbfid,")
    assert shown(client, body).order.title == "Müller"
    assert shown(client, body.removeprefix(b"\xef\xbb\xbf")).order.title == "Müller"


def test_the_whole_run_in_csv(plant):
    (plant.home / "clients.toml").write_text(
        '[clients.north]\nkind = "csv_folder"\ninbound_dir = "in"\noutbound_dir = "out"\ndelimiter = ";"\n'
    )
    (plant.home / "in").mkdir()
    path = plant.home / "in/orders.csv"
    path.write_bytes(b"id;status;createdAt;title\n1;NEW;2026-10-01;a\n2;ODD;2026-10-01;b\n")
    os.utime(path, (1_760_000_000, 1_760_000_000))
    plant.run(CLIENTS_FILE="clients.toml")
    assert plant.letters().keys() == {"orders.csv:3"}
    plant.orders.update_one({"number": 1}, {"$set": {"title": "edited", "isSynced": False}})
    plant.run(CLIENTS_FILE="clients.toml")
    assert (plant.home / "out/1.csv").read_text().splitlines()[1] == "1;NEW;{0};{0};edited;;".format(
        "2026-10-01T00:00:00.000Z"
    )
    code, out, err = plant.ask("plan", CLIENTS_FILE="clients.toml")
    assert (code, out, "nothing to do" in err) == (0, "", True)
