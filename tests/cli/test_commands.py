"""The commands as a user has them: what they print, as text and as JSON, and their exit codes."""

import errno
import json
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from bson import Decimal128, Int64

from pipeline.cli import started
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter
from pipeline.deadletters import DeadLetterFolder
from pipeline.errors import Reason
from pipeline.history.decisions import read_decisions
from tests.mongo import mongods, until

GOOD = {"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump"}
BAD = b'{"id": 7, "status": "LOST", "createdAt": "2026-10-01"}'


@pytest.fixture
def sample(plant):
    plant.run("setup.py")
    return plant


def letter_ids(plant):
    """By locator."""
    rows = [line.split("\t") for line in plant.command("dead-letters", "list").splitlines()]
    return {row[4]: row[0] for row in rows if len(row) > 1}


def editor(plant, text):
    """An editor that replaces whatever it is given."""
    path = plant.home / "editor"
    path.write_text(f"#!/bin/sh\ncat > \"$1\" <<'END'\n{text}\nEND\n")
    path.chmod(0o700)
    return {"EDITOR": str(path), "VISUAL": ""}


class TestUsage:
    def test_help_names_every_command_and_the_exit_codes(self, plant):
        out = plant.command("--help")
        for command in ("run", "plan", "doctor", "dead-letters", "conflicts", "history", "explain", "graph", "inspect"):
            assert re.search(rf"│ {command} ", out), command
        assert "4 `plan` or `reconcile` found something to do" in " ".join(out.split())

    @pytest.mark.parametrize(
        "arguments",
        [
            ["nonsense"],
            ["--nonsense"],
            ["run", "--only", "sideways"],
            ["explain"],
            ["dead-letters", "retry"],
            ["conflicts", "restore", "1"],
        ],
    )
    def test_wrong_usage_is_told_and_exits_with_two(self, plant, arguments):
        _, err = plant.run("pipeline/__main__.py", *arguments, exits=2)
        assert err

    def test_a_client_that_is_not_set_is_wrong_usage(self, plant):
        _, err = plant.run("pipeline/__main__.py", "run", "--client", "sap", exits=2)
        assert "no client 'sap'; they have: erp_json" in err

    def test_wrong_settings_are_told_all_at_once(self, plant):
        _, err = plant.run("pipeline/__main__.py", "history", exits=2, MAX_DEAD_LETTERS="many", LOG_LEVEL="loud")
        assert "MAX_DEAD_LETTERS: expected a number, or a percentage such as 5%" in err
        assert "LOG_LEVEL: expected TRACE" in err


