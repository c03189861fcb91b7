"""What is found is kept by order: of several records the one that a run would take last counts, in whatever batches."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.compare import Alone, Gap, GapKind, Seen, compare
from pipeline.orders.merge import Current, Rule, decide
from pipeline.orders.workorder import Record, Status, WorkOrder
from pipeline.service.gaps import Gaps
from tests.orders.test_merge import TERMS

START = datetime(2026, 10, 1, tzinfo=UTC)


def gap(number, kind=GapKind.DIFFERS, **more):
    return Gap(kind=kind, client="erp", number=number, id=number, does="nothing", rule="why", **more)


def alone(number, *, waits=False, is_unsure=False):
    return Alone(number, number, (), waits, is_unsure, is_expected=True)


def record(number, version):
    """A record of its own title; ``version`` in minutes, None for one without a time."""
    updated = None if version is None else START + timedelta(minutes=version)
    order = WorkOrder(number=1, title=f"t{number}", status=Status.CREATED, deleted=False, updated_at=updated)
    return Record(order=order, external_id=1, layout="status_order")


def taken_first():
    first = decide(record("first", 2), "0", None, terms=TERMS, arrival=(0, "0", 1))
    return Current(order=first.order, sync=first.sync)


@given(
    st.lists(st.integers(0, 6) | st.none(), min_size=1, max_size=12),
    st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
def test_the_record_that_a_run_would_take_last_is_the_one_that_counts(versions, cuts):
    document = current = taken_first()
    last, seen = [], []
    for number, version in enumerate(versions, 1):
        one, came = record(number, version), (number, str(number), 1)
        decision = decide(one, str(number), current, terms=TERMS, arrival=came)
        if decision.rule not in (Rule.REPEAT, Rule.STALE):
            current = Current(order=decision.order, sync=decision.sync)
            last = [one.order.title]
        found = compare(one, str(number), document, is_synced=True, terms=TERMS, arrival=came)
        seen += [] if found is None else [found]
    with closing(Gaps()) as gaps:
        for cut in cuts:
            gaps.compared(seen[:cut])
            seen = seen[cut:]
        gaps.compared(seen)
        assert [one.theirs for one in gaps if one.field == "title"] == last


def test_one_that_was_taken_counts_less_whenever_it_comes():
    news, known = Seen(1, True, START, (gap(1, ours="a"),)), Seen(1, False, START, (gap(1, ours="b"),))
    for order in ([news, known], [known, news]):
        with closing(Gaps()) as gaps:
            gaps.saw([1])
            for one in order:
                gaps.compared([one])
            gaps.saw([1])
            assert [one.ours for one in gaps] == ["a"]


def test_they_are_counted_by_orders_and_told_in_the_order_of_numbers():
    with closing(Gaps()) as gaps:
        gaps.saw([5])
        gaps.compared(
            [Seen(10, True, None, (gap(10, field="title"), gap(10, field="status"))), Seen(9, True, None, ())]
        )
        documents = [(alone(2, waits=True), [gap(2, GapKind.ONLY_TRACOS)]), (alone(3, is_unsure=True), [])]
        gaps.looked_at(documents)
        gaps.looked_at(documents)
        assert [one.number for one in gaps] == [2, 10, 10]
        counts = {"unmarked": 0, "only_client": 0, "only_tracos": 1, "differs": 1, "waits": 1, "unsure": 1}
        assert gaps.counts() == counts
        assert gaps.shown([5, 9, 10, 11]).keys() == {"5", "9", "10"}
        assert len(gaps.shown([10])["10"]) == 2
