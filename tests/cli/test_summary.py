"""The summary, to the letter."""

from collections import Counter
from pathlib import Path

from pipeline.cli.started import command
from pipeline.cli.summary import summary
from pipeline.dataflow.run import Report

CONFLICTS, LETTERS = (command(group, "list") for group in ("conflicts", "dead-letters"))


def text(*reports, ending="finished", width=0):
    return summary(
        {"erp_json": reports}, dead_letters=Path("data/dead-letter"), seconds=1.25, ending=ending, width=width
    )


def test_a_run_with_something_to_tell():
    inbound = Report(
        flow="erp_json.inbound",
        received=12345,
        outcomes=Counter(updated=3, created=12000, repeat=300, unchanged=20, stale=2),
        skipped=1,
        held=4,
        closed=6,
        deferred=5,
        dead=Counter(parse=4, validate=6),
    )
    outbound = Report(flow="erp_json.outbound", received=7, outcomes=Counter(sent=7))
    assert text(inbound, outbound) == (
        "work orders, erp_json ⇄ TracOS: finished in 1.2 s\n"
        "\n"
        "  inbound   client → TracOS  12,345 read   12,000 created · 3 updated · 320 unchanged · 2 stale · 1 skipped"
        " · 5 left for the next run · 10 dead-lettered · 4 still dead · 6 closed\n"
        "  outbound  TracOS → client       7 read   7 sent\n"
        "\n"
        "  dead letters: 4 at parse, 6 at validate; look into data/dead-letter/erp_json.inbound\n"
        "  still dead: 4 unchanged since, in data/dead-letter/erp_json.inbound\n"
        f"  to see and mend them: {LETTERS}\n"
    )
    narrow = text(inbound, outbound, width=70).splitlines()
    assert narrow[2:8] == [
        "  inbound   client → TracOS  12,345 read",
        "            12,000 created · 3 updated · 320 unchanged · 2 stale",
        "            1 skipped · 5 left for the next run · 10 dead-lettered",
        "            4 still dead · 6 closed",
        "  outbound  TracOS → client       7 read   7 sent",
        "",
    ]
    assert narrow[-2:] == ["  to see and mend them:", f"    {LETTERS}"]
    assert max(len(line) for line in narrow if LETTERS not in line) <= 70


def test_an_idle_run_reads_as_calm_as_it_is():
    assert text(
        Report(flow="erp_json.inbound", received=2, outcomes=Counter(repeat=2)), Report(flow="erp_json.outbound")
    ) == (
        "work orders, erp_json ⇄ TracOS: finished in 1.2 s\n"
        "\n"
        "  inbound   client → TracOS  2 read   2 unchanged\n"
        "  outbound  TracOS → client  0 read   nothing to do\n"
    )


def test_a_run_that_was_stopped_before_anything_was_read():
    assert text(ending="stopped") == "work orders, erp_json ⇄ TracOS: stopped in 1.2 s\n"
    told = text(Report(flow="erp_json.inbound"), ending="stopped")
    assert "  inbound   client → TracOS  0 read   not read to the end\n" in told


def test_it_says_where_the_orders_are_and_what_gave_way():
    place = "mongodb://h:27017/plant.workorders"
    reports = [
        Report(flow="erp.inbound", source="data/in", sink=place, received=1, outcomes=Counter(updated=1)),
        Report(flow="erp.outbound", source=place, sink="https://erp.example/orders"),
    ]
    options = {"dead_letters": Path("d"), "seconds": 1.25, "ending": "finished"}
    assert summary({"erp": reports}, gave_way={"tracos": 1200, "client": 1}, **options) == (
        "work orders, erp ⇄ TracOS: finished in 1.2 s\n"
        "  TracOS: mongodb://h:27017/plant.workorders\n"
        "  data/in → TracOS → https://erp.example/orders\n"
        "\n"
        "  inbound   client → TracOS  1 read   1 updated\n"
        "  outbound  TracOS → client  0 read   nothing to do\n"
        "\n"
        "  values that gave way: 1 of the client, 1,200 of TracOS\n"
        f"  to see them: {CONFLICTS}\n"
    )
    several = summary({"erp": reports[:1], "other": reports[1:]}, **options)
    assert "\n  erp\n    TracOS: mongodb://h:27017/plant.workorders\n    data/in → TracOS\n" in several
    assert (
        "\n  other\n    TracOS: mongodb://h:27017/plant.workorders\n    TracOS → https://erp.example/orders\n"
        in several
    )


def test_a_client_that_is_read_and_told_at_one_place_is_named_once():
    ours, theirs = "mongodb://h:27017/plant.workorders", "https://erp.example/orders"
    inbound = Report(flow="erp.inbound", source=theirs, sink=ours)
    outbound = Report(flow="erp.outbound", source=ours, sink=theirs)
    assert text(inbound, outbound).splitlines()[1:3] == [f"  TracOS: {ours}", f"  {theirs} ⇄ TracOS"]
    assert text(inbound).splitlines()[2] == f"  {theirs} → TracOS"


def test_several_clients_have_a_block_each_and_what_befell_them_is_told():
    told = summary(
        {
            "acme": [
                Report(flow="acme.inbound", received=12, outcomes=Counter(created=12)),
                Report(flow="acme.outbound"),
            ],
            "north": [Report(flow="north.inbound", received=3)],
        },
        failed={"north": "stopped", "south": "left out"},
        dead_letters=Path("data/dead-letter"),
        seconds=1.25,
        ending="incomplete",
    )
    assert told == (
        "work orders, 3 clients ⇄ TracOS: incomplete in 1.2 s\n"
        "\n"
        "  acme\n"
        "    inbound   client → TracOS  12 read   12 created\n"
        "    outbound  TracOS → client   0 read   nothing to do\n"
        "\n"
        "  north\n"
        "    inbound   client → TracOS   3 read   nothing to do\n"
        "    stopped; the log says why\n"
        "\n"
        "  south\n"
        "    left out; the log says why\n"
    )
