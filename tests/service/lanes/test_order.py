"""The order in which groups may be written: as they were read, where they share an order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.service.lanes.order import Order


def dealt(count):
    order = Order()
    for number in range(count):
        order.deal(number)
    return order


def test_groups_of_other_orders_go_side_by_side():
    order = dealt(3)
    assert order.announce(0, ["a"]) == [0]
    assert order.announce(1, ["b"]) == [1]
    assert order.announce(2, ["c"]) == [2]


def test_a_group_waits_until_all_before_it_have_said_what_they_are_about():
    order = dealt(3)
    assert order.announce(2, ["c"]) == []
    assert order.announce(1, ["b"]) == []
    assert order.announce(0, ["a"]) == [0, 1, 2]


def test_a_group_waits_for_the_one_that_it_shares_an_order_with():
    order = dealt(3)
    assert order.announce(0, ["a", "b"]) == [0]
    assert order.announce(1, ["b"]) == []
    assert order.announce(2, ["b", "c"]) == []
    assert order.done(0) == [1]
    assert order.done(1) == [2]


def test_a_group_that_is_done_without_a_word_holds_back_nobody():
    order = dealt(2)
    assert order.announce(1, ["a"]) == []
    assert order.done(0) == [1]


def test_a_group_that_is_begun_again_is_let_again():
    order = dealt(2)
    assert order.announce(0, ["a"]) == [0]
    order.deal(0)
    assert order.announce(1, ["a"]) == []
    assert order.announce(0, ["a"]) == [0]
    assert order.done(0) == [1]


@given(
    st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=1, max_size=8),
    st.integers(0, 2**32),
)
def test_whatever_happens_when_everything_is_written_and_nothing_before_its_turn(groups, seed):
    chance = random.Random(seed)
    order = dealt(len(groups))
    silent, writing, done = set(range(len(groups))), set(), set()

    def begun(let):
        for number in let:
            sharing = {other for other in range(number) if groups[other] & groups[number]}
            assert sharing <= done, "what it shares an order with, and was read before, is not done"
            writing.add(number)

    while len(done) < len(groups):
        steps = [("say", number) for number in sorted(silent)] + [("end", number) for number in sorted(writing)]
        assert steps, "nobody may go on"
        what, number = chance.choice(steps)
        if what == "say":
            silent.remove(number)
            begun(order.announce(number, groups[number]))
        elif chance.random() < 0.2:
            writing.remove(number)
            silent.add(number)
            order.deal(number)
        else:
            writing.remove(number)
            done.add(number)
            begun(order.done(number))
