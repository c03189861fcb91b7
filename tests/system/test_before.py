"""What the version before has written, in MongoDB and on disk: this one goes on, and an idle run writes nothing.

``before/`` is of before there were fields of any name and ids of the client's own: documents with every kind of memory
(edited, doubted, confirmed, deleted, more kept copies than hashes), the files that they came from, and the state.
"""

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from bson import json_util

from pipeline.testing.fake_erp import FakeErp

BEFORE = Path(__file__).parent / "before"

CLIENTS = """
[clients.files]
kind = "erp_json"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"

[clients.api]
kind = "rest_json"
collection = "api"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
size_param = "limit"
page_size = 3
since_param = "updated_since"
since = "{{time}}"
etag = "_etag"
"""


@pytest.fixture
def left_behind(plant):
    for name in ("inbound", "outbound", "state", "dead-letter"):
        shutil.copytree(BEFORE / name, plant.home / "data" / name, dirs_exist_ok=True)
    for name, mtime in msgspec.json.decode((BEFORE / "mtimes.json").read_bytes()).items():
        os.utime(plant.inbound / name, ns=(mtime, mtime))
    for name, documents in json_util.loads((BEFORE / "documents.json").read_text()).items():
        plant.orders.database[name].insert_many(documents)
    erp = FakeErp()
    erp.orders = msgspec.json.decode((BEFORE / "orders.json").read_bytes())["orders"]
    (plant.home / "clients.toml").write_text(CLIENTS.format(url=erp.url))
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    with erp:
        yield plant, erp


def documents(plant):
    return {name: list(plant.orders.database[name].find().sort("_id", 1)) for name in ("workorders", "api")}


def files(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_an_idle_run_over_what_the_version_before_has_left_writes_nothing(left_behind):
    plant, erp = left_behind
    before, outbound = documents(plant), files(plant.outbound)
    out, _ = plant.run()
    assert documents(plant) == before
    assert files(plant.outbound) == outbound
    assert erp.applied == 0
    assert "7 read   7 unchanged" in out
    assert out.count("0 read   nothing to do") == 2


def test_its_orders_are_edited_and_told_as_ever(left_behind):
    plant, erp = left_behind
    plant.orders.update_one({"number": 3}, {"$set": {"title": "edited", "isSynced": False}})
    plant.orders.database["api"].update_one({"number": "A2"}, {"$set": {"title": "edited", "isSynced": False}})
    plant.put(
        "later.json", {"id": 4, "status": "DONE", "createdAt": "2026-10-01", "updatedAt": "2026-10-22", "title": "x"}
    )
    plant.run()
    assert msgspec.json.decode((plant.outbound / "3.json").read_bytes())["title"] == "edited"
    assert erp.orders["A2"]["title"] == "edited"
    assert plant.orders.find_one({"number": 4})["title"] == "x"
    assert plant.orders.count_documents({"isSynced": {"$ne": True}}) == 0
