"""Who has the say in a field: a truth table, inbound and outbound."""

import pytest
from msgspec.structs import replace

from pipeline.orders.merge import Current, decide, yielding
from pipeline.orders.terms import Authority
from pipeline.orders.workorder import Record, Status, with_values
from pipeline.translation import status_order
from pipeline.translation.engine import layout_of
from pipeline.translation.table import At
from tests.orders import test_merge
from tests.orders.test_merge import at, sent, shown, taken

LAYOUT = layout_of(replace(status_order.TABLE, more={"priority": At(("priority",))}))
TERMS = replace(test_merge.TERMS, projections={**test_merge.TERMS.projections, LAYOUT.name: LAYOUT.project})

NEWEST, CLIENT, TRACOS = Authority

VALUES = {
    "title": ("was", "theirs", "ours"),
    "status": (Status.CREATED, Status.PENDING, Status.ON_HOLD),
    "priority": ("low", "high", "medium"),
}

# who edited: is the client's record newer: by whose say -> whose value stays, whose is logged as given way
TABLE = [
    ("client", True, NEWEST, "theirs", None),
    ("client", True, CLIENT, "theirs", None),
    ("client", True, TRACOS, "was", "client"),
    ("tracos", True, NEWEST, "ours", None),
    ("tracos", True, CLIENT, "theirs", "tracos"),
    ("tracos", True, TRACOS, "ours", None),
    ("both", True, NEWEST, "theirs", "tracos"),
    ("both", True, CLIENT, "theirs", "tracos"),
    ("both", True, TRACOS, "ours", "client"),
    ("both", False, NEWEST, "ours", "client"),
    ("both", False, CLIENT, "theirs", "tracos"),
    ("both", False, TRACOS, "ours", "client"),
]


def record(day, field, value):
    made = shown(day)
    return replace(made, order=with_values(made.order, {field: value}))


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize(("edited", "newer", "say", "stays", "gave_way"), TABLE)
def test_whose_value_stays_and_whose_is_logged(field, edited, newer, say, stays, gave_way):
    was, theirs, ours = VALUES[field]
    terms = replace(TERMS, authority={field: say})
    before = taken(record(3, field, was))
    if edited in ("tracos", "both"):
        order = replace(with_values(before.order, {field: ours}), updated_at=at(10))
        before = Current(order=order, sync=before.sync)
    value = theirs if edited in ("client", "both") else was
    decision = decide(record(12 if newer else 5, field, value), "b.json", before, terms=terms)
    expected = {"was": was, "theirs": value, "ours": ours}[stays]
    assert decision.order.get(field) == expected
    lost = [(entry.field, entry.side) for entry in decision.lost]
    assert lost == ([(field, gave_way)] if gave_way else [])
    if gave_way and say is not NEWEST:
        assert "has the say" in decision.lost[0].because
    assert decision.is_synced is (expected == value)


@pytest.mark.parametrize("say", Authority)
def test_without_a_base_who_has_the_say_wins_whatever_is_newer(say):
    terms = replace(TERMS, authority={"title": say})
    for day in (5, 12):
        order = replace(shown(9, title="ours").order, updated_at=at(9))
        decision = decide(shown(day, title="theirs"), "a.json", Current(order=order), terms=terms)
        wins = {NEWEST: day > 9, CLIENT: True, TRACOS: False}[say]
        assert decision.order.title == ("theirs" if wins else "ours")


@pytest.mark.parametrize("say", Authority)
def test_a_value_that_only_one_side_has_is_taken_whoever_has_the_say(say):
    terms = replace(TERMS, authority={"description": say})
    decision = decide(shown(5, description="theirs"), "b.json", taken(shown(3)), terms=terms)
    assert decision.order.description == "theirs"
    assert decision.lost == ()


