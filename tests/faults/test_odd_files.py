"""What is no plain file, has an odd name or clock, or goes away: nothing hangs, and nothing is lost or left unread."""

import os
import socket
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import msgspec
import pytest

from tests.faults.disk import Disk
from tests.faults.play import Story
from tests.faults.world import EARLY, SCENARIOS, World, record
from tests.plant import Plant

FILES = int(os.environ.get("FAULTS_FILES", "5000"))
"""In the folder that is being written to; the long run has 200,000."""
GIGABYTES = 2

CROWDS = """\
import os, sys
folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    body = b'{"id": %d, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z"}' % number
    name = os.path.join(folder, f"{number}.json")
    if number % 3:
        with open(name, "wb") as file:  # under its own name, in two parts
            file.write(body[:20]); file.flush(); file.write(body[20:])
    else:
        with open(name + ".part", "wb") as file:
            file.write(body)
        os.rename(name + ".part", name)
"""


def odd_ones(folder):
    """One of each kind, as ``x.json`` and without an ending."""
    for ending in (".json", ""):
        os.mkfifo(folder / f"pipe{ending}")
        (folder / f"folder{ending}").mkdir()
        (folder / f"itself{ending}").symlink_to(f"itself{ending}")
        (folder / f"there{ending}").symlink_to(f"back{ending}")
        (folder / f"back{ending}").symlink_to(f"there{ending}")
        (folder / f"nowhere{ending}").symlink_to("nothing")
        (folder / f"zero{ending}").symlink_to("/dev/zero")
        (folder / f"out{ending}").symlink_to("/usr")
        here = Path.cwd()
        os.chdir(folder)  # the name of a socket is short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"socket{ending}")
        os.chdir(here)
        if os.geteuid() == 0:
            os.mknod(folder / f"device{ending}", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("after", ["keep", pytest.param("delete", marks=pytest.mark.slow)])
def test_what_is_no_file_is_told_and_stays_as_it_is(plant: Plant, after):
    plant.put("good.json", record(1))
    odd = odd_ones(plant.inbound) - {"good.json"}
    out, err = plant.run(INBOUND_AFTER=after)
    told = {name for name in odd if name.endswith(".json")}
    assert plant.documents().keys() == {1}
    assert plant.letters().keys() == told
    assert f"{len(told) + 1} read   1 created" in out
    assert f"{len(odd) - len(told) - 2} without an ending, 2 folders" in err
    assert {path.name for path in plant.inbound.iterdir()} >= odd
    before = plant.state()
    plant.run(INBOUND_AFTER=after)
    assert plant.state() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decisions.jsonl", "runs.jsonl", "state/erp_json.files", "state/erp_json.keys"])
def test_a_pipe_in_the_place_of_a_file_of_ours_is_not_waited_for(plant: Plant, name):
    path = plant.home / "data" / name
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    plant.put("1.json", record(1))
    plant.orders.insert_one({"number": 1, "title": "ours", "status": "created", "updatedAt": EARLY})
    for command in ("run", "history", "conflicts list"):
        process = plant.start("pipeline/__main__.py", *command.split())
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1)
        assert "Traceback" not in err
        assert "unexpected" not in err


@pytest.mark.slow
def test_a_pipe_in_the_place_of_a_letter_or_an_order_is_not_waited_for(plant: Plant):
    plant.put("bad.json", b"{")
    plant.orders.insert_one({"number": 7, "title": "ours", "status": "created", "createdAt": EARLY})
    plant.command("run")
    (letter,) = plant.home.glob("data/dead-letter/*/*~*.json")
    for path in (letter, plant.outbound / "7.json"):
        path.unlink()
        os.mkfifo(path)
    plant.put("bad.json", b"{")
    plant.orders.update_one({"number": 7}, {"$set": {"title": "edited", "isSynced": False}})
    for command, code in (("run", 1), ("dead-letters list", 0)):
        process = plant.start("pipeline/__main__.py", *command.split())
        _, err = process.communicate(timeout=60)
        assert process.returncode == code
        assert f"{letter.name} cannot be read" in err
    letter.unlink()
    _, err = plant.start().communicate(timeout=60)
    assert stat.S_ISREG((plant.outbound / "7.json").stat().st_mode)
    assert plant.sent()["7.json"]["title"] == "edited"


