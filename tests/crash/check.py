"""What must hold once a killed program has been started again: all is as if nobody had killed it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.deadletters import read_letter
from pipeline.history.decisions import ABSENT, RESTORED, read_decisions
from pipeline.orders.merge import Rule
from tests.crash.nursery import Lived
from tests.crash.worlds import Rest, Snapshot, World

__all__ = ["Seen", "is_idle", "left_behind", "look", "torn", "unequal", "wrong"]

NOW: Final = re.compile(r"20(2[5-9]|[3-9]\d)-\d\d-\d\dT[0-9:.]+(Z|\+00:00)")
"""A time at which the program did something; all others are of 2024."""
OWN: Final = frozenset({"_id", "sync", "syncedAt"})
TEMPORARY: Final = re.compile(r"\.~|~aside~")
"""In names; a journal of SQLite's is its own affair: it is removed with the next thing that is remembered."""
WORDS: Final = {
    "created": "NEW",
    "pending": "PENDING",
    "in_progress": "IN_PROGRESS",
    "on_hold": "ON_HOLD",
    "completed": "DONE",
    "cancelled": "CANCELLED",
}
OF_EVERY_RUN: Final = ("history/journal.py", "tracos/embedded.py", "tracos/lease.py")
"""Where a run makes changes that has nothing to do: it is noted, takes its lease, and starts and stops a server."""
LEASES: Final = ".sync"
"""How the collections are called that leases are in."""
PROBE: Final = b"blat"
"""What Python's tempfile writes and removes at once, under a name of its own, to see where it may write at all."""
KEPT: Final = (Rule.STALE, RESTORED, ABSENT)
BAD: Final = ("WHAT", "BAD")


class Seen(Struct, frozen=True):
    """What a person sees of a world; without the times at which the program did something."""

    documents: Mapping[str, Any]
    told: Mapping[str, Any]
    letters: Any
    closed: Any
    files: Any
    """What lies in the client's folders, and how large it is."""
    decisions: Any
    """What gave way, came too late, or was set again by a person; that an order was made or sent may go untold."""


def look(world: World) -> Seen:
    """The world as it is now."""
    documents = {str(one["number"]): _document(one) for one in world.documents.find()}
    letters = [
        (one.flow, one.id, one.locator, one.stage, [str(reason) for reason in one.reasons], one.mended is not None)
        for one in world.letters().values()
    ]
    closed = [
        (path.parent.name, path.name, line["locator"], line["closed"])
        for path in (world.home / "data/dead-letter").glob("*/*d.jsonl")
        if path.name != "closed.jsonl"
        for line in _whole_lines(path)
    ]
    within = (world.home / "in").rglob("*")
    files = [(str(path.relative_to(world.home)), path.stat().st_size * path.is_file()) for path in within]
    decisions = {
        msgspec.json.encode((one.number, one.rule, one.changes, one.lost)).decode()
        for one in read_decisions(world.home / "data/decisions.jsonl")
        if one.lost or one.rule in KEPT
    }
    seen = Seen(
        documents, dict(world.told()), sorted(letters, key=str), sorted(closed), sorted(files), sorted(decisions)
    )
    return msgspec.json.decode(NOW.sub("<now>", msgspec.json.encode(seen, order="sorted").decode()), type=Seen)


def wrong(expected: Seen, seen: Seen) -> Iterator[str]:
    """What is not as it would be without the kill, a line each."""
    seen = _as_if_closed(expected, seen)
    for name in Seen.__struct_fields__:
        before, after = getattr(expected, name), getattr(seen, name)
        if before != after:
            yield from (f"{name}: {line}" for line in _differences(before, after))


def _as_if_closed(expected: Seen, seen: Seen) -> Seen:
    """Without the letters that stay because the run was killed before it could close them: nobody needs them any more.

    A newer record of their orders is in TracOS, and is a repeat to the next run, which tells nothing of a letter.
    """
    late = [one for one in expected.closed if one[3] == "overtaken" and one not in seen.closed]
    places = {(flow, locator) for flow, _, locator, _ in late}
    letters = [one for one in seen.letters if one in expected.letters or (one[0], one[2]) not in places]
    return replace(seen, letters=letters, closed=sorted([*seen.closed, *late]))


