"""The folder that orders are written to: one durable file an order, a batch at a time."""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.disk import Durability, in_thread, remove_leftovers, write_files
from pipeline.errors import Deferred, Fatal, Rejected, See
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.folder.names import NEW, name_of

__all__ = ["FolderSink"]

NAMELESS: Final = (
    "the client has been told of it as a new order, and no record has said yet under which id it keeps it: an edit "
    "since then waits for that, because a second file would be a second order"
)


class FolderSink(BatchSink[Outgoing]):
    """Writes each order as ``<its id>.json``, whole and durable; a file that says the same already is kept.

    One that the client has given no id yet is ``<our number>~new.json``, which is the name of no id;
    told once, it is Deferred until a record has linked it.

    The folder is this run's alone while it is open: a second run at the same time is told so. ``suffix`` is how names
    end; ``setting`` is the name under which a person sets the folder; ``durability`` is told by write_files.
    """

    takes_late = True
    suits_a_lane = True

    def __init__(
        self, directory: Path, *, suffix: str = ".json", setting: str = "", durability: Durability = "batch"
    ) -> None:
        self._directory = directory
        self._suffix = suffix
        self._durability: Durability = durability
        self._called = f"{directory} ({setting})" if setting else str(directory)
        self._lock: int | None = None

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._directory)

    async def open(self) -> None:
        """Make the folder, take it, and clear away what a killed run left; raises Fatal when that cannot be done."""
        await in_thread(self._open)

    async def close(self) -> None:
        """Give the folder back."""
        self._release()

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        """Write a batch in one thread hop; raises Fatal, leaving no half file, when the disk takes no more."""
        names = [self._name(item.payload) for item in items]
        waiting = {name for name, item in zip(names, items, strict=True) if _is_nameless(item.payload)}
        files = {name: item.payload.body for name, item in zip(names, items, strict=True) if name not in waiting}
        blocked = await in_thread(self._write, files)
        return BatchResult(
            [Deferred(NAMELESS) if name in waiting else blocked.get(name, Outcome.SENT) for name in names]
        )

    def _name(self, order: Outgoing) -> str:
        return name_of(order.id, self._suffix if order.number is None else f"{NEW}{self._suffix}")

    def _open(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_leftovers(self._directory)
        except BlockingIOError:
            self._release()
            raise Fatal(
                f"another run is writing into {self._called}: nothing was done; let it finish", see=See.OUTBOUND_IN_USE
            ) from None
        except OSError as error:
            self._release()
            raise self._unusable(error) from error

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, files: dict[str, bytes]) -> dict[str, Rejected]:
        try:
            folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if self._lock is not None and not os.path.sameopenfile(self._lock, folder):
                    raise OSError(errno.ENOTDIR, "it is another folder than at the beginning of the run")
                fresh = {name: body for name, body in files.items() if not _holds(folder, name, body)}
            finally:
                os.close(folder)
            blocked = write_files(self._directory, fresh, durability=self._durability)
        except OSError as error:
            raise self._unusable(error) from error
        return {
            name: Rejected(f"a folder is in the way of the file {name}; move it out of {self._directory}")
            for name in blocked
        }

    def _unusable(self, error: OSError) -> Fatal:
        return Fatal(
            f"cannot write into {self._called}: {error.strerror}; the orders in hand stay "
            "unsynced; make room or set the permissions right, then run again",
            see=See.FILES,
        )


def _is_nameless(order: Outgoing) -> bool:
    """Whether the client was told of the order as a new one, and has not said under which id it keeps it."""
    return order.number is not None and not order.is_new


def _holds(folder: int, name: str, body: bytes) -> bool:
    """Whether the file of this name says ``body``; ``folder`` is a descriptor: by path, a look would cost thrice."""
    if not os.access(name, os.F_OK, dir_fd=folder):  # nearly always so, and the error of opening costs twice as much
        return False
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return False
    try:
        return os.fstat(file).st_size == len(body) and os.read(file, len(body) + 1) == body
    except OSError:
        return False
    finally:
        os.close(file)
