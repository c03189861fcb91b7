"""The default client: which layout a record is in, and what is no record at all."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clients.connector import ClientSettings
from pipeline.clients.erp_json import connect
from pipeline.errors import Rejected, WrongSettings
from pipeline.orders.workorder import Record, Status, WorkOrder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    return connect(
        ClientSettings(name="erp_json", options={"inbound_dir": folder / "in", "outbound_dir": folder / "out"})
    )


def rejection(function, argument):
    with pytest.raises(Rejected) as caught:
        function(argument)
    return caught.value.reasons


@pytest.mark.parametrize(
    ("raw", "message", "offset"),
    [
        (b"", "empty", None),
        (b" \n", "empty", None),
        (b'{"id": 1', "truncated", 8),
        (b'{"id": NaN}', "invalid character", 7),
        (b'{"id": 1} {"id": 2}', "trailing", 10),
        (b'{"id": "\xff\xfe"}', "not UTF-8", 8),
        (b'\xef\xbb\xbf{"id": 1', "truncated", 11),
        (b'\xef\xbb\xbf{"id": NaN}', "invalid character", 10),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"id": 1}', "invalid character", 3),
        ('{"id": 1}'.encode("utf-16"), "this is utf-16: save it as utf-8", 0),
        ('{"id": 1}'.encode("utf-16-be"), "this is utf-16", 0),
        ('{"id": 1, "title": "é"}'.encode("utf-32-le"), "this is utf-32", 0),
        (b"\0" * 4096, "nul bytes", 0),
        (b"[" * 100_000, "nested too deep", None),
        (b"[1]", "not a JSON object", None),
        (b"7", "not a JSON object", None),
        (b'"text"', "not a JSON object", None),
        (b'{"id": 1e999}', "number", None),
    ],
)
def test_what_is_no_json_object_is_told_with_its_position(client, raw, message, offset):
    (reason,) = rejection(client.parse, raw)
    assert message in reason.message.lower() or message in reason.message
    assert offset is None or abs(reason.offset - offset) <= 1


def test_a_byte_order_mark_is_ignored(client):
    assert client.parse(b'\xef\xbb\xbf{"id": 1}') == {"id": 1}
    assert client.identify(b'\xef\xbb\xbf{"id": 1}') == 1


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"items": [{"id": 1, "status": "NEW"}], "total": 1}, "$.items"),
        ({"d": {"results": [{"orderNo": 1, "isDone": True}]}}, "$.d.results"),
        (
            {"status": "ok", "data": {"page": {"orders": [{"id": 1, "status": "NEW", "title": "x"}]}}},
            "$.data.page.orders",
        ),
        ({"order": {"id": 1, "status": "NEW", "createdAt": "2026-10-01"}}, "$.order"),
    ],
)
def test_an_object_around_orders_is_told_as_one(client, data, where):
    (reason,) = rejection(client.validate, data)
    assert reason.message.endswith(f"around orders, which are in {where}: write those alone")


def test_an_order_with_objects_in_it_is_no_wrapper(client):
    lines = [{"id": 5, "title": "part"}]
    (reason,) = rejection(client.validate, {"status": "NEW", "createdAt": "2026-10-01", "title": "x", "lines": lines})
    assert str(reason) == "$.id: required, but missing"
    checked = client.validate(
        {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "lines": [{"id": 5, "status": "NEW"}]}
    )
    assert client.to_record(checked).external_id == 1


@pytest.mark.parametrize(
    ("data", "layout"),
    [
        ({"id": 1, "status": "NEW", "createdAt": "2026-10-01"}, "status_order"),
        ({"orderNo": 1, "isDone": True, "creationDate": "2026-10-01"}, "flag_order"),
        ({"id": 1, "status": "NEW", "createdAt": "2026-10-01", "isDone": True, "summary": "x"}, "status_order"),
    ],
)
def test_a_layout_is_recognised_by_its_keys(client, data, layout):
    assert client.to_record(client.validate(data)).layout == layout


def test_both_ids_or_no_known_key_is_no_layout(client):
    assert "id and orderNo" in str(rejection(client.validate, {"id": 1, "orderNo": 1})[0])
    assert "id or orderNo" in str(rejection(client.validate, {"foo": 1})[0])
    assert "id or orderNo" in str(rejection(client.validate, {})[0])


def test_a_missing_id_is_told_by_the_layout_that_most_keys_belong_to(client):
    assert [str(reason) for reason in rejection(client.validate, {"status": "NEW", "createdAt": "2026-10-01"})] == [
        "$.id: required, but missing"
    ]


def test_of_two_equal_keys_the_last_counts_as_json_decoders_have_it(client):
    assert client.parse(b'{"id": 1, "id": 2}') == {"id": 2}


@given(st.binary(max_size=40) | st.text().map(str.encode))
def test_an_id_is_read_where_there_is_one_and_nothing_is_ever_raised(client, raw):
    assert client.identify(raw) is None or isinstance(client.identify(raw), int | str)


def test_an_id_is_read_of_a_record_that_is_wrong_otherwise(client):
    assert client.identify(b'{"orderNo": "7", "isDone": 3}') == "7"
    assert client.identify(b'{"id": 7, "status": []}') == 7
    assert client.identify(b'{"id": true}') is None
    for bad in (b"", b"#N/A", b"1001 ", b"NULL"):
        assert client.identify(b'{"id": "%s"}' % bad) is None


def test_an_order_goes_out_in_its_layout_under_its_own_id(client):
    order = WorkOrder(number=10, status=Status.CREATED, created_at=datetime(2026, 10, 1, tzinfo=UTC))
    outgoing = client.from_record(Record(order=order, external_id="10", layout="flag_order"))
    assert outgoing.id == "10"
    assert b'"orderNo": "10"' in outgoing.body
    with pytest.raises(Rejected, match="no layout of the name"):
        client.from_record(Record(order=order, external_id=10, layout="another"))


def test_an_unknown_default_layout_is_a_wrong_setting(tmp_path):
    with pytest.raises(WrongSettings, match=r"layout: it has no such layout; known: status_order, flag_order"):
        connect(ClientSettings(name="erp_json", options={"inbound_dir": "i", "outbound_dir": "o"}, layout="x"))
