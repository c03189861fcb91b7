"""What the program is doing when it is killed: each flow with what led up to it."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from pipeline.history.index import BLOCK
from tests.crash.worlds import WORLDS, FolderWorld, World, moment, order

__all__ = ["FLOWS", "SAMPLED", "Flow"]

MEND: Final = {"EDITOR": "sed -i s/WHAT/DONE/"}
"""A person who mends the bad status."""


class Flow(Struct, frozen=True, kw_only=True):
    """One command, and the plant that it finds."""

    name: str
    arguments: Sequence[str]
    prepare: Callable[[World], None]
    exits: Collection[int] = (0,)
    """How the command may end where nobody kills it."""
    again: Collection[int] = (0,)
    """How it may end when it is given again after it was killed, perhaps in its last moment."""
    dead: Collection[int] = ()
    """The orders that are dead in the end."""
    worlds: Sequence[str] = tuple(WORLDS)
    environ: Mapping[str, str] = {}
    meddler: str = ""
    """Who acts in between, by name."""
    only: str = ""
    """Killed is only within this part of the house; the rest is another flow's."""


def done(world: World, *arguments: str, exits: Collection[int] = (0,), **environ: str) -> None:
    """Part of what led up to it."""
    lived = world.run(*arguments, **environ)
    assert lived.code in exits and "Traceback" not in lived.printed, lived.printed


def shown(world: World) -> None:
    """Nothing has ever run here."""
    world.show(*(order(number, f"pump {number}", number) for number in range(1, 6)), order(6, "bad", 6, "WHAT"))


def first(world: World) -> None:
    """The same, and an order is born in TracOS."""
    shown(world)
    world.born(20)


def known(world: World) -> None:
    """Both sides know the same orders; the bad one is a letter."""
    first(world)
    done(world, "run")
    done(world, "run")


def inbound(world: World) -> None:
    """The client has edited, deleted, mended and spoilt orders; two were edited in TracOS as well."""
    known(world)
    world.edit(2, 100, title="ours, older")
    world.edit(3, 300, title="ours, newer")
    world.show(order(1, "theirs", 200), order(2, "theirs, newer", 200), order(3, "theirs, older", 200))
    world.show(order(4, "pump 4", 210, deletedAt=moment(210)), order(5, "stale", 4), order(6, "mended", 220))
    world.show(order(7, "new", 230), order(8, "bad", 230, "WHAT"))


def outbound(world: World) -> None:
    """TracOS has edited, deleted, born and spoilt orders."""
    known(world)
    world.edit(1, 100, title="ours")
    world.edit(2, 100, status="on_hold")
    world.edit(4, 100, deleted=True, deletedAt=moment(100))
    world.born(21)
    world.born(22, "strange")


def letters(world: World) -> None:
    """There are letters of all kinds: mended, bad still, about orders in TracOS, without bytes."""
    known(world)
    world.show(order(8, "bad", 230, "BAD"))
    world.born(22, "strange")
    if isinstance(world, FolderWorld):
        (world.inbound / f"folder{world.suffix}").mkdir()
    done(world, "run")
    world.documents.update_one({"number": 22}, {"$set": {"status": "pending"}})
    mended = world.letter_of(6)
    done(world, "dead-letters", "edit", mended, **MEND)


def conflict(world: World) -> None:
    """A title of TracOS's has given way."""
    known(world)
    world.edit(2, 100, title="ours, older")
    world.show(order(2, "theirs, newer", 200))
    done(world, "run")


def drifted(world: World) -> None:
    """What differs nobody has marked; the client has something to say too."""
    known(world)
    world.edit(1, 100, is_marked=False, title="ours, unmarked")
    world.edit(3, 300, is_marked=False, title="ours, newer, unmarked")
    world.show(order(3, "theirs, older", 200), order(7, "new", 230))


def closing(world: World) -> None:
    """The order of an outbound letter has been mended in TracOS."""
    outbound(world)
    done(world, "run")
    world.edit(22, 200, status="pending")


def blocked(world: World) -> None:
    """A folder has the name of an order's file."""
    known(world)
    world.edit(1, 100, title="ours")
    world.edit(2, 100, title="ours")
    (world.home / "out").mkdir(exist_ok=True)
    (world.home / f"out/1{world.suffix}").mkdir()


def edited(world: World) -> None:
    """TracOS has edited orders."""
    known(world)
    world.edit(1, 100, title="ours")
    world.edit(2, 100, title="ours")


def left(world: World) -> None:
    """A run and a person were killed before: files, folders and a letter are half done; an index is of version 1."""
    inbound(world)
    flow = world.home / "data/dead-letter/north.inbound"
    (letter,) = flow.glob("*.json")
    body = letter.read_bytes()
    done(world, "dead-letters", "discard", world.letter_of(6), "--because", "it is")
    letter.write_bytes(body)
    (flow / "discarded.jsonl").unlink()
    for folder in (flow, world.home / "out", world.home / "data/state"):
        if folder.is_dir():
            (folder / ".0123456789abcdef.~tmp").touch()
            (folder / ".0123456789abcdef-0.~tmp").touch()
    world.documents.drop_indexes()
    world.documents.create_index(
        "number", unique=True, name="number_1", partialFilterExpression={"number": {"$exists": True}}
    )


def left_plan(world: World) -> None:
    """A plan was killed before."""
    left(world)
    (world.scratch / "workorder-sync-01234567").mkdir()


