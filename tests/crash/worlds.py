"""What the program runs in: a home, a database and a client's system, which can be set back to what they once were."""

import csv
import io
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from pymongo import MongoClient, WriteConcern

from pipeline.deadletters import read_letters
from pipeline.deadletters.letter import Letter, id_of_name
from pipeline.testing import FakeErp, Habits
from tests.crash.nursery import Lived, Nursery
from tests.crash.points import Kill

__all__ = ["IN_MEMORY", "WORLDS", "World", "moment", "order", "standing"]

Record = Mapping[str, Any]

CLIENT: Final = "north"
IN_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where worlds are set up: nothing waits for a disk there, and what a killed process has written is there as well."""
LONG_AGO: Final = 1_700_000_000
"""When the files of the first show were written, in seconds since 1970."""


def moment(minute: int) -> str:
    """A time that is past wherever this runs."""
    return f"2024-03-01T{minute // 60:02}:{minute % 60:02}:00Z"


def order(number: int, title: str, minute: int, status: str = "NEW", **more: Any) -> dict[str, Any]:
    """A record of the client's, as of ``minute``."""
    return {"id": number, "status": status, "title": title, "createdAt": moment(0), "updatedAt": moment(minute)} | more


class _File(Struct, frozen=True):
    """A file as it once was; None: a folder."""

    body: bytes | None
    mode: int
    mtime: int
    identity: tuple[int, int]
    """Where these are the same still, nobody has touched it."""


class Snapshot(Struct, frozen=True):
    """All of a world as it once was."""

    files: Mapping[str, _File]
    documents: Mapping[str, Sequence[Mapping[str, Any]]]
    """By collection."""
    indexes: Mapping[str, Sequence[Mapping[str, Any]]]
    theirs: Any
    scratch: Sequence[str]
    """The folders among the system's temporary files."""


