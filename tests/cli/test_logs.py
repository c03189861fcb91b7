"""The log: one form for all that is told, few lines of a kind, nothing that another system says, colours as asked."""

import json
import logging
import os
import pty
import re
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest
from loguru import logger

from pipeline.cli import logs
from pipeline.testing import FakeErp

CONFLICTS = 30


def conflicting(plant, count):
    for number in range(count):
        order = {"id": number, "status": "NEW", "title": "client", "createdAt": "2026-10-01", "updatedAt": "2026-10-09"}
        plant.put(f"{number}.json", order)
    plant.orders.insert_many(
        [
            {
                "number": number,
                "title": "TracOS",
                "createdAt": "2026-10-01",
                "updatedAt": f"2026-10-{8 + number % 2:02}",
            }
            for number in range(count)
        ]
    )


class TestFewOfAKind:
    def test_conflicts_are_told_twenty_times_and_then_counted_everywhere(self, plant):
        conflicting(plant, CONFLICTS)
        out, err = plant.run()
        lines = [line[9:] for line in err.splitlines()]
        assert len(lines) == 21
        assert all("gave way: " in line for line in lines[:20])
        assert lines[20] == f"INFO    10 more lines of the same kind as: {lines[0][8:]}"
        assert "values that gave way: 15 of the client, 15 of TracOS\n" in out
        (run,) = json.loads(plant.command("history", "--json"))
        assert run["gave_way"] == {"client": 15, "tracos": 15}

    def test_who_wants_details_gets_all_of_them(self, plant):
        conflicting(plant, CONFLICTS)
        assert plant.run(LOG_LEVEL="DEBUG")[1].count("gave way: ") == CONFLICTS

    def test_a_kind_is_a_place_in_the_code_and_each_is_counted_by_itself(self):
        with redirect_stderr(StringIO()) as err:
            logs.configure("INFO", "text")
            for number in range(25):
                logger.info("one {}", number)
                logger.warning("other {}", number)
                logger.error("error {}", number)
                logging.getLogger("library").warning("its %d", number)
            logs.tell_the_rest()
            logs.tell_the_rest()
        logger.remove()
        lines = [line[9:] for line in err.getvalue().splitlines()]
        told = {word: sum(f"{word} " in line for line in lines) for word in ("one", "other", "error", "its")}
        assert told == {"one": 21, "other": 21, "error": 25, "its": 21}
        assert lines[-3:] == [
            "INFO    5 more lines of the same kind as: one 0",
            "WARNING 5 more lines of the same kind as: other 0",
            "WARNING 5 more lines of the same kind as: library: its 0",
        ]

    def test_each_client_has_its_own_and_one_pass_after_the_other(self):
        with redirect_stderr(StringIO()) as err:
            logs.configure("INFO", "json")
            for _ in range(2):
                for name in ("acme", "north"):
                    with logger.contextualize(client=name, flow="inbound", run="r1"):
                        for number in range(22):
                            logger.bind(event="odd").info("item {}", number)
                logs.tell_the_rest("acme")
            logs.tell_the_rest()
        logger.remove()
        lines = [json.loads(line) for line in err.getvalue().splitlines()]
        rest = [(one["client"], one["message"]) for one in lines if "more lines" in one["message"]]
        assert rest == [
            ("acme", "2 more lines of the same kind as: item 0"),
            ("acme", "2 more lines of the same kind as: item 0"),
            ("north", "24 more lines of the same kind as: item 0"),
        ]
        assert sum(one["client"] == "acme" for one in lines) == 2 * 21
        assert {(one["event"], one["flow"], one["run"]) for one in lines} == {("odd", "inbound", "r1")}

    def test_wrong_settings_are_all_told_however_many_they_are(self, plant):
        (plant.home / ".env").write_text("not understood\n" * 30)
        assert plant.run("src/main.py", "history", exits=2)[1].count("expected NAME=value") == 30


