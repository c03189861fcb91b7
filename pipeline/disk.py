"""The disk: file work a batch at a time in one thread hop, and files that appear whole and durable."""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar

from aiofiles.os import wrap

__all__ = ["Durability", "append_lines", "in_thread", "remove_leftovers", "write_all", "write_files"]

P = ParamSpec("P")
T = TypeVar("T")

Durability: TypeAlias = Literal["file", "batch", "none"]
"""How written files are made to survive a loss of power: each by itself, a batch at once, or not at all."""

LEFTOVER: Final = ".~tmp"
"""How the names of temporary files end: never in ``.json``, and like nothing else."""

_SYNCFS: Final = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of ``function``, run in a thread.

    A cancelled caller waits for the thread to end before it goes on, so that nothing is written behind its back.
    """
    hop = asyncio.ensure_future(wrap(function)(*args, **kwargs))
    try:
        return await asyncio.shield(hop)
    except asyncio.CancelledError:
        await asyncio.wait([hop])
        raise


def write_files(
    directory: Path, files: Mapping[str, bytes], *, mode: int = 0o644, durability: Durability = "batch"
) -> dict[str, OSError]:
    """Write ``files`` into ``directory``: each is whole or not there, and all are durable when this returns.

    All are written aside, made durable together (one syncfs; fsync where the system has none), renamed, and the folder
    is made durable. With the durability ``file`` each is synced by itself, with ``none`` nothing is: a process that is
    killed then still leaves whole files only, but a loss of power may take or tear any of them. Returns the errors of
    those whose name is taken by a folder. Raises OSError for everything else; no temporary file is left then.
    """
    # Write-back errors are reported only to descriptors that were open before the writing.
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    aside = {name: f".{name}{LEFTOVER}" for name in files}
    blocked: dict[str, OSError] = {}
    try:
        for name, body in files.items():
            file = os.open(aside[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode, dir_fd=folder)
            try:
                write_all(file, body)
                if durability == "file" or (durability == "batch" and _SYNCFS is None):
                    os.fsync(file)
            finally:
                os.close(file)
        if durability == "batch" and _SYNCFS is not None and files and _SYNCFS(folder):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(directory))
        for name in files:
            try:
                os.rename(aside[name], name, src_dir_fd=folder, dst_dir_fd=folder)
            except IsADirectoryError as error:
                blocked[name] = error
                os.unlink(aside[name], dir_fd=folder)
        if durability != "none":
            os.fsync(folder)
    except BaseException:
        for name in aside.values():
            _unlink(name, folder)
        raise
    finally:
        os.close(folder)
    return blocked


def write_all(file: int, body: bytes) -> None:
    """Write the whole of ``body``; a full disk may take only a part of it at first."""
    view = memoryview(body)
    while view:
        view = view[os.write(file, view) :]


def append_lines(path: Path, lines: Iterable[bytes], *, durable: bool = True) -> None:
    """Append lines to a file, made with mode 0600 where it is missing; a line torn by a crash is ended first."""
    body = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    if not body:
        return
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        torn = size and os.pread(file, 1, size - 1) != b"\n"
        write_all(file, b"\n" + body if torn else body)
        if durable:
            os.fsync(file)
    finally:
        os.close(file)


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files that a killed run left in ``directory``."""
    with os.scandir(directory) as entries:
        leftovers = [entry.path for entry in entries if entry.name.startswith(".") and entry.name.endswith(LEFTOVER)]
    for path in leftovers:
        Path(path).unlink(missing_ok=True)


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)
