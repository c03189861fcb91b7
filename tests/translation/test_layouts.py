"""The two layouts: tables, round trips, and all that can be wrong with a record."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Rejected
from pipeline.orders.workorder import Record, Status, WorkOrder
from pipeline.translation import flag_order, status_order
from pipeline.translation.ids import fault_of

ZONES = [UTC, *map(ZoneInfo, ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe", "Europe/Berlin"))]
STATUS, FLAG = status_order.LAYOUT, flag_order.LAYOUT
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)

moments = st.integers(0, 10**9).map(lambda milliseconds: BEGIN + timedelta(milliseconds=milliseconds))
texts = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.integers(-(2**63), 2**63 - 1) | texts.filter(lambda text: text and fault_of(text) is None)
orders = st.builds(
    WorkOrder,
    number=ids,
    title=st.none() | texts,
    description=st.none() | texts,
    status=st.sampled_from(Status),
    created_at=moments,
    updated_at=st.none() | moments,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def read(layout, data, zone=UTC):
    return layout.to_record(layout.validate(data, zone))


def there_and_back(layout, order):
    """What is read of what is written, which is the same in whatever zone the client may be."""
    body = layout.to_json(Record(order=order, external_id=order.number, layout=layout.name))
    assert body.endswith(b"}\n")
    data = msgspec.json.decode(body)
    back, *others = [read(layout, data, zone).order for zone in ZONES]
    assert all(other == back for other in others)
    return back


def reasons(layout, data):
    with pytest.raises(Rejected) as caught:
        layout.validate(data, UTC)
    return {reason.path: reason.message for reason in caught.value.reasons}


class TestTables:
    def test_status_words_are_total_and_exclusive_both_ways(self):
        words = status_order.TABLE.status
        assert set(words.word_of) == set(Status)
        assert {words.words[word]: word for word in words.words} == words.word_of
        assert len(words.words) == len(Status)

    def test_flags_are_total_and_reversible_but_for_created(self):
        flags = flag_order.TABLE.status
        assert set(flags.word_of) == set(Status)
        assert set(flags.word_of.values()) == set(flags.words)
        lossy = {s for s, flag in flags.word_of.items() if flags.words[flag] is not s}
        assert lossy == {Status.CREATED}

    def test_every_key_that_is_read_is_known(self):
        assert {"id", "status", "createdAt"} <= STATUS.keys
        assert {"orderNo", "creationDate", "isDeleted"} <= FLAG.keys
        assert not STATUS.keys & FLAG.keys


class TestStatusOrder:
    @given(orders)
    def test_a_live_order_comes_back_as_it_went(self, order):
        live = msgspec.structs.replace(order, deleted=False)
        assert there_and_back(STATUS, live) == live

    @given(orders, st.integers(0, 10**9))
    def test_a_deleted_order_comes_back_as_it_went(self, order, milliseconds):
        deleted_at = order.created_at + timedelta(milliseconds=milliseconds)
        gone = msgspec.structs.replace(order, deleted=True, deleted_at=deleted_at)
        assert there_and_back(STATUS, gone) == gone

    @pytest.mark.parametrize("deleted_at", [None, datetime(1, 1, 1, tzinfo=UTC), BEGIN - timedelta(days=2)])
    def test_a_deletion_without_a_time_that_can_be_carries_the_last_time_known(self, deleted_at):
        order = WorkOrder(number=1, status=Status.CREATED, created_at=BEGIN, deleted=True, deleted_at=deleted_at)
        assert there_and_back(STATUS, order).deleted_at == BEGIN
        later = msgspec.structs.replace(order, updated_at=BEGIN + timedelta(days=3))
        if deleted_at is None or deleted_at.year == 1:
            assert there_and_back(STATUS, later).deleted_at == later.updated_at

    def test_that_it_is_not_deleted_any_more_is_said(self):
        """A client that takes only what is named would keep the date."""
        order = WorkOrder(number=1, status=Status.CREATED, created_at=BEGIN, deleted=False)
        gone = msgspec.structs.replace(order.values, deleted=True, deleted_at=BEGIN)
        record = Record(order=order, external_id=1, layout="status_order", known=gone)
        data = msgspec.json.decode(STATUS.to_json(record))
        assert data["deletedAt"] is None
        assert read(STATUS, data).order.deleted is False
        assert b"deletedAt" not in STATUS.to_json(msgspec.structs.replace(record, known=order.values))

    def test_its_json(self):
        order = WorkOrder(number=7, status=Status.CREATED, created_at=BEGIN, title="Ü")
        body = STATUS.to_json(Record(order=order, external_id="7", layout="status_order"))
        assert body.decode() == (
            '{\n  "id": "7",\n  "title": "Ü",\n  "status": "NEW",\n  "createdAt": "2026-10-01T00:00:00.000Z"\n}\n'
        )

    def test_what_cannot_be_said_is_rejected_with_all_reasons(self):
        with pytest.raises(Rejected) as caught:
            STATUS.to_json(Record(order=WorkOrder(number=1), external_id=1, layout="status_order"))
        assert [reason.path for reason in caught.value.reasons] == ["$.status", "$.createdAt"]

    def test_all_reasons_of_a_record_are_told_with_their_paths(self):
        data = {"id": True, "status": "LOST", "createdAt": "soon", "updatedAt": 5, "title": 7, "description": "\ud800"}
        found = reasons(STATUS, data | {"deletedAt": []})
        assert set(found) == {f"$.{key}" for key in [*data, "deletedAt"]}
        assert found["$.status"] == "unknown status; known: NEW, PENDING, IN_PROGRESS, ON_HOLD, DONE, CANCELLED"

    def test_missing_and_null_are_told_apart_where_something_is_required(self):
        assert reasons(STATUS, {"id": None}) == {
            "$.id": "required, but null",
            "$.status": "required, but missing",
            "$.createdAt": "required, but missing",
        }

    def test_null_is_absent_where_nothing_is_required(self):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "title": None, "deletedAt": None, "x": [1]}
        order = read(STATUS, data).order
        assert (order.title, order.deleted, order.deleted_at) == (None, False, None)

    @pytest.mark.parametrize("deleted_at", ["0001-01-01T00:00:00Z", "9999-12-31T00:00:00", "1900-01-01", "", False])
    def test_a_deletion_that_cannot_be_is_none(self, deleted_at):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "deletedAt": deleted_at}
        for zone in (UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/Sao_Paulo")):
            order = read(STATUS, data, zone).order
            assert (order.deleted, order.deleted_at) == (False, None)

    @pytest.mark.parametrize("deleted_at", ["1980-01-01", "2000-01-01T00:00:00Z", "2026-09-29T23:00:00Z"])
    def test_a_deletion_before_the_creation_is_told(self, deleted_at):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z", "deletedAt": deleted_at}
        assert "before the order was created" in reasons(STATUS, data)["$.deletedAt"]
        same_day = data | {"deletedAt": "2026-10-01"}
        assert read(STATUS, same_day).order.deleted

    @pytest.mark.parametrize("updated_at", ["9999-12-31T23:59:59Z", "2999-01-01", "0001-01-01", "NULL", False])
    def test_an_update_that_cannot_be_is_no_version(self, updated_at):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "updatedAt": updated_at}
        assert read(STATUS, data).order.version is None

    @pytest.mark.parametrize("created_at", ["", "0001-01-01", "9999-12-31T00:00:00", "1970-01-01", "NULL", False])
    def test_a_creation_that_cannot_be_is_told(self, created_at):
        message = reasons(STATUS, {"id": 1, "status": "NEW", "createdAt": created_at})["$.createdAt"]
        assert message.startswith("required, but what is there stands for no date")

    def test_false_where_a_text_is_optional_says_nothing(self):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "title": False, "description": False}
        order = read(STATUS, data).order
        assert (order.title, order.description) == (None, None)
        assert set(reasons(STATUS, data | {"title": True})) == {"$.title"}

    def test_dates_that_cannot_be_are_not_told(self):
        order = WorkOrder(
            number=1, status=Status.CREATED, created_at=BEGIN, updated_at=datetime.max.replace(tzinfo=UTC)
        )
        assert there_and_back(STATUS, order).updated_at is None
        born = msgspec.structs.replace(order, created_at=datetime(1900, 1, 1, tzinfo=UTC))
        for layout in (STATUS, FLAG):
            with pytest.raises(Rejected, match="before 1970 or after 2098, which would be read as no date"):
                layout.to_json(Record(order=born, external_id=1, layout=layout.name))

    def test_zoneless_times_are_in_the_client_s_zone(self):
        data = {"id": 1, "status": "NEW", "createdAt": "2026-10-01T00:00:00"}
        assert read(STATUS, data, ZoneInfo("America/Sao_Paulo")).order.created_at == BEGIN + timedelta(hours=3)


class TestFlagOrder:
    @given(orders)
    def test_a_live_order_comes_back_as_far_as_the_layout_can_say_it(self, order):
        live = msgspec.structs.replace(order, deleted=False)
        back = there_and_back(FLAG, live)
        assert back.values == FLAG.project(live.values)
        assert (back.created_at, back.updated_at) == (live.created_at, live.updated_at)

    @given(orders, st.none() | moments)
    def test_a_deleted_order_has_exactly_one_flag_and_says_nothing_of_its_status(self, order, deleted_at):
        gone = msgspec.structs.replace(order, deleted=True, deleted_at=deleted_at)
        data = msgspec.json.decode(FLAG.to_json(Record(order=gone, external_id=1, layout="flag_order")))
        assert [key for key, value in data.items() if value is True] == ["isDeleted"]
        back = read(FLAG, data).order
        assert (back.status, back.deleted, back.deleted_at) == (None, True, deleted_at or order.updated_at)

    @pytest.mark.parametrize(("flag", "status"), flag_order.TABLE.status.words.items())
    def test_the_flags(self, flag, status):
        data = {"orderNo": 1, "creationDate": "2026-10-01", flag: True, "isDeleted": None, "isSynced": "ignored"}
        assert read(FLAG, data).order.status is status

    def test_two_flags_or_none_are_told(self):
        data = {"orderNo": 1, "creationDate": "2026-10-01"}
        assert reasons(FLAG, data)["$"].startswith("no flag is true: exactly one of isActive, ")
        assert reasons(FLAG, data | {"isDone": True, "isDeleted": True})["$"].startswith(
            "isDeleted and isDone are true"
        )

    def test_all_reasons_of_a_record_are_told_with_their_paths(self):
        data = {"orderNo": 1.5, "isDone": "yes", "summary": {}, "creationDate": None, "lastUpdateDate": "x"}
        assert set(reasons(FLAG, data)) == {"$", *(f"$.{key}" for key in data)}

    def test_a_deletion_date_that_cannot_be_is_that_of_the_last_update(self):
        data = {"orderNo": 1, "creationDate": "2026-10-01", "isDeleted": True, "deletedDate": "0001-01-01T00:00:00"}
        order = read(FLAG, data, ZoneInfo("Asia/Tokyo")).order
        assert (order.deleted, order.deleted_at) == (True, None)
        order = read(FLAG, data | {"lastUpdateDate": "2026-10-02"}).order
        assert order.deleted_at == BEGIN + timedelta(days=1)

    def test_a_deletion_date_of_a_live_order_says_nothing(self):
        data = {"orderNo": 1, "creationDate": "2026-10-01", "isDone": True, "deletedDate": "2026-10-02"}
        order = read(FLAG, data).order
        assert (order.deleted, order.deleted_at) == (False, None)


@given(
    st.sampled_from([STATUS, FLAG]),
    st.dictionaries(st.sampled_from(sorted(STATUS.keys | FLAG.keys)), json_values),
)
def test_whatever_a_record_holds_it_is_read_or_rejected(layout, data):
    try:
        record = read(layout, data)
    except Rejected as error:
        assert error.reasons
    else:
        assert record.order.created_at is not None


@pytest.mark.parametrize("bad", [2**63, -(2**63) - 1, 10**40, "", True, 1.0, [], {}, "\udfff"])
def test_bad_ids(bad):
    assert "$.id" in reasons(STATUS, {"id": bad, "status": "NEW", "createdAt": "2026-10-01"})


@pytest.mark.parametrize("bad", ["1001 ", "\xa01001", "\u200b1001", "1001\n", " ", "\0", "10\u00ad01", "\u3164"])
def test_an_id_with_what_cannot_be_seen_is_refused_and_shown(bad):
    found = reasons(STATUS, {"id": bad, "status": "LOST", "createdAt": "2026-10-01"})
    assert found["$.id"].endswith(f"invisible characters, or blanks around it: {bad!a}")
    assert "$.status" in found
