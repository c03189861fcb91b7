"""The ends that a chain can have: Source, Sink, BatchSink and DeadLetters, each a Resource."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome, Spared, Unreadable

__all__ = ["BatchSink", "DeadLetters", "Progress", "Resource", "Sink", "Source", "Witness"]

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Resource:
    """Something to open before use and to close after it, however the use ends.

    Several stages may enter one resource: it is opened by the first and closed by the last.
    """

    _users = 0

    @property
    def title(self) -> str:
        """What a person calls it, in a graph of a chain."""
        return type(self).__name__

    async def open(self) -> None:
        """Make it ready; raises Fatal when that cannot be done. Override where there is something to open."""

    async def close(self) -> None:
        """Give back what ``open`` took. Override where there is something to close."""

    async def __aenter__(self) -> Self:
        if self._users == 0:
            await self.open()
        self._users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if self._users == 0:
            await self.close()


class Progress(NamedTuple):
    """How far reading has come, in a source's own ``unit`` (files, orders ...); ``total`` where it is known."""

    done: int
    total: int | None
    unit: str


class Witness(ABC):
    """Vouches that what was delivered is still where it was delivered to."""

    @abstractmethod
    async def seal(self) -> str | None:
        """A text that stands for everything delivered so far; None where nothing can be vouched for."""

    @abstractmethod
    async def holds(self, seal: str) -> bool:
        """Whether everything that had been delivered when ``seal`` was made is still there."""


class Source(Resource, ABC, Generic[T_co]):
    """Where items come from; it is told what became of each."""

    in_flight: ClassVar[int] = 1
    """How many batches may be settled at once; they are begun in order."""

    def rely_on(self, witness: Witness) -> None:
        """What has not changed since it was delivered may be left unread, as long as ``witness`` holds.

        Called before reading. Override where reading can be spared.
        """

    def progress(self) -> Progress | None:
        """How far reading has come; None where that cannot be said. Override where it can."""
        return None

    @abstractmethod
    def read(self) -> AsyncIterator[Sequence[Envelope[T_co] | Unreadable | Spared]]:
        """Yield the items in order, in groups of a few hundred (never all at once): each group becomes a Batch.

        What cannot be read is yielded as Unreadable, what need not be as Spared; only Fatal is raised.
        """

    async def ack(self, locators: Sequence[str]) -> None:
        """These are done: delivered, or skipped on purpose."""

    async def held(self, locators: Sequence[str]) -> None:
        """These are dead already, or closed by a person, and unchanged since: they stay as they are."""

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """These are dead, and safe in the dead-letter folder."""

    async def finish(self) -> None:
        """The chain has come to its end, and everything that was read is settled; not called where it was stopped."""


class Sink(Resource, ABC, Generic[T_contra]):
    """Where items go, one at a time."""

    task_limit: ClassVar[int] = 1
    """How many ``write`` calls may be under way at once; 1 keeps their order."""

    @abstractmethod
    async def write(self, payload: T_contra) -> None:
        """Deliver one item, durably; an exception means: this item failed."""


class BatchSink(Resource, ABC, Generic[T_contra]):
    """Where items go, a batch at a time."""

    in_flight: ClassVar[int] = 1
    """How many batches may be under way at once. They are begun in order; a sink that allows more than one sees to it
    that what belongs together is written in that order too."""

    @abstractmethod
    async def write_batch(self, items: Sequence[Envelope[T_contra]]) -> Sequence[Outcome | Exception]:
        """Deliver a batch, durably, and say by position what became of each item.

        An Exception in an item's place makes a dead letter of it (Deferred: leaves it for the next run). A raised
        Fatal stops the run; any other raised exception is the failure of every item of the batch.
        """


class DeadLetters(Resource, ABC):
    """Where failed items are put aside for a person to look at."""

    @abstractmethod
    async def recall(self, items: Sequence[Envelope[Any]]) -> Mapping[str, Literal["open", "closed"]]:
        """By locator, those items that have a letter, and whose bytes and stamp have not changed since.

        ``closed``: a person has had its letter retried or discarded. Letters that were resolved because a better item
        came from the same place are not among them.
        """

    @abstractmethod
    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside; they are durable when this returns. Raises Fatal when that cannot be done."""

    @abstractmethod
    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the open letters of items that have now been delivered."""
