"""New orders as they are told to a client under test, and seen there afterwards."""

import asyncio
from collections.abc import Sequence
from typing import Final

from pipeline.clients.connector import Connector, Outgoing
from pipeline.dataflow.messages import Outcome
from pipeline.orders.renderings import is_rendering
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.testing.model import Model
from pipeline.testing.stands import Stand
from pipeline.testing.translated import shown_by

__all__ = ["assert_said", "see_told"]

BATCH: Final = 100


def see_told(client: Connector, stand: Stand, born: Sequence[tuple[Record, Outgoing]]) -> None:
    """Tell of orders born in TracOS: each is there, once, as it was meant, under the id that the sink says."""
    records: dict[ExternalId, Record] = {}
    for start in range(0, len(born), BATCH):
        batch = born[start : start + BATCH]
        result = asyncio.run(Model.tell(client, [told for _, told in batch]))
        assert set(result.outcomes) == {Outcome.SENT}, result.outcomes
        for position, (record, told) in enumerate(batch):
            known = told.number is None or position in result.called
            assert known, "it says SENT of a new order, and not under which id the client keeps it"
            records[id_key(record.external_id if told.number is None else result.called[position])] = record
    assert len(records) == len(born), "it says of two orders that they are one"
    assert len(stand.told()) == len(born), "it says SENT of what is not there, or made an order twice"
    shown = shown_by(client, stand, records)
    assert not records.keys() - shown.keys(), "it says SENT of what is not there"
    for key, meant in records.items():
        assert_said(client, meant, shown[key])
        if client.ids == "client" and client.layouts[meant.layout].has_reference:
            said = shown[key].reference
            assert said is not None, "a new order does not say our number"
            assert id_key(said) == id_key(meant.order.number), "a new order says another number than ours"


def assert_said(client: Connector, meant: Record, shown: Record) -> None:
    """What is shown says what was meant, however the system keeps texts, or nothing."""
    project = client.layouts[meant.layout].project
    before, after = project(meant.order.values), project(shown.order.values)
    for field in ("title", "description", "status", "deleted"):
        said, told = getattr(after, field), getattr(before, field)
        assert said == told or said is None or not (said or told) or is_rendering(field, told, said), field
    assert (after.title is None) is (before.title is None)
