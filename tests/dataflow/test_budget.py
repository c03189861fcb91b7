"""The error budget: counted over batches, told in one line, raised before anything is put aside."""

import json

import pytest

from pipeline import BudgetExceeded, Rejected, Unreadable, dead_letters, deliver, parse, read, run, settle, within
from pipeline.dataflow.budget import Budget
from pipeline.errors import Reason
from pipeline.testing import ListSink, ListSource, MemoryDeadLetters


def numbers(raw):
    if raw == "bad":
        raise Rejected(Reason("no number", "$.n"))
    return json.loads(raw)


async def go(items, budget, group=4):
    source, sink, dead = ListSource(items, group=group), ListSink(), MemoryDeadLetters()
    chain = (
        read(source, flow="f") | parse(numbers) | deliver(sink) | within(budget) | dead_letters(dead) | settle(source)
    )
    try:
        await run(chain)
    finally:
        ends = (source.acked, source.dead, [str(letter.locator) for letter in dead.letters])
    return ends


async def test_without_a_limit_everything_may_fail():
    assert await go(["bad"] * 9, Budget()) == ([], list("012345678"), list("012345678"))


async def test_as_many_as_the_limit_pass_and_one_more_stops():
    items = ["1", "bad", "1", "bad"]
    assert (await go(items, Budget("2")))[1] == ["1", "3"]
    with pytest.raises(BudgetExceeded):
        await go([*items, "bad"], Budget("2"))
    with pytest.raises(BudgetExceeded):
        await go(["bad"], Budget("0"))


async def test_the_batch_in_hand_is_neither_acked_nor_put_aside():
    source, dead = ListSource(["1", "bad", "1", "bad", "1", "bad"], group=2), MemoryDeadLetters()
    chain = read(source, flow="f") | parse(numbers) | deliver(ListSink()) | within(Budget("1")) | dead_letters(dead)
    with pytest.raises(BudgetExceeded) as stopped:
        await run(chain | settle(source))
    assert [str(letter.locator) for letter in dead.letters] == ["1"]
    assert (source.acked, source.dead) == (["0"], ["1"])
    told = str(stopped.value)
    assert told.startswith("2 of 4 items read failed (2 at parse), more than MAX_DEAD_LETTERS=1 allows")
    assert "the first of it is 3: $.n: no number" in told


async def test_a_percentage_is_of_what_was_read_so_far():
    assert len((await go(["1", "1", "1", "bad"] * 3, Budget("25%")))[1]) == 3
    with pytest.raises(
        BudgetExceeded, match=r"1 of 4 items read failed \(1 at parse\), more than MAX_DEAD_LETTERS=24.9% "
    ):
        await go(["1", "1", "1", "bad"] * 3, Budget("24.9%"))


async def test_flows_share_a_budget_and_what_cannot_be_read_counts_too():
    budget = Budget("1")
    await go([Unreadable("x", (Reason("no permission"),))], budget)
    with pytest.raises(BudgetExceeded, match="2 of 2 items read failed"):
        await go(["bad"], budget)


@pytest.mark.parametrize("limit", ["", "x", "-1", "1.5", "101%", "%", "5 percent"])
def test_another_text_is_no_limit(limit):
    with pytest.raises(ValueError, match="expected"):
        Budget(limit)
