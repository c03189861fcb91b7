"""The embedded server's folder on a file system that is full, for real: one line says so, and with room all goes on."""

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.mongo import require_mongod
from tests.plant import ROOT, Plant

pytestmark = pytest.mark.slow

ORDERS, LETTERS = 12_000, 6_000
"""Orders, and letters of a description: more than the server keeps in memory before it must write it to its files.
What is less may fit into its journal, for which it takes room long before."""

SCRIPT = """\
set -e
mkdir -p data/mongo
mount -t tmpfs -o size=40k none data/mongo
step() {{ {python} -m pipeline $2 >out-$1 2>err-$1 || echo $? >code-$1; }}
step first run
mount -o remount,size=600m data/mongo
step room run
mv later data/inbound/later.ndjson
full=$(df --output=used -B1024 data/mongo | tail -1)
mount -o remount,size=$((full + 40))k data/mongo
step full run
mount -o remount,size=600m data/mongo
step again run
step idle run
step compared reconcile
"""


@pytest.fixture
def plant(tmp_path):
    require_mongod()
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("nobody may mount here")
    return Plant(tmp_path)


def order(number):
    text = Random(number).randbytes(LETTERS // 2).hex()  # nothing that can be made smaller
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "description": text}


def play(plant):
    """What each run has printed, its log, and its exit code, by name."""
    plant.put("soon.json", [order(number) for number in range(3)])
    (plant.home / "later").write_bytes(msgspec.json.Encoder().encode_lines(map(order, range(ORDERS))))
    python = f"PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -W error"
    script = SCRIPT.format(python=python)
    subprocess.run(["unshare", "-rm", "sh", "-c", script], check=True, cwd=plant.home, env=plant.environ)

    def said(path: Path):
        return path.read_text() if path.exists() else ""

    names = [path.name.removeprefix("out-") for path in plant.home.glob("out-*")]
    return {
        name: (
            said(plant.home / f"out-{name}"),
            said(plant.home / f"err-{name}"),
            int(said(plant.home / f"code-{name}") or 0),
        )
        for name in names
    }


def test_a_full_disk_is_told_and_with_room_all_goes_on(plant):
    told = play(plant)
    codes = {name: code for name, (_, _, code) in told.items()}
    assert codes == {"first": 1, "room": 0, "full": 1, "again": 0, "idle": 0, "compared": 0}, told
    says = {
        "first": "did not start: No space left on device; ",
        "full": r"has ended \(.+\): nothing is lost; ",  # in its own words, where it was still able to say anything
    }
    for name, what in says.items():
        (line,) = [line for line in told[name][1].splitlines() if " WARNING " not in line]
        assert re.search(f"ERROR +the embedded MongoDB {what}.*data/mongo/mongod.log", line)
    assert "3 created" in told["room"][0]
    assert "nothing to do" in told["idle"][0]
