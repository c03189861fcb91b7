"""Whatever becomes of what is shown, the exit code and the journal tell what happened."""

import json
import os
import shlex
import signal
import subprocess
import sys

import msgspec
import pytest

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.journal import read_runs
from tests.mongo import until
from tests.plant import ROOT, Plant

LETTER = msgspec.json.encode(
    {
        "flow": "erp_json.inbound",
        "client": "erp_json",
        "stage": "parse",
        "locator": "x",
        "file": "x",
        "reasons": [{"message": "broken"}],
        "firstSeen": "2026-10-01T00:00:00Z",
        "lastSeen": "2026-10-01T00:00:00Z",
        "attempts": 1,
        "text": "{",
    }
)
AWAY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
WAYS = {
    "stdout closed": "{} >&-",
    "stderr closed": "{} 2>&-",
    "both closed": "{} >&- 2>&-",
    "all closed": "{} <&- >&- 2>&-",
    "nobody reads": "{} | true",
    "nobody reads either": "{} 2>&1 | true",
    "one line is read": "{} 2>&1 | head -1",
    "disk full": "{} > /dev/full",
    "disk full for both": "{} > /dev/full 2>&1",
    "latin-1": "PYTHONIOENCODING=latin-1 {}",
    "ascii": "PYTHONIOENCODING=ascii {}",
}
ESCAPED = {"ascii": r"\xfc\u2192\U0001f600.json", "latin-1": r"ü\u2192\U0001f600.json", "utf-8": "ü→\U0001f600.json"}


