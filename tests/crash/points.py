"""Finds every point at which the program changes something outside of itself, and kills it there when asked to.

The calls that change files, folders, SQLite files, MongoDB and servers are wrapped where Python makes them. Nothing is
listed by hand: a call is a point wherever ``pipeline`` is on the stack. What Python audits and no wrapper saw is noted
too, so that a kind of call that nobody thought of does not go unseen.
"""

import builtins
import contextvars
import ctypes
import functools
import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import httpx
import motor.frameworks.asyncio as framework
import msgspec
from msgspec import Struct
from pymongo import monitoring

import pipeline

HOUSE: Final = f"{Path(pipeline.__file__).parent}{os.sep}"
STANDS: Final = f"{HOUSE}testing{os.sep}"

Frame: TypeAlias = tuple[str, int]
"""A file of the house, relative to it, and a line."""
When: TypeAlias = Literal["before", "within", "after"]


class Kill(Struct, frozen=True):
    """Where the program is killed: ``within`` a write when half of it is written.

    A point is known by its kind, its place and its turn there, from 1 on: where several things are under way at once,
    they need not come in one order.
    """

    kind: str
    stack: tuple[Frame, ...]
    turn: int
    when: When
    at: int = 0
    """Its number among all points, for people."""


class Point(Struct, frozen=True):
    """One change outside, as it was about to be made."""

    kind: str
    what: str
    """For people: the file, the collection, the address."""
    stack: tuple[Frame, ...]
    """Where in the house it is made, the innermost place first."""
    turn: int = 1
    """How often there was a point of this kind at this place by then."""
    killed: When | None = None
    """The program was killed here."""
    is_unseen: bool = False
    """No wrapper knows this kind of call."""

    @property
    def place(self) -> str:
        """For people."""
        return " < ".join(f"{file}:{line}" for file, line in self.stack[:3])


OS_CALLS: Final = {
    "write": "write",
    "pwrite": "copy",
    "writev": "copy",
    "sendfile": "copy",
    "copy_file_range": "copy",
    "posix_fallocate": "copy",
    "ftruncate": "truncate",
    "truncate": "truncate",
    "fsync": "sync",
    "fdatasync": "sync",
    "sync": "sync",
    "rename": "rename",
    "replace": "rename",
    "unlink": "unlink",
    "remove": "unlink",
    "rmdir": "unlink",
    "link": "link",
    "symlink": "link",
    "mkfifo": "mkdir",
    "mknod": "mkdir",
    "chmod": "chmod",
    "fchmod": "chmod",
    "chown": "chmod",
    "utime": "utime",
    "setxattr": "chmod",
}
"""By name in ``os``: the kind of change."""

AUDITED: Final = frozenset(
    f"os.{name}"
    for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink", "truncate", "utime")
) | {"shutil.move", "open", "subprocess.Popen", "os.posix_spawn", "os.system", "os.exec"}

CREATES: Final = os.O_CREAT | os.O_TRUNC

READ_COMMANDS: Final = frozenset(
    {
        "aggregate",
        "buildInfo",
        "collStats",
        "connectionStatus",
        "count",
        "dbStats",
        "distinct",
        "endSessions",
        "explain",
    }
    | {"find", "getMore", "hello", "isMaster", "ismaster", "killCursors", "listCollections", "listDatabases"}
    | {"listIndexes", "ping", "replSetGetStatus", "saslContinue", "saslStart", "serverStatus"}
)
"""Commands of MongoDB that change nothing, an ``aggregate`` without $out and $merge among them."""

READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Meddler: TypeAlias = Callable[[Point], None]
"""Somebody who acts outside right before a point; what it raises the program sees as that call's error."""


class Watch:
    """Notes the points of one process in the file ``trace``, and kills it at one of them."""

    def __init__(self, trace: int, kill: Kill | None, meddler: Meddler | None) -> None:
        self._trace = trace
        self._kill = kill
        self._meddler = meddler
        self._turns = Counter[tuple[str, tuple[Frame, ...]]]()
        self._alone = threading.Lock()

    def before(self, kind: str, what: str) -> Point | None:
        """A change is about to be made, at a point of the house's; None where it is made by others."""
        stack = stack_here()
        if not stack:
            return None
        point = Point(kind, what, stack)
        if self._meddler is not None:
            self._meddler(point)
        with self._alone:
            self._turns[kind, stack] += 1
            point = msgspec.structs.replace(point, turn=self._turns[kind, stack])
            self.see(point, "before")
            self._note(point)
        return point

    def see(self, point: Point, when: When) -> None:
        """Be killed, if it is here."""
        if self.is_meant(point, when):
            self._note(msgspec.structs.replace(point, killed=when))
            os.kill(os.getpid(), signal.SIGKILL)

    def is_meant(self, point: Point, when: When) -> bool:
        """Whether it is to be killed here."""
        kill = self._kill
        return kill is not None and (kill.kind, kill.stack, kill.turn, kill.when) == (
            point.kind,
            point.stack,
            point.turn,
            when,
        )

    def unseen(self, event: str, what: str) -> None:
        """A change was made that no wrapper knows."""
        if stack := stack_here():
            self._note(Point(event, what, stack, is_unseen=True))

    def _note(self, point: Point) -> None:
        _write(self._trace, msgspec.json.encode(point) + b"\n")


