"""The examples of docs/sync-rules.md, played by the program over folders and a real MongoDB."""

import json
import re

import pytest

from tests.plant import ROOT

PAGE = (ROOT / "docs/sync-rules.md").read_text()
EXAMPLES = [
    (re.findall(r"(?m)^#+ (.+)$", PAGE[: found.start()])[-1], found[0])
    for found in re.finditer(r"(?m)(^\|.*\n)+", PAGE)
]
NAMES = {"title": "title", "description": "description", "status": "status", "at": "updatedAt", "deleted": "deletedAt"}
TABLE = (
    '[clients.erp]\nkind = "erp_json"\ncollection = "workorders"\ninbound_dir = "data/inbound"\n'
    'outbound_dir = "data/outbound"\nauthority = {{ {} }}\n'
)


class World:
    """One example: what happens, line by line, and what is to be seen then."""

    def __init__(self, plant, authority):
        self.plant = plant
        (plant.home / "clients.toml").write_text(TABLE.format(authority))
        plant.inbound.mkdir(parents=True)
        self.plant.environ |= {"CLIENTS_FILE": "clients.toml"}

    def play(self, what, cells):
        said = {NAMES[name]: text for name, text in cells.items() if text}
        for name in ("updatedAt", "deletedAt"):
            if re.fullmatch(r"\d\d:\d\d", said.get(name, "")):
                said[name] = f"2026-10-01T{said[name]}:00.000Z"
        getattr(self, what.strip("*").replace(" ", "_").lower())(said)

    def client_shows(self, said):
        said = {"id": 7, "status": "NEW", "createdAt": "2026-09-01T00:00:00Z"} | said
        self.plant.put("7.json", said)

    def tracos_has(self, said):
        made = {"number": 7, "createdAt": "2026-09-01T00:00:00.000Z", "isSynced": False} | said
        self.plant.orders.insert_one(made)

    def tracos_is_edited(self, said):
        done = self.plant.orders.update_one({"number": 7}, {"$set": said | {"isSynced": False}})
        assert done.matched_count == 1

    def a_run(self, said):
        for path in self.plant.outbound.glob("*"):
            path.unlink()
        self.plant.command("run")

    def tracos_says(self, said):
        document = self.plant.orders.find_one({"number": 7})
        deleted = said.pop("deletedAt", None)
        assert {name: document[name] for name in said} == said
        if deleted:
            assert document["deleted"] == (deleted == "yes")

    def client_is_told(self, said):
        told = self.plant.sent()
        if said == {"title": "nothing"}:
            assert told == {}
        else:
            assert {name: told["7.json"][name] for name in said} == said

    def gave_way(self, said):
        (run, *_) = json.loads(self.plant.command("history", "--json"))[::-1]
        lost = json.loads(self.plant.command("conflicts", "list", "--json"))
        values = [one["value"] for one in lost if one["run"] == run["run"]]
        assert sorted(values) == sorted(said["title"].split(", "))


@pytest.mark.slow
@pytest.mark.parametrize(("heading", "table"), EXAMPLES, ids=[heading for heading, _ in EXAMPLES])
def test_the_example_is_what_happens(plant, heading, table):
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    world = World(plant, 'title = "client"' if heading == "One side has the say" else "")
    for what, *cells in lines:
        world.play(what, dict(zip(head[1:], cells, strict=True)))


@pytest.mark.slow
def test_an_example_that_says_otherwise_is_noticed(plant):
    """The example of a newer edit, with another end."""
    table = dict(EXAMPLES)["The newer edit stays, the other one gives way"]
    for right, wrong in (("says | Pump drips", "says | Pump leaks"), ("told | nothing", "told | Pump drips")):
        assert right in table
        with pytest.raises((AssertionError, KeyError)):
            test_the_example_is_what_happens(plant, "", table.replace(right, wrong))
        plant.orders.delete_many({})
        for path in plant.inbound.glob("*"):
            path.unlink()
        plant.inbound.rmdir()