class World(ABC):
    """One client's plant. ``run`` is the program in it."""

    name: str

    def __init__(self, folder: Path, uri: str, database: str, nursery: Nursery) -> None:
        self.home = folder / "home"
        self.scratch = folder / "scratch"
        self.embedded = self.home / "data/mongo"
        self.home.mkdir()
        self.scratch.mkdir()
        self._environ = {"MONGO_URI": uri, "MONGO_DATABASE": database, "TMPDIR": str(self.scratch)}
        self._environ["CLIENTS_FILE"] = "clients.toml"
        self._nursery = nursery
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)
        self.database = self._mongo[database].with_options(write_concern=WriteConcern(w=1))
        self.documents = self.database["workorders"]
        self._shown = 0
        self.broken = ""
        """Which break is made in every run from now on."""

    def close(self) -> None:
        """Leave nothing behind."""
        self._mongo.drop_database(self.database.name)
        self._mongo.close()

    @abstractmethod
    def show(self, *records: Record) -> None:
        """The client shows these, newer than what it showed before."""

    @abstractmethod
    def told(self) -> Mapping[str, Any]:
        """What the client was told, by order."""

    def theirs(self) -> Any:
        """The client's system, to be set back; None where it is files alone."""
        return None

    def set_back(self, theirs: Any) -> None:
        """The client's system is what it was."""
        assert theirs is None

    def run(self, *arguments: str, kill: Kill | None = None, meddler: str = "", **environ: str) -> Lived:
        """One run of the program."""
        environ = self._environ | environ
        return self._nursery.run(self.home, *arguments, kill=kill, meddler=meddler, broken=self.broken, **environ)

    def edit(self, number: int, minute: int, *, is_marked: bool = True, **values: Any) -> None:
        """Somebody edits an order in TracOS; who forgets to mark it leaves ``isSynced`` as it is."""
        sets = {**values, "updatedAt": moment(minute)} | ({"isSynced": False} if is_marked else {})
        assert self.documents.update_one({"number": number}, {"$set": sets}).matched_count

    def born(self, number: int, status: str = "created") -> None:
        """An order is born in TracOS."""
        times = {"createdAt": moment(0), "updatedAt": moment(1)}
        self.documents.insert_one({"number": number, "title": f"born {number}", "status": status, **times})

    def letters(self) -> dict[str, Letter]:
        """The open dead letters, by id."""
        return {
            id_of_name(letter.flow, path.name): letter for path, letter in read_letters(self.home / "data/dead-letter")
        }

    def letter_of(self, number: int) -> str:
        """The id of the open letter about an order."""
        (found,) = (letter_id for letter_id, letter in self.letters().items() if letter.id == number)
        return found

    def snapshot(self) -> Snapshot:
        """All of it as it is now."""
        names = self.database.list_collection_names()
        documents = {name: list(self.database[name].find()) for name in sorted(names)}
        indexes = {name: self._indexes(name) for name in documents}
        return Snapshot(
            dict(self._files()),
            documents,
            indexes,
            deepcopy(self.theirs()),
            [one.name for one in self.scratch.iterdir()],
        )

    def _indexes(self, collection: str) -> list[dict[str, Any]]:
        return sorted(({**one, "v": 2} for one in self.database[collection].list_indexes()), key=itemgetter("name"))

    def restore(self, before: Snapshot) -> None:
        """All of it is as it was; what nobody has touched since is left alone."""
        self._restore_files(before.files)
        names = set(self.database.list_collection_names())
        for name in names:
            if name not in before.documents or self._indexes(name) != before.indexes[name]:
                self.database.drop_collection(name)
        for name, documents in before.documents.items():
            self.database[name].delete_many({})
            if documents:
                self.database[name].insert_many(documents)
            if self._indexes(name) != before.indexes[name]:
                own = [index for index in before.indexes[name] if index["name"] != "_id_"]
                self.database.command({"createIndexes": name, "indexes": own})
        self.set_back(deepcopy(before.theirs))
        shutil.rmtree(self.scratch)
        self.scratch.mkdir()
        for name in before.scratch:
            (self.scratch / name).mkdir()

    def _files(self) -> Iterator[tuple[str, _File]]:
        for path in sorted(self.home.rglob("*")):
            if self.embedded in path.parents:
                continue
            state = path.lstat()
            body = path.read_bytes() if path.is_file() else None
            identity = (state.st_ino, state.st_ctime_ns if body is not None else 0)
            yield str(path.relative_to(self.home)), _File(body, state.st_mode & 0o7777, state.st_mtime_ns, identity)

    def _restore_files(self, before: Mapping[str, _File]) -> None:
        shutil.rmtree(self.embedded, ignore_errors=True)
        now = dict(self._files())
        for name in reversed(now):
            if name not in before:
                path = self.home / name
                path.unlink() if now[name].body is not None else path.rmdir()
        for name, file in before.items():
            path = self.home / name
            if name in now and now[name].identity == file.identity:
                continue
            if file.body is None:
                path.mkdir(mode=file.mode, exist_ok=True)
                continue
            path.write_bytes(file.body)
            path.chmod(file.mode)
            os.utime(path, ns=(file.mtime, file.mtime))


class FolderWorld(World):
    """Two folders of files, JSON or CSV."""

    kind = "erp_json"
    suffix = ".json"
    options = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.inbound, self.outbound = self.home / "in", self.home / "out"
        self.inbound.mkdir()
        said = f'[clients.{CLIENT}]\nkind = "{self.kind}"\ninbound_dir = "in"\noutbound_dir = "out"\n{self.options}'
        (self.home / "clients.toml").write_text(said)

    def show(self, *records: Record) -> None:
        self._shown += 1
        path = self.inbound / f"{self._shown:02}{self.suffix}"
        path.write_bytes(self.encoded(records))
        os.utime(path, (LONG_AGO + self._shown,) * 2)

    def encoded(self, records: Sequence[Record]) -> bytes:
        """What a file of them holds."""
        return msgspec.json.encode(records)

    def told(self) -> Mapping[str, Any]:
        return {path.name: path.read_text() for path in self.outbound.glob("*") if path.is_file()}


