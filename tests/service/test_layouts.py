"""Layouts as tables of CLIENTS_FILE: mistakes with file, line and key; spoken by whoever names them."""

import pytest

from pipeline.errors import WrongSettings
from pipeline.service.toml_lines import line_of
from tests.service.test_customers import sessions

ACME = """\
[clients.acme]
kind = "erp_json"
inbound_dir = "in"
outbound_dir = "out"
layout = "acme"

[layouts.acme]
id = "order.ref"
created_at = { at = "order.opened", format = "%d/%m/%Y %H:%M" }
title = "order.text"

[layouts.acme.status]
at = "order.state"
words = { OPN = "created", APP = "pending", WIP = "in_progress", HLD = "on_hold", CLS = "completed", CAN = "cancelled" }

[layouts.acme.fields]
priority = { at = "order.prio", words = { "1" = "high", "2" = "low" } }
"""


def test_a_client_speaks_the_table_that_its_layout_names(tmp_path):
    (client,) = [session.client for session in sessions(tmp_path, ACME)]
    assert list(client.layouts) == ["acme"]
    assert list(client.terms.fields) == ["priority"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('title = "order.text"', 'titel = "order.text"', "10: layouts.acme.titel: there is no such key"),
        ('title = "order.text"', 'titel = "order.text"', "did you mean title?"),
        ('"%d/%m/%Y %H:%M"', '"%H:%M"', "9: layouts.acme.created_at.format: what it writes is not read"),
        ('HLD = "on_hold"', 'HLD = "onhold"', "14: layouts.acme.status.words.HLD: there is no onhold"),
        (', HLD = "on_hold"', "", "14: layouts.acme.status.words: no word for on_hold"),
        ('at = "order.state"', "", "12: layouts.acme.status: required"),
        ('"order.prio"', '"order.text"', "17: layouts.acme.fields.priority: title is in the same place"),
        ("[layouts.acme.fields]\npriority", "[layouts.acme.fields]\nisSynced", "17: layouts.acme.fields.isSynced: "),
        ('layout = "acme"', 'layout = "acmee"', "5: acme: layout: it has no such layout; did you mean acme?"),
        (
            "[layouts.acme.fields]",
            "[layout.acme.fields]",
            "16: layout: there is nothing of this name: did you mean lay",
        ),
        (
            'kind = "erp_json"',
            'kind = "erp_json"\nauthority = { titel = "client" }',
            "3: acme: authority: its layouts ",
        ),
        (
            'kind = "erp_json"',
            'kind = "erp_json"\nauthority = { title = "us" }',
            "3: acme: authority: title: expected ",
        ),
        ('kind = "erp_json"', 'kind = "erp_json"\ndirection = "in"', "3: acme: direction: expected one of both"),
        ('kind = "erp_json"', 'kind = "erp_json"\nnumber = "SAP"', "3: acme: number: expected a text with {id}"),
        ('kind = "erp_json"', 'kind = "erp_json"\nnumber = "SAP-{id}"', "3: acme: number: with shared ids an order"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path, old, new, told):
    assert old in ACME
    with pytest.raises(WrongSettings) as caught:
        for lines in sessions(tmp_path, ACME.replace(old, new)).problems.values():
            raise WrongSettings(lines)
    assert any(told in line and "clients.toml" in line for line in caught.value.problems), caught.value.problems


def test_all_mistakes_of_a_table_are_told_at_once(tmp_path):
    text = ACME.replace("id = ", "di = ").replace('"created"', '"new"').replace('"high"', "1")
    with pytest.raises(WrongSettings) as caught:
        sessions(tmp_path, text)
    assert len(caught.value.problems) >= 4


def test_layouts_that_are_no_tables_are_told(tmp_path):
    text = ACME.partition("[layouts")[0].replace('layout = "acme"', "") + "[layouts]\nacme = 1\n"
    assert ": layouts: expected tables [layouts.NAME]" in sessions(tmp_path, text).problems["layouts"][0]


def test_the_line_of_a_key_is_found_however_it_is_written():
    text = 'a = 1\n\n["b c".d]\n"e.f" = { g = 1 }\nh.i = 2\n[b]\n'
    assert [line_of(text, *path) for path in (("a",), ("b c", "d", "e.f", "g"), ("b c", "d", "h", "i"), ("b",))] == [
        1,
        4,
        5,
        6,
    ]
    assert line_of(text, "nothing") == 1
