"""docs/commands.md tells of every command, and of the JSON as it is."""

import json
import re
from pathlib import Path

from pipeline.cli.app import CLIENTS, COMMANDS, CONFLICTS, LETTERS, STATE

TEXT = (Path(__file__).resolve().parents[2] / "docs/commands.md").read_text()
PLAN, RECONCILED, RUN, LETTER = [
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
]


def named(where):
    """The keys of the one-line shape that follows ``where``."""
    return set(re.findall(r'"(\w+)"', TEXT[TEXT.index(where) :].partition("{")[2].partition("}")[0]))


def test_every_command_is_there():
    for command in COMMANDS:
        assert f"`{command}" in TEXT
    for command in LETTERS:
        assert re.search(rf"dead-letters {command}|`{command}`", TEXT), command
    for command in CLIENTS:
        assert f"| `clients {command}" in TEXT
    for command in CONFLICTS:
        assert f"| `conflicts {command}" in TEXT
    for command in STATE:
        assert f"| `state {command}" in TEXT


def test_the_json_is_what_the_commands_print(plant):
    plant.run("setup.py")
    plan = json.loads(plant.command("plan", "--json", exits=4))
    assert plan.keys() == PLAN.keys()
    assert set().union(*(write.keys() for write in plan["writes"])) == PLAN["writes"][0].keys()
    assert {key for write in plan["writes"] for lost in write.get("lost", ()) for key in lost} == PLAN["writes"][0][
        "lost"
    ][0].keys()
    assert plan["dead_letters"][0].keys() == PLAN["dead_letters"][0].keys()

    compared = json.loads(plant.command("reconcile", "--json", exits=4))
    assert compared.keys() == RECONCILED.keys()
    assert compared["counts"].keys() == RECONCILED["counts"].keys()
    for key in ("gaps", "notes"):
        assert set().union(*(one.keys() for one in compared[key])) == RECONCILED[key][0].keys()

    run = json.loads(plant.command("run", "--json"))
    assert run.keys() == RUN.keys() - {"error", "drift"}
    assert run["flows"][0].keys() <= RUN["flows"][0].keys()
    assert RUN["flows"][0].keys() - run["flows"][0].keys() == {"skipped", "still_dead", "closed", "left", "spared"}

    (listed, *_) = json.loads(plant.command("dead-letters", "list", "--stage", "validate", "--json"))
    assert listed.keys() == LETTER.keys() - {"places", "payload"}
    assert json.loads(plant.command("dead-letters", "show", listed["id"], "--json")).keys() == LETTER.keys()
    assert json.loads(plant.command("dead-letters", "stats", "--json")).keys() == named("`stats --json`")
    assert json.loads(plant.command("explain", "103", "--json")).keys() == named("`explain NUMBER --json`")
    plant.command("conflicts", "restore", "103", "title")
    conflicts = json.loads(plant.command("conflicts", "list", "--json"))
    assert set().union(*(one.keys() for one in conflicts)) == named("`conflicts list --json`")
    assert json.loads(plant.command("state", "show", "--json"))[0].keys() == named("`state show --json`")
    assert json.loads(plant.command("doctor", "--json"))[0].keys() == named("`doctor --json`")
    assert json.loads(plant.command("dead-letters", "retry", "--all", "--json", exits=3)).keys() == named(
        "`retry --json`"
    )