def shell(plant, way, *arguments, **environ):
    """The exit code of the program, run by a shell, and what came to be read."""
    program = shlex.join([sys.executable, "-W", "error", str(ROOT / "src/main.py"), *arguments])
    form = WAYS.get(way, "{}")
    line = form.format(f"{{ {program}; echo $? >&9; }}") if "|" in form else f"{form.format(program)}; echo $? >&9"
    code = plant.home / "code"
    done = subprocess.run(
        ["bash", "-c", f"exec 9>{code}; {line}"],
        cwd=plant.home,
        env=plant.environ | environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return int(code.read_text()), done.stdout, done.stderr


def endings(plant):
    return [(run.command, run.ending, run.exit) for run in read_runs(plant.home / "data/runs.jsonl")]


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_run_exits_with_one_and_the_journal_says_so(tmp_path, way):
    plant = Plant(tmp_path, AWAY, "none")
    plant.client.close()
    form = ["--json"] if list(WAYS).index(way) % 2 else []
    assert shell(plant, way, "run", *form, MONGO_RETRY_SECONDS="0")[0] == 1
    (run,) = read_runs(tmp_path / "data/runs.jsonl")
    assert (run.ending, run.exit) == ("stopped", 1)
    assert "MongoDB did not answer" in run.error


@pytest.mark.parametrize("way", WAYS)
def test_a_finished_run_is_finished(plant, way):
    plant.put("ü.json", {"id": "ü→\U0001f600", "status": "NEW", "createdAt": "2026-10-01", "title": "Pump"})
    plant.put("bad→.json", b"{")
    form = [] if list(WAYS).index(way) % 2 else ["--json"]
    code, _, err = shell(plant, way, "run", "--strict", *form)
    assert (code, b"Traceback" in err) == (3, False)
    assert endings(plant) == [("run", "finished", 3)]
    assert plant.documents()["ü→\U0001f600"]["title"] == "Pump"


@pytest.mark.parametrize("way", ["all closed", "nobody reads either", "disk full for both", "ascii"])
def test_so_it_is_with_all_that_find_something_out(plant, way):
    plant.put("bad.json", b"{")
    plant.command("run")
    plant.put("7.json", {"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump →"})
    (plant.home / "data/outbound").rmdir()
    (plant.home / "data/outbound").write_text("in the way")  # for the doctor
    for command, exits in ((["plan"], 4), (["doctor"], 1), (["dead-letters", "retry", "--all"], 3)):
        code, _, err = shell(plant, way, *command)
        assert (command, code, b"Traceback" in err) == (command, exits, False)
    assert endings(plant)[1:] == [("retry", "finished", 3)]


def test_a_list_of_which_one_line_is_read_is_no_failure(plant):
    for number in range(300):
        plant.put(f"{number}.json", b"{" + b" " * number)
    plant.command("run")
    assert shell(plant, "one line is read", "dead-letters", "list")[0] == 0
    assert shell(plant, "nobody reads", "--help")[0] == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_escaped_and_json_stays_json(plant, encoding):
    plant.put("ü→\U0001f600.json", b"{")
    plant.command("run")
    listed = shell(plant, encoding, "dead-letters", "list")[1].decode(encoding)
    told = shell(plant, encoding, "dead-letters", "list", "--json")[1]
    assert json.loads(told)[0]["locator"] == "ü→\U0001f600.json"
    assert ESCAPED[encoding] in listed


def test_a_folder_whose_name_is_no_utf_8_is_told_as_far_as_it_can_be(plant):
    odd = {"DATA_INBOUND_DIR": os.fsdecode(b"data/caf\xe9"), "DATA_OUTBOUND_DIR": os.fsdecode(b"data/\xff")}
    for form in [], ["--json"]:
        code, out, err = shell(plant, "as it is", "run", *form, **odd)
        assert (code, b"Traceback" in err, b"caf" in out) == (0, False, True)
    assert endings(plant) == [("run", "finished", 0)] * 2
    (plant.home / "data").joinpath(os.fsdecode(b"\xff")).rmdir()
    (plant.home / "data").joinpath(os.fsdecode(b"\xff")).touch()
    assert shell(plant, "as it is", "run", **odd)[0] == 1
    assert endings(plant)[2] == ("run", "stopped", 1)


def test_an_editor_that_says_something_may_say_it_to_nobody(plant):
    plant.put("7.json", b"{")
    plant.command("run")
    (letter,) = (filed.id for filed in DeadLetterOffice(plant.home / "data/dead-letter").find())
    editor = plant.home / "editor"
    editor.write_text("#!/bin/sh -e\necho opened\necho '{\"id\": 7}' > $1\n")
    editor.chmod(0o700)
    code, _, _ = shell(plant, "all closed", "dead-letters", "edit", letter, EDITOR=str(editor), VISUAL="")
    assert (code, plant.letters()["7.json"].mended) == (3, '{"id": 7}\n')


def test_a_journal_that_cannot_be_ended_is_told_and_no_success(plant):
    plant.put("7.json", {"id": 7, "status": "NEW", "createdAt": "2026-10-01"})
    code = (
        "import sys\nfrom pipeline.cli import main\nfrom pipeline.errors import Fatal\n"
        "from pipeline.history import journal\nreal = journal.Journal.write\n"
        "def write(self, run):\n"
        "    if run.ended: raise Fatal('the journal data/runs.jsonl cannot be written (disk full)')\n"
        "    real(self, run)\n"
        "journal.Journal.write = write\nsys.exit(main(['run']))\n"
    )
    (plant.home / "full.py").write_text(code)
    _, err = plant.run(plant.home / "full.py", exits=1)
    assert "the journal data/runs.jsonl cannot be written" in err
    assert plant.documents()[7]["number"] == 7


class TestInterrupted:
    def test_while_the_server_does_not_answer_a_second_signal_ends_it(self, tmp_path, mongod):
        plant = Plant(tmp_path, mongod.uri, "plant")
        plant.put(
            "rest.ndjson", b"\n".join(b'{"id":%d,"status":"NEW","createdAt":"2026-10-01"}' % n for n in range(9000))
        )
        process = plant.start()
        until(lambda: plant.orders.count_documents({}) > 0)
        plant.client.close()
        server = mongod._process
        server.send_signal(signal.SIGSTOP)
        try:
            process.send_signal(signal.SIGTERM)
            assert "once more to stop at once" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)  # a thread would wait 30 s for the answer
        finally:
            server.send_signal(signal.SIGCONT)
        assert process.returncode == 130
        assert endings(plant) == [("run", "interrupted", 130)]

    @pytest.mark.parametrize("command", ["run", "plan", "retry"])
    def test_while_the_embedded_server_starts(self, tmp_path, command):
        plant = Plant(tmp_path)
        (tmp_path / "data/mongo").mkdir(parents=True)
        plant.put("7.json", {"id": 7, "status": "NEW", "createdAt": "2026-10-01"})
        folder = tmp_path / "data/dead-letter/erp_json.inbound"
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        slow = tmp_path / "mongod"
        slow.write_text(f"#!/bin/sh\necho > {gate}\nexec sleep 60\n")
        slow.chmod(0o700)
        arguments = [command]
        if command == "retry":
            folder.mkdir(parents=True)
            (folder / f"x~{'0' * 12}~{'0' * 12}.json").write_bytes(LETTER)
            arguments = ["dead-letters", "retry", "--all"]
        process = plant.start("pipeline/__main__.py", *arguments, MONGOD_BIN=slow)
        gate.read_text()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in out + err) == (130, False)
        assert endings(plant) == ([] if command == "plan" else [(command, "interrupted", 130)])
