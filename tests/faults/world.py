"""A small plant in which every kind of file work is done: what each command finds, and what must be in the end."""

import gzip
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.decisions import read_decisions
from pipeline.testing import FakeErp
from tests.plant import Plant

CSV = """\
[clients.erp_json]
kind = "csv_folder"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"
"""
REST = """\
[clients.erp_json]
kind = "rest_json"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
since_param = "updated_since"
etag = "_etag"
"""
HEAD = b"id,status,createdAt,title,updatedAt\r\n"
EARLY, LATER, LATEST = (f"2026-10-0{day}T08:00:00.000Z" for day in (1, 2, 3))


def record(number: int, title: str = "as it came", at: str = EARLY, status: str = "NEW", **more: Any) -> dict[str, Any]:
    """An order as the client writes it."""
    return {"id": number, "status": status, "createdAt": EARLY, "updatedAt": at, "title": title, **more}


def document(number: int, title: str = "born here", **more: Any) -> dict[str, Any]:
    """An order as TracOS has it that nobody has synced."""
    return {"number": number, "title": title, "status": "created", "createdAt": EARLY, "updatedAt": EARLY, **more}


def edit(plant: Plant, number: int, title: str, at: str) -> None:
    """Somebody edits an order in TracOS."""
    plant.orders.update_one({"number": number}, {"$set": {"title": title, "updatedAt": at, "isSynced": False}})


def first_day(plant: Plant) -> None:
    """Some orders on both sides, some of them bad."""
    for number in (1, 2, 3):
        plant.put(f"{number}.json", record(number))
    plant.put("array.json", [record(10), record(11), record(12, status="WRONG")])
    plant.put("lines.ndjson", b"\n".join(msgspec.json.encode(record(number)) for number in (20, 21)))
    plant.put("broken.json", b'{"id": 30, ')
    plant.put("status.json", record(31, status="WRONG"))
    plant.put("another.json", record(32, status="WRONG"))
    plant.orders.insert_many([document(100), document(101), {"number": 102, "title": "has no date"}])


def second_day(plant: Plant) -> None:
    """Edits on both sides, a letter that is mended at its source, a new one, and files that are zipped."""
    plant.put("1.json", record(1, "edited by the client", LATEST))
    edit(plant, 1, "edited here", LATER)
    plant.put("2.json", record(2, "edited by the client", LATER))
    edit(plant, 2, "edited here", LATEST)
    edit(plant, 3, "edited here", LATEST)
    plant.put("broken.json", record(30))
    plant.put("worse.json", b"not JSON")
    plant.put(
        "zipped.ndjson.gz", gzip.compress(msgspec.json.encode(record(40)) + b"\n" + msgspec.json.encode(record(41)))
    )
    plant.put("21-is-gone.json", record(21, at=LATER, deletedAt=LATER))
    plant.orders.insert_many([document(103), {"number": 104, "title": "has no date either"}])
    plant.orders.update_one({"number": 102}, {"$set": {"createdAt": EARLY, "status": "created"}})


def two_days(plant: Plant) -> None:
    """The second day, not yet synced."""
    first_day(plant)
    plant.command("run")
    second_day(plant)


def csv_days(plant: Plant) -> None:
    """Two days of a client that writes CSV."""
    (plant.home / "clients.toml").write_text(CSV)
    plant.put("a.csv", HEAD + b"1,NEW,2026-10-01,a,\r\n2,WRONG,2026-10-01,b,\r\n")
    plant.orders.insert_many([document(100), document(101)])
    plant.command("run")
    plant.put("a.csv", HEAD + b"1,NEW,2026-10-01,a,\r\n2,NEW,2026-10-01,b,\r\n")
    plant.put("b.csv", HEAD + b"1,DONE,2026-10-01,c,2026-10-02\r\n3,NEW,2026-10-01,d,\r\n")
    edit(plant, 100, "edited here", LATER)


def rest_days(plant: Plant) -> None:
    """Two days of a client with an API."""
    for number in (1, 2, 3):
        plant.erp.put(record(number))
    plant.erp.put(record(4, status="WRONG"))
    (plant.home / "clients.toml").write_text(REST.format(url=plant.erp.url))
    plant.orders.insert_many([document(100), document(101)])
    plant.command("run")
    plant.erp.put(record(5, at=LATER))
    edit(plant, 1, "edited here", LATER)
    edit(plant, 100, "edited here", LATER)


def letter(plant: Plant, place: str) -> str:
    """The id of the letter about ``place``."""
    office = DeadLetterOffice(plant.home / "data/dead-letter")
    return next(filed.id for filed in office.find() if filed.letter.locator == place)


def mended(plant: Plant) -> None:
    """A letter that is mended, and not yet tried again."""
    two_days(plant)
    plant.command("run")
    plant.command("dead-letters", "edit", letter(plant, "status.json"))


class Scenario(NamedTuple):
    """A command, what is there before it, and how it is set."""

    prepare: Callable[[Plant], None]
    arguments: Callable[[Plant], tuple[str, ...]]
    environ: dict[str, str] = {}  # noqa: RUF012 - nobody writes into it
    wants: tuple[int, ...] = (0,)
    """Its exit codes on a disk that is well."""
    runs: int = 1
    """How many it takes, afterwards, until nothing is left to be said."""


def _run(_: Plant) -> tuple[str, ...]:
    return ("run",)


