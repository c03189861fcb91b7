"""One run at a time works on a client's orders: who comes second is told, whoever is held up changes nothing newer."""

import os
import signal
import threading
from datetime import UTC, datetime

import pytest

from pipeline.testing import FakeErp
from tests.mongo import until
from tests.plant import Plant

CLIENT = """\
[clients.north]
kind = "rest_json"
url = "{url}"
items = "items"
since_param = "since"
"""
ORDER = {"id": 1, "status": "NEW", "title": "old", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"}


class Hesitant(FakeErp):
    """Takes its time over what says ``title``: it is applied once ``go`` is set."""

    def __init__(self, title):
        super().__init__()
        self._title = title.encode()
        self.arrived, self.go = threading.Event(), threading.Event()

    def take(self, method, order_id, body, headers):
        if self._title in body:
            self.arrived.set()
            self.go.wait(60)
        return super().take(method, order_id, body, headers)


@pytest.fixture
def erp():
    with Hesitant("first edit") as erp:
        erp.put(ORDER)
        yield erp
        erp.go.set()


@pytest.fixture
def other(plant, tmp_path, mongo_uri):
    """The same plant as another machine has it: nothing is shared but the database."""
    home = tmp_path / "other"
    home.mkdir()
    other = Plant(home, mongo_uri, plant.orders.database.name)
    yield other
    other.client.close()


ENVIRON = {"CLIENTS_FILE": "clients.toml", "LEASE_SECONDS": 1}


def start(plant, erp, *arguments):
    """A run of its own process."""
    plant.home.joinpath("clients.toml").write_text(CLIENT.format(url=erp.url))
    return plant.start("src/main.py", *arguments, **ENVIRON)


def run(plant, erp, *arguments):
    """The exit code of a run, and what it says; in this process, which is quicker."""
    plant.home.joinpath("clients.toml").write_text(CLIENT.format(url=erp.url))
    code, out, err = plant.ask("run", *arguments, **ENVIRON)
    return code, out + err


def done(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out + err


def edit(plant, title):
    plant.orders.update_one({}, {"$set": {"title": title, "isSynced": False}})


def test_who_comes_second_leaves_with_6_and_a_line_or_waits(plant, other, erp):
    assert run(plant, erp)[0] == 0
    edit(plant, "first edit")
    first = start(plant, erp)
    assert erp.arrived.wait(60)
    code, said = run(other, erp)
    assert code == 6
    assert f"(process {first.pid} on " in said
    assert "is working on these orders until " in said
    assert said.endswith("(see troubleshooting.md#somebody-else-has-the-lease)\n")
    waiting = start(other, erp, "--wait", "60")
    assert waiting.poll() is None
    erp.go.set()
    assert done(first)[0] == 0
    assert done(waiting)[0] == 0
    assert erp.orders["1"]["title"] == "first edit"


MEDDLING = (
    ["erase", "1", "--because", "they asked"],
    ["state", "reset", "north"],
    ["state", "set", "north", "--since", "2026-10-01"],
)


def test_what_is_kept_of_a_client_is_changed_by_nobody_while_a_run_works_on_its_orders(plant, other, erp):
    assert run(plant, erp)[0] == 0
    edit(plant, "first edit")
    first = start(other, erp)  # on another machine: nothing but the lease tells of it
    assert erp.arrived.wait(60)
    before = plant.state()
    for arguments in MEDDLING:
        code, out, err = plant.ask(*arguments, **ENVIRON)
        assert (code, out, err.count("\n"), "is working on these orders until " in err) == (6, "", 1, True), err
    assert plant.state() == before
    threading.Timer(1, erp.go.set).start()
    for arguments in MEDDLING:
        assert plant.ask(*arguments, "--wait", "60", **ENVIRON)[0] == 0, arguments
    assert done(first)[0] == 0


def test_a_run_that_is_killed_frees_its_orders_at_once_on_its_machine(plant, erp):
    run(plant, erp)
    edit(plant, "first edit")
    first = start(plant, erp)
    assert erp.arrived.wait(60)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    erp.go.set()
    assert run(plant, erp)[0] == 0
    assert plant.documents()[1]["isSynced"]


def test_whoever_is_held_up_and_wakes_has_the_newest_told_last(plant, other, erp):
    run(plant, erp)
    edit(plant, "first edit")
    first = start(plant, erp)
    assert erp.arrived.wait(60)
    os.killpg(first.pid, signal.SIGSTOP)
    leases = plant.orders.database["workorders.sync"]
    until(lambda: leases.find_one()["until"].replace(tzinfo=UTC) < datetime.now(UTC))
    edit(plant, "second edit")
    assert run(other, erp)[0] == 0
    assert erp.orders["1"]["title"] == "second edit"
    erp.go.set()  # what it was told before arrives late, after what is newer
    os.killpg(first.pid, signal.SIGCONT)
    done(first)
    assert plant.documents()[1]["title"] == "second edit"
    assert run(other, erp)[0] == 0
    assert erp.orders["1"]["title"] == "second edit"
    assert run(other, erp)[0] == 0  # it sees what was told
    before = plant.documents()
    assert run(other, erp)[0] == 0
    assert plant.documents() == before, "an idle run writes no order"


@pytest.mark.slow
def test_whoever_is_held_up_over_a_folder_and_wakes_leaves_no_older_file(plant, other):
    many, edited = 2500, (3, 1200, 2400)
    for one in (plant, other):
        one.environ |= {"LEASE_SECONDS": "1", "DATA_OUTBOUND_DIR": str(plant.outbound)}
        one.inbound.mkdir(parents=True)
    plant.orders.insert_many(
        {"number": number, "status": "created", "title": "old", "createdAt": "2026-10-01"} for number in range(many)
    )
    first = plant.start("src/main.py")
    until(lambda: plant.outbound.is_dir() and any(plant.outbound.glob("*.json")))
    os.killpg(first.pid, signal.SIGSTOP)
    leases = plant.orders.database["workorders.sync"]
    until(lambda: leases.find_one()["until"].replace(tzinfo=UTC) < datetime.now(UTC))
    plant.orders.update_many({"number": {"$in": edited}}, {"$set": {"title": "new", "isSynced": False}})
    code, _, err = other.ask("run")
    assert (code, "another run is writing into" in err) == (1, True), "the folder is locked by whoever is held up"
    os.killpg(first.pid, signal.SIGCONT)
    assert done(first)[0] in (0, 6)
    assert other.ask("run")[0] == 0
    told = {order["id"]: order["title"] for order in plant.sent().values()}
    assert [told[number] for number in edited] == ["new"] * 3
    assert len(told) == many
    assert plant.orders.count_documents({"isSynced": True}) == many
    before = plant.documents()
    assert other.ask("run")[0] == 0
    assert plant.documents() == before
