"""Drift: keys that were never there before, and keys that are there no more; told once, with path and count."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

SECRET = "a value that nobody may see"
TABLE = """\
[clients.acme]
kind = "erp_json"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"
layout = "acme"
{more}

[layouts.acme]
id = "order.ref"
title = "order.text"
created_at = {{ at = "order.opened", required = false }}
status = {{ at = "order.state", words = {{ OPN = "created" }}, tell = {{ {tell} }} }}
[layouts.acme.fields]
priority = "order.prio"
"""
TELL = ", ".join(f'{status} = "OPN"' for status in ("pending", "in_progress", "on_hold", "completed", "cancelled"))


class Acme:
    """A plant whose orders are nested; each ``run`` puts one file of orders in, and tells what the summary says."""

    def __init__(self, plant, more=""):
        self.plant, self.files = plant, 0
        self.says(more)

    def says(self, more):
        (self.plant.home / "clients.toml").write_text(TABLE.format(more=more, tell=TELL))

    def put(self, *records):
        self.files += 1
        self.plant.put(f"{self.files:03}.json", [{"order": one} for one in records])

    def run(self, *records):
        """What the summary tells of a run in which these records are new."""
        if records:
            self.put(*records)
        out = self.plant.command(CLIENTS_FILE="clients.toml")
        assert SECRET not in out
        return "\n".join(line for line in out.splitlines() if line.startswith("  acme: "))

    def log(self, *records, exits=0):
        """What is logged of such a run."""
        if records:
            self.put(*records)
        out, err = self.plant.run(exits=exits, CLIENTS_FILE="clients.toml")
        assert SECRET not in out + err
        return err

    def keys(self):
        path = self.plant.home / "data/state/acme.keys"
        return path.read_bytes() if path.exists() else None

    def doctor(self):
        rows = self.plant.command("doctor", CLIENTS_FILE="clients.toml").splitlines()
        return [row.split("\t")[2] for row in rows if row.split("\t")[1] == "keys"]


def order(ref, **more):
    return {"ref": ref, "state": "OPN", "text": SECRET} | more


@pytest.fixture
def acme(plant):
    return Acme(plant)


def test_the_first_run_learns_silently_and_a_new_key_is_told_once(acme):
    assert acme.run(order(1, crew=[{"name": SECRET}]), order(2)) == ""
    assert acme.doctor() == []
    crew = [{"name": SECRET, "shift": SECRET}]
    line = (
        "2 keys never seen before in acme: $.order.crew[].shift (in 1 of 3 records), $.order.extra (in 1 of 3 records)"
    )
    assert acme.run(order(3, crew=crew), order(4, extra={"a": {"b": SECRET}}), order(5)) == f"  acme: {line}"
    (record,) = json.loads(acme.plant.command("history", "--json"))[-1:]
    assert record["drift"] == {"acme": [line]}
    assert acme.run(order(6, extra={"a": {"b": SECRET}}), order(7, crew=crew)) == ""
    (said,) = acme.doctor()
    assert "$.order.crew[].shift (since 2" in said
    assert "$.order.extra (since 2" in said


def test_what_drifts_is_logged_once(acme):
    acme.run(order(1, prio=SECRET))
    log = acme.log(order(2, team=SECRET))
    assert log.count("acme: 1 key never seen before in acme: $.order.team (in 1 of 1 records)") == 1
    assert log.count("acme: 1 key in none of 1 records in acme: $.order.prio") == 1
    assert "WARNING" not in acme.log(order(3, team=SECRET))


def test_a_key_that_the_layout_names_is_never_new_and_one_that_it_names_now_is_settled(acme):
    acme.run(order(1))
    assert acme.run(order(2, prio="1")) == ""
    assert "$.order.team" in acme.run(order(3, team="A"))
    path = acme.plant.home / "clients.toml"
    path.write_text(path.read_text() + 'team = "order.team"\n')
    assert acme.doctor() == []


def test_what_was_in_every_record_and_is_in_none_is_told_once(acme):
    acme.run(order(1, prio="1", crew={"a": 1}), order(2, prio="2", crew={"a": 2}))
    line = "2 keys in none of 2 records in acme: $.order.crew, $.order.prio"
    assert acme.run(order(3), order(4)) == f"  acme: {line}"
    assert acme.run(order(5)) == ""
    (said,) = acme.doctor()
    assert "in no record in acme any more: $.order.crew (since 2" in said
    acme.run(order(6, prio="1", crew={"a": 1}))
    assert acme.doctor() == []


def test_a_key_that_only_some_records_had_is_missed_in_many_records_alone(acme):
    acme.run(order(1, prio="1"), order(2))
    assert acme.run(order(3)) == ""
    assert "1 key in none of 100 records in acme: $.order.prio" in acme.run(*(order(10 + n) for n in range(100)))
    assert acme.run(*(order(200 + n) for n in range(100))) == ""


def test_a_plan_tells_nothing_and_remembers_nothing(acme):
    acme.run(order(1))
    before = acme.keys()
    acme.put(order(2, crew=1))
    assert "never seen" not in acme.plant.command("plan", exits=4, CLIENTS_FILE="clients.toml")
    assert acme.keys() == before
    assert "$.order.crew" in acme.run()


def test_an_idle_run_writes_nothing_and_one_without_records_begins_nothing(acme):
    acme.run()
    assert acme.keys() is None
    acme.run(order(1, crew=1))
    acme.run(order(2, more=1))
    before = acme.plant.state()
    acme.run()
    assert acme.plant.state() == before
    path = acme.plant.home / "data/state/acme.keys"
    written = path.stat().st_mtime_ns
    acme.run(order(3, more=1))  # whose keys are known
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", [b"", b"{", b'{"acme": 1}', b"\xff"])
def test_a_damaged_memory_is_told_and_begun_anew(acme, damage):
    acme.run(order(1))
    path = acme.plant.home / "data/state/acme.keys"
    path.write_bytes(damage)
    log = acme.log(order(2, crew=1))
    assert "acme.keys cannot be used: which keys are known is begun anew" in log
    assert "never seen" not in log
    assert "$.order.extra" in acme.run(order(3, crew=1, extra=1))


def test_a_memory_that_cannot_be_read_or_written_stops_nobody(acme):
    acme.run(order(1))
    path = acme.plant.home / "data/state/acme.keys"
    path.unlink()
    path.mkdir()
    (path / "x").touch()
    assert "acme.keys cannot be used" in acme.log(order(2, crew=1))
    assert 2 in acme.plant.documents()
    assert "cannot be used" in acme.doctor()[0]
    shutil.rmtree(path)


def test_with_ignore_nobody_watches(plant):
    acme = Acme(plant, 'on_unknown = "ignore"')
    acme.run(order(1))
    assert acme.run(order(2, crew=1)) == ""
    assert acme.keys() is None


class TestDeadLetter:
    @pytest.fixture
    def acme(self, plant):
        return Acme(plant, 'on_unknown = "dead_letter"')

    def test_a_record_with_an_unknown_key_is_dead_alone_with_all_that_is_wrong(self, acme):
        acme.run(order(1, crew={"a": 1}))
        told = acme.run(order(2), order(3, team=SECRET, state="LOST"), order(4, crew={"a": 1, "b": 2}))
        assert "$.order.crew.b (in 1 of 3 records), $.order.team (in 1 of 3 records)" in told
        letters = {letter.locator: letter for letter in acme.plant.letters().values()}
        assert {str(locator): [reason.path for reason in letter.reasons] for locator, letter in letters.items()} == {
            "002.json[1]": ["$.order.team", "$.order.state"],
            "002.json[2]": ["$.order.crew.b"],
        }
        assert sorted(acme.plant.documents()) == [1, 2]

    def test_it_stays_unknown_until_somebody_names_it_or_lets_it_be_learned(self, acme):
        acme.run(order(1))
        acme.run(order(2, team="A"))
        assert "$.order.team" in acme.run(order(3, team="A"))
        acme.plant.command("dead-letters", "retry", "--all", exits=3, CLIENTS_FILE="clients.toml")
        acme.says('on_unknown = "report"')
        acme.plant.command("dead-letters", "retry", "--all", CLIENTS_FILE="clients.toml")
        acme.run(order(4, team="A"))
        acme.says('on_unknown = "dead_letter"')
        acme.run(order(5, team="A"))
        assert sorted(acme.plant.documents()) == [1, 2, 3, 4, 5]

    def test_a_plan_tells_the_letters(self, acme):
        acme.run(order(1))
        acme.plant.put("x.json", {"order": order(2, team="A")})
        rows = acme.plant.command("plan", exits=4, CLIENTS_FILE="clients.toml")
        assert "x.json\tdead\tvalidate\t\t\t$.order.team: a key that the layout does not name" in rows


def test_what_is_old_is_told_by_doctor_no_more(acme):
    acme.run(order(1))
    acme.run(order(2, crew=1))
    path = acme.plant.home / "data/state/acme.keys"
    today = datetime.now(UTC).date()
    path.write_text(path.read_text().replace(str(today), str(today - timedelta(days=40))))
    assert acme.doctor() == []


def test_another_word_is_wrong_settings(acme):
    acme.says('on_unknown = "refuse"')
    assert "clients.toml:6: acme: on_unknown: expected one of ignore, report, dead_letter" in acme.log(exits=2)


def test_columns_of_csv_are_keys(acme):
    text = '[clients.acme]\nkind = "csv_folder"\ninbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
    (acme.plant.home / "clients.toml").write_text(text)
    acme.plant.put("1.csv", b"id,status,createdAt,title,Crew\n1,NEW,2026-10-01,Pump,x\n2,NEW,2026-10-01,Fan,\n")
    assert acme.run() == ""
    acme.plant.put("2.csv", b"id,status,createdAt,Crew, Shift \n3,NEW,2026-10-01,x,\n4,NEW,2026-10-01,x,y\n")
    assert acme.run().splitlines() == [
        "  acme: 1 key never seen before in status_order: $.Shift (in 2 of 2 records)",
        "  acme: 1 key in none of 2 records in status_order: $.title",
    ]