class TestRun:
    def test_main_takes_the_same_arguments_and_strict_exits_with_three(self, sample):
        out, _ = sample.run("src/main.py", "--strict", exits=3)
        assert "3 dead-lettered" in out
        assert "3 still dead" in sample.command("--strict", exits=3)
        shutil.rmtree(sample.home / "data/dead-letter")
        for path in sample.inbound.glob("bad-*"):
            path.unlink()
        sample.command("--strict")

    def test_one_flow_alone(self, sample):
        assert "outbound" not in sample.command("--only", "inbound")
        assert sample.sent() == {}
        assert "inbound" not in sample.command("--only", "outbound")
        assert len(sample.sent()) == 5

    def test_as_json_it_is_the_run_as_the_journal_keeps_it(self, sample):
        told = json.loads(sample.command("--json"))
        assert (told["command"], told["ending"], told["exit"]) == ("run", "finished", 0)
        assert [(flow["flow"], flow["read"]) for flow in told["flows"]] == [
            ("erp_json.inbound", 14),
            ("erp_json.outbound", 5),
        ]
        assert told["flows"][0]["dead"].items() >= {"validate": 1}.items()
        assert told["rules"] == {"insert": 9, "no_base": 2, "sent": 5}
        assert json.loads(sample.command("history", "--json")) == [told]

    def test_it_says_where_it_works_without_credentials_even_where_it_could_not(self, plant):
        uri = "mongodb://user:hunter2@127.0.0.1:1/plant?serverSelectionTimeoutMS=100"
        said = {"MONGO_URI": uri, "MONGO_DATABASE": "", "MONGO_RETRY_SECONDS": "0"}
        out, err = plant.run(exits=1, **said)
        assert "\n  TracOS: mongodb://127.0.0.1:1/plant.workorders\n  data/inbound → TracOS\n" in out
        (flow,) = json.loads(plant.command("history", "--json"))[0]["flows"]
        assert (flow["source"], flow["sink"]) == ("data/inbound", "mongodb://127.0.0.1:1/plant.workorders")
        assert "ok\tTracOS\tmongodb://127.0.0.1:1/plant.workorders\t" in plant.command("doctor", exits=1, **said)
        assert "hunter2" not in out + err

    def test_too_many_dead_letters_stop_it_with_five_and_nothing_is_put_aside(self, sample):
        _, err = sample.run("src/main.py", exits=5, MAX_DEAD_LETTERS="10%")
        assert "3 of 14 items read failed" in err.splitlines()[-1]
        assert "MAX_DEAD_LETTERS=10%" in err.splitlines()[-1]
        assert (sample.letters(), sample.sent()) == ({}, {})
        sample.run("src/main.py", MAX_DEAD_LETTERS="3")
        (stopped, finished) = json.loads(sample.command("history", "--json"))
        assert (stopped["ending"], stopped["exit"], finished["exit"]) == ("stopped", 5, 0)
        assert "MAX_DEAD_LETTERS" in stopped["error"]

    def test_what_was_dead_before_spends_nothing_of_the_budget(self, sample):
        sample.run("src/main.py")
        assert "3 still dead" in sample.run("src/main.py", MAX_DEAD_LETTERS="0")[0]

    def test_an_interrupted_run_is_in_the_history(self, tmp_path):
        from tests.plant import Plant

        plant = Plant(tmp_path)
        plant.run("setup.py", "--orders", "6000")
        process = plant.start()
        until((tmp_path / "data/dead-letter/erp_json.inbound").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        (run,) = json.loads(plant.command("history", "--json"))
        assert (run["ending"], run["exit"]) == ("interrupted", 130)
        until(lambda: not any(home == str(tmp_path) for _, _, home in mongods()))


class TestPlan:
    def test_it_tells_every_write_by_order_field_and_rule_and_exits_with_four(self, sample):
        rows = [line.split("\t") for line in sample.command("plan", exits=4).splitlines()]
        assert ["103", "TracOS", "status", "in_progress", "completed", "no_base", "erp_json"] in rows
        assert ["104", "client", "title", "Older here", "Newer in TracOS", "sent", "erp_json"] in rows
        assert ["104", "TracOS", "(bookkeeping alone)", "", "", "no_base", "erp_json"] in rows
        why = "not JSON: input data was truncated"
        assert ["bad-malformed.json", "dead", "parse", "", "", why, "erp_json"] in rows
        assert {len(row) for row in rows} == {7}
        told = sample.shown(200, "plan", exits=4).splitlines()
        assert "16 orders would be written or sent, 3 items would be dead" in told
        assert sample.letters() == {}

    def test_it_names_who_has_the_say_where_that_decides(self, plant):
        plant.home.joinpath("clients.toml").write_text(
            '[clients.erp]\nkind = "erp_json"\ninbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
            'authority = { title = "client", description = "tracos", status = "client" }\n'
        )
        plant.environ["CLIENTS_FILE"] = "clients.toml"
        order = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "title": "a", "description": "a"}
        plant.put("1.json", order | {"updatedAt": "2026-10-02"})
        plant.command("run")
        edit = {"title": "ours", "description": "ours", "status": "on_hold", "isSynced": False}
        plant.orders.update_one({}, {"$set": edit})
        rows = [line.split("\t") for line in plant.command("plan", exits=4).splitlines()]
        assert ["1", "TracOS", "title", "ours", "a", "the client has the say in this field", "erp"] in rows
        plant.put("2.json", order | {"updatedAt": "2026-10-05", "title": "b", "description": "b"})
        rows = [line.split("\t") for line in plant.command("plan", exits=4).splitlines()]
        assert ["1", "TracOS", "title", "ours", "b", "the client has the say in this field", "erp"] in rows
        assert ["1", "client", "description", "b", "ours", "TracOS has the say in this field", "erp"] in rows

    def test_as_json_and_afterwards_there_is_nothing_to_do(self, sample):
        plan = json.loads(sample.command("plan", "--json", exits=4))
        sample.run()
        log = [entry for entry in read_decisions(sample.home / "data/decisions.jsonl") if entry.rule != "stale"]
        assert {(one["number"], one["rule"]) for one in plan["writes"]} == {(one.number, one.rule) for one in log}
        new = next(one for one in plan["writes"] if one["rule"] == "insert")  # conflicts come first, and have more
        assert set(new) == {"side", "client", "number", "locator", "rule", "changes"}
        assert {one["locator"] for one in plan["dead_letters"]} == set(sample.letters())
        assert sample.shown(80, "plan") == "nothing to do\n"
        assert sample.command("plan") == ""
        assert json.loads(sample.command("plan", "--json")) == {"writes": [], "dead_letters": []}

    def test_without_a_database_of_its_own_none_is_made(self, tmp_path):
        from tests.plant import Plant

        plant = Plant(tmp_path)
        plant.put("1.json", GOOD)
        plant.command("plan", exits=4)
        assert not (tmp_path / "data/mongo").exists()