SCENARIOS = {
    "inbound": Scenario(two_days, lambda _: ("run", "--only", "inbound")),
    "outbound": Scenario(two_days, lambda _: ("run", "--only", "outbound")),
    "run": Scenario(two_days, _run),
    "archive": Scenario(two_days, _run, {"INBOUND_AFTER": "archive"}),
    "delete": Scenario(two_days, _run, {"INBOUND_AFTER": "delete"}),
    "csv": Scenario(csv_days, _run, {"CLIENTS_FILE": "clients.toml"}),
    "rest": Scenario(rest_days, _run, {"CLIENTS_FILE": "clients.toml"}, runs=3),
    "retry": Scenario(mended, lambda _: ("dead-letters", "retry", "--all"), wants=(3,)),
    "edit": Scenario(
        two_days,
        lambda plant: ("dead-letters", "edit", letter(plant, "status.json")),
        {"EDITOR": "sed -i s/WRONG/NEW/"},
    ),
    "discard": Scenario(
        two_days, lambda plant: ("dead-letters", "discard", letter(plant, "status.json"), "--because", "it is over")
    ),
    "restore": Scenario(
        lambda plant: (two_days(plant), plant.command("run")), lambda _: ("conflicts", "restore", "1", "title")
    ),
    "plan": Scenario(two_days, lambda _: ("plan",), wants=(4,)),
    "list": Scenario(two_days, lambda _: ("dead-letters", "list")),
    "conflicts": Scenario(lambda plant: (two_days(plant), plant.command("run")), lambda _: ("conflicts", "list")),
    "explain": Scenario(two_days, lambda _: ("explain", "1")),
    "history": Scenario(two_days, lambda _: ("history",)),
    "erase": Scenario(
        lambda plant: (two_days(plant), plant.command("run")), lambda _: ("erase", "1", "--because", "they asked")
    ),
    "reset": Scenario(lambda plant: (two_days(plant), plant.command("run")), lambda _: ("state", "reset", "erp_json")),
    "reconcile": Scenario(two_days, lambda _: ("reconcile", "--fix")),
}


class World:
    """A plant that is set back to what a scenario begins with, as often as one likes."""

    def __init__(self, home: Path, uri: str, database: str, scenario: Scenario) -> None:
        self.plant = Plant(home / "plant", uri, database)
        self.scenario = scenario
        self.template = home / "template"
        self.plant.home.mkdir()
        (self.plant.home / "tmp").mkdir()
        self.plant.environ |= {"EDITOR": "sed -i s/WRONG/NEW/", **scenario.environ}
        self.erp = self.plant.erp = FakeErp()
        self.erp.__enter__()
        scenario.prepare(self.plant)
        self.arguments = scenario.arguments(self.plant)
        self.plant.home.rename(self.template)
        self._documents = list(self.plant.orders.find())
        self._of_erp = [dict(order) for order in self.erp.orders.values()]

    def close(self) -> None:
        """Let the database go."""
        self.erp.__exit__(None, None, None)
        self.plant.client.drop_database(self.plant.environ["MONGO_DATABASE"])
        self.plant.client.close()

    def begin(self) -> None:
        """Everything is as it was."""
        shutil.rmtree(self.plant.home, ignore_errors=True)
        shutil.copytree(self.template, self.plant.home, symlinks=True)
        self.plant.orders.delete_many({})
        self.plant.orders.insert_many(self._documents)
        self.erp._keys.clear()  # else it takes nothing that it was told in another play
        self.erp.orders.clear()
        self.erp.orders.update({str(order["id"]): dict(order) for order in self._of_erp})

    def take(self, after: Path) -> None:
        """The files are now what lies in ``after``."""
        shutil.rmtree(self.plant.home)
        after.rename(self.plant.home)

    def finish(self) -> None:
        """What a person does once the disk is well: the same again, and a run."""
        self.ask()
        for _ in range(self.scenario.runs):
            self.plant.command("run")

    def ask(self) -> tuple[int, str, str]:
        """The scenario's command."""
        with mock.patch.object(tempfile, "tempdir", str(self.plant.home / "tmp")):
            return self.plant.ask(*self.arguments)

    def picture(self) -> dict[str, Any]:
        """Both sides and all that is kept of them, but for when it was done."""
        data = self.plant.home / "data"
        return {
            "documents": {number: _said(one) for number, one in self.plant.documents().items()},
            "sent": {path.name: path.read_bytes() for path in sorted(self.plant.outbound.glob("*"))},
            "inbound": {
                str(path.relative_to(self.plant.inbound)): path.read_bytes()
                for path in sorted(self.plant.inbound.rglob("*"))
                if path.is_file()
            },
            "letters": {place: (one.stage, one.reasons, one.mended) for place, one in self.plant.letters().items()},
            "closed": sorted(
                (one["locator"], one["stage"], one["closed"])
                for name in ("resolved.jsonl", "discarded.jsonl")
                for path in data.glob(f"dead-letter/*/{name}")
                for one in map(msgspec.json.decode, path.read_bytes().splitlines())
            ),
            "gave way": {
                (entry.number, lost.field, lost.side, str(lost.value))
                for entry in read_decisions(data / "decisions.jsonl")
                for lost in entry.lost
            },
            "erp": {key: {**one, "_etag": ""} for key, one in self.erp.orders.items()},
        }


def _said(one: dict[str, Any]) -> dict[str, Any]:
    """What a document says of its order, and whether the client knows; not which way it went until both did."""
    sync = one.get("sync") or {}
    kept = {key: value for key, value in one.items() if key not in ("_id", "syncedAt", "sync")}
    if not str(kept.get("updatedAt")).endswith(EARLY[-14:]):
        kept.pop("updatedAt", None)  # it was edited by a command, just now
    return {**kept, "sync.id": sync.get("id"), "sync.layout": sync.get("layout")}
