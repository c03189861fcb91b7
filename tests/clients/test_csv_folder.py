"""CSV files: rows read alone with their lines, written so that they are read again, and what is wrong with them."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clients.connector import ClientSettings
from pipeline.clients.csv_folder import connect
from pipeline.dataflow.messages import Empty, Envelope
from pipeline.errors import Rejected, WrongSettings
from pipeline.orders.workorder import Record, Status, WorkOrder

HEAD = b"id,status,createdAt,updatedAt,title\r\n"


def client_of(folder, **options):
    options = {"inbound_dir": str(folder / "in"), "outbound_dir": str(folder / "out")} | options
    return connect(ClientSettings(name="erp", options=options))


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
                assert isinstance(item, Envelope)
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
        b"3,NEW,2026-10-01\r\n"
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
    assert "3 cells, but the head names 5 columns" in found["a.csv:5"]
    assert "not CSV" in found["a.csv:6"]
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
    assert await items(tmp_path, b"") == []
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
    ],
)
def test_wrong_options(tmp_path, options, why):
    with pytest.raises(WrongSettings, match=why):
        client_of(tmp_path, **options)


texts = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(title=texts, description=texts, number=st.integers(-(2**63), 2**63 - 1), status=st.sampled_from(Status))
def test_what_is_written_is_read_again(tmp_path_factory, title, description, number, status):
    client = client_of(tmp_path_factory.getbasetemp())
    moment = datetime(2026, 10, 1, 8, 30, 1, 123000, tzinfo=UTC)
    order = WorkOrder(
        number=number, status=status, created_at=moment, title=title, description=description, deleted=False
    )
    out = client.from_record(Record(order=order, external_id=number, layout="status_order"))
    assert client.to_record(client.validate(client.parse(out.body))).order == order


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
    assert plant.command("plan", CLIENTS_FILE="clients.toml") == "nothing to do\n"
