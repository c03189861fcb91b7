"""Short ways to write down work orders."""

from datetime import UTC, datetime

from pipeline.dataflow.messages import Envelope
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import Record, Status, WorkOrder
from tests.places import place


def terms(*layouts, **more):
    """What is agreed with the client ``erp``, whose ``layouts`` can say everything."""
    return Terms(
        client="erp", projections=dict.fromkeys(layouts, lambda values: values), default_layout=layouts[0], **more
    )


TERMS = terms("plain")


def at(day, hour=8):
    """A moment in October 2026."""
    return datetime(2026, 10, day, hour, tzinfo=UTC)


def order(number, *, updated=None, layout="plain", **values):
    """A client's record of an order created on October 1."""
    values = {"title": "Pump", "status": Status.CREATED, "deleted": False} | values
    return Record(
        order=WorkOrder(number=number, created_at=at(1), updated_at=updated, **values),
        external_id=number,
        layout=layout,
    )


async def taken(sink, items):
    """What became of these items, by position."""
    result = await sink.write_batch(items)
    if result.stop is not None:
        raise result.stop
    return result.outcomes


def envelope(record, locator="a.json"):
    return Envelope(record, place(locator))
