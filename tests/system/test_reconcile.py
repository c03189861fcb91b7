"""Both sides compared, as a user has it: what differs is told, and with a fix it is mended."""

import json

import pytest
from msgspec.structs import replace

from pipeline.clients.http_connector import HttpConnector
from pipeline.testing import FakeErp, Faults, Habits
from pipeline.translation import status_order
from pipeline.translation.codecs import Number
from pipeline.translation.table import at
from tests.asking import Numbering
from tests.system.test_edits import edit

NORTH = """\
[clients.north]
kind = "rest_json"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
page_size = 2
since_param = "updated_since"
retry_seconds = 0.2
{more}
"""
numbering = Numbering.connect


def with_priority(settings):
    """A kind whose orders have one field more."""
    table = replace(status_order.TABLE, more={"priority": at("prio"), "hours": at("hours", Number())})
    return HttpConnector(settings, (table,))


KINDS = ("unmarked", "only_client", "only_tracos", "differs", "waits", "unsure", "dead", "still_dead")
QUIET = dict.fromkeys(KINDS, 0)


def order(number, title="Pump", day=2, **more):
    times = {"createdAt": "2026-10-01T08:00:00Z", "updatedAt": f"2026-10-{day:02}T08:00:00Z"}
    return {"id": number, "status": "NEW", "title": title} | times | more


def unmarked(plant, number, **values):
    """Somebody edits in TracOS, and does not mark it."""
    assert plant.orders.update_one({"number": number}, {"$set": values}).matched_count


def compared(plant, *arguments, exits=4, **environ):
    """The counts, and each gap as (kind, number, field, ours, theirs, does)."""
    told = json.loads(plant.command("reconcile", "--json", *arguments, exits=exits, **environ))
    keys = ("kind", "number", "field", "ours", "theirs", "does")
    return told["counts"], [tuple(gap[key] for key in keys) for gap in told["gaps"]]


def everything(plant):
    """All that a run may touch, the journal and the logs too."""
    files = [path for path in plant.home.rglob("*") if path.is_file()]
    database = plant.orders.database
    indexes = {name: database[name].index_information() for name in database.list_collection_names()}
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}, plant.state()[1], indexes