class Folder(FolderWorld):
    """JSON files, kept."""

    name = "folder"


class Archive(FolderWorld):
    """JSON files, archived once they are settled, and each outbound file synced by itself."""

    name = "archive"
    options = 'inbound_after = "archive"\ndurability = "file"\n'


class Csv(FolderWorld):
    """CSV files, deleted once they are settled."""

    name = "csv"
    kind = "csv_folder"
    suffix = ".csv"
    options = 'inbound_after = "delete"\n'

    def encoded(self, records: Sequence[Record]) -> bytes:
        """A head and rows."""
        heads = list(dict.fromkeys(key for record in records for key in record))
        out = io.StringIO()
        writer = csv.DictWriter(out, heads)
        writer.writeheader()
        writer.writerows(records)
        return out.getvalue().encode()


class _KeptErp(FakeErp):
    """One that can be set back."""

    def __init__(self, habits: Habits) -> None:
        super().__init__(habits=habits)
        self._server.handle_error = lambda *_: None  # who was killed hangs up

    KEPT = ("orders", "_versions", "_keys", "_created", "_removed", "applied")

    def kept(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.KEPT}

    def set_back(self, kept: Mapping[str, Any]) -> None:
        for name, value in kept.items():
            setattr(self, name, value)


class Rest(World):
    """An API with the same numbers as TracOS."""

    name = "rest"
    habits = Habits()
    options = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.erp = _KeptErp(self.habits)
        self.erp.__enter__()
        paging = 'items = "items"\npage = "cursor"\nnext = "cursor"\nsize_param = "limit"\npage_size = 3\n'
        said = f'[clients.{CLIENT}]\nkind = "rest_json"\nurl = "{self.erp.url}"\nsince_param = "updated_since"\n'
        (self.home / "clients.toml").write_text(said + paging + 'etag = "_etag"\nparallel = 2\n' + self.options)

    def close(self) -> None:
        """The server ends too."""
        self.erp.__exit__(None, None, None)
        super().close()

    def show(self, *records: Record) -> None:
        for record in records:
            held = self.erp.orders.get(str(record["id"]), {})
            if record["updatedAt"] > held.get("updatedAt", ""):  # an API shows nothing that is late
                self.erp.put({**held, **record})

    def told(self) -> Mapping[str, Any]:
        return dict(self.erp.orders)

    def theirs(self) -> Any:
        """All that the server knows."""
        return self.erp.kept()

    def set_back(self, theirs: Any) -> None:
        """The server knows that alone."""
        self.erp.set_back(theirs)


class Numbers(Rest):
    """An API that numbers its orders itself, and forgets the keys of requests: only asking keeps it from making two."""

    name = "numbers"
    habits = Habits(numbers=lambda count: 1000 + count, reference="externalRef", honours_keys=False)
    options = """\
ids = "client"
find = "?externalRef={number}"
layout = "own"

[layouts.own]
id = "id"
reference = "externalRef"
created_at = "createdAt"
updated_at = "updatedAt"
deleted_at = "deletedAt"
title = "title"
description = "description"
[layouts.own.status]
at = "status"
words.NEW = "created"
words.PENDING = "pending"
words.WIP = "in_progress"
words.HOLD = "on_hold"
words.DONE = "completed"
words.OFF = "cancelled"
"""


WORLDS: Final[Mapping[str, type[World]]] = {one.name: one for one in (Folder, Archive, Csv, Rest, Numbers)}


@contextmanager
def standing(name: str, folder: Path, uri: str, database: str) -> Iterator[World]:
    """The world of this name, in ``folder``, while it stands."""
    notes = folder / "notes"
    notes.mkdir()
    with Nursery({"PATH": os.environ["PATH"]}, notes) as nursery:
        world = WORLDS[name](folder, uri, database, nursery)
        try:
            yield world
        finally:
            world.close()
