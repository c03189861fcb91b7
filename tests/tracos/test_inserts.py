"""The short way of an order's only record comes to what the rules of the merge come to; no database is needed."""

from datetime import timedelta

import bson
from bson import ObjectId
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Rejected
from pipeline.orders.memory import received
from pipeline.orders.merge import decide
from pipeline.orders.workorder import Kind, Record, Status, WorkOrder
from pipeline.tracos.batch import BatchMerge
from pipeline.tracos.document import stored
from pipeline.tracos.found import Found
from pipeline.tracos.inserts import first_sync, new_document
from pipeline.tracos.witness import TracosWitness
from tests.tracos.orders import at, terms

FIELDS = {"asset": Kind.TEXT, "hours": Kind.NUMBER, "urgent": Kind.FLAG, "due": Kind.TIME}
NOW = at(9)
TOLD = "2026-10-09T08:00:00.000Z"

texts = st.text(max_size=8)
times = st.integers(-(10**10), 3 * 10**9).map(lambda ms: NOW + timedelta(milliseconds=ms))
maybe = st.none()
ids = st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=4) | st.sampled_from(["7", "007"])
more = st.fixed_dictionaries(
    {},
    optional={
        "asset": texts,
        "hours": st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
        "urgent": st.booleans(),
        "due": times,
    },
)
agreed = st.sampled_from([terms("plain", fields=FIELDS, ids=whose, number=number) for whose, number in
                          [("shared", "{id}"), ("client", "{id}"), ("client", "SAP-{id}")]])  # fmt: skip
arrivals = maybe | st.tuples(st.integers(0, 2**62), texts, st.integers(0, 10**6))
places = st.builds(Locator, st.text(min_size=1, max_size=8), st.sampled_from(["", ":12", "[3]"]))


@st.composite
def records(draw, titles=texts):
    number = draw(ids)
    order = WorkOrder(
        number=number,
        title=draw(maybe | titles),
        description=draw(maybe | texts),
        status=draw(maybe | st.sampled_from(Status)),
        deleted=draw(maybe | st.booleans()),
        deleted_at=draw(maybe | times),
        created_at=draw(maybe | times),
        updated_at=draw(maybe | times),
        more=draw(more),
    )
    return Record(order=order, external_id=number, layout="plain", reference=draw(maybe | ids))


def planned(items, terms):
    """What a batch of these comes to where none of their orders is there: the merge, its plans, and its witness."""
    witness = TracosWitness(None, terms)
    witness.attend()
    merge = BatchMerge(items, terms, "run", witness)
    plans, told = merge.plan({}, NOW)
    assert told == []
    return merge, plans, witness


def without_id(statement):
    return bson.encode({field: value for field, value in statement.items() if field != "_id"})


@settings(max_examples=400)
@given(records(), places, arrivals, agreed)
def test_the_document_is_the_one_that_the_decision_makes(record, place, arrival, terms):
    decision = decide(record, str(place), None, terms=terms, arrival=arrival)
    long = new_document(ObjectId(), decision.order, stored(decision.sync), TOLD if decision.is_synced else None)
    (plan,) = planned([Envelope(record, place, b"", arrival=arrival)], terms)[1]
    assert without_id(plan.operation.values) == without_id(long)
    assert first_sync(record, str(place), decision.digest, arrival, terms.client).keys() == long["sync"].keys()


@settings(max_examples=300)
@given(records(), places, arrivals, agreed)
def test_one_record_comes_to_what_it_comes_to_before_others_of_its_order(record, place, arrival, terms):
    """Two records of an order go the long way; the second says the same again, and so is a repeat."""
    item = Envelope(record, place, b"", arrival=arrival)
    merge, (plan,), witness = planned([item], terms)
    slow, (other,), vouching = planned([item, item], terms)
    assert without_id(plan.operation.values) == without_id(other.operation.values)
    assert (plan.deletes, plan.keeps_out) == (other.deletes, other.keeps_out) == (False, False)
    assert plan.outcomes[0] == other.outcomes[0] == Outcome.CREATED
    found = Found.of({"_id": 1})
    assert merge.settle(plan, found.raw) == slow.settle(other, found.raw) != []
    (proof,), (same,) = witness.take([place]), vouching.take([place])
    assert proof[:6] == same[:6]
    key, another = (one.operation.values["_id"].binary for one in (plan, other))
    assert proof.replace(key, b"") == same.replace(another, b"")


@given(records(titles=st.just("\ud800")), places, agreed)
def test_a_text_that_is_no_utf_8_is_refused_alike(record, place, terms):
    assume(record.order.title is not None)
    item = Envelope(record, place, b"")
    (alone,) = planned([item], terms)[0].results()
    first, second = planned([item, item], terms)[0].results()
    assert isinstance(alone, Rejected)
    assert alone.reasons == first.reasons == second.reasons


@given(arrivals, arrivals, st.none() | times, places)
def test_what_was_received_first_and_last_is_remembered(first, second, version, place):
    one = received(None, version, "a", str(place), first)
    two = received(one, version, "b", str(place), second)
    assert (one.arrival, one.latest) == (first, first)
    assert two.arrival == (second or first)
    assert two.latest == max([arrival for arrival in (first, second) if arrival], default=None)
