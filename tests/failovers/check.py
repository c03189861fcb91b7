"""What must hold after failovers: both sides equal, each order once, counts true, an idle run that writes nothing."""

import re
from collections import Counter

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from pipeline.history.journal import read_runs
from tests.failovers.orders import is_doomed, is_edited_by_client, is_told_again, title_of, told
from tests.mongo import again

SHOWN = 10
"""Of what differs."""

UNDER_WAY = 2 * 1000
"""Orders: two groups of outbound documents, which are larger than two batches of records."""

MAY_SAY = "MONGO_URI: w=|trying again"
"""What an idle run may log: an option that it raises, and an election, which a loaded machine has by itself."""

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
        numbers = again(lambda: [one["number"] for one in marked.clone()])
    there = {path.name for path in plant.outbound.glob("*.json")}
    see("marked without a file", [number for number in numbers if f"{number}.json" not in there], [])


def check_both_sides(plant, count: int, *, edited: bool) -> None:
    """Each order is there once, says on both sides what it is to say, and is told as often as it must be."""
    documents = again(lambda: list(plant.orders.find({}, {"number": 1, "title": 1, "isSynced": 1})))
    titles = {document["number"]: document["title"] for document in documents}
    see("documents", len(documents), 2 * count)
    see("titles in TracOS", titles, {number: title_of(number, edited=edited) for number in range(-count, count)})
    see("unsynced", [document["number"] for document in documents if document["isSynced"] is not True], [])
    see("told", {name: record["title"] for name, record in plant.sent().items()}, told(count, edited=edited))
    see("dead letters", plant.letters(), {})
    assert not is_doomed((plant.home / "data/decisions.jsonl").read_text())


def check_counts(plant, count: int) -> None:
    """The journal has counted each order once; a run that an outage has ended is not sure of those under way.

    What a majority confirms only later counts for no run; what it never confirms is sent twice.
    """
    counted: Counter[str] = Counter()
    runs = list(read_runs(plant.home / "data/runs.jsonl"))
    for flow in (flow for run in runs for flow in run.flows):
        counted.update({f"{flow.flow.rpartition('.')[2]} {name}": number for name, number in flow.outcomes.items()})
    stopped = sum(run.ending == "stopped" for run in runs)
    see("endings", {run.ending for run in runs} - {"stopped"}, {"finished"})
    both = range(-count, count)
    sent = count + sum(map(is_told_again, both))
    wanted = {"inbound created": count, "inbound updated": sum(map(is_edited_by_client, both)), "outbound sent": sent}
    if not stopped:
        see("counts", dict(+counted), wanted)
    for what, number in wanted.items():
        more = UNDER_WAY * stopped if what == "outbound sent" else 0
        assert number - UNDER_WAY * stopped <= counted[what] <= number + more, f"{what}: {counted[what]} of {number}"


def check_log(err: str, *, has_report: bool = False) -> list[str]:
    """The warnings; each line is one line, and no stack trace; what a report says beside its rows may be among them."""
    assert "Traceback" not in err, err
    lines = [line for line in err.splitlines() if not has_report or line[:1].isdigit()]
    see("lines that are none of the log", [line for line in lines if LINE.fullmatch(line) is None], [])
    return [line[9:] for line in lines if " INFO " not in line]


def check_idle(plant) -> None:
    """A run with nothing to do says so, and touches nothing."""
    before = again(plant.state)
    out, err = plant.run()
    assert "nothing to do" in out, out
    see("log of an idle run", [line for line in check_log(err) if not re.search(MAY_SAY, line)], [])
    (files, documents), (files_then, documents_then) = again(plant.state), before
    see("files after an idle run", files, files_then)
    assert documents == documents_then, "an idle run has changed documents"
