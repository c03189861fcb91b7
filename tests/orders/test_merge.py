"""The rules of the sync, an example for each sentence."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from pipeline.orders.memory import handed_over
from pipeline.orders.merge import Current, Rule, decide, yielding
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import Record, Status, WorkOrder
from pipeline.translation import flag_order, status_order

TERMS = Terms(
    client="erp",
    projections={"status_order": status_order.LAYOUT.project, "flag_order": flag_order.LAYOUT.project},
    default_layout="status_order",
)

PLACES = ("first.json", "second.json", "copy.json")


def at(day, hour=8):
    return datetime(2026, 10, day, hour, tzinfo=UTC)


def shown(updated=None, *, layout="status_order", created=1, **values):
    """A record of order 10."""
    values = {"title": "Pump", "status": Status.CREATED, "deleted": False} | values
    order = WorkOrder(number=10, created_at=at(created), updated_at=updated and at(updated), **values)
    return Record(order=order, external_id=10, layout=layout)


def ours(updated=None, **values):
    """A document that has never been synced."""
    values = {"title": "Pump", "status": Status.CREATED, "deleted": False} | values
    return Current(order=WorkOrder(number=10, created_at=at(1), updated_at=updated and at(updated), **values))


def judge(record, current, locator="a.json"):
    return decide(record, locator, current, terms=TERMS)


def taken(record, current=None, locator="a.json"):
    """What TracOS holds after ``record``."""
    decision = judge(record, current, locator)
    return Current(order=decision.order, sync=decision.sync)


def edited(current, updated=None, **values):
    """Somebody edits in TracOS."""
    order = replace(current.order, **values, **({"updated_at": at(updated)} if updated else {}))
    return Current(order=order, sync=current.sync)


def sent(current, day=20):
    """Outbound hands the order over."""
    layout = current.sync.layout if current.sync else "status_order"
    record = Record(order=current.order, external_id=10, layout=layout)
    return Current(order=current.order, sync=handed_over(current.sync, record, client="erp", at=at(day)))


def lost(decision):
    return [(entry.field, entry.side, entry.value) for entry in decision.lost]


class TestRepeat:
    def test_the_same_hash_as_last_taken_from_this_place_is_a_repeat(self):
        before = taken(shown(5, title="later"), taken(shown(3), None, "a.json"), "b.json")
        decision = judge(shown(3), before, "a.json")
        assert (decision.rule, decision.writes) == (Rule.REPEAT, False)

    def test_the_same_hash_as_the_newest_received_is_a_repeat_wherever_it_lies(self):
        assert judge(shown(3), taken(shown(3), None, "a.json"), "copy.json").rule is Rule.REPEAT

    def test_a_copy_that_is_kept_does_not_undo_a_later_record_of_the_same_time(self):
        first = taken(shown(3), None, "morning.json")
        noon = taken(shown(3), first, "noon.json")
        evening = taken(shown(3, title="later"), noon, "evening.json")
        rules = [judge(shown(3), evening, place).rule for place in ("morning.json", "noon.json")]
        assert rules == [Rule.REPEAT, Rule.REPEAT]
        assert judge(shown(3), evening, "night.json").order.title == "Pump"

    def test_the_hashes_of_eight_places_are_kept(self):
        current = None
        for day in range(1, 10):
            current = taken(shown(day), current, f"{day}.json")
        rules = [judge(shown(day), current, f"{day}.json").rule for day in range(1, 10)]
        assert rules == [Rule.STALE, *[Rule.REPEAT] * 8]

    def test_a_hash_is_over_what_a_record_says(self):
        assert judge(shown(3, layout="flag_order"), taken(shown(3)), "b.json").rule is not Rule.REPEAT


class TestStale:
    def test_an_older_effective_version_is_stale(self):
        decision = judge(shown(2), taken(shown(3)), "b.json")
        assert (decision.rule, decision.writes, decision.order) == (Rule.STALE, False, shown(3).order)

    def test_a_deletion_counts_into_the_version(self):
        gone = taken(shown(2, deleted=True, deleted_at=at(6)))
        assert judge(shown(5), gone, "b.json").rule is Rule.STALE

    def test_equal_time_and_other_content_goes_on(self):
        assert judge(shown(3, title="other"), taken(shown(3)), "b.json").order.title == "other"

    def test_a_record_without_an_update_time_is_never_stale(self):
        assert judge(shown(title="other"), taken(shown(3)), "b.json").order.title == "other"


class TestArrival:
    def take(self, came, current=None, day=None, **values):
        """A record that came in the file ``came``, of the time ``day``, where it has one."""
        record, name = shown(day, **values) if day else shown(**values), f"{came}.json"
        decision = decide(record, name, current, terms=TERMS, arrival=(came, name, 1))
        return decision.rule, Current(order=decision.order, sync=decision.sync)

    @pytest.mark.parametrize("day", [None, 3])
    def test_of_any_number_of_kept_files_without_times_or_with_equal_ones_the_last_counts(self, day):
        current = None
        for came in range(1, 30):
            _, current = self.take(came, current, day, title=f"t{came}")
        assert current.order.title == "t29"
        for came in range(1, 30):
            rule, after = self.take(came, current, day, title=f"t{came}")
            assert rule in (Rule.REPEAT, Rule.STALE)
            assert after == current

    def test_copies_of_the_newest_make_nothing_old_new(self):
        _, current = self.take(1, None, title="old")
        for came in range(2, 30):
            _, current = self.take(came, current, title="new")
        for came in range(1, 30):
            rule, after = self.take(came, current, title="old" if came == 1 else "new")
            assert (rule in (Rule.REPEAT, Rule.STALE), after) == (True, current)

    def test_a_version_decides_before_the_arrival_does(self):
        _, current = self.take(9, None, 2, title="old")
        rule, current = self.take(1, current, 3, title="new")
        assert (rule, current.order.title) == (Rule.THREE_WAY, "new")
        assert self.take(10, current, 2, title="other")[0] is Rule.STALE

    def test_one_without_a_time_is_old_if_it_came_before_anything_that_was_taken(self):
        _, current = self.take(5, None, 3, title="new")
        assert self.take(4, current, title="old")[0] is Rule.STALE
        assert self.take(6, current, title="newer")[1].order.title == "newer"

    def test_where_nobody_knows_when_it_came_it_goes_on(self):
        _, current = self.take(5, None, title="new")
        decision = decide(shown(title="mended"), "5.json", current, terms=TERMS)
        assert decision.order.title == "mended"

    def test_a_file_that_was_written_again_with_the_time_of_before_goes_on(self):
        _, current = self.take(5, None, title="new")
        assert self.take(5, current, title="other")[1].order.title == "other"


class TestInsert:
    def test_an_unknown_order_is_inserted_and_needs_no_echo(self):
        decision = judge(shown(3), None)
        assert (decision.rule, decision.is_synced, decision.order) == (Rule.INSERT, True, shown(3).order)

    def test_without_an_update_time_it_has_its_creation_time(self):
        assert judge(shown(), None).order.updated_at == at(1)

    def test_a_deleted_flag_record_becomes_a_cancelled_document(self):
        decision = judge(shown(3, layout="flag_order", status=None, deleted=True, deleted_at=at(3)), None)
        assert (decision.order.status, decision.order.deleted) == (Status.CANCELLED, True)


class TestNoBase:
    def test_the_newer_client_wins_whole(self):
        decision = judge(shown(5, title="theirs", status=Status.PENDING), ours(3, title="ours"))
        assert (decision.rule, decision.order.title, decision.order.status) == (
            Rule.NO_BASE,
            "theirs",
            Status.PENDING,
        )
        assert lost(decision) == [("title", "tracos", "ours"), ("status", "tracos", Status.CREATED)]

    def test_the_newer_tracos_wins_whole_and_outbound_tells_the_client(self):
        decision = judge(shown(3, title="theirs"), ours(5, title="ours"))
        assert (decision.order.title, decision.is_synced) == ("ours", False)
        assert lost(decision) == [("title", "client", "theirs")]

    def test_a_tie_goes_to_tracos(self):
        assert judge(shown(5, title="theirs"), ours(5, title="ours")).order.title == "ours"

    @pytest.mark.parametrize(
        ("theirs", "mine", "winner"), [(None, 3, "ours"), (3, None, "theirs"), (None, None, "ours")]
    )
    def test_an_absent_time_counts_as_oldest(self, theirs, mine, winner):
        assert judge(shown(theirs, title="theirs"), ours(mine, title="ours")).order.title == winner

    def test_an_absent_field_never_beats_a_present_one(self):
        decision = judge(shown(5, title=None, description="theirs"), ours(3, title="ours"))
        assert (decision.order.title, decision.order.description) == ("ours", "theirs")
        decision = judge(shown(3, description="theirs"), ours(5))
        assert decision.order.description == "theirs"

    def test_a_deletion_in_tracos_is_not_undone_by_an_older_record(self):
        assert judge(shown(3), ours(2, deleted=True, deleted_at=at(5))).order.deleted is True

    def test_equal_sides_are_in_sync(self):
        decision = judge(shown(3), ours(2))
        assert (decision.is_synced, decision.order, decision.lost) == (True, ours(2).order, ())


class TestThreeWay:
    def test_only_the_client_edited(self):
        decision = judge(shown(5, title="theirs"), taken(shown(3)), "b.json")
        assert (decision.order.title, decision.order.updated_at, decision.is_synced) == ("theirs", at(5), True)
        assert decision.lost == ()

    def test_only_tracos_edited(self):
        decision = judge(shown(5), edited(taken(shown(3)), 4, title="ours"), "b.json")
        assert (decision.order.title, decision.is_synced, decision.lost) == ("ours", False, ())

    def test_both_edited_different_fields_and_both_survive(self):
        decision = judge(shown(5, title="theirs"), edited(taken(shown(3)), 6, status=Status.ON_HOLD), "b.json")
        assert (decision.order.title, decision.order.status, decision.is_synced) == ("theirs", Status.ON_HOLD, False)
        assert decision.order.updated_at == at(6)

    def test_both_edited_alike_is_fine(self):
        decision = judge(shown(5, title="same"), edited(taken(shown(3)), 4, title="same"), "b.json")
        assert (decision.order.title, decision.is_synced, decision.lost) == ("same", True, ())

    @pytest.mark.parametrize(
        ("mine", "winner", "loser"), [(4, "theirs", "tracos"), (5, "ours", "client"), (6, "ours", "client")]
    )
    def test_both_edited_differently_the_newer_wins_and_a_tie_goes_to_tracos(self, mine, winner, loser):
        decision = judge(shown(5, title="theirs"), edited(taken(shown(3)), mine, title="ours"), "b.json")
        assert decision.order.title == winner
        assert [side for _, side, _ in lost(decision)] == [loser]

    def test_a_field_that_is_absent_says_nothing(self):
        base = taken(shown(3, description="known"))
        decision = judge(shown(5, description=None), base, "b.json")
        assert decision.order.description == "known"
        assert decision.sync.base.description == "known"

    def test_a_value_without_update_time_loses_a_conflict(self):
        decision = judge(shown(title="theirs"), edited(taken(shown(3)), title="ours"), "b.json")
        assert decision.order.title == "ours"

    def test_bookkeeping_never_touches_the_update_time(self):
        decision = judge(shown(5), taken(shown(3)), "b.json")
        assert (decision.writes, decision.order.updated_at) == (True, at(3))

    def test_base_is_what_the_record_showed_whoever_won(self):
        decision = judge(shown(5, title="theirs"), edited(taken(shown(3)), 6, title="ours"), "b.json")
        assert decision.sync.base.title == "theirs"
        assert judge(shown(7, title="theirs"), Current(order=decision.order, sync=decision.sync)).order.title == "ours"


class TestSent:
    def sent_title(self):
        """The client showed "Pump", TracOS said "ours", and that was handed over."""
        return sent(edited(taken(shown(3)), 4, title="ours"))

    def test_a_record_that_shows_it_proves_that_it_was_taken_and_is_no_edit(self):
        decision = judge(shown(5, title="ours"), self.sent_title(), "b.json")
        assert (decision.order.title, decision.is_synced, decision.lost) == ("ours", True, ())
        assert (decision.sync.base.title, decision.sync.sent) == ("ours", ())

    def test_after_the_proof_a_client_value_is_compared_with_what_was_sent(self):
        current = sent(edited(taken(shown(3)), 4, title="ours", status=Status.PENDING))
        decision = judge(shown(5, title="ours", status=Status.CREATED), current, "b.json")
        assert (decision.order.title, decision.order.status) == ("ours", Status.CREATED)

    def test_a_record_that_still_shows_base_has_not_taken_it(self):
        decision = judge(shown(5), self.sent_title(), "b.json")
        assert (decision.order.title, decision.is_synced) == ("ours", False)
        assert [entry.because for entry in decision.lost] == ["not yet taken by the client"]

    def test_it_is_sent_once_more_and_if_the_next_newer_record_still_shows_base_that_is_an_edit(self):
        doubted = taken(shown(5), self.sent_title(), "b.json")
        assert judge(shown(6), doubted, "c.json").order.title == "ours"
        again = sent(doubted, 21)
        assert judge(shown(5, description="x"), again, "c.json").order.title == "ours"
        decision = judge(shown(6), again, "c.json")
        assert (decision.order.title, lost(decision)) == ("Pump", [("title", "tracos", "ours")])

    def test_an_older_hand_over_that_comes_back_late_is_no_edit(self):
        current = sent(edited(self.sent_title(), 6, title="ours too"), 21)
        decision = judge(shown(7, title="ours"), current, "b.json")
        assert (decision.order.title, decision.is_synced) == ("ours too", False)

    def test_an_edit_of_the_client_on_top_of_what_was_sent_is_an_edit(self):
        decision = judge(shown(5, title="theirs"), self.sent_title(), "b.json")
        assert decision.order.title == "theirs"
        assert lost(decision) == [("title", "tracos", "ours")]

    def test_a_client_that_edits_back_to_what_was_sent_before_its_own_edit_has_edited(self):
        current = taken(shown(5, title="theirs"), self.sent_title(), "b.json")
        decision = judge(shown(6, title="ours"), current, "c.json")
        assert decision.order.title == "ours"

    def test_one_value_of_the_last_hand_over_beside_one_of_an_earlier_may_be_chance_and_what_gives_way_is_told(self):
        first = sent(edited(taken(shown(2)), 3, title="first"))
        second = sent(edited(first, 5, title="second", status=Status.COMPLETED))
        decision = judge(shown(title="first", status=Status.COMPLETED), second)  # its own edit of the status, perhaps
        assert decision.order.title == "first"
        assert lost(decision) == [("title", "tracos", "second")]

    def test_an_edit_back_in_tracos_is_not_undone_by_the_echo_of_what_was_sent(self):
        current = edited(self.sent_title(), 6, title="Pump")
        decision = judge(shown(7, title="ours"), current, "b.json")
        assert (decision.order.title, decision.is_synced) == ("Pump", False)

    def test_nothing_unconfirmed_may_say_otherwise(self):
        decision = judge(shown(5, title="theirs"), self.sent_title(), "b.json")
        assert decision.is_synced is False
        settled = sent(Current(order=decision.order, sync=decision.sync), 21)
        assert judge(shown(6, title="theirs"), settled, "c.json").is_synced is True

    def test_an_order_born_in_tracos_has_what_was_sent_as_its_base(self):
        current = sent(ours(3))
        assert current.sync.base == current.order.values
        decision = judge(shown(4), current)
        assert (decision.is_synced, decision.order, decision.sync.sent) == (True, current.order, ())

    def test_a_field_that_the_client_never_shows_does_not_echo(self):
        current = sent(edited(taken(shown(3)), 4, description="ours"))
        decision = judge(shown(5), current, "b.json")
        assert (decision.order.description, decision.is_synced) == ("ours", True)

    def test_a_value_that_gave_way_and_is_shown_later_at_the_clients_own_time_is_told_of(self):
        current = taken(shown(5, title="theirs"), self.sent_title(), "b.json")
        decision = judge(shown(6, title="ours"), current, "c.json")
        assert lost(decision) == [("title", "tracos", "theirs")]

    def test_the_rendering_of_a_value_that_gave_way_stands_for_that_value(self):
        current = taken(shown(5, title="theirs"), sent(edited(taken(shown(3)), 4, title="Our & pump")), "b.json")
        decision = judge(shown(6, title="OUR &amp; PUMP"), current, "c.json")
        assert (decision.order.title, lost(decision)) == ("Our & pump", [("title", "tracos", "theirs")])
        settled = sent(taken_again(decision), 21)
        again = judge(shown(7, title="OUR &amp; PUMP", status=Status.PENDING), settled, "d.json")
        assert (again.order.title, again.lost) == ("Our & pump", ())

    def test_what_gives_way_to_another_order_of_the_number_is_told_of(self):
        """Both sides made it at once, and the client has not taken ours yet."""
        decision = judge(shown(4, title="theirs"), sent(ours(3)))
        assert (decision.order.title, lost(decision)) == ("theirs", [("title", "tracos", "Pump")])


class TestLossyLayout:
    def test_tracos_keeps_its_own_word_where_the_layout_knows_only_one(self):
        decision = judge(shown(5, layout="flag_order", status=Status.PENDING), ours(3, status=Status.CREATED))
        assert (decision.order.status, decision.is_synced) == (Status.CREATED, True)

    def test_an_edit_within_one_flag_needs_no_echo_but_another_flag_does(self):
        base = taken(shown(3, layout="flag_order", status=Status.PENDING))
        newer = shown(5, layout="flag_order", status=Status.PENDING)
        assert judge(newer, edited(base, 4, status=Status.CREATED), "b.json").is_synced is True
        assert judge(newer, edited(base, 4, status=Status.ON_HOLD), "b.json").is_synced is False

    def test_a_field_that_the_layout_does_not_have_belongs_to_tracos(self):
        base = edited(taken(shown(3, layout="flag_order", status=Status.PENDING)), 4, description="ours")
        newer = shown(5, layout="flag_order", status=Status.PENDING, title="theirs")
        decision = judge(newer, base, "b.json")
        assert (decision.order.description, decision.is_synced) == ("ours", True)


class TestDeletes:
    def test_a_deletion_keeps_the_status(self):
        base = taken(shown(3, layout="flag_order", status=Status.PENDING))
        gone = shown(5, layout="flag_order", status=None, deleted=True, deleted_at=at(4))
        decision = judge(gone, base, "b.json")
        assert (decision.order.deleted, decision.order.deleted_at, decision.order.status) == (
            True,
            at(4),
            Status.PENDING,
        )
        assert decision.is_synced is True

    def test_an_older_update_never_brings_a_deleted_order_back(self):
        gone = taken(shown(5, deleted=True, deleted_at=at(5)))
        assert judge(shown(4, title="x"), gone, "b.json").order.deleted is True

    def test_a_newer_live_record_undeletes_and_clears_the_time(self):
        gone = taken(shown(5, deleted=True, deleted_at=at(5)))
        decision = judge(shown(6), gone, "b.json")
        assert (decision.order.deleted, decision.order.deleted_at, decision.is_synced) == (False, None, True)

    @pytest.mark.parametrize(("created", "deleted"), [(4, True), (6, False)])
    def test_without_an_update_time_only_one_created_later_undeletes(self, created, deleted):
        gone = taken(shown(5, deleted=True, deleted_at=at(5)))
        decision = judge(shown(created=created), gone, "b.json")
        assert decision.order.deleted is deleted
        assert bool(decision.lost) is (deleted is True)

    def test_both_deleted_and_nothing_else_is_compared(self):
        gone = edited(taken(shown(3)), 5, title="ours", deleted=True, deleted_at=at(5))
        decision = judge(shown(6, title="theirs", deleted=True, deleted_at=at(6)), gone, "b.json")
        assert (decision.order, decision.is_synced, decision.lost) == (gone.order, True, ())

    def test_an_edit_made_while_both_were_deleted_is_taken_once_the_client_brings_the_order_back(self):
        gone = edited(taken(shown(3)), 5, deleted=True, deleted_at=at(5))
        still = judge(shown(6, title="theirs", deleted=True, deleted_at=at(6)), gone, "b.json")
        back = judge(shown(8, title="theirs"), Current(order=still.order, sync=still.sync), "c.json")
        assert (back.order.deleted, back.order.title) == (False, "theirs")

    def test_an_edit_of_an_order_that_both_had_deleted_is_taken_when_tracos_brings_it_back(self):
        gone = edited(taken(shown(3)), 5, deleted=True, deleted_at=at(5))
        still = taken(shown(6, title="theirs", deleted=True, deleted_at=at(6)), gone, "b.json")
        order, gave_way = yielding(edited(still, 8, deleted=False, deleted_at=None), TERMS)
        assert (order.deleted, order.title) == (False, "theirs")
        assert [(one.field, one.side, one.value) for one in gave_way] == [("title", "tracos", "Pump")]

    def test_and_told_of_where_tracos_had_edited_it_too(self):
        gone = edited(taken(shown(3)), 5, title="ours", deleted=True, deleted_at=at(5))
        still = taken(shown(6, title="theirs", deleted=True, deleted_at=at(6)), gone, "b.json")
        order, gave_way = yielding(edited(still, 8, deleted=False, deleted_at=None), TERMS)
        assert (order.title, gave_way[0].side, gave_way[0].value) == ("ours", "client", "theirs")

    def test_a_deletion_in_tracos_survives_an_edit_of_another_field(self):
        gone = edited(taken(shown(3)), 5, deleted=True, deleted_at=at(5))
        decision = judge(shown(6, title="theirs"), gone, "b.json")
        assert (decision.order.deleted, decision.order.title, decision.is_synced) == (True, "theirs", False)


class TestHandedOverAndNeverMarked:
    """A run was killed, or an answer lost, between the hand-over and its mark."""

    def test_the_clients_rendering_of_it_is_no_edit(self):
        before = edited(taken(shown(5)), 6, title="Pump & valve", status=Status.ON_HOLD)
        decision = judge(shown(9, title="PUMP &amp; VALVE", status=Status.ON_HOLD), before, "b.json")
        assert (decision.order.title, decision.lost, decision.is_synced) == ("Pump & valve", (), True)
        again = judge(shown(10, title="PUMP &amp; VALVE", status=Status.PENDING), taken_again(decision), "b.json")
        assert (again.order.title, again.order.status) == ("Pump & valve", Status.PENDING)

    def test_nor_is_that_of_a_field_which_went_along(self):
        before = edited(taken(shown(5, description="a &amp; b")), 6, title="Valve")
        decision = judge(shown(9, title="Valve", description="a &amp;amp; b"), before, "b.json")
        assert (decision.order.description, decision.is_synced) == ("a &amp; b", True)

    def test_a_record_that_lacks_one_of_our_edits_proves_nothing(self):
        before = edited(taken(shown(5)), 6, title="Pump & valve", status=Status.ON_HOLD)
        decision = judge(shown(9, title="PUMP"), edited(before, title="Pump 7"), "b.json")
        assert (decision.order.title, lost(decision)) == ("PUMP", [("title", "tracos", "Pump 7")])

    def test_an_edit_of_ours_that_only_its_case_tells_apart_is_still_sent(self):
        before = edited(taken(shown(5)), 6, title="PUMP")
        assert judge(shown(9, status=Status.PENDING), before, "b.json").is_synced is False


def test_how_the_client_keeps_a_text_is_known_still_after_both_have_deleted_the_order():
    before = sent(edited(taken(shown(5, title="a &amp; b")), 6, deleted=True, deleted_at=at(6)))
    gone = judge(shown(7, title="a &amp;amp; b", deleted=True, deleted_at=at(6)), before, "b.json")
    decision = judge(shown(9, title="a &amp;amp; b"), taken_again(gone), "b.json")
    assert (decision.order.title, decision.order.deleted, decision.is_synced) == ("a &amp; b", False, True)


def taken_again(decision):
    """What TracOS holds after a decision."""
    return Current(order=decision.order, sync=decision.sync)