_write: Final = os.write
_watch: Watch | None = None
_wrapped: Final = threading.local()
_caller: contextvars.ContextVar[tuple[Frame, ...]] = contextvars.ContextVar("caller", default=())
"""Where in the house a command of MongoDB's was asked for, in the thread that sends it."""


def watch(watch: Watch) -> None:
    """From here on the points of this process are noted."""
    global _watch  # noqa: PLW0603 - there is one process
    _watch = watch


def read_trace(path: Path) -> list[Point]:
    """The points that were noted."""
    decode = msgspec.json.Decoder(Point).decode
    return [decode(line) for line in path.read_bytes().splitlines()]


def stack_here() -> tuple[Frame, ...]:
    """Where in the house we are, the innermost place first; nothing in what is there for tests."""
    found: list[Frame] = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(HOUSE) and not file.startswith(STANDS):
            found.append((file[len(HOUSE) :], frame.f_lineno))
        frame = frame.f_back
    return tuple(found) or _caller.get()


@contextmanager
def _point(kind: str, what: str) -> Iterator[Point | None]:
    """Inside of this a change is made; yields the point, where it is one of the house's."""
    watch = _watch
    point = watch.before(kind, what) if watch is not None else None
    before, _wrapped.inside = getattr(_wrapped, "inside", False), True
    try:
        yield point
    finally:
        _wrapped.inside = before
    if watch is not None and point is not None:
        watch.see(point, "after")


@contextmanager
def _no_point() -> Iterator[None]:
    """Inside of this a call is made that could make a change, and does not."""
    before, _wrapped.inside = getattr(_wrapped, "inside", False), True
    try:
        yield
    finally:
        _wrapped.inside = before


def install() -> None:
    """Wrap all that changes something outside; once, before there are any threads."""
    for name, kind in OS_CALLS.items():
        if hasattr(os, name):
            setattr(os, name, _wrap(getattr(os, name), kind))
    os.mkdir = _wrap_making(os.mkdir)
    os.write = _torn(_write)
    os.open = _wrap_open(os.open)
    io.open = builtins.open = _wrap_files(io.open)
    subprocess.Popen._execute_child = _wrap(subprocess.Popen._execute_child, "spawn")
    sqlite3.connect = _wrap_connect(sqlite3.connect)
    httpx.AsyncHTTPTransport.handle_async_request = _wrap_request(httpx.AsyncHTTPTransport.handle_async_request)
    framework.run_on_executor = _wrap_executor(framework.run_on_executor)
    monitoring.register(_Commands())
    sys.addaudithook(_audit)


def wrap_foreign(modules: Sequence[Any]) -> dict[str, set[str]]:
    """Wrap what modules call in C libraries; returns the names, by module."""
    found: dict[str, set[str]] = {}
    for module in modules:
        for name, value in list(vars(module).items()):
            if isinstance(value, ctypes._CFuncPtr):
                setattr(module, name, _wrap(value, "sync" if "sync" in name.lower() else "foreign"))
                found.setdefault(module.__name__, set()).add(name)
    return found


def _wrap(function: Any, kind: str) -> Any:
    @functools.wraps(function, assigned=("__name__", "__doc__"), updated=())
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if _watch is None or getattr(_wrapped, "inside", False):
            return function(*arguments, **options)
        with _point(kind, _named(arguments)):
            return function(*arguments, **options)

    return wrapped


