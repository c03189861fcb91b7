"""The examples and the README's blocks do what they say."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline.deadletters import read_letters
from pipeline.service.secrets import beside
from pipeline.service.settings import SECRET, Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


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
def test_the_python_blocks_of_the_readme_run(block, tmp_path):
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


def test_the_client_of_the_readme_works(tmp_path):
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


def test_every_setting_is_in_the_readme_and_in_the_example_file():
    names = {field.name.upper() for field in msgspec.structs.fields(Settings) if field.name != "secrets"}
    names |= {beside(name.upper()) for name in SECRET}
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)) == names
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)) == names


def test_what_the_readme_shows_is_what_the_program_prints(tmp_path, mongo_uri, database_name):
    environ = {"PYTHONPATH": str(ROOT), "MONGO_URI": mongo_uri, "MONGO_DATABASE": database_name, "LANG": "C.UTF-8"}

    def run(name, *arguments):
        command = [sys.executable, str(ROOT / name), *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=True
        )
        return said(done.stderr + done.stdout)

    def said(text):
        """The lines, without times; the superuser may read what nobody else may."""
        text = re.sub(r"\d\d:\d\d:\d\d ", "", re.sub(r"in \d+\.\d s", "in 1.0 s", text))
        text = text.replace(f"{sys.executable} {ROOT}/", ".venv/bin/python ").replace(database_name, "tractian")
        text = re.sub(r"mongodb://\S+/(\S+)", r"embedded, data/mongo (\1)", text)
        return [
            line for line in text.splitlines() if line and "bad-unreadable" not in line and "dead letters:" not in line
        ]

    def shown(mark):
        return said(re.search(rf"<!-- {mark} -->\n```\n(.*?)```", README, re.DOTALL)[1])

    assert run("setup.py", "--yes") + run("src/main.py") == shown("sample run")
    assert run("src/main.py") == shown("second run")


def test_the_diagram_of_the_readme_is_the_one_that_the_stages_make(tmp_path):
    (diagram,) = re.findall(r"^```mermaid\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert script("-m", "pipeline", "graph", cwd=tmp_path).stdout == diagram
