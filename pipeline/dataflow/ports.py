"""The ends that a chain can have: Source, Sink, BatchSink and DeadLetters, each a Resource."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, Self, TypeVar

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, DeadLetter, Empty, Envelope, Fate, Spared, Unreadable

__all__ = ["NOTHING_IS_SURE", "BatchSink", "DeadLetters", "Progress", "Resource", "Sink", "Source", "Witness"]

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
    """Vouches, record by record, that what was delivered is still where it was delivered to.

    A proof is a few bytes that a source may keep from run to run. As long as it holds, giving the record to the chain
    once more would change nothing; where nothing can be vouched for there is none.
    """

    vouches: bool = True
    """Whether it vouches for anything that was delivered before it was asked; if not, nothing is left unread."""

    @abstractmethod
    def attend(self) -> None:
        """From now on, keep a proof of each record that is delivered until it is taken."""

    @abstractmethod
    def take(self, locators: Sequence[Locator]) -> Sequence[bytes | None]:
        """The proofs of these records, which were just delivered; each is given once."""

    @abstractmethod
    async def hold(self, proofs: Sequence[bytes]) -> Sequence[bytes | None]:
        """By position, the proof to keep from now on; None where the record is not known now as it was then."""


class _NothingIsSure(Witness):
    vouches = False

    def attend(self) -> None:
        pass

    def take(self, locators: Sequence[Locator]) -> Sequence[bytes | None]:
        return [None] * len(locators)

    async def hold(self, proofs: Sequence[bytes]) -> Sequence[bytes | None]:
        return [None] * len(proofs)


NOTHING_IS_SURE: Final[Witness] = _NothingIsSure()
"""Where nobody vouches for anything: everything is read each time."""


class Source(Resource, ABC, Generic[T_co]):
    """Where items come from; it is told what became of each."""

    in_flight: ClassVar[int] = 1
    """How many batches may be settled at once; they are begun in order."""

    @property
    def pending(self) -> int:
        """How many of the items that it gave it still waits for; what is settled is forgotten."""
        return 0

    @property
    def shows_all(self) -> bool:
        """Whether what it gave, once ``read`` is at its end, is all that there is: what is missing is not there.

        Override where that can be said; of what may have been put away it cannot.
        """
        return False

    def progress(self) -> Progress | None:
        """How far reading has come; None where that cannot be said. Override where it can."""
        return None

    @abstractmethod
    def read(self) -> AsyncIterator[Sequence[Envelope[T_co] | Unreadable | Empty | Spared]]:
        """Yield the items in order, in groups of a few hundred (never all at once): each group becomes a Batch.

        What cannot be read is yielded as Unreadable, a place without any item as Empty, what need not be read as
        Spared; only Fatal is raised.
        """

    def learn(self, called: Mapping[Locator, int | str], gone: Sequence[Locator]) -> None:
        """The other side keeps these items under these ids, where it gave them any, and has those no more.

        Told before they are settled. Override where that is to be remembered.
        """

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """These are settled, each once, and can be forgotten: told for every item and empty place that was given.

        Whatever changes the place that items came from (a file put away, an order marked) is done here alone, and for
        what is left for the next run nothing is: a dry run tells so of every item.
        """


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
    takes_late: ClassVar[bool] = False
    """Whether the other side takes what is delivered at a later time, and cannot be asked what it took: as from a
    folder."""

    suits_a_lane: ClassVar[bool] = False
    """Whether another process may have it instead, which is made from the same settings: worth it where delivering is
    work, as making files is, and not where it is waiting for answers."""

    @abstractmethod
    async def write_batch(self, items: Sequence[Envelope[T_contra]]) -> BatchResult:
        """Deliver a batch, durably, and say by position what became of each item.

        Where the run must stop and some were delivered, the result says so. A raised Fatal stops the run, and nothing
        of the batch is acked; any other raised exception is the failure of every item of the batch.
        """


class DeadLetters(Resource, ABC):
    """Where failed items are put aside for a person to look at."""

    @abstractmethod
    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """By locator, those items that have a letter, and whose bytes and stamp have not changed since.

        ``closed``: a person has had its letter retried or discarded. Letters that were resolved because a better item
        came from the same place are not among them, nor open ones of what failed at one of the stages ``but``.
        """

    async def repeated(self, letters: Sequence[DeadLetter]) -> Collection[Locator]:
        """Those that say what an open letter about the same bytes says already: there is nothing to put aside.

        Override where letters are kept from run to run.
        """
        return ()

    @abstractmethod
    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside; they are durable when this returns. Raises Fatal when that cannot be done."""

    @abstractmethod
    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the open letters of items that have now been delivered."""

    async def close_unseen(self) -> None:
        """Close the letters about what was not recalled since this was opened: it waits no more.

        Override where letters are kept from run to run.
        """