def _torn(write: Any) -> Any:
    """``os.write``, of which a half may be all that is written."""

    def wrapped(file: int, body: Any, /) -> int:
        if _watch is None:
            return write(file, body)
        with _point("write", _named((file,))) as point:
            if point is not None and _watch.is_meant(point, "within"):
                write(file, memoryview(body)[: len(body) // 2])
                _watch.see(point, "within")
            return write(file, body)

    return wrapped


def _wrap_open(function: Any) -> Any:
    def wrapped(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        makes = flags & os.O_TRUNC or (flags & os.O_CREAT and not _is_there(path, options.get("dir_fd")))
        if _watch is None or getattr(_wrapped, "inside", False):
            return function(path, flags, *arguments, **options)
        with _point("create", _named((path,))) if makes else _no_point():
            return function(path, flags, *arguments, **options)

    return wrapped


def _wrap_making(function: Any) -> Any:
    """``os.mkdir``: a folder that is there is not made."""

    def wrapped(path: Any, *arguments: Any, **options: Any) -> None:
        if _watch is None or getattr(_wrapped, "inside", False):
            return function(path, *arguments, **options)
        with _no_point() if _is_there(path, options.get("dir_fd")) else _point("mkdir", _named((path,))):
            return function(path, *arguments, **options)

    return wrapped


def _is_there(path: Any, folder: int | None) -> bool:
    try:
        os.lstat(path) if folder is None else os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _wrap_files(function: Any) -> Any:
    """``open``; what is written through it is a point when it leaves Python's buffer."""

    def wrapped(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if _watch is None or not set(mode) & set("wax+") or isinstance(file, int):
            return function(file, mode, *arguments, **options)
        makes = "w" in mode or not _is_there(file, None)
        with _point("create", _named((file,))) if makes else _no_point():
            opened = function(file, mode, *arguments, **options)
        _follow(opened, _named((file,)))
        return opened

    return wrapped


def _follow(opened: Any, name: str) -> None:
    waiting = False

    def write(body: Any, /, *, real: Any = opened.write) -> Any:
        nonlocal waiting
        waiting = True
        return real(body)

    def let_go(real: Any) -> Any:
        def wrapped() -> None:
            nonlocal waiting
            if not waiting:
                return real()
            waiting = False
            with _point("flush", name):
                return real()

        return wrapped

    opened.write, opened.flush, opened.close = write, let_go(opened.flush), let_go(opened.close)
    opened.truncate = _wrap(opened.truncate, "truncate")


class _Kept(sqlite3.Connection):
    """A connection to a file: a point is what makes changes last."""

    lasting = 0
    """How many changes have been made to last."""

    def commit(self) -> None:
        with self._lasting():
            super().commit()

    def __exit__(self, *arguments: Any) -> Any:
        with self._lasting():
            return super().__exit__(*arguments)

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        return super().cursor(_KeptCursor)

    def _lasting(self) -> Any:
        made, self.lasting = self.total_changes - self.lasting, self.total_changes
        return _point("commit", "SQLite") if self.in_transaction and made else nullcontext()


class _KeptCursor(sqlite3.Cursor):
    def executescript(self, script: str, /) -> Any:
        with _point("commit", "SQLite"):
            return super().executescript(script)


def _wrap_connect(function: Any) -> Any:
    def wrapped(path: Any, *arguments: Any, **options: Any) -> Any:
        if _watch is None or str(path) in ("", ":memory:"):  # nobody else's
            return function(path, *arguments, **options)
        return function(path, *arguments, factory=_Kept, **options)

    return wrapped


def _wrap_request(function: Any) -> Any:
    async def wrapped(self: Any, request: Any) -> Any:
        if _watch is None or request.method in READ_METHODS:
            return await function(self, request)
        with _point("request", f"{request.method} {request.url.path}"):
            return await function(self, request)

    return wrapped


def _wrap_executor(function: Any) -> Any:
    def wrapped(loop: Any, work: Any, *arguments: Any, **options: Any) -> Any:
        told = _caller.set(stack_here())
        try:
            return function(loop, work, *arguments, **options)
        finally:
            _caller.reset(told)

    return wrapped


class _Commands(monitoring.CommandListener):
    """Each command of MongoDB's that writes is a point: before it leaves, and when its reply has come."""

    def __init__(self) -> None:
        self._open: dict[int, Point] = {}

    def started(self, event: Any) -> None:
        command = event.command
        stages = command.get("pipeline", ())
        is_read = event.command_name in READ_COMMANDS and not any({"$out", "$merge"} & set(one) for one in stages)
        if _watch is not None and not is_read:
            known = _watch.before("command", f"{event.command_name} {command.get(event.command_name)}")
            if known is not None:
                self._open[event.request_id] = known

    def succeeded(self, event: Any) -> None:
        known = self._open.pop(event.request_id, None)
        if _watch is not None and known is not None:
            _watch.see(known, "after")

    failed = succeeded


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is None or event not in AUDITED or getattr(_wrapped, "inside", False):
        return
    if event == "open":
        flags = arguments[2]
        if not isinstance(flags, int) or not flags & CREATES:
            return
    _watch.unseen(event, str(arguments[0]))


def _named(arguments: Sequence[Any]) -> str:
    """The file that a call is about."""
    for one in arguments:
        if isinstance(one, int):
            try:
                return Path(f"/proc/self/fd/{one}").readlink().name
            except OSError:
                return ""
        if isinstance(one, str | os.PathLike):
            return Path(one).name
    return ""
