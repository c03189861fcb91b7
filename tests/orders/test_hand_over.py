"""What is known of the client's side, put together of what it showed and what it was handed."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.hand_over import overlay
from pipeline.orders.workorder import MERGED_FIELDS, Status, Values, fields_of, with_values

texts = st.sampled_from(["", "a", "b"])
fields = {
    "title": texts,
    "description": texts,
    "status": st.sampled_from(Status),
    "deleted": st.booleans(),
    "deleted_at": st.sampled_from([datetime(2026, 10, day, tzinfo=UTC) for day in (1, 2)]),
    "more": st.dictionaries(st.sampled_from(["asset", "hours", "values"]), texts),
}
values = st.fixed_dictionaries({}, optional=fields).map(lambda said: Values(**said))
changes = st.fixed_dictionaries(
    {},
    optional={field: st.none() | strategy for field, strategy in fields.items() if field != "more"}
    | dict.fromkeys(["asset", "hours", "values"], st.none() | texts),
)


@given(values, values)
def test_the_upper_values_hide_the_lower_where_they_say_something(under, over):
    both = overlay(under, over)
    for field in fields_of(under, over):
        assert both.get(field) == (under if over.get(field) is None else over).get(field)
    if over.deleted is None:
        assert both.deleted_at == under.deleted_at
    else:
        assert both.deleted_at == (over.deleted_at if over.deleted else None)


@given(values, changes)
def test_values_are_set_one_by_one_and_none_takes_one_away(before, change):
    after = with_values(before, change)
    for field in {*fields_of(before, after), *change} - {"deleted_at"}:
        assert after.get(field) == (change[field] if field in change else before.get(field))
    assert after.deleted_at == change.get("deleted_at", before.deleted_at)
    assert None not in after.more.values()
    assert not after.more.keys() & set(MERGED_FIELDS)
