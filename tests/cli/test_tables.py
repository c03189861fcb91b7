"""Tables fit: whole words at any width, cards where there is no room, one form for programs."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeline.cli import conflicts, history, letters, plan, reconcile, sample, state
from pipeline.cli.tables import LONG, Column, laid_out

WIDTHS = [60, 80, 100, 160]
TABLES = {
    "letters": letters.LETTERS,
    "groups": letters.GROUPS,
    "history": history.COLUMNS,
    "plan": plan.WRITES,
    "plan, dead": plan.LETTERS,
    "conflicts": conflicts.COLUMNS,
    "reconcile": reconcile.COLUMNS,
    "state": state.COLUMNS,
    "a sample": sample.COLUMNS,
}
SENTENCE = "not JSON: input data was truncated; expected RFC 3339 such as 2026-10-31T12:16:45.123Z"
GAPS = re.compile(r"[\s·─]+")


def lines_of(columns, rows, width):
    return [line.plain for line in laid_out(columns, rows, width)]


def words(texts):
    return Counter(word for text in texts for word in GAPS.split(text) if word)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TABLES)
def test_no_word_of_a_head_or_of_a_cell_is_cut_or_broken(name, width):
    columns = TABLES[name]
    row = [SENTENCE if column.wraps else "12" if column.is_number else "2026-11-26" for column in columns]
    lines = lines_of(columns, [row, row], width)
    assert max(map(cell_len, lines)) <= width
    shown = words(lines)
    assert not words([*row, *row]) - shown
    if "─" in "".join(lines):
        assert lines[0].split() == " ".join(column.head for column in columns).split()
    else:
        assert not words(column.head for column in columns if not column.leads) - shown


@pytest.mark.parametrize("name", ["letters", "groups", "history", "plan", "conflicts"])
def test_on_a_narrow_terminal_many_columns_are_cards_with_what_tells_most_first(name):
    columns = TABLES[name]
    row = ["x"] * len(columns)
    for width in (60, 80, 99):
        lines = lines_of(columns, [row, row], width)
        assert (lines[0][0] != " ", lines[1][:2], lines.count("")) == (True, "  ", 1)
        assert lines[0].split()[-1] == "x"
    assert "─" in lines_of(columns, [row], 160)[1]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=90)


@given(
    st.lists(st.builds(Column, st.just("a head"), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=9),
    st.integers(40, 170),
    st.data(),
)
def test_nothing_is_lost_and_no_line_is_too_long(columns, width, data):
    rows = data.draw(st.lists(st.tuples(*[TEXT] * len(columns)), max_size=4))
    lines = lines_of(columns, rows, width)
    assert all(cell_len(line) <= width for line in lines)
    shown, told = "".join(lines), "".join("".join(row) for row in rows)
    assert not Counter(GAPS.sub("", told)) - Counter(shown)
    short = [word for word in words(" ".join(row) for row in rows) if cell_len(word) <= min(LONG, width - 8)]
    assert all(any(word in line for line in lines) for word in short)


def test_a_column_in_which_nothing_is_said_has_no_place():
    assert lines_of([Column("order"), Column("restored")], [["7", ""]], 80) == ["order", "─────", "7"]


def test_numbers_stand_under_each_other():
    lines = lines_of([Column("letters", is_number=True), Column("why")], [["1", "a"], ["1,000", "b"]], 80)
    assert lines[2:] == ["      1  a", "  1,000  b"]


@pytest.fixture
def ran(plant):
    plant.run("setup.py")
    plant.command("plan", exits=4)
    plant.run()
    return plant


REPORTS = {
    ("dead-letters", "list"): 9,
    ("dead-letters", "stats"): 3,
    ("history",): 12,
    ("conflicts", "list"): 9,
    ("reconcile",): 8,
    ("state", "show"): 4,
    ("doctor",): 4,
    ("clients", "list"): 3,
}


def test_the_commands_fit_on_every_terminal_and_elsewhere_say_rows_alone(ran):
    ran.orders.update_one({"number": 101}, {"$set": {"title": "Edited, and not marked"}})
    ran.command("plan")
    for command, cells in REPORTS.items():
        exits = 4 if command == ("reconcile",) else 0
        for width in WIDTHS:
            lines = ran.shown(width, *command, exits=exits).splitlines()
            assert [line for line in lines if cell_len(line) > width and "pipeline" not in line] == [], command
        rows = [line.split("\t") for line in ran.command(*command, exits=exits).splitlines()]
        assert rows, command
        assert {len(row) for row in rows} == {cells}, command


def test_what_is_said_beside_rows_is_for_people_and_in_the_form_of_the_log(plant):
    code, out, err = plant.ask("history")
    assert (code, out, err) == (0, "", "no runs yet in data/runs.jsonl\n")
    assert plant.shown(80, "history") == "no runs yet in data/runs.jsonl\n"
    _, out, err = plant.ask("history", LOG_FORMAT="json")
    assert (out, json.loads(err)["message"]) == ("", "no runs yet in data/runs.jsonl")


def test_letters_that_failed_for_like_reasons_are_one_line_of_a_terminal(plant):
    for number in range(40):
        plant.put(f"{number}.json", b" " * (number % 9) + b'{"id": 1x}')
    plant.put("other.json", {"id": 7, "status": "LOST", "createdAt": "2026-10-01"})
    plant.command("run")
    lines = plant.shown(80, "dead-letters", "list").splitlines()
    assert any(line.startswith("40 ×  not JSON: ") for line in lines)
    assert any(line.startswith("1 ×  $.status: unknown status") for line in lines)
    assert "41 open dead letters in data/dead-letter" in lines
    each = plant.shown(80, "dead-letters", "list", "--each")
    assert len(re.findall(r"(?m)^  where \d+\.json", each)) == 40
    assert len(plant.command("dead-letters", "list").splitlines()) == 41