class HalfWay(Faults):
    """The first answer is right, and all after it go wrong."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.answers = kind, 0

    def draw(self, *, writes=True):
        self.answers += 1
        return self.kind if self.answers % 20 != 1 else None

    def coin(self):
        return True


class North:
    """A plant whose client is an API."""

    def __init__(self, plant, erp, more=""):
        self.plant, self.erp = plant, erp
        plant.home.joinpath("clients.toml").write_text(NORTH.format(url=erp.url, more=more))
        self.environ = {"CLIENTS_FILE": "clients.toml"}

    def command(self, *arguments, exits=0):
        return self.plant.command(*arguments, exits=exits, **self.environ)

    def compared(self, *arguments, exits=4):
        return compared(self.plant, *arguments, exits=exits, **self.environ)


@pytest.fixture
def erp():
    with FakeErp() as erp:
        for number in range(1, 6):
            erp.put(order(number, f"t{number}"))
        yield erp


@pytest.fixture
def north(plant, erp):
    """Five orders, the same on both sides."""
    north = North(plant, erp)
    north.command("run")
    return north


class TestFolders:
    def test_an_edit_that_nobody_marked_is_found_and_sent(self, plant):
        plant.put("1.json", order(1))
        plant.put("2.json", order(2))
        plant.command("run")
        assert compared(plant, exits=0) == (QUIET, [])
        unmarked(plant, 1, title="Ours")
        counts, gaps = compared(plant)
        assert (counts, gaps) == (QUIET | {"unmarked": 1}, [("unmarked", 1, "title", "Ours", "Pump", "nothing")])
        plant.command("run")
        assert plant.sent() == {}
        assert compared(plant, "--fix", exits=0) == (QUIET, [])
        assert plant.sent().keys() == {"1.json"}
        assert plant.sent()["1.json"]["title"] == "Ours"
        assert compared(plant, exits=0) == (QUIET, [])

    def test_what_the_client_cannot_say_is_no_edit(self, plant):
        plant.put("1.json", {"orderNo": 1, "isActive": True, "summary": "Pump", "creationDate": "2026-10-01T08:00:00Z"})
        plant.command("run")
        unmarked(plant, 1, description="of ours alone", assignee="somebody")
        assert compared(plant, exits=0) == (QUIET, [])

    def test_what_waits_for_the_next_run_is_counted_apart(self, plant):
        plant.put("1.json", order(1))
        plant.command("run")
        edit(plant, 1, title="Ours")
        plant.orders.insert_one({"number": 7, "title": "New", "status": "created", "createdAt": "2026-10-01T08:00:00Z"})
        counts, gaps = compared(plant)
        assert (counts, gaps) == (QUIET | {"differs": 1, "waits": 2}, [("differs", 1, "title", "Ours", "Pump", "send")])
        assert compared(plant, "--fix", exits=0) == (QUIET, [])
        assert plant.sent().keys() == {"1.json", "7.json"}

    def test_of_several_records_of_an_order_the_newest_counts_whatever_is_older_or_was_taken(self, plant):
        plant.put("a.json", order(1, "first", 3))
        plant.put("b.json", order(1, "older", 2))
        plant.command("run")
        plant.put("c.json", order(1, "second", 5))
        plant.put("d.json", order(1, "third", 6))
        plant.put("e.json", order(1, "late", 4))
        counts, gaps = compared(plant)
        assert (counts, gaps) == (QUIET | {"differs": 1}, [("differs", 1, "title", "first", "third", "take")])
        assert compared(plant, "--fix", exits=0) == (QUIET, [])
        assert plant.documents()[1]["title"] == "third"

    def test_an_order_without_a_document_is_only_the_clients_however_often_it_is_shown(self, plant):
        plant.put("1.json", order(1))
        plant.command("run")
        plant.orders.delete_many({})
        plant.put("again.json", order(1, "Pump 2", 5))
        assert compared(plant) == (QUIET | {"only_client": 1}, [("only_client", 1, None, None, None, "take")])
        assert compared(plant, "--fix", exits=0) == (QUIET, [])
        assert plant.documents()[1]["title"] == "Pump 2"

    def test_files_that_are_not_there_mean_nothing_and_that_is_said(self, plant):
        path = plant.put("1.json", order(1))
        plant.command("run")
        path.unlink()
        told = json.loads(plant.command("reconcile", "--json"))
        assert told["counts"] == QUIET
        (note,) = told["notes"]
        assert note == {
            "client": "erp_json",
            "note": "data/inbound: it need not show every order: none is taken to be missing at the client",
        }
        assert "both sides say the same" in plant.shown(80, "reconcile")

    def test_what_was_handed_over_and_not_seen_back_is_the_same(self, plant):
        plant.put("1.json", order(1))
        plant.command("run")
        edit(plant, 1, title="Ours", updatedAt="2026-10-03T08:00:00Z")
        plant.command("run")
        assert compared(plant, exits=0) == (QUIET, [])

    def test_dead_letters_are_counted_the_new_ones_and_those_that_are_there(self, plant):
        plant.put("bad.json", b"{")
        plant.orders.insert_one({"number": 1, "status": "odd"})
        assert compared(plant) == (QUIET | {"dead": 2}, [])
        told = [line for line in plant.ask("reconcile")[2].splitlines() if " fails at " in line]
        assert [line.partition("@")[0].partition(" fails")[0] for line in told] == ["erp_json: bad.json", "erp_json: 1"]
        assert "fails at validate: $.status: unknown status" in told[1]
        assert compared(plant, "--fix", exits=0) == (QUIET | {"still_dead": 2}, [])
        assert compared(plant, exits=0) == (QUIET | {"still_dead": 2}, [])
        assert len(plant.letters()) == 2

    def test_a_document_that_others_have_marked_is_told_as_unsure(self, plant):
        plant.orders.insert_one({"number": 1, "title": "Pump", "status": "created", "isSynced": True})
        assert compared(plant, exits=0) == (QUIET | {"unsure": 1}, [])
        plant.put("1.json", order(1, "Theirs", createdAt="2026-10-01"))
        counts, gaps = compared(plant)
        assert (counts["differs"], gaps[0]) == (1, ("differs", 1, "title", "Pump", "Theirs", "take"))

    @pytest.mark.parametrize("after", ["keep", "archive", "delete"])
    def test_a_quiet_one_writes_nothing_anywhere(self, plant, after):
        plant.run("setup.py")
        plant.command("run", INBOUND_AFTER=after)
        plant.put("new.json", order(55))
        unmarked(plant, 103, title="Ours alone")
        before = everything(plant)
        counts, _ = compared(plant, INBOUND_AFTER=after)
        assert (counts["only_client"], counts["unmarked"]) == (1, 1)
        assert everything(plant) == before

    def test_where_nothing_is_there_nothing_is_made(self, plant):
        assert compared(plant, exits=0) == (QUIET, [])
        assert list(plant.home.iterdir()) == []
        assert plant.orders.database.list_collection_names() == []

    def test_a_fix_is_a_run_in_the_journal_and_what_it_read_is_known_afterwards(self, plant):
        plant.put("1.json", order(1))
        plant.command("run")
        unmarked(plant, 1, title="Ours")
        out = plant.shown(200, "reconcile", "--fix")
        assert "outbound  TracOS → client  1 read   1 sent" in out
        run = json.loads(plant.command("history", "--json"))[-1]
        assert (run["command"], run["exit"], run["rules"]) == ("reconcile", 0, {"sent": 1})
        before = plant.state()
        assert "1 unchanged, not read again" in plant.command("run")
        assert plant.state() == before

    def test_it_keeps_to_the_budget_of_deletions_and_marks_nothing_then(self, plant):
        for number in (1, 2):
            plant.put(f"{number}.json", order(number))
        plant.command("run")
        for number in (1, 2):
            unmarked(plant, number, deleted=True, deletedAt="2026-10-05T08:00:00Z")
        before = plant.state()
        plant.command("reconcile", "--fix", exits=5, SYNC_MAX_DELETES=1)
        assert plant.state() == before
        assert compared(plant, "--fix", exits=0) == (QUIET, [])
        assert sorted(plant.sent()) == ["1.json", "2.json"]

    def test_it_keeps_to_the_budget_of_failures(self, plant):
        plant.put("1.json", order(1))
        plant.put("bad.json", b"{")
        plant.command("reconcile", "--fix", exits=5, MAX_DEAD_LETTERS=0)
        assert plant.letters() == {}

    @pytest.mark.parametrize("direction", ["inbound", "outbound"])
    def test_what_the_direction_leaves_out_is_left_alone(self, plant, direction):
        folders = 'inbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
        entry = f'[clients.one]\nkind = "erp_json"\ndirection = "{direction}"\n{folders}'
        plant.home.joinpath("clients.toml").write_text(entry)
        environ = {"CLIENTS_FILE": "clients.toml"}
        plant.put("1.json", order(1))
        plant.orders.insert_one(
            {"number": 2, "title": "Ours", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
        )
        if direction == "outbound":
            counts, gaps = compared(plant, **environ)
            assert (counts, gaps) == (QUIET | {"waits": 1}, [])
            assert compared(plant, "--fix", exits=0, **environ) == (QUIET, [])
            assert plant.sent().keys() == {"2.json"}
        else:
            counts, gaps = compared(plant, **environ)
            assert (counts, gaps[0][0]) == (QUIET | {"only_client": 1}, "only_client")
            plant.command("run", **environ)
            unmarked(plant, 1, title="Ours")
            left = (QUIET | {"unmarked": 1}, [("unmarked", 1, "title", "Ours", "Pump", "nothing")])
            assert compared(plant, **environ) == left
            assert compared(plant, "--fix", **environ) == left
            assert plant.documents()[1]["isSynced"] is True


class TestApis:
    def test_in_step_there_is_nothing_and_nothing_is_written(self, north):
        before = everything(north.plant)
        applied = north.erp.applied
        assert north.compared(exits=0) == (QUIET, [])
        assert everything(north.plant) == before
        assert north.erp.applied == applied

    def test_an_order_that_a_list_read_to_its_end_does_not_show_is_only_ours(self, north):
        north.erp.remove(3)
        gap = ("only_tracos", 3, None, None, None, "nothing")
        assert north.compared() == (QUIET | {"only_tracos": 1, "dead": 1}, [gap])
        assert north.compared("--fix") == (QUIET | {"only_tracos": 1}, [gap])
        unmarked(north.plant, 3, deleted=True, deletedAt="2026-10-05T08:00:00Z")
        counts, _ = north.compared()
        assert counts == QUIET | {"unmarked": 1}

    def test_one_that_is_gone_is_deleted_where_that_is_what_it_means(self, plant, erp):
        north = North(plant, erp, 'absent = "delete"')
        north.command("run")
        erp.remove(3)
        erp.remove(4)
        before = everything(plant)
        counts, gaps = north.compared()
        assert counts == QUIET | {"differs": 2}
        assert gaps == [("differs", number, "deleted", False, True, "take") for number in (3, 4)]
        assert json.loads(north.command("reconcile", "--json", exits=4))["notes"] == []
        assert everything(plant) == before
        assert north.compared("--fix", exits=0) == (QUIET, [])
        assert [one["number"] for one in plant.documents().values() if one["deleted"]] == [3, 4]
        assert north.compared(exits=0) == (QUIET, [])

    def test_one_that_was_never_told_waits_and_is_not_missing(self, north):
        new = {"number": 9, "title": "New", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
        north.plant.orders.insert_one(new)
        assert north.compared() == (QUIET | {"waits": 1}, [])
        assert north.compared("--fix", exits=0) == (QUIET, [])
        assert north.erp.orders["9"]["title"] == "New"

    @pytest.mark.parametrize("fault", ["500", "garbled", "torn", "drop"])
    def test_a_list_that_breaks_half_way_says_nothing(self, north, fault):
        north.erp.remove(1)
        north.erp.remove(5)
        before = everything(north.plant)
        north.erp.faults = HalfWay(fault)
        assert north.command("reconcile", "--json", exits=1) == ""
        assert north.command("reconcile", exits=1) == ""
        north.erp.faults = Faults()
        counts, _ = north.compared()
        assert counts == QUIET | {"only_tracos": 2, "dead": 2}
        assert everything(north.plant) == before

    def test_a_record_without_an_id_may_be_any_order(self, north):
        north.erp.remove(3)
        north.erp.orders["odd"] = {"title": "without an id"}
        told = json.loads(north.command("reconcile", "--json", exits=4))
        assert told["counts"] == QUIET | {"dead": 1}
        assert "1 of its records have no id that can be read" in told["notes"][0]["note"]

    def test_a_record_that_is_dead_is_shown_all_the_same(self, north):
        north.erp.edit(3, status="ODD")
        assert north.compared() == (QUIET | {"dead": 1}, [])
        north.command("run")
        assert north.compared(exits=0) == (QUIET | {"still_dead": 1}, [])

    def test_only_the_client_and_what_differs_are_told_though_the_run_would_not_ask_for_them(self, north):
        north.plant.orders.delete_one({"number": 2})
        north.erp.put(order(8, "quietly", 1))
        north.erp.edit(4, title="theirs")
        counts, gaps = north.compared()
        assert counts == QUIET | {"only_client": 2, "differs": 1}
        assert gaps == [
            ("only_client", 2, None, None, None, "take"),
            ("differs", 4, "title", "t4", "theirs", "take"),
            ("only_client", 8, None, None, None, "take"),
        ]
        assert north.compared("--fix", exits=0) == (QUIET, [])
        assert north.plant.documents()[4]["title"] == "theirs"
        assert {2, 8} <= north.plant.documents().keys()
        assert north.compared(exits=0) == (QUIET, [])

    def test_after_a_fix_the_next_run_asks_for_changes_alone(self, north):
        unmarked(north.plant, 1, title="ours")
        assert north.compared("--fix", exits=0) == (QUIET, [])
        north.command("run")
        before = len(north.erp.requests)
        north.command("run")
        asked = [request for request in north.erp.requests[before:] if request.path == "/orders"]
        assert all("updated_since" in request.query for request in asked)

    def test_what_was_handed_over_and_is_shown_as_it_was_is_told(self, north):
        edit(north.plant, 1, title="ours")
        north.command("run")
        assert north.compared(exits=0) == (QUIET, [])
        north.erp.orders["1"] = order(1, "t1")
        counts, gaps = north.compared()
        assert (counts, gaps) == (QUIET | {"differs": 1}, [("differs", 1, "title", "ours", "t1", "nothing")])

    def test_a_record_that_is_older_than_what_was_taken_is_told_where_it_is_what_is_shown_now(self, north):
        north.erp.put(order(1, "newer", 9))
        north.command("run")
        north.erp.put(order(1, "put back", 3))
        counts, gaps = north.compared()
        assert (counts, gaps) == (QUIET | {"differs": 1}, [("differs", 1, "title", "newer", "put back", "nothing")])

    def test_an_unmarked_edit_that_a_newer_record_brings_to_light_is_told_once(self, north):
        unmarked(north.plant, 1, title="ours", status="on_hold")
        north.erp.edit(1, title="theirs")
        counts, gaps = north.compared()
        assert counts == QUIET | {"differs": 1}
        assert [gap[:3] + gap[5:] for gap in gaps] == [
            ("differs", 1, "title", "take"),
            ("differs", 1, "status", "send"),
        ]
        assert north.compared("--fix", exits=0) == (QUIET, [])
        assert (north.plant.documents()[1]["title"], north.erp.orders["1"]["status"]) == ("theirs", "ON_HOLD")

    @pytest.mark.parametrize("way", ["cut", "upper", "escape"])
    def test_a_rendering_is_equal(self, plant, way):
        with FakeErp(habits=Habits(renders=(way,))) as erp:
            north = North(plant, erp)
            new = {"number": 9, "title": "Pump & more", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
            plant.orders.insert_one(new)
            north.command("run")
            assert erp.orders["9"]["title"] != "Pump & more"
            assert north.compared(exits=0) == (QUIET, [])
            north.command("run")
            assert north.compared(exits=0) == (QUIET, [])


def test_the_client_has_the_say_and_takes_it_back(plant, erp):
    north = North(plant, erp, 'authority = { title = "client" }')
    north.command("run")
    unmarked(plant, 1, title="ours")
    counts, gaps = north.compared()
    assert (counts["unmarked"], gaps[0][:3]) == (1, ("unmarked", 1, "title"))
    assert north.compared("--fix", exits=0) == (QUIET, [])
    assert plant.documents()[1]["title"] == erp.orders["1"]["title"] == "t1"


def test_one_client_of_two_by_name_and_the_table(plant, erp):
    text = NORTH.format(url=erp.url, more='collection = "north"') + (
        '[clients.files]\nkind = "erp_json"\ninbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
    )
    plant.home.joinpath("clients.toml").write_text(text)
    plant.put("7.json", order(7))
    environ = {"CLIENTS_FILE": "clients.toml"}
    _, out, err = plant.ask("reconcile", "--client", "files", **environ)
    rows = [*out.splitlines(), *err.splitlines()]
    assert rows[0].split("\t") == ["only the client", "7", "", "-", "-", "take the client's", "insert", "files"]
    assert rows[1] == "files: 1 only at the client"
    counts, _ = compared(plant, **environ)
    assert counts == QUIET | {"only_client": 6}
    assert compared(plant, "--fix", exits=0, **environ) == (QUIET, [])


def test_orders_that_the_client_numbers_itself_are_known_by_its_ids(plant):
    habits = Habits(numbers=lambda count: 400000 + count, reference="externalRef")
    with FakeErp(habits=habits, merges=True) as erp:
        north = North(plant, erp)
        text = (
            plant.home.joinpath("clients.toml")
            .read_text()
            .replace('"rest_json"', '"tests.system.test_reconcile:numbering"')
        )
        plant.home.joinpath("clients.toml").write_text(text)
        erp.put(order(300001, "theirs"))
        new = {"title": "New", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
        plant.orders.insert_many([new | {"number": number} for number in (7, 8)])
        counts, gaps = north.compared()
        assert (counts, gaps[0][:2]) == (QUIET | {"waits": 2, "only_client": 1}, ("only_client", 300001))
        north.compared("--fix", exits=0)
        assert plant.letters() == {}
        linked = {one["number"]: str(one["sync"]["id"]) for one in plant.documents().values()}
        assert linked[7] in erp.orders
        assert len(erp.orders) == 3
        north.command("run")
        unmarked(plant, 7, title="ours")
        erp.remove(linked[8])
        told = json.loads(north.command("reconcile", "--json", exits=4))
        assert [(gap["kind"], gap["number"], str(gap["id"])) for gap in told["gaps"]] == [
            ("unmarked", 7, linked[7]),
            ("only_tracos", 8, linked[8]),
        ]
        north.compared("--fix")
        assert erp.orders[linked[7]]["title"] == "ours"
        assert f"only TracOS\t8 ({linked[8]})\t" in north.command("reconcile", exits=4)


def test_any_field_is_compared_like_title(plant, erp):
    north = North(plant, erp)
    text = plant.home.joinpath("clients.toml").read_text()
    plant.home.joinpath("clients.toml").write_text(
        text.replace('"rest_json"', '"tests.system.test_reconcile:with_priority"')
    )
    erp.put(order(1, "t1", prio="high", hours=2))
    north.command("run")
    assert north.compared(exits=0) == (QUIET, [])
    unmarked(plant, 1, priority="low")
    unmarked(plant, 2, hours=3.0)
    erp.edit(3, prio="high")
    counts, gaps = north.compared()
    assert counts == QUIET | {"unmarked": 2, "differs": 1}
    assert gaps == [
        ("unmarked", 1, "priority", "low", "high", "nothing"),
        ("unmarked", 2, "hours", 3, None, "nothing"),
        ("differs", 3, "priority", None, "high", "take"),
    ]
    assert north.compared("--fix", exits=0) == (QUIET, [])
    assert (erp.orders["1"]["prio"], erp.orders["2"]["hours"]) == ("low", 3)
    assert plant.documents()[3]["priority"] == "high"
