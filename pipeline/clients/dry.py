"""A client for dry runs: it is read from, never told anything, handed nothing, and remembers in a copy of its state."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pipeline.clients.connector import Outgoing
from pipeline.clients.wrapped import WrappedClient
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, Envelope, Fate, Outcome
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.dataflow.wrapped import WrappedSource
from pipeline.disk import Scratch
from pipeline.errors import Fatal, See

__all__ = ["DryClient", "DryState"]


class DryState(Scratch):
    """A folder to remember in, ``copy``: while this is open, a copy of ``original``; afterwards gone."""

    def __init__(self, original: Path) -> None:
        super().__init__()
        self.copy = self.path / "state"
        self._original = original

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            if self._original.is_dir():
                shutil.copytree(self._original, self.copy)
            else:
                self.copy.mkdir()
        except (OSError, shutil.Error) as error:
            self.__exit__(None, None, None)
            why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
            raise Fatal(
                f"{self._original} cannot be copied to {self.copy} ({why}), as a run that changes nothing needs; make "
                "room or set the permissions right, then run again",
                see=See.FILES,
            ) from error
        return self


class DryClient(WrappedClient):
    """Another client, whose system stays as it is whatever the ends of that client do where they are told something."""

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The client's, to which everything is left for the next run."""
        return _Untold(self.client.source(witness))

    def sink(self) -> BatchSink[Outgoing]:
        """Takes everything and keeps nothing."""
        return _Nowhere(self.client.sink().title)


class _Untold(WrappedSource[bytes]):
    """Another source, which is told of each of its items that it is left for the next run: so it can be forgotten."""

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        await self.source.settle(dict.fromkeys(fates, Fate.DEFERRED))


class _Nowhere(BatchSink[Outgoing]):
    def __init__(self, title: str) -> None:
        self._title = title

    @property
    def title(self) -> str:
        return self._title

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        return BatchResult([Outcome.SENT] * len(items))