class TestDoctor:
    def test_all_is_well(self, sample):
        sample.run()
        found = {one["name"]: one for one in json.loads(sample.command("doctor", "--json"))}
        assert {"settings", "dead letters", "decision log", "journal", "inbound folder", "outbound folder"} <= set(
            found
        )
        assert {name: found[name]["state"] for name in ("writes", "clocks", "indexes", "twins")} == {
            "writes": "ok",
            "clocks": "ok",
            "indexes": "ok",
            "twins": "ok",
        }
        assert all(one["do"] for one in found.values() if one["state"] != "ok")

    def test_it_says_what_is_wrong_and_what_to_do_and_touches_nothing(self, plant):
        plant.orders.insert_many([{"number": 1}, {"number": 1}])
        plant.home.joinpath("data").mkdir()
        plant.home.joinpath("data/outbound").write_text("in the way")
        plant.home.joinpath("data/runs.jsonl").mkdir()
        before = sorted(plant.home.rglob("*"))
        lines = [line.split("\t") for line in plant.command("doctor", exits=1).splitlines()]
        found = {name: (state, says, do) for state, name, says, do in lines}
        assert found["outbound folder"][0] == "problem"
        assert "DATA_OUTBOUND_DIR" in found["outbound folder"][2]
        assert found["inbound folder"][0] == "warning"
        assert found["journal"][0] == "problem"
        assert found["twins"] == ("problem", "several documents have one number: 1", "merge or remove them")
        assert found["indexes"][0] == "warning"
        assert sorted(plant.home.rglob("*")) == before
        assert list(plant.orders.index_information()) == ["_id_"]

    def test_mongodb_away_is_a_problem_not_a_crash(self, plant):
        out = plant.command("doctor", exits=1, MONGO_URI="mongodb://user:hunter2@127.0.0.1:9", MONGO_RETRY_SECONDS=0)
        assert "problem\tMongoDB\tMongoDB did not answer" in out
        assert "hunter2" not in out


