"""What two sides that are compared differ in: an example for each rule, and laws over the stories of the merge."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.orders.compare import GapKind, absent, compare, look_at, untold
from pipeline.orders.merge import Current, Rule, decide
from pipeline.orders.terms import Authority
from pipeline.orders.workorder import Record, Status, fields_of, with_values
from tests.orders.test_merge import TERMS, at, edited, ours, sent, shown, taken
from tests.orders.test_merge_laws import authorities, edits, layouts, play, renderings, steps

NOW = 2_000_000_000 * 10**9
"""Later than all that is told of here, as a file has it."""


def gaps_of(record, current, *, is_synced=True, arrival=None, terms=TERMS, locator="a.json"):
    seen = compare(record, locator, current, is_synced=is_synced, terms=terms, arrival=arrival)
    return None if seen is None else [(gap.field, gap.ours, gap.theirs, gap.does) for gap in seen.gaps]


def unmarked(current, *, terms=TERMS, is_synced=True):
    return [(gap.field, gap.ours, gap.theirs) for gap in look_at(current, is_synced=is_synced, terms=terms).gaps]


class TestARecord:
    def test_without_a_document_it_is_only_the_clients(self):
        (gap,) = compare(shown(5), "a.json", None, is_synced=False, terms=TERMS).gaps
        assert (gap.kind, gap.number, gap.id, gap.field, gap.does) == (GapKind.ONLY_CLIENT, 10, 10, None, "take")

    def test_that_was_taken_shows_nothing(self):
        assert gaps_of(shown(5), taken(shown(5))) == []

    def test_that_is_newer_tells_what_the_merge_would_do_and_by_which_rule(self):
        before = edited(taken(shown(3)), 4, status=Status.ON_HOLD)
        seen = compare(shown(5, title="Theirs"), "b.json", before, is_synced=False, terms=TERMS)
        assert seen.is_news
        assert [(gap.field, gap.does, gap.rule) for gap in seen.gaps] == [
            ("title", "take", "only the client has edited it"),
            ("status", "send", "only TracOS has edited it"),
        ]
        both = edited(taken(shown(3)), 9, title="Ours")
        (gap,) = compare(shown(5, title="Theirs"), "b.json", both, is_synced=False, terms=TERMS).gaps
        assert (gap.does, gap.rule) == ("send", "the edit in TracOS is as new or newer")

    def test_that_is_older_than_what_was_taken_counts_only_where_it_is_what_is_shown_now(self):
        before = taken(shown(5), taken(shown(3, title="older")), "b.json")
        old = shown(3, title="older")
        assert gaps_of(old, before, arrival=(1, "a.json", 1)) is None
        assert gaps_of(old, before) == [("title", "Pump", "older", "nothing")]
        assert gaps_of(shown(4, title="stale"), before, locator="c.json") == [("title", "Pump", "stale", "nothing")]

    def test_an_edit_that_is_marked_is_sent_and_one_that_is_not_is_told_of_by_its_document(self):
        before = edited(taken(shown(5)), 6, title="Ours")
        assert gaps_of(shown(5), before, is_synced=False) == [("title", "Ours", "Pump", "send")]
        assert gaps_of(shown(5), before) == []
        assert unmarked(before) == [("title", "Ours", "Pump")]
        terms = replace(TERMS, authority={"title": Authority.CLIENT})
        assert gaps_of(shown(5), before, is_synced=False, terms=terms) == [("title", "Ours", "Pump", "take")]

    def test_what_was_handed_over_after_it_came_explains_it(self):
        before = sent(edited(taken(shown(5)), 6, title="Ours"))
        early, late = int(at(19).timestamp()) * 10**9, NOW
        assert gaps_of(shown(5), before, arrival=(early, "a.json", 1)) == []
        assert gaps_of(shown(5), before, arrival=(late, "a.json", 1)) == [("title", "Ours", "Pump", "nothing")]
        assert gaps_of(shown(5), before) == [("title", "Ours", "Pump", "nothing")]

    @pytest.mark.parametrize("theirs", ["ÖLPUMPE", "Ölp", " Ölpumpe ", "&Ouml;lpumpe"])
    def test_a_rendering_of_what_was_handed_over_is_equal(self, theirs):
        before = sent(edited(taken(shown(5)), 6, title="Ölpumpe"))
        assert gaps_of(shown(25, title=theirs), before) == []
        assert gaps_of(shown(25, title="Wasserpumpe"), before) == [("title", "Ölpumpe", "Wasserpumpe", "take")]

    def test_where_both_are_deleted_nothing_else_is_compared(self):
        gone = {"deleted": True, "deleted_at": at(4)}
        before = edited(taken(shown(5, **gone)), title="Ours")
        assert gaps_of(shown(5, **gone), before) == []
        assert unmarked(before) == []
        assert gaps_of(shown(6, title="Pump"), before) == [
            ("title", "Ours", "Pump", "send"),
            ("deleted", True, False, "take"),
        ]


class TestADocument:
    def test_that_nobody_has_synced_waits(self):
        alone = look_at(ours(), is_synced=False, terms=TERMS)
        assert (alone.waits, alone.gaps, alone.is_unsure, alone.is_expected, alone.key) == (True, (), False, False, 10)

    def test_that_others_have_marked_is_unsure_and_expected(self):
        alone = look_at(ours(), is_synced=True, terms=TERMS)
        assert (alone.waits, alone.gaps, alone.is_unsure, alone.is_expected) == (False, (), True, True)

    def test_of_an_order_that_the_client_numbers_itself_it_is_expected_once_it_is_linked(self):
        terms = replace(TERMS, ids="client")
        alone = look_at(ours(), is_synced=True, terms=terms)
        assert (alone.key, alone.is_expected) == (None, False)
        linked = taken(shown(5))
        linked = Current(order=replace(linked.order, number=7), sync=replace(linked.sync, id="10"))
        alone = look_at(linked, is_synced=True, terms=terms)
        assert (alone.number, alone.key, alone.is_expected) == (7, 10, True)

    def test_that_is_deleted_is_not_expected(self):
        gone = taken(shown(5, deleted=True, deleted_at=at(4)))
        assert not look_at(gone, is_synced=True, terms=TERMS).is_expected

    def test_whose_order_is_not_shown_is_only_ours(self):
        alone = look_at(taken(shown(5)), is_synced=True, terms=TERMS)
        gap = absent(alone, TERMS)
        assert (gap.kind, gap.number, gap.does) == (GapKind.ONLY_TRACOS, 10, "nothing")

    def test_says_more_than_the_client_holds(self):
        before = taken(shown(5))
        assert unmarked(edited(before, description="new")) == [("description", "new", None)]
        assert unmarked(edited(before, title=None)) == []
        assert unmarked(edited(before, title="x"), is_synced=False) == []

    def test_what_is_never_told_is_left_as_it_is(self):
        gaps = look_at(edited(taken(shown(5)), title="x"), is_synced=True, terms=TERMS).gaps
        (gap,) = untold(gaps)
        assert (gap.does, gap.rule) == ("nothing", "the client's direction leaves out outbound")
        seen = compare(shown(6, title="y"), "b.json", taken(shown(5)), is_synced=True, terms=TERMS)
        assert untold(seen.gaps) == seen.gaps


@settings(max_examples=400)
@given(layouts, steps, authorities, renderings)
def test_what_the_rules_have_marked_as_synced_is_never_an_unmarked_edit(layout, story, authority, rendering):
    for length in range(len(story) + 1) if len(story) < 6 else [len(story)]:
        world = play(layout, story[:length], authority, rendering)
        alone = look_at(world.tracos, is_synced=bool(world.is_synced), terms=world.terms)
        assert alone.gaps == ()
        assert alone.waits is not world.is_synced


@settings(max_examples=300)
@given(layouts, steps, edits)
def test_an_edit_that_nobody_marks_is_found_in_just_the_fields_that_the_client_would_be_told_of(layout, story, change):
    world = play(layout, story)
    world.outbound_runs()
    before = world.tracos
    assume(not before.order.deleted)
    order = with_values(before.order, {key: value for key, value in change.items() if key != "deleted_at"})
    told, known = world.layout.project(order.values), world.layout.project(before.order.values)
    differing = {field for field in fields_of(told, known) if told.get(field) not in (None, known.get(field))}
    found = look_at(Current(order=order, sync=before.sync), is_synced=True, terms=world.terms).gaps
    assert {gap.field for gap in found} <= differing
    assert {gap.field for gap in found} >= {
        field for field in differing if told.get(field) != before.sync.echoes.get(field) and not before.sync.sent
    }


@settings(max_examples=300)
@given(layouts, steps, authorities, renderings, st.booleans())
def test_what_a_run_takes_is_what_the_merge_then_changes(layout, story, authority, rendering, with_time):
    world = play(layout, story, authority, rendering)
    world.client_exports(with_time)
    locator, record = list(world.inbound.items())[-1]
    came = (int(locator.removesuffix(".json")), locator, 1)
    seen = compare(record, locator, world.tracos, is_synced=bool(world.is_synced), terms=world.terms, arrival=came)
    decision = decide(record, locator, world.tracos, terms=world.terms, arrival=came)
    assume(seen is not None and decision.rule not in (Rule.REPEAT, Rule.STALE))
    before = world.tracos.order
    changed = {field for field in fields_of(before, decision.order) if before.get(field) != decision.order.get(field)}
    assert {gap.field for gap in seen.gaps if gap.does == "take"} == changed
    if any(gap.does == "send" for gap in seen.gaps):
        assert decision.is_synced is False


@settings(max_examples=300)
@given(layouts, steps, authorities, renderings)
def test_once_everything_was_exchanged_nothing_differs(layout, story, authority, rendering):
    world = play(layout, story, authority, rendering)
    for _ in range(5):
        world.client_exports(True)
        world.inbound_runs()
        world.outbound_runs()
        world.client_takes(0)
    world.client_exports(True)
    world.inbound_runs()
    assume(world.is_synced)
    record = list(world.inbound.values())[-1]
    assert isinstance(record, Record)
    seen = compare(record, "now", world.tracos, is_synced=True, terms=world.terms)
    assert seen.gaps == ()