def test_where_the_client_shows_only_its_rendering_of_ours_our_own_older_word_comes_back():
    terms = replace(TERMS, authority={"title": CLIENT})
    before = sent(taken(shown(3)))
    before = sent(Current(order=with_values(before.order, {"title": "Pump & valve"}), sync=before.sync))
    edited = Current(order=with_values(before.order, {"title": "Later"}), sync=before.sync)
    record = shown(12, title="PUMP &amp; VALVE")
    decision = decide(record, "b.json", edited, terms=terms)
    assert decision.order.title == "Pump & valve"
    assert [(lost.value, lost.kept) for lost in decision.lost] == [("Later", "Pump & valve")]
    known = decide(record, "b.json", before, terms=terms)
    later = Current(order=with_values(known.order, {"title": "Later"}), sync=known.sync)
    assert yielding(later, terms)[0].title == "Pump & valve"


@pytest.mark.parametrize("say", Authority)
def test_the_clients_first_rendering_of_ours_makes_nothing_give_way(say):
    terms = replace(TERMS, authority={"title": say})
    born = sent(Current(order=shown(3, title="Pump & valve").order))
    decision = decide(shown(12, title="PUMP &amp; VALVE"), "b.json", born, terms=terms)
    assert (decision.order.title, decision.lost, decision.is_synced) == ("Pump & valve", (), True)


class TestOutbound:
    def edited(self, current, **values):
        return Current(order=with_values(current.order, values), sync=current.sync)

    def test_what_the_client_has_the_say_in_is_told_as_it_holds_it_and_logged(self):
        terms = replace(TERMS, authority={"title": CLIENT})
        order, lost = yielding(self.edited(taken(shown(3)), title="ours", description="new"), terms)
        assert (order.title, order.description) == ("Pump", "new")
        assert [(entry.field, entry.value, entry.kept, entry.side) for entry in lost] == [
            ("title", "ours", "Pump", "tracos")
        ]
        assert "the client has the say" in lost[0].because

    def test_it_holds_what_it_was_last_handed(self):
        terms = replace(TERMS, authority={"title": CLIENT})
        born = Current(order=shown(3, title="born").order)
        told = Current(order=born.order, sync=sent(born).sync)
        order, _ = yielding(self.edited(told, title="later"), terms)
        assert order.title == "born"

    @pytest.mark.parametrize("say", [NEWEST, TRACOS])
    def test_else_it_is_told_what_tracos_says(self, say):
        current = self.edited(taken(shown(3)), title="ours")
        order, lost = yielding(current, replace(TERMS, authority={"title": say}))
        assert (order.title, lost) == ("ours", ())

    def test_an_order_that_it_never_had_is_told_whole(self):
        terms = replace(TERMS, authority={"title": CLIENT})
        assert yielding(Current(order=shown(3, title="ours").order), terms)[0].title == "ours"

    def test_a_word_that_means_the_same_to_it_is_no_edit(self):
        terms = replace(TERMS, authority={"status": CLIENT})
        current = taken(shown(3, layout="flag_order", status=Status.PENDING))
        order, lost = yielding(self.edited(current, status=Status.CREATED), terms)
        assert (order.status, lost) == (Status.CREATED, ())

    def test_a_deletion_comes_and_goes_with_its_time(self):
        terms = replace(TERMS, authority={"deleted": CLIENT})
        live = self.edited(taken(shown(3)), deleted=True, deleted_at=at(9))
        assert (yielding(live, terms)[0].deleted, yielding(live, terms)[0].deleted_at) == (False, None)
        dead = self.edited(taken(shown(3, deleted=True, deleted_at=at(3))), deleted=False, deleted_at=None)
        assert (yielding(dead, terms)[0].deleted, yielding(dead, terms)[0].deleted_at) == (True, at(3))


def test_more_fields_are_handed_over_and_confirmed_like_the_four():
    before = taken(record(3, "priority", "low"))
    order = with_values(before.order, {"priority": "high"})
    told = sent(Current(order=order, sync=before.sync))
    decision = decide(record(12, "priority", "high"), "b.json", told, terms=TERMS)
    assert (decision.is_synced, decision.sync.sent, decision.sync.base.more) == (True, (), {"priority": "high"})


def test_what_a_record_does_not_say_of_more_fields_stays():
    before = taken(record(3, "priority", "low"))
    decision = decide(shown(5, title="new"), "b.json", before, terms=TERMS)
    assert decision.order.more == {"priority": "low"}
    assert decision.sync.base.more == {"priority": "low"}
    assert isinstance(shown(5), Record)
