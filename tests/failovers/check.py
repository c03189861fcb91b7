"""What must hold after failovers: both sides equal, each order once, counts true, an idle run that writes nothing."""

import re
from collections import Counter

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from pipeline.history.journal import read_runs
from tests.failovers.orders import is_doomed, is_edited_by_client, is_told_again, title_of, told

SHOWN = 10
"""Of what differs."""

UNDER_WAY = 2 * 1000
"""Orders: two groups of outbound documents, which are larger than two batches of records."""

LINE = re.compile(r"\d\d:\d\d:\d\d (INFO   |WARNING|ERROR  ) \S[^\n]*")
"""What a line of the log looks like; a line of a stack trace does not."""


def see(what: str, found: object, wanted: object) -> None:
    """Raise AssertionError, which shows some of what differs, where they are not equal."""
    if found != wanted:
        if isinstance(found, dict) and isinstance(wanted, dict):
            keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
            shown = {key: (found.get(key), wanted.get(key)) for key in keys[:SHOWN]}
            raise AssertionError(f"{what}: {len(keys)} differ (found, wanted): {shown}")
        raise AssertionError(f"{what}: found {found}, wanted {wanted}")


def check_marked_are_told(plant) -> None:
    """Whatever a majority has as marked, of what is born in TracOS, is in the client's folder."""
    with MongoClient(plant.environ["MONGO_URI"]) as client:
        orders = client[plant.environ["MONGO_DATABASE"]].get_collection(
            "workorders", read_concern=ReadConcern("majority")
        )
        marked = orders.find({"number": {"$lt": 0}, "isSynced": True}, {"number": 1, "_id": 0})
        numbers = [one["number"] for one in marked]
    there = {path.name for path in plant.outbound.glob("*.json")}
    see("marked without a file", [number for number in numbers if f"{number}.json" not in there], [])


def check_both_sides(plant, count: int, *, edited: bool) -> None:
    """Each order is there once, says on both sides what it is to say, and is told as often as it must be."""
    documents = list(plant.orders.find({}, {"number": 1, "title": 1, "isSynced": 1}))
    titles = {document["number"]: document["title"] for document in documents}
    see("documents", len(documents), 2 * count)
    see("titles in TracOS", titles, {number: title_of(number, edited=edited) for number in range(-count, count)})
    see("unsynced", [document["number"] for document in documents if document["isSynced"] is not True], [])
    see("told", {name: record["title"] for name, record in plant.sent().items()}, told(count, edited=edited))
    see("dead letters", plant.letters(), {})
    assert not is_doomed((plant.home / "data/decisions.jsonl").read_text())


def check_counts(plant, count: int, *, edited: bool, runs: int) -> None:
    """The journal's last ``runs`` have counted each order once; a run that an outage ends has some under way.

    What a majority confirms only later counts for no run; what it never confirms is sent twice.
    """
    counted: Counter[str] = Counter()
    last = list(read_runs(plant.home / "data/runs.jsonl"))[-runs:]
    for run in last:
        for flow in run.flows:
            counted.update({f"{flow.flow.rpartition('.')[2]} {name}": number for name, number in flow.outcomes.items()})
    see("endings", [run.ending for run in last], ["stopped"] * (runs - 1) + ["finished"])
    ours = sum(map(is_told_again if edited else lambda number: number < 0, range(-count, count)))
    theirs = sum(map(is_edited_by_client if edited else lambda number: number >= 0, range(-count, count)))
    what = "inbound updated" if edited else "inbound created"
    if runs == 1:
        see("counts", dict(+counted), {what: theirs, "outbound sent": ours})
    under_way = UNDER_WAY * (runs - 1)
    assert theirs - under_way <= counted[what] <= theirs, counted
    assert ours - under_way <= counted["outbound sent"] <= ours + under_way, counted


def check_log(err: str) -> list[str]:
    """The warnings; each line is one line, and no stack trace."""
    lines = err.splitlines()
    see("lines that are none of the log", [line for line in lines if LINE.fullmatch(line) is None], [])
    return [line[9:] for line in lines if " INFO " not in line]


def check_idle(plant) -> None:
    """A run with nothing to do says so, and touches nothing."""
    before = plant.state()
    out, err = plant.run()
    assert "nothing to do" in out, out
    see("log of an idle run", err, "")
    (files, documents), (files_then, documents_then) = plant.state(), before
    see("files after an idle run", files, files_then)
    assert documents == documents_then, "an idle run has changed documents"