class TestHistoryAndExplain:
    def test_nothing_yet(self, plant):
        assert plant.shown(80, "history") == "no runs yet in data/runs.jsonl\n"
        assert plant.command("explain", "7") == "nothing is known of order 7 in data/decisions.jsonl\n"

    def test_the_last_runs_and_one_that_was_killed(self, sample):
        sample.run()
        sample.run()
        with (sample.home / "data/runs.jsonl").open("a") as journal:
            journal.write('{"run": "x", "command": "run", "began": "2026-11-24T00:00:00Z"}\n')
        rows = [line.split("\t") for line in sample.command("history").splitlines()]
        assert [row[3] for row in rows] == ["finished", "finished", "under way, or killed"]
        assert rows[0][5:10] == ["19", "9", "1", "5", "3"]
        assert len(sample.command("history", "-n", "1").splitlines()) == 1

    def test_the_story_of_an_order(self, sample):
        sample.run()
        told = sample.command("explain", "104")
        assert "no_base: nothing was known" in told
        assert "gave way: title of the client: Older here → Newer in TracOS: the edit in TracOS is as new" in told
        assert "told: title: Older here → Newer in TracOS" in told
        (run,) = json.loads(sample.command("history", "--json"))
        assert told.count(run["run"]) == 2
        story = json.loads(sample.command("explain", "104", "--json"))
        assert [entry["rule"] for entry in story["decisions"]] == ["no_base", "sent"]
        assert "dead letter" in sample.command("explain", "902")
        assert sample.command("explain", "302-A").count("insert: new in TracOS") == 1


class TestGraph:
    def test_it_is_drawn_from_the_stages(self, plant):
        chart = plant.command("graph")
        assert 'inbound_parse["parse"]' in chart
        assert "inbound_translate --> inbound_deliver" in chart
        picture = ElementTree.fromstring(plant.command("graph", "--svg"))
        words = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert {"parse", "validate", "translate", "deliver", "TracOS", "data/outbound"} <= set(words)
        assert list(plant.home.iterdir()) == []


