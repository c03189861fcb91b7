"""A disk that fails: every file operation below a folder is counted, and one of them, or all from one on, fails.

Python's own functions for files are replaced while it is in use, in all threads. What SQLite and mongod do with files
is not seen, but that a database is opened, and each of its statements.
"""

import builtins
import errno
import fcntl
import io
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from pipeline import disk

MAKES = {"create", "write", "mkdir", "link", "rename", "sync", "close", "statement"}
"""What takes room, or tells of a write that took it."""
OPENS = {"open", "create", "reopen", "list", "connect"}
CHANGES = {"create", "reopen", "mkdir", "link", "rename", "unlink", "statement"}
DONE = {"mkdir", "link", "rename", "unlink", "sync"}
"""What may have been done although an error is told, as over a network."""
ALL = MAKES | OPENS | CHANGES | {"read", "look", "lock"}

SQLITE = {
    errno.ENOSPC: (sqlite3.SQLITE_FULL, "database or disk is full"),
    errno.EDQUOT: (sqlite3.SQLITE_FULL, "database or disk is full"),
    errno.EIO: (sqlite3.SQLITE_IOERR, "disk I/O error"),
    errno.EMFILE: (sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    errno.EROFS: (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
}


class Operation(NamedTuple):
    """One file operation: what it does, to which file, and who asked for it."""

    kind: str
    path: str
    site: str


class Fault(NamedTuple):
    """Which error, for which operations; whether all that follow fail too; whether the work is done nevertheless."""

    code: int
    kinds: set[str]
    lasts: bool = False
    is_done: bool = False


FAULTS = {
    "ENOSPC": Fault(errno.ENOSPC, MAKES, lasts=True),
    "ENOSPC once": Fault(errno.ENOSPC, MAKES),
    "EDQUOT once": Fault(errno.EDQUOT, MAKES),
    "EIO once": Fault(errno.EIO, ALL),
    "EIO though done": Fault(errno.EIO, DONE, is_done=True),
    "EMFILE": Fault(errno.EMFILE, OPENS, lasts=True),
    "EMFILE once": Fault(errno.EMFILE, OPENS),
    "EROFS": Fault(errno.EROFS, CHANGES, lasts=True),
}


class Disk(ExitStack):
    """Counts the operations below ``root`` that ``fault`` may befall (None: all); the one at ``at``, from 0, fails."""

    def __init__(self, root: Any, fault: Fault | None = None, at: int = -1) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.hit: Operation | None = None
        """The first that failed."""
        self._root = os.path.realpath(root)
        self._fault = fault
        self._at = at
        self._files: dict[int, str] = {}
        self._written: set[int] = set()
        self._turn = threading.RLock()

    def __enter__(self) -> "Disk":
        super().__enter__()
        self._lstat = os.lstat
        for name in ("stat", "lstat", "readlink"):
            self._wrap(os, name, "look")
        self._replace(os, "mkdir", self._mkdir)
        for name, kind in (("unlink", "unlink"), ("remove", "unlink"), ("rmdir", "unlink")):
            self._wrap(os, name, kind)
        for name, kind in (("rename", "rename"), ("replace", "rename"), ("link", "link")):
            self._wrap(os, name, kind)
        for name, kind in (("fstat", "look"), ("fsync", "sync"), ("read", "read"), ("pread", "read")):
            self._wrap(os, name, kind)
        self._wrap(os, "listdir", "list")
        self._wrap(fcntl, "flock", "lock")
        self._replace(os, "open", self._open)
        self._replace(os, "write", self._write)
        self._replace(os, "close", self._close)
        self._replace(os, "scandir", self._scandir)
        self._replace(io, "open", self._open_file, "open_file")
        self._replace(builtins, "open", self._open_file, "open_file")
        self._replace(disk, "_SYNCFS", self._syncfs, "syncfs")
        self._replace(sqlite3, "connect", self._connect)
        return self

    def do(self, kind: str, path: str | None, work: Callable[[], Any], instead: Callable[[], Any] | None = None) -> Any:
        """The result of ``work``, or its error; ``instead`` is done, or nothing, where it fails."""
        code = self._fails(kind, path)
        if code is None:
            return work()
        if kind == "close" or (self._fault and self._fault.is_done):
            work()
        elif instead is not None:
            instead()
        raise OSError(code, os.strerror(code), path)

    def _fails(self, kind: str, path: str | None) -> int | None:
        if path is None or (self._fault and kind not in self._fault.kinds):
            return None
        with self._turn:
            operation = Operation(kind, os.path.relpath(path, self._root), _site())
            number = len(self.operations)
            self.operations.append(operation)
            if self._fault is None or not (number == self._at or (self._fault.lasts and 0 <= self._at < number)):
                return None
            self.hit = self.hit or operation
            return self._fault.code

    def path(self, path: Any, within: int | None = None) -> str | None:
        """The whole path of a file below the root; None for any other."""
        if isinstance(path, int):
            return self._files.get(path)
        base = Path(self._files.get(within, "/nowhere")) if within is not None else Path.cwd()
        whole = os.path.normpath(base / os.fsdecode(path))
        return whole if whole == self._root or whole.startswith(self._root + os.sep) else None

    def forget(self, file: int) -> None:
        """The descriptor is closed."""
        self._files.pop(file, None)
        self._written.discard(file)

    def _replace(self, module: Any, name: str, function: Any, called: str = "") -> None:
        setattr(self, f"real_{called or name}", getattr(module, name))
        self.enter_context(mock.patch.object(module, name, function))

    def _wrap(self, module: Any, name: str, kind: str) -> None:
        real = getattr(module, name)

        def wrapped(path: Any, *arguments: Any, **options: Any) -> Any:
            within = options.get("dir_fd", options.get("src_dir_fd"))
            return self.do(kind, self.path(path, within), lambda: real(path, *arguments, **options))

        self.enter_context(mock.patch.object(module, name, wrapped))

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        whole = self.path(path, dir_fd)
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        kind = self._opening(whole, bool(writes))
        file = self.do(kind, whole, lambda: self.real_open(path, flags, mode, dir_fd=dir_fd))
        self._opened(file, whole, bool(writes))
        return file

    def _opening(self, path: str | None, writes: bool) -> str:
        if not writes:
            return "open"
        return "reopen" if path is not None and self._exists(path) else "create"

    def _exists(self, path: str) -> bool:
        try:
            return bool(self._lstat(path))
        except OSError:
            return False

    def _opened(self, file: int, path: str | None, writes: bool) -> None:
        self.forget(file)
        if path is not None:
            self._files[file] = path
            if writes:
                self._written.add(file)

    def _mkdir(self, path: Any, mode: int = 0o777, **options: Any) -> None:
        whole = self.path(path, options.get("dir_fd"))
        is_new = whole is not None and not self._exists(whole)  # that it is there is told before anything else
        return self.do("mkdir", whole if is_new else None, lambda: self.real_mkdir(path, mode, **options))

    def _write(self, file: int, body: Any) -> int:
        half = bytes(body)[: len(body) // 2]
        return self.do(
            "write", self.path(file), lambda: self.real_write(file, body), lambda: self.real_write(file, half)
        )

    def _close(self, file: int) -> None:
        path = self.path(file) if file in self._written else None
        self.forget(file)
        return self.do("close", path, lambda: self.real_close(file))

    def _scandir(self, path: Any = ".") -> Any:
        whole = self.path(path)
        entries = self.do("list", whole, lambda: self.real_scandir(path))
        return entries if whole is None else _Entries(self, whole, entries)

    def _open_file(self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        whole = self.path(file)
        if whole is None:
            return self.real_open_file(file, mode, buffering, *rest, **options)
        writes = not set(mode) <= set("rbt")
        plain = mode.replace("b", "").replace("t", "")
        closes = options.pop("closefd", True)
        if isinstance(file, int):
            raw = _Raw(self, whole, file, plain, closefd=closes)
        else:
            raw = self.do(self._opening(whole, writes), whole, lambda: _Raw(self, whole, file, plain))
            self._opened(raw.fileno(), whole, writes)
        buffered = io.BufferedRandom(raw) if "+" in mode else (io.BufferedWriter if writes else io.BufferedReader)(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **options)

    def _syncfs(self, folder: int) -> int:
        try:
            return self.do("sync", self.path(folder), lambda: self.real_syncfs(folder))
        except OSError as error:
            disk.ctypes.set_errno(error.errno or 0)
            return -1

    def _connect(self, path: Any, **options: Any) -> Any:
        whole = self.path(path)
        factory = type("Watched", (_Database,), {"disk": self, "where": whole})
        return sql(lambda: self.do("connect", whole, lambda: self.real_connect(path, factory=factory, **options)))


class _Raw(io.FileIO):
    """A file as ``open`` makes it."""

    def __init__(self, disk: Disk, where: str, file: Any, mode: str, *, closefd: bool = True) -> None:
        super().__init__(file, mode, closefd=closefd)
        self._disk, self._where = disk, where

    def readinto(self, buffer: Any) -> Any:
        return self._disk.do("read", self._where, lambda: super(_Raw, self).readinto(buffer))

    def readall(self) -> bytes:
        return self._disk.do("read", self._where, lambda: super(_Raw, self).readall())

    def write(self, body: Any) -> Any:
        half = bytes(body)[: len(body) // 2]
        written = super().write
        return self._disk.do("write", self._where, lambda: written(body), lambda: written(half))

    def close(self) -> None:
        if self.closed:
            return
        if self.closefd:
            self._disk.forget(self.fileno())
        self._disk.do("close", self._where if self.writable() else None, super().close)


class _Entries:
    """What ``scandir`` gives: its entries fail one at a time, and whenever one is looked at."""

    def __init__(self, disk: Disk, where: str, entries: Any) -> None:
        self._disk, self._where, self._entries = disk, where, entries

    def __iter__(self) -> "_Entries":
        return self

    def __next__(self) -> Any:
        return _Entry(self._disk, self._where, self._disk.do("read", self._where, lambda: next(self._entries)))

    def __enter__(self) -> "_Entries":
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def close(self) -> None:
        self._entries.close()


class _Entry:
    def __init__(self, disk: Disk, where: str, entry: Any) -> None:
        self._disk, self._entry = disk, entry
        self._where = f"{where}/{entry.name}"
        self.name, self.path = entry.name, entry.path

    def __fspath__(self) -> str:
        return os.fspath(self._entry)

    def stat(self, **options: Any) -> os.stat_result:
        return self._disk.do("look", self._where, lambda: self._entry.stat(**options))

    def is_dir(self, **options: Any) -> bool:
        return self._entry.is_dir(**options)

    def is_file(self, **options: Any) -> bool:
        return self._entry.is_file(**options)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()


class _Database(sqlite3.Connection):
    """A database whose statements may fail."""

    disk: Disk
    where: str | None

    def _do(self, work: Callable[[], Any]) -> Any:
        return sql(lambda: self.disk.do("statement", self.where, work))

    def execute(self, *arguments: Any) -> Any:
        return self._do(lambda: super(_Database, self).execute(*arguments))

    def executemany(self, *arguments: Any) -> Any:
        return self._do(lambda: super(_Database, self).executemany(*arguments))

    def cursor(self, *arguments: Any) -> Any:
        return self._do(lambda: super(_Database, self).cursor(*arguments))


def sql(work: Callable[[], Any]) -> Any:
    """The result of ``work``; an error of the disk is told as SQLite does."""
    try:
        return work()
    except OSError as error:
        code, message = SQLITE[error.errno or 0]
        told = sqlite3.OperationalError(message)
        told.sqlite_errorcode = code
        raise told from None


def _site() -> str:
    """The place in the program that asked for it."""
    frame = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("pipeline"):
            return f"{name}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"