def left_behind(world: World) -> Iterator[str]:
    """Temporary files, a line each."""
    for path in sorted(world.home.rglob("*")):
        if TEMPORARY.search(path.name):
            yield f"left behind: {path.relative_to(world.home)}"
    for path in sorted(world.scratch.iterdir()):
        if path.is_file() and PROBE.startswith(path.read_bytes()):
            continue
        yield f"left behind: {path.name} among the system's temporary files"


def torn(world: World) -> Iterator[str]:
    """Files that others may read and that are not whole, right after a kill, a line each."""
    for path in sorted((world.home / "out").glob("[!.]*.*")):
        body = path.read_bytes() if path.is_file() else b"}\n"
        if not body.endswith((b"}", b"\n")):
            yield f"torn: out/{path.name}"
    letters = sorted((world.home / "data/dead-letter").glob("*/[!.]*.json"))
    yield from (f"torn: {path.name}" for path in letters if read_letter(path) is None)


def is_idle(before: Snapshot, after: Snapshot, lived: Lived) -> bool:
    """Whether a run has changed nothing but the journal and its lease; what it has SQLite write is seen in the file."""
    noted = [one for one in lived.points if not any(file in OF_EVERY_RUN for file, _ in one.stack)]
    return all(one.kind == "commit" for one in noted) and _without_journal(before) == _without_journal(after)


def unequal(world: World) -> Iterator[str]:
    """Orders of which both sides say different things; only an API can be asked."""
    if not isinstance(world, Rest):
        return
    for document in world.documents.find({"isSynced": True}):
        sync = document.get("sync") or {}
        record = world.erp.orders.get(str(sync.get("id", document["number"])))
        if record is None:
            yield f"the client does not have {document['number']}"
        elif document.get("deleted"):
            if not record.get("deletedAt") and record["status"] not in ("CANCELLED", "OFF"):
                yield f"{document['number']} is deleted in TracOS alone"
        elif record["status"] not in BAD:  # mended in its letter, and not at the client
            ours = (document["title"], WORDS[document["status"]])
            theirs = (
                record["title"],
                {"HOLD": "ON_HOLD", "WIP": "IN_PROGRESS"}.get(record["status"], record["status"]),
            )
            if ours != theirs:
                yield f"{document['number']}: {ours} in TracOS, {theirs} at the client"


def _document(document: Mapping[str, Any]) -> dict[str, Any]:
    # What the client last showed may be newer after a kill, because it was asked once more.
    sync = document.get("sync") or {}
    own = {name: value for name, value in document.items() if name not in OWN}
    return own | {"sync": {name: sync.get(name) for name in ("id", "layout")}}


def _without_journal(snapshot: Snapshot) -> tuple[Any, ...]:
    files = {name: (one.body, one.mtime) for name, one in snapshot.files.items() if one.body is not None}
    files = {name: said for name, said in files.items() if not name.endswith("runs.jsonl")}
    documents = {name: found for name, found in snapshot.documents.items() if not name.endswith(LEASES)}
    return files, documents, snapshot.theirs


def _whole_lines(path: Path) -> Iterator[Any]:
    """The lines of an archive; one that a kill has torn is followed by the whole one."""
    for line in path.read_bytes().splitlines():
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line)


def _differences(before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict):
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield f"{key} is {_short(after.get(key))}, not {_short(before.get(key))}"
    else:
        yield from (f"missing {_short(one)}" for one in before if one not in after)
        yield from (f"too much {_short(one)}" for one in after if one not in before)
        if all(one in after for one in before) and all(one in before for one in after):
            yield f"{len(after)} instead of {len(before)}: {_short(after)}"


def _short(said: Any) -> str:
    return str(said) if len(str(said)) < 600 else f"{str(said)[:600]}..."
