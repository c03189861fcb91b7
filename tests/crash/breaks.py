"""Deliberate breaks of the program, each of which the matrix must find: a check that is never red proves nothing."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pipeline import disk
from pipeline.dataflow.messages import Fate
from pipeline.deadletters.drawer import Drawer
from pipeline.service import effects
from pipeline.tracos.source import TracosSource
from pipeline.transports.folder import sink as outbound
from pipeline.transports.folder.settled import Settled
from pipeline.transports.folder.sink import FolderSink
from pipeline.transports.http.creation import Creation

__all__ = ["BREAKS", "Break"]


class Break(NamedTuple):
    """What is broken, and the flow and the world in which that shows."""

    make: Callable[[], None]
    flow: str
    world: str
    kinds: frozenset[str]
    """The kinds of points at which it is killed."""


def _file_gone_before_it_is_taken() -> None:
    begin = Settled.begin

    def broken(self: Any, place: str, file: Any) -> Any:
        (self._directory / file.name).unlink()
        return begin(self, place, file)

    Settled.begin = broken


def _marked_before_the_file_is_there() -> None:
    write = FolderSink.write_batch

    async def broken(self: Any, items: Any) -> Any:
        await self.mark_first(items)
        return await write(self, items)

    read, settle = TracosSource.read, TracosSource.settle

    async def marked(self: Any) -> Any:
        async def mark_first(_: Any, items: Any) -> None:
            await settle(self, {item.locator: Fate.DELIVERED for item in items})

        FolderSink.mark_first = mark_first
        async for group in read(self):
            yield group

    async def settled(self: Any, fates: Any) -> None:
        await settle(self, {locator: fate for locator, fate in fates.items() if locator in self._unsettled})

    FolderSink.write_batch, TracosSource.read, TracosSource.settle = broken, marked, settled


def _letter_gone_before_it_is_archived() -> None:
    archive = Drawer.archive

    def broken(self: Any, letters: Any, *how: Any) -> None:
        for name in letters:
            (self.directory / name).unlink()
        archive(self, letters, *how)

    Drawer.archive = broken


def _written_in_place() -> None:
    def broken(directory: Any, files: Any, **_: Any) -> dict[str, OSError]:
        for name, body in files.items():
            file = disk.os.open(directory / name, disk.os.O_WRONLY | disk.os.O_CREAT | disk.os.O_TRUNC)
            disk.write_all(file, body)
            disk.os.close(file)
        return {}

    outbound.write_files = broken


def _told_again_unasked() -> None:
    async def broken(self: Any, number: Any) -> None:
        return None

    Creation._asked = broken


def _leftovers_stay() -> None:
    effects.remove_leftovers = lambda directory: None


BREAKS: Final[dict[str, Break]] = {
    "a file is gone before it is taken": Break(
        _file_gone_before_it_is_taken, "inbound", "csv", frozenset({"unlink", "command"})
    ),
    "an order is marked before its file is there": Break(
        _marked_before_the_file_is_there, "outbound", "folder", frozenset({"rename", "create"})
    ),
    "a letter is gone before it is archived": Break(
        _letter_gone_before_it_is_archived, "discard", "folder", frozenset({"create", "write"})
    ),
    "a file is written in place": Break(_written_in_place, "outbound", "folder", frozenset({"write"})),
    "a creation is told again unasked": Break(_told_again_unasked, "outbound", "numbers", frozenset({"request"})),
    "leftovers stay": Break(_leftovers_stay, "inbound", "folder", frozenset({"rename"})),
}