class TestDeadLetters:
    def test_list_filters_and_both_forms(self, sample):
        sample.run()
        assert set(letter_ids(sample)) == {"bad-malformed.json", "bad-schema.json", "bad-unreadable.json"}
        (row,) = json.loads(sample.command("dead-letters", "list", "--stage", "validate", "--json"))
        assert (row["locator"], row["order"], row["attempts"], row["mended"]) == ("bad-schema.json", 902, 1, False)
        assert [reason["path"] for reason in row["reasons"]] == ["$.status", "$.createdAt", "$.title"]
        assert "bad-schema" in sample.command("dead-letters", "list", "--reason", "UNKNOWN status", "--newer", "1h")
        nothing = "no open dead letters in data/dead-letter like these\n"
        assert sample.shown(80, "dead-letters", "list", "--older", "7d") == nothing
        assert sample.command("dead-letters", "list", "--flow", "outbound") == ""
        sample.run("pipeline/__main__.py", "dead-letters", "list", "--older", "soon", exits=2)
        assert "stage\tvalidate\t1\n" in sample.command("dead-letters", "stats")
        assert json.loads(sample.command("dead-letters", "stats", "--json"))["total"] == 3

    def test_show_marks_every_offending_place(self, sample):
        sample.run()
        lines = sample.command("dead-letters", "show", letter_ids(sample)["bad-schema.json"]).splitlines()
        payload, marks = lines[-2:]
        at = [payload[match.start() : match.end()] for match in re.finditer(r"\^+", marks)]
        assert at == ['"LOST"', '"yesterday"', "7"]
        told = json.loads(sample.command("dead-letters", "show", letter_ids(sample)["bad-schema.json"][:6], "--json"))
        assert [place["column"] for place in told["places"]] == [23, 44, 66]

    def test_a_broken_record_is_mended_and_retried_and_the_next_run_leaves_it_alone(self, plant):
        plant.put("7.json", BAD)
        plant.put("8.json", {**GOOD, "id": 8})
        plant.run()
        letter = letter_ids(plant)["7.json"]
        still = plant.command("dead-letters", "edit", letter, exits=3, **editor(plant, '{"id": 7, "status": "NEW"}'))
        assert "$.createdAt: required, but missing" in still
        assert still.splitlines()[0] == "mended, but still wrong: it would fail at validate"
        assert re.search(r'│ \{"id": 7, "status": "NEW"\}\n +│ \^+\n', still)
        assert f"edit it again: {started.command('dead-letters', 'edit', letter)}" in still
        assert "the payload as it was mended by " in plant.command("dead-letters", "show", letter)
        assert "1 failed again" in plant.command("dead-letters", "retry", letter, exits=3)
        assert "it would pass now" in plant.command("dead-letters", "edit", letter, **editor(plant, json.dumps(GOOD)))
        assert "1 passed and closed" in plant.command("dead-letters", "retry", letter)
        assert (plant.documents()[7]["title"], letter_ids(plant)) == ("Pump", {})
        (archived,) = (plant.home / "data/dead-letter/erp_json.inbound/resolved.jsonl").read_bytes().splitlines()
        kept = msgspec.json.decode(archived)
        assert (kept["text"].encode(), kept["attempts"], kept["closed"]) == (BAD, 2, "retried")
        before = plant.state()
        assert "1 closed · 1 unchanged, not read again" in plant.run()[0]
        assert plant.state() == before

    def test_retried_as_they_were_they_fail_again_with_one_attempt_more(self, sample):
        sample.run()
        out = sample.command("dead-letters", "retry", "--all", exits=3)
        assert "2 retried: 0 passed and closed, 2 failed again\n1 hold no bytes" in out
        tries = {name: letter.attempts for name, letter in sample.letters().items()}
        assert tries == {"bad-malformed.json": 2, "bad-schema.json": 2, "bad-unreadable.json": 1}
        told = json.loads(sample.command("dead-letters", "retry", "--all", "--stage", "validate", "--json", exits=3))
        assert told == {"tried": 1, "passed": 0, "failed": 1, "released": 0, "gone": 0}
        assert [run["command"] for run in json.loads(sample.command("history", "--json"))] == ["run", "retry", "retry"]
        assert "1 dead-lettered · 2 still dead" in sample.run()[0]

    def test_what_holds_no_bytes_is_left_to_the_next_run(self, plant):
        (plant.inbound / "7.json").mkdir(parents=True)
        plant.run()
        assert "1 hold no bytes" in plant.command("dead-letters", "retry", "--all")
        assert "1 dead-lettered" in plant.run()[0]
        assert plant.letters()["7.json"].attempts == 2
        _, err = plant.run("pipeline/__main__.py", "dead-letters", "edit", letter_ids(plant)["7.json"], exits=2)
        assert "holds no bytes" in err

    def test_an_order_that_could_not_be_sent_is_mended_in_tracos_and_retried(self, plant):
        plant.orders.insert_many([{"number": 1, "status": "odd"}, {"number": 2, "status": "odd"}])
        plant.run()
        plant.orders.insert_one({"number": 3, "status": "created", "createdAt": "2026-10-01"})
        assert len(plant.letters()) == 2
        (letter,) = [row for where, row in letter_ids(plant).items() if where.startswith("1@")]
        _, err = plant.run("pipeline/__main__.py", "dead-letters", "edit", letter, exits=2)
        assert "mend the order there" in err
        assert "1 failed again" in plant.command("dead-letters", "retry", letter, exits=3)
        plant.orders.update_one({"number": 1}, {"$set": {"status": "created", "createdAt": "2026-10-01"}})
        assert "1 passed and closed" in plant.command("dead-letters", "retry", letter)
        assert set(plant.sent()) == {"1.json"}
        assert [where.partition("@")[0] for where in letter_ids(plant)] == ["2"]
        plant.orders.update_one({"number": 2}, {"$set": {"isSynced": True}})
        assert "not waiting in TracOS any more" in plant.command("dead-letters", "retry", "--all")

    def test_an_order_is_found_again_by_its_number_in_its_own_kind(self, plant):
        numbers = {"long": Int64(2**40), "double": 8.0, "text": "9", "decimal": Decimal128("10")}
        orders = [{"number": number, "title": name, "status": "odd"} for name, number in numbers.items()]
        plant.orders.insert_many(orders)
        plant.command("run")
        listed = {row["order"] for row in json.loads(plant.command("dead-letters", "list", "--json"))}
        assert listed == {2**40, 8, "9", None}
        plant.orders.update_many({}, {"$set": {"status": "created", "createdAt": "2026-10-01"}})
        told = json.loads(plant.command("dead-letters", "retry", "--all", "--json"))
        assert told == {"tried": 3, "passed": 3, "failed": 0, "released": 1, "gone": 0}
        assert {order["title"] for order in plant.sent().values()} == {"long", "double", "text"}

    def test_what_is_shown_of_a_mended_letter_is_about_the_mended_text(self, plant):
        plant.put("7.json", BAD)
        plant.command("run")
        letter = letter_ids(plant)["7.json"]
        plant.command("dead-letters", "edit", letter, exits=3, **editor(plant, '{\n"id": 7,\n"status": 5}'))
        told = json.loads(plant.command("dead-letters", "show", letter, "--json"))
        paths = [reason["path"] for reason in told["reasons"]]
        assert (told["stage"], paths, told["places"]) == (
            "validate",
            ["$.status", "$.createdAt"],
            [{"line": 3, "column": 11}, {"line": 1, "column": 1}],
        )
        plant.command("dead-letters", "edit", letter, **editor(plant, json.dumps(GOOD)))
        assert json.loads(plant.command("dead-letters", "show", letter, "--json"))["reasons"] == []
        for command in ("show", letter), ("list",):
            assert "nothing is known against it" in plant.command("dead-letters", *command)

    def test_a_letter_that_is_closed_while_the_editor_is_open_stays_closed(self, plant):
        plant.put("7.json", BAD)
        plant.command("run")
        letter = letter_ids(plant)["7.json"]
        path = plant.home / "editor"
        path.write_text(
            f"#!/bin/sh\n{sys.executable} -m pipeline dead-letters discard {letter} --because old\necho '{{}}' > $1\n"
        )
        path.chmod(0o700)
        how = {"EDITOR": path, "VISUAL": "", "TMPDIR": plant.home}
        _, err = plant.run("src/main.py", "dead-letters", "edit", letter, exits=2, **how)
        assert "was closed meanwhile: nothing was changed; what you wrote is in " in err
        assert (*plant.home.glob("workorder-sync-*"),)[0].read_text() == "{}\n"
        assert letter_ids(plant) == {}

    def test_what_was_written_is_printed_where_it_cannot_even_be_moved(self, plant, monkeypatch):
        plant.put("7.json", BAD)
        plant.command("run")
        [letter] = letter_ids(plant).values()

        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("pipeline.deadletters.drawer.write_files", full)
        monkeypatch.setattr(Path, "rename", full)
        code, out, err = plant.ask("dead-letters", "edit", letter, **editor(plant, json.dumps(GOOD)))
        assert code == 1
        assert "what you wrote cannot be kept either (No space left on device): it is printed here" in err
        assert json.loads(out) == GOOD

    def test_an_editor_that_only_ends_the_last_line_changes_nothing(self, plant):
        plant.put("7.json", BAD)
        plant.command("run")
        letter = letter_ids(plant)["7.json"]
        assert plant.command("dead-letters", "edit", letter, **editor(plant, BAD.decode())) == "nothing was changed\n"
        assert plant.letters()["7.json"].mended is None

    def test_an_editor_that_writes_no_utf_8_changes_nothing(self, plant):
        plant.put("7.json", BAD)
        plant.command("run")
        path = plant.home / "editor"
        path.write_text("#!/bin/sh\nprintf '\\351' > $1\n")
        path.chmod(0o700)
        letter = letter_ids(plant)["7.json"]
        _, err = plant.run("src/main.py", "dead-letters", "edit", letter, exits=2, EDITOR=path, VISUAL="")
        assert "is no UTF-8: nothing was changed" in err

    def test_discarded_it_is_kept_with_the_reason_and_not_tried_again(self, sample):
        sample.run()
        letter = letter_ids(sample)["bad-schema.json"]
        sample.command("dead-letters", "discard", letter, exits=2)
        assert "discarded" in sample.command("dead-letters", "discard", letter, "--because", "a test of theirs")
        assert "a test of theirs" in (sample.home / "data/dead-letter/erp_json.inbound/discarded.jsonl").read_text()
        assert "2 still dead · 1 closed" in sample.run()[0]

    def test_an_editor_that_fails_changes_nothing(self, sample):
        sample.run()
        letter = letter_ids(sample)["bad-schema.json"]
        _, err = sample.run("pipeline/__main__.py", "dead-letters", "edit", letter, exits=2, VISUAL="", EDITOR="false")
        assert "nothing was changed" in err
        assert sample.letters()["bad-schema.json"].mended is None

    def test_control_characters_of_a_payload_do_not_reach_the_terminal(self, plant):
        plant.put("evil\x1b[2J.json", b'{"id": "\x1b]0;owned\x07", "status": "\xe2\x80\xae"')
        plant.run()
        out = plant.command("dead-letters", "list") + plant.command("dead-letters", "show", *letter_ids(plant).values())
        assert not set(out) & {"\x1b", "\x07", "\u202e"}

    def test_a_run_and_a_retry_do_not_get_into_each_others_way(self, sample):
        sample.run()
        import fcntl

        with (sample.home / "data/dead-letter/erp_json.inbound/resolved.jsonl").open("a"):
            import os

            held = os.open(sample.home / "data/dead-letter/erp_json.inbound", os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
            _, err = sample.run("pipeline/__main__.py", "dead-letters", "retry", "--all", exits=1)
            assert "another run is using the dead letters" in err
            os.close(held)


async def fill(plant, count):
    """Letters whose payloads are good: as if a rule had been too strict."""
    folder = DeadLetterFolder(
        plant.home / "data/dead-letter", flow="erp_json.inbound", client="erp_json", identify=lambda raw: None
    )
    from datetime import UTC, datetime

    letters = [
        DeadLetter(
            flow="erp_json.inbound",
            stage="validate",
            locator=Locator("all.ndjson", f":{number}"),
            reasons=(Reason("too strict", "$.status"),),
            at=datetime.now(UTC),
            raw=msgspec.json.encode({**GOOD, "id": number}),
            stamp="x",
        )
        for number in range(1, count + 1)
    ]
    async with folder:
        await folder.write(letters)


@pytest.mark.slow
def test_ten_thousand_letters_are_listed_filtered_and_retried_in_flat_memory(plant):
    import asyncio

    def peak(*arguments):
        code = (
            "import resource, sys; from pipeline.cli import main; code = main(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr); sys.exit(code)"
        )
        (plant.home / "measured.py").write_text(code)
        return plant.run(plant.home / "measured.py", *arguments)

    asyncio.run(fill(plant, 100))
    _, few = peak("dead-letters", "retry", "--all")
    asyncio.run(fill(plant, 10_000))
    listed, _ = peak("dead-letters", "list", "--reason", "too strict")
    assert len(listed.splitlines()) == 10_000
    told, many = peak("dead-letters", "retry", "--all", "--yes")
    assert "10,000 retried: 10,000 passed and closed, 0 failed again" in told
    assert plant.orders.count_documents({}) == 10_000
    assert list((plant.home / "data/dead-letter/erp_json.inbound").glob("*~*.json")) == []
    assert int(many.split()[-1]) - int(few.split()[-1]) < 40


@pytest.mark.slow
def test_a_retry_killed_half_way_and_run_again_loses_and_doubles_nothing(plant):
    import asyncio

    asyncio.run(fill(plant, 3000))
    for seconds in (0.45, 0.6, 0.75, 0.9):
        process = plant.start("pipeline/__main__.py", "dead-letters", "retry", "--all", "--yes")
        time.sleep(seconds)
        process.kill()
        process.communicate(timeout=60)
    plant.command("dead-letters", "retry", "--all", "--yes")
    home = plant.home / "data/dead-letter/erp_json.inbound"
    archived = [msgspec.json.decode(line)["locator"] for line in (home / "resolved.jsonl").read_bytes().splitlines()]
    assert sorted(archived) == sorted(f"all.ndjson:{number}" for number in range(1, 3001))
    assert sorted(plant.documents()) == list(range(1, 3001))
    assert list(home.glob("*~*.json")) == []
