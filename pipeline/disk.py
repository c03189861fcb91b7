"""The disk: file work a batch at a time in one thread hop, files that appear whole and durable, folders for a while."""

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, ParamSpec, Self, TypeAlias, TypeVar

from aiofiles.os import wrap

from pipeline.errors import Fatal, See

__all__ = [
    "LEFTOVER",
    "Durability",
    "Scratch",
    "alone",
    "append_lines",
    "in_thread",
    "opened",
    "read_file",
    "read_lines",
    "remove_leftovers",
    "write_all",
    "write_files",
]

P = ParamSpec("P")
T = TypeVar("T")

Durability: TypeAlias = Literal["file", "batch", "none"]
"""How written files are made to survive a loss of power: each by itself, a batch at once, or not at all."""

LEFTOVER: Final = ".~tmp"
"""How the names of temporary files end: never in ``.json``, and like nothing else."""

_WRITER: Final = re.compile(r"(\.[0-9a-f]{16})(?:-[0-9]+)?\.~tmp")
"""Temporary files of one call of write_files: ``.<token>.~tmp``, which it locks, and ``.<token>-<number>.~tmp``."""

_SCRATCH: Final = "workorder-sync-"
"""How the names of folders for a while begin."""

_SYNCFS: Final = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of ``function``, run in a thread, in the context of whoever calls: what it logs says whose it is.

    A cancelled caller waits for the thread to end before it goes on, so that nothing is written behind its back.
    """
    hop = asyncio.ensure_future(wrap(copy_context().run)(function, *args, **kwargs))
    try:
        return await asyncio.shield(hop)
    except asyncio.CancelledError:
        await asyncio.wait([hop])
        if not hop.cancelled():
            hop.exception()  # nobody is there any more to be told; else asyncio prints it, with its stack
        raise


def write_files(
    directory: Path, files: Mapping[str, bytes], *, mode: int = 0o644, durability: Durability = "batch"
) -> dict[str, OSError]:
    """Write ``files`` into ``directory``: each is whole or not there, and all are durable when this returns.

    All are written aside, made durable together (one syncfs; fsync where the system has none), renamed, and the folder
    is made durable. With the durability ``file`` each is synced by itself, with ``none`` nothing is: a process that is
    killed then still leaves whole files only, but a loss of power may take or tear any of them. Several may write into
    one folder at once, the same names too: of two the later one stays, whole. Returns the errors of those whose name is
    taken by a folder. Raises OSError for everything else; no temporary file is left then.
    """
    if not files:
        return {}
    # Write-back errors are reported only to descriptors that were open before the writing.
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _names_of_its_own(folder) as token:
            aside = {name: f"{token}-{number}{LEFTOVER}" for number, name in enumerate(files)}
            blocked = _write_aside(folder, files, aside, mode, durability)
        if durability != "none":
            os.fsync(folder)
    finally:
        os.close(folder)
    return blocked


def write_all(file: int, body: bytes) -> None:
    """Write the whole of ``body``; a full disk may take only a part of it at first."""
    view = memoryview(body)
    while view:
        view = view[os.write(file, view) :]


def append_lines(path: Path, lines: Iterable[bytes], *, durable: bool = True) -> None:
    """Append lines to a file, made with mode 0600 where it is missing; a line torn by a crash is ended first.

    Several may append to one file at once, also while somebody has it ``alone``. Raises OSError; what was written of
    the lines by then is taken back. A pipe is not waited for.
    """
    body = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    if not body:
        return
    file = _locked_at(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        torn = size and os.pread(file, 1, size - 1) != b"\n"
        try:
            write_all(file, b"\n" + body if torn else body)
            if durable:
                os.fsync(file)
        except BaseException:
            with contextlib.suppress(OSError):  # then a part stays, which whoever appends next ends
                os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[int]:
    """Inside of this nobody appends to the file, which may be moved away, or replaced; yields its descriptor.

    Raises OSError where there is none. A pipe is not waited for.
    """
    file = _locked_at(path, os.O_RDWR)
    try:
        yield file
    finally:
        os.close(file)


def read_file(path: Path) -> bytes:
    """The bytes of a file; raises OSError, also for what is none: a pipe is not waited for."""
    with opened(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read()


def read_lines(path: Path, understand: Callable[[bytes], T]) -> Iterator[T]:
    """What ``understand`` makes of each line of a file; there are none where it is missing. A pipe is not waited for.

    A line that it raises ValueError or RecursionError for is passed over: a crash has torn it, or somebody damaged it.
    """
    with contextlib.suppress(FileNotFoundError), opened(path) as lines:
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                yield understand(line)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, to be read inside of this; a pipe is not waited for. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with os.fdopen(file, "rb", closefd=False) as opened:
            yield opened
    finally:
        os.close(file)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files that killed runs left in ``directory``; those that are being written stay."""
    left: dict[str, list[str]] = defaultdict(list)
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(LEFTOVER):
                match = _WRITER.fullmatch(entry.name)
                left[match[1] if match else ""].append(entry.name)
    for token, names in left.items():
        with _if_dead(directory / f"{token}{LEFTOVER}") as is_dead:
            for name in sorted(names) if is_dead else ():  # what is locked comes last
                (directory / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _names_of_its_own(folder: int) -> Iterator[str]:
    """A token that begins the names of temporary files; it is locked, so that nobody takes them for leftovers."""
    while True:
        token = f".{secrets.token_hex(8)}"
        lock = os.open(f"{token}{LEFTOVER}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
        try:
            _lock(lock)
            if not os.fstat(lock).st_nlink:
                continue  # somebody cleaned up before it was locked
            try:
                yield token
            finally:
                _unlink(f"{token}{LEFTOVER}", folder)
            return
        finally:
            os.close(lock)


def _write_aside(
    folder: int, files: Mapping[str, bytes], aside: Mapping[str, str], mode: int, durability: Durability
) -> dict[str, OSError]:
    """Write ``files`` under the names ``aside``, make them durable, and only then give them their own names."""
    blocked: dict[str, OSError] = {}
    try:
        for name, body in files.items():
            file = os.open(aside[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
            try:
                write_all(file, body)
                if durability == "file" or (durability == "batch" and _SYNCFS is None):
                    os.fsync(file)
            finally:
                os.close(file)
        if durability == "batch" and _SYNCFS is not None and files and _SYNCFS(folder):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        for name in files:
            try:
                os.rename(aside[name], name, src_dir_fd=folder, dst_dir_fd=folder)
            except IsADirectoryError as error:
                blocked[name] = error
                os.unlink(aside[name], dir_fd=folder)
    except BaseException:
        for name in aside.values():
            _unlink(name, folder)
        raise
    return blocked


@contextlib.contextmanager
def _if_dead(lock: Path) -> Iterator[bool]:
    """Whether nobody holds the file ``lock``, or there is none; nobody can take it inside of this."""
    try:
        file = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_dead = True
    except OSError:
        is_dead = False
    try:
        yield is_dead
    finally:
        os.close(file)


def _locked_at(path: Path, flags: int) -> int:
    """A descriptor of the file that is at ``path`` once it is ours alone: it may be moved away while we wait."""
    while True:
        file = os.open(path, flags | os.O_NONBLOCK, 0o600)
        try:
            if stat.S_ISFIFO(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "it is a pipe, and no file")
            _lock(file)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), path.stat()):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int) -> None:
    """Wait until the file is ours alone; where the file system cannot lock, nobody can tell us from a dead one."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


class Scratch:
    """A folder for a while, at ``path`` among the system's temporary files: there while this is open, for us alone.

    Before it is made, those that killed processes of ours left are removed. ``lock`` is a descriptor: as long as it is
    open anywhere, in a program that we have started too, the folder counts as used.

    Raises Fatal where none can be made.
    """

    def __init__(self) -> None:
        try:
            self.path = Path(tempfile.gettempdir()) / f"{_SCRATCH}{secrets.token_hex(4)}"
        except OSError as error:
            raise _no_scratch(error) from error
        self.lock = -1

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # it can be done another time
            for left in self.path.parent.glob(f"{_SCRATCH}*"):
                _remove_if_dead(left)
        try:
            while self.lock < 0:
                self.path.mkdir(mode=0o700)
                self.lock = _locked(self.path)  # nothing, where somebody took it for a dead one's before it was locked
        except OSError as error:
            raise _no_scratch(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # not all of them are ignored by what is said here
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)
        self.lock = -1


def _no_scratch(error: OSError) -> Fatal:
    return Fatal(f"no temporary folder can be made: {error.strerror}; make room, or set TMPDIR", see=See.FILES)


def _locked(folder: Path) -> int:
    """A descriptor that keeps ``folder`` from being taken for a dead one's; -1 where it is gone already."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return -1
    with contextlib.suppress(OSError):  # a file system that cannot lock: nobody can tell us from a dead one
        fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return -1


def _remove_if_dead(folder: Path) -> None:
    with contextlib.suppress(OSError):  # somebody else's, or in use
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
