"""The examples, and the blocks of docs/chains.md, do what they say."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline.deadletters import read_letters

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/chains.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def script(*arguments, cwd):
    command = [sys.executable, "-W", "error", *map(str, arguments)]
    return subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_custom_chain_prints_open_orders_and_puts_the_bad_aside(tmp_path):
    orders = [
        {"id": 1, "status": "NEW", "title": 'A "quoted" pump', "createdAt": "2026-10-01"},
        {"id": 2, "status": "DONE", "createdAt": "2026-10-01"},
        {"orderNo": "3-A", "isActive": True, "summary": "Belt", "creationDate": "2026-10-01"},
        {"orderNo": 4, "isDeleted": True, "creationDate": "2026-10-01"},
        {"id": 5},
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "orders.json").write_bytes(msgspec.json.encode(orders))
    os.utime(tmp_path / "in" / "orders.json", (1, 1))
    done = script(ROOT / "examples/custom_chain.py", "in", "dead", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['1,created,"A ""quoted"" pump"', "3-A,in_progress,Belt"]
    assert done.stderr.splitlines()[-1] == "2 open, 2 closed, 1 dead"
    assert [letter.locator for _, letter in read_letters(tmp_path / "dead")] == ["orders.json[4]"]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_python_blocks_of_the_page_run(block, tmp_path):
    done = script("-c", block, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_fake_erp_prints_settings_that_lead_to_it(plant):
    process = plant.start("examples/fake_erp.py", "--orders", "5", "--faults", "0.2")
    try:
        lines = [process.stdout.readline() for _ in range(9)]
        (plant.home / "clients.toml").write_text("".join(lines))
        out, _ = plant.run(CLIENTS_FILE="clients.toml")
        assert "5 created" in out
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_the_client_of_the_page_works(tmp_path):
    (block,) = [block for block in BLOCKS if "class Plant7" in block]
    (tmp_path / "plant7.py").write_text(block)
    (tmp_path / "in").mkdir()
    use = (
        "from pathlib import Path\n"
        "from pipeline.clients.connector import ClientSettings\n"
        "from pipeline.clients.registry import find_client\n"
        "settings = ClientSettings(name='x', options={'inbound_dir': 'in', 'outbound_dir': 'out'})\n"
        "client = find_client('plant7:connect')(settings)\n"
        'checked = client.validate(client.parse(b\'{"id": 1, "status": "NEW", "createdAt": "2026-10-01"}\'))\n'
        "print(client.from_record(client.to_record(checked)).body.decode())\n"
    )
    done = script("-c", use, cwd=tmp_path)
    assert '"status": "NEW"' in done.stdout, done.stderr