def damaged(world: World) -> None:
    """What is remembered of an API is no SQLite file any more."""
    known(world)
    (world.home / "data/state/north.sqlite3").write_bytes(b"damaged" * 999)


def aged(world: World) -> None:
    """Logs and closed letters are of earlier months; some of them are older than they are kept."""
    inbound(world)
    data, flow = world.home / "data", world.home / "data/dead-letter/north.inbound"
    (flow / "closed.jsonl").write_bytes(LONG_CLOSED)
    with (data / "decisions.jsonl").open("ab") as log:
        log.write(MANY_LINES)
    for name in ("decisions.jsonl", "runs.jsonl"):
        (data / f"{name}.index").touch()
        os.utime(data / name, (time.time() - 40 * 86_400,) * 2)
    for gone in (data / "decisions-2024-01.jsonl", data / "runs-2024-01.jsonl", flow / "resolved-2024-01.jsonl"):
        gone.touch()
        gone.with_name(f"{gone.name}.index").touch()


FOLDERS: Final = ("folder", "archive", "csv")
LONG_CLOSED: Final = (
    b'{"name":"x.json~000000000000~000000000000.json","how":"discarded","at":"2024-01-01T00:00:00Z","stamp":"",'
    b'"lastSeen":"2024-01-01T00:00:00Z"}\n'
)
MANY_LINES: Final = (
    2
    * BLOCK
    // 100
    * (b'{"at":"2024-01-01T00:00:00Z","client":"north","number":99,"locator":"x.json","rule":"insert","run":"r"}\n')
)
ELSEWHERE: Final = {"DATA_DECISION_LOG": "log/decisions.jsonl"}

FLOWS: Final = (
    Flow(name="first", arguments=["run"], prepare=first, dead=[6]),
    Flow(name="inbound", arguments=["run", "--only", "inbound"], prepare=inbound, dead=[8]),
    Flow(name="outbound", arguments=["run", "--only", "outbound"], prepare=outbound, dead=[6, 22]),
    Flow(name="retry", arguments=["dead-letters", "retry", "--all"], prepare=letters, exits=[3], again=[3], dead=[8]),
    Flow(name="edit", arguments=["dead-letters", "edit", "letter:6"], prepare=known, environ=MEND, dead=[6]),
    Flow(
        name="discard",
        arguments=["dead-letters", "discard", "letter:6", "--because", "it is"],
        prepare=known,
        again=[0, 2],
    ),
    Flow(name="restore", arguments=["conflicts", "restore", "2", "title"], prepare=conflict, again=[0, 2], dead=[6]),
    Flow(name="fix", arguments=["reconcile", "--fix"], prepare=drifted, exits=[0, 4], again=[0, 4], dead=[6]),
    Flow(name="plan", arguments=["plan"], prepare=inbound, exits=[4], again=[4], dead=[8]),
    Flow(name="closing", arguments=["run", "--only", "outbound"], prepare=closing, dead=[6]),
    Flow(name="left", arguments=["run"], prepare=left, dead=[8], worlds=["folder", "rest"]),
    Flow(name="left-plan", arguments=["plan"], prepare=left_plan, exits=[4], again=[4], dead=[8], worlds=["folder"]),
    Flow(name="elsewhere", arguments=["run"], prepare=first, dead=[6], worlds=["folder"], environ=ELSEWHERE),
    Flow(name="blocked", arguments=["run"], prepare=blocked, dead=[1, 6], worlds=["folder", "csv"]),
    Flow(
        name="full-disk",
        arguments=["run"],
        prepare=edited,
        exits=[1],
        dead=[6],
        worlds=["folder", "csv"],
        meddler="full disk",
    ),
    Flow(name="written-again", arguments=["run"], prepare=inbound, dead=[8], worlds=["archive"], meddler="writer"),
    Flow(name="no-archive", arguments=["run"], prepare=inbound, dead=[8], worlds=["archive"], meddler="no archive"),
    Flow(name="aged", arguments=["run"], prepare=aged, dead=[8], worlds=["folder"]),
    Flow(name="forget", arguments=["state", "reset", "north"], prepare=known, dead=[6], worlds=["rest", "folder"]),
    Flow(
        name="set-since",
        arguments=["state", "set", "north", "--since", "2024-01-01"],
        prepare=known,
        dead=[6],
        worlds=["rest"],
    ),
    Flow(name="damaged", arguments=["run"], prepare=damaged, dead=[6], worlds=["rest"]),
    Flow(
        name="embedded",
        arguments=["run"],
        prepare=shown,
        dead=[6],
        worlds=["folder"],
        environ={"MONGO_URI": ""},
        only="tracos/embedded.py",
    ),
    Flow(name="new-client", arguments=["clients", "new", "acme"], prepare=known, dead=[6], worlds=["folder"]),
    Flow(name="schema", arguments=["clients", "schema", "--out", "x.json"], prepare=known, dead=[6], worlds=["folder"]),
)

SAMPLED: Final = (
    *((flow.name, flow.worlds[0]) for flow in FLOWS if len(flow.worlds) < len(WORLDS)),
    *(("first", world) for world in ("folder", "archive", "rest")),
    ("inbound", "csv"),
    ("outbound", "numbers"),
    ("retry", "folder"),
    ("edit", "archive"),
    ("discard", "csv"),
    ("restore", "rest"),
    ("fix", "rest"),
    ("plan", "rest"),
    ("closing", "csv"),
)
"""The worlds in which the suite plays each flow: between them every place is reached."""