class TestForm:
    @pytest.mark.parametrize(
        ("arguments", "environ", "exits"),
        [
            (["history"], {"LOG_FORMAT": "json", "LOG_LEVEL": "loud", "CLIENTS": "a,b"}, 2),
            (["history"], {"LOG_FORMAT": " JSON ", "MONGO_URL": "x"}, 2),
            (["nonsense"], {"LOG_FORMAT": "json"}, 2),
            (["explain"], {"LOG_FORMAT": "json"}, 2),
            (["clients", "new", "Not A Name"], {"LOG_FORMAT": "json"}, 2),
            (["run", "--client", "nobody"], {"LOG_FORMAT": "json"}, 2),
            (["run"], {"LOG_FORMAT": "json", "MONGO_RETRY_SECONDS": "0", "MONGO_URI": "mongodb://127.0.0.1:1"}, 1),
            (["run"], {"LOG_FORMAT": "json", "LOG_LEVEL": "TRACE", "DATA_JOURNAL": "/dev/null/x"}, 1),
        ],
    )
    def test_every_line_is_json_where_json_is_asked_for(self, plant, arguments, environ, exits):
        process = plant.start("src/main.py", *arguments, **environ)
        _, err = process.communicate(timeout=60)
        lines = [json.loads(line) for line in err.splitlines()]
        assert process.returncode == exits
        assert {line["level"] for line in lines if line["level"] != "TRACE"} == {"ERROR"}

    def test_it_may_be_asked_for_in_the_file_that_is_wrong_otherwise(self, plant):
        (plant.home / ".env").write_text("LOG_FORMAT=json\nLOG_LEVEL=loud\nnot understood\n")
        _, err = plant.run("src/main.py", "history", exits=2)
        assert len([json.loads(line) for line in err.splitlines()]) == 2

    def test_a_page_says_so_in_the_same_form(self, plant):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = str(taken.getsockname()[1])
            _, err = plant.run("src/main.py", "inspect", "--port", port, exits=1, LOG_FORMAT="json")
        assert json.loads(err)["message"].startswith("cannot serve at port")

    def test_what_libraries_warn_of_is_told_in_it_too(self, plant):
        (plant.home / "odd.py").write_text(
            "import logging, sys, warnings\nfrom pipeline.cli import app\n"
            "def main():\n"
            "    from pipeline.cli.start import begin\n    begin()\n"
            "    logging.getLogger('lib').error('a\\nb')\n    warnings.warn('odd', UserWarning)\n    return 0\n"
            "app.main = main\nsys.exit(app.program())\n"
        )
        command, environ = [sys.executable, str(plant.home / "odd.py")], plant.environ | {"LOG_FORMAT": "json"}
        err = subprocess.run(command, cwd=plant.home, env=environ, capture_output=True, check=True).stderr
        told = [json.loads(line) for line in err.splitlines()]
        assert [one["level"] for one in told] == ["ERROR", "WARNING"]
        assert told[0]["message"] == "lib: a"
        assert "UserWarning: odd" in told[1]["message"]


@pytest.mark.parametrize(
    ("said", "coloured"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(plant, said, coloured):
    terminal, end = pty.openpty()
    environ = plant.environ | {"LOG_LEVEL": "loud", "TERM": "xterm"} | said
    command = [sys.executable, "-m", "pipeline", "history"]
    subprocess.run(command, cwd=plant.home, env=environ, stderr=end, timeout=60, check=False)
    os.close(end)
    told = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "LOG_LEVEL: expected TRACE" in told
    assert ("\x1b[" in told) is coloured


def test_the_docs_tell_of_every_event():
    root = Path(__file__).resolve().parents[2]
    code = "".join(path.read_text() for path in (root / "pipeline").rglob("*.py"))
    docs = (root / "docs/monitoring.md").read_text().partition("## Logs")[2]
    told = re.findall(r"(?m)^\| `(\w+)` \| ", docs)
    assert sorted(told) == sorted(set(re.findall(r'event="(\w+)"', code)))


def test_what_a_server_says_of_an_order_is_in_its_letter_alone(plant):
    with FakeErp() as erp:
        erp.refuse["3"] = "Maria of the night shift is on leave"
        (plant.home / "clients.toml").write_text(
            f'[clients.north]\nkind = "rest_json"\nurl = "{erp.url}"\nitems = "items"\n'
        )
        plant.orders.insert_one({"number": 3, "status": "created", "createdAt": "2026-10-01T00:00:00Z"})
        out, err = plant.run(CLIENTS_FILE="clients.toml", LOG_LEVEL="INFO")
    assert "refuses it (422); its letter has the rest" in err
    assert "Maria" not in out + err
    (letter,) = plant.letters().values()
    assert "Maria of the night shift" in str(letter.reasons[0])
    assert "Maria" in plant.command("dead-letters", "list", CLIENTS_FILE="clients.toml")