NAMES = {
    "NFC and NFD": [unicodedata.normalize(form, "Über-é") for form in ("NFC", "NFD")],
    "cases": ["order", "ORDER", "Order", "orDer"],
    "the longest": ["a" * 250, "b" * 250, "é" * 125],
    "lines and blanks": ["a\nb", "a\rb", " ", "\t", "a b"],
    "dots and dashes": ["..", "...", "-rf", "--", "~", "a~b", "%41", "%"],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_names_that_are_twins_to_others_are_twins_to_nobody_here(plant: Plant, names):
    """Of files that come, and of orders that go."""
    for number, name in enumerate(names):
        plant.put(f"{name}.json", record(number))
        plant.orders.insert_one({"number": f"x{name}", "title": name, "status": "created", "createdAt": EARLY})
    out = plant.command("run", INBOUND_AFTER="archive")
    assert f"{len(names)} created" in out
    assert {path.name for path in (plant.inbound / "archive").iterdir()} == {f"{name}.json" for name in names}
    assert sorted(one["title"] for one in plant.sent().values()) == sorted(names)
    assert plant.letters() == {}


@pytest.mark.parametrize("clock", [-2_000_000_000, 0, 4_102_444_800, 2**33])
def test_a_file_dated_by_a_clock_that_is_wrong_is_read_once(plant: Plant, clock):
    path = plant.put("1.json", record(1))
    os.utime(path, (clock, clock))
    assert "1 created" in plant.command("run")
    before = plant.state()
    assert "1 unchanged" in plant.command("run")
    assert plant.state() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["big.json", "big.ndjson", "big.json.gz", "big.csv"])
def test_a_file_of_two_gigabytes_costs_itself_and_little_memory(plant: Plant, name):
    (plant.home / "clients.toml").write_text(
        f'[clients.erp]\nkind = "{"csv_folder" if name.endswith("csv") else "erp_json"}"\n'
        'inbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\ninbound_after = "delete"\n'
    )
    head = msgspec.json.encode(record(1)) + b"\n" if "json" in name else b"id,status,createdAt\r\n1,NEW,2026-10-01\r\n"
    path = plant.put(name, head)
    os.truncate(path, GIGABYTES * 2**30)
    os.utime(path, (plant.clock, plant.clock))
    process = plant.start(CLIENTS_FILE="clients.toml")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert len(plant.letters()) == 1
    assert path.exists()


@pytest.mark.slow
def test_a_folder_that_is_written_to_all_the_time(plant: Plant):
    plant.inbound.mkdir(parents=True)
    half = FILES // 2
    subprocess.run([sys.executable, "-c", CROWDS, str(plant.inbound), "0", str(half)], check=True)
    writer = subprocess.Popen([sys.executable, "-c", CROWDS, str(plant.inbound), str(half), str(FILES - half)])
    is_written_to = True
    while is_written_to:
        is_written_to = writer.poll() is None
        process = plant.start(INBOUND_AFTER="delete")
        out, err = process.communicate(timeout=3600)
        assert process.returncode == 0, out + err
        assert plant.letters() == {}
    assert plant.orders.count_documents({}) == FILES
    assert list(plant.inbound.iterdir()) == []


class Vanishing(Disk):
    """At one operation a folder is taken away; it can be brought back."""

    def __init__(self, root, folder, at):
        super().__init__(root, None, at)
        self.folder, self.away = root / folder, root / "away"

    def _fails(self, kind, path):
        super()._fails(kind, path)
        if path is not None and len(self.operations) == self._at + 1 and not self.away.exists():
            self.folder.rename(self.away)

    def bring_back(self):
        """What was made anew in its place stays; logs are joined."""
        for log in self.away.rglob("*.jsonl"):
            anew = self.folder / log.relative_to(self.away)
            if anew.exists():
                anew.write_bytes(log.read_bytes() + anew.read_bytes())
        subprocess.run(["cp", "-an", f"{self.away}/.", str(self.folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["data/inbound", "data/outbound", "data/dead-letter", "data/state", "data"])
def test_a_folder_that_goes_away_in_the_middle(tmp_path, mongo_uri, database_name, folder):
    world = World(tmp_path, mongo_uri, database_name, SCENARIOS["run"])
    story = Story(world)
    for at in range(7, len(story.operations), 23):
        world.begin()
        with Vanishing(world.plant.home, folder, at) as disk:
            code, _, err = world.ask()
        assert code in (0, 1), err
        assert "Traceback" not in err
        assert "unexpected" not in err, f"{disk.operations[at]}: {err}"
        if disk.away.exists():
            disk.folder.mkdir(parents=True, exist_ok=True)
            disk.bring_back()
        world.finish()
        # A letter that was away while its order went through is open still.
        harm = [one for one in story.differences() if not one.startswith(("letters", "closed"))]
        assert harm == [], f"{disk.operations[at]}: {err}"
    world.close()
