"""Who has the embedded server's data folder, and how others find the server: its lock says where it listens."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.errors import Fatal, See

__all__ = ["LOCK", "Place", "is_taken", "is_up", "taken", "why_gone"]

LOCK: Final = "embedded.lock"
END: Final = b"\n"
"""What is torn does not end so."""
LOOK_SECONDS: Final = 0.1
WAIT_SECONDS: Final = 20
"""How long a server that is being started, or stopped, by somebody else is waited for."""
REACH_SECONDS: Final = 2
"""How long one is waited for that is said to be there, and does not answer."""


class Place:
    """A data folder: ours, or with the socket ``joined`` of the server that somebody else runs on it."""

    def __init__(self, lock: BinaryIO, joined: Path | None = None) -> None:
        self._lock = lock
        self.joined = joined

    def tell(self, path: Path | None) -> None:
        """Tell others where our server listens; None: nowhere any more. On a full disk nobody is told, nor can join."""
        with contextlib.suppress(OSError):
            self._lock.truncate(0)
            self._lock.write(b"" if path is None else os.fsencode(path) + END)


@contextlib.contextmanager
def taken(data_dir: Path, *, joins: bool) -> Iterator[Place]:
    """The folder for this run alone, until it ends; where somebody else has it, and ``joins``, that one's server.

    Raises Fatal, in one line, where it is neither to be had nor joined.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / LOCK).open("a+b", buffering=0)
    except OSError as error:
        raise Fatal(
            f"the embedded MongoDB cannot use the folder {data_dir}: {error.strerror}; set it right, or set MONGO_URI",
            see=See.FILES,
        ) from error
    with lock:
        place = _had(lock, data_dir, joins=joins)
        if place.joined is None:
            place.tell(None)  # whoever was killed has left where his own server was
        yield place


def is_taken(data_dir: Path) -> bool:
    """Whether somebody has the folder now."""
    try:
        with (data_dir / LOCK).open("rb") as lock:
            return not _is_free(lock)
    except OSError:
        return False


def is_up(path: Path) -> bool:
    """Whether somebody listens at this socket."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1)
        probe.connect(str(path))
        return True
    return False


def why_gone(data_dir: Path, path: Path) -> str:
    """What to say where the server that was joined at ``path`` has been ended; nothing while it is there."""
    if is_taken(data_dir) and _told(data_dir) == path and is_up(path):
        return ""
    return "the embedded MongoDB has ended with the run that had it: nothing is lost; run this again"


def _had(lock: BinaryIO, data_dir: Path, *, joins: bool) -> Place:
    began = time.monotonic()
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Place(lock)
        path = _told(data_dir)
        if path is not None and joins and is_up(path):
            return Place(lock, path)
        patience = WAIT_SECONDS if path is None or not joins else REACH_SECONDS
        if time.monotonic() - began > patience:
            beyond = f", and its server at {path} is not to be reached from here" if path is not None and joins else ""
            raise Fatal(
                f"another run is using the embedded MongoDB in {data_dir}{beyond}: nothing was done; let it finish",
                see=See.EMBEDDED_IN_USE,
            )
        time.sleep(LOOK_SECONDS)


def _told(data_dir: Path) -> Path | None:
    """Where the server listens, as whoever has the folder says."""
    try:
        told = (data_dir / LOCK).read_bytes()
    except OSError:
        return None
    return Path(os.fsdecode(told.removesuffix(END))) if told.endswith(END) else None


def _is_free(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
