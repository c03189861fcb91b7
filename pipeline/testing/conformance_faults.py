"""The part of the conformance suite that is about answers that go wrong, and orders that are gone."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Rejected
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.model import Model
from pipeline.testing.telling import see_told
from pipeline.testing.translated import born_of, records_of, told_of


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "drop", "torn", "garbled", "duplicate", "reorder", "early", "late"]
)
def test_a_page_that_fails_loses_and_doubles_nothing(under_test: ClientUnderTest, tmp_path: Path, fault: str) -> None:
    with under_test.made(tmp_path / "calm") as (client, stand):
        stand.show(under_test.samples)
        calm = Model()
        asyncio.run(calm.pull(client))
    with under_test.made(tmp_path / "fault") as (client, stand):
        if not stand.can_fail:
            pytest.skip("its stand has no faults")
        stand.show(under_test.samples)
        stand.fail("none", fault)
        model = Model()
        asyncio.run(model.pull(client))
        assert (model.orders, model.dead.letters) == (calm.orders, [])
        again = asyncio.run(model.pull(client))
        assert set(again.outcomes) <= {Outcome.REPEAT}, "what came once is new again"


@pytest.mark.parametrize("fault", ["429", "500", "503", "drop", "torn", "lost"])
def test_a_push_that_fails_is_told_once(under_test: ClientUnderTest, tmp_path: Path, fault: str) -> None:
    seen = []
    for faults in ((), (fault,)):
        with under_test.made(tmp_path / f"push{len(faults)}") as (client, stand):
            if not stand.can_fail:
                pytest.skip("its stand has no faults")
            stand.fail(*faults)
            records = records_of(client, under_test)
            born = [(record, told) for record in records if (told := born_of(client, record)) is not None]
            see_told(client, stand, born)
            seen.append(stand.applied())
    assert seen[0] == seen[1], "what was told once is done twice"


def test_an_order_that_was_removed_there_is_not_said_to_be_sent(under_test: ClientUnderTest, tmp_path: Path) -> None:
    """Nor is it made anew: whoever removed it did so on purpose."""
    with under_test.made(tmp_path / "removed") as (client, stand):
        if not stand.can_fail:
            pytest.skip("nobody removes an order at its stand")
        stand.show(under_test.samples)
        for raw, record in zip(under_test.raw, records_of(client, under_test), strict=True):
            edit = replace(record, order=replace(record.order, title="edited"), known=record.order.values, edit=1)
            told, order_id = told_of(client, edit), client.identify(raw)
            if told is None or order_id is None:
                continue
            stand.remove(order_id)
            before = stand.told()
            (outcome,) = asyncio.run(Model.push(client, [told]))
            assert isinstance(outcome, Rejected | Deferred), "it says SENT of an order that was removed"
            assert stand.told() == before, "an order that was removed is there again"
