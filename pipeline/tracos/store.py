"""TracOS's work orders in MongoDB: the connection and the two ends of the chains."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from pipeline.dataflow.ports import Resource
from pipeline.finding import Finding
from pipeline.history.conflicts import Conflict
from pipeline.history.decisions import Change, Decisions
from pipeline.orders.compare import Seen
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId
from pipeline.tracos.checkup import examine
from pipeline.tracos.comparing import AllDocuments, RecordComparer, unmark
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import identify
from pipeline.tracos.present import Present, look_at
from pipeline.tracos.restore import Restorer
from pipeline.tracos.sink import TracosSink
from pipeline.tracos.source import TracosSource
from pipeline.tracos.waiting import Waiting, look_at_waiting
from pipeline.tracos.witness import TracosWitness

__all__ = ["Tracos"]


class Tracos(Resource):
    """The TracOS side of one run. Opening it connects and sees that numbers are unique.

    ``deletes`` says how many live orders may become deleted in the run; ``first`` is awaited before a batch leaves, and
    raises Fatal where none may any more. With ``anew`` nothing that was taken before
    is vouched for, so that everything is read again. Opening raises Outage, WrongSettings, or Fatal where twins exist
    already.
    """

    def __init__(
        self,
        connection: Connection,
        decisions: Decisions,
        *,
        deletes: DeleteBudget | None = None,
        first: Callable[[], Awaitable[None]] | None = None,
        anew: bool = False,
    ) -> None:
        self._connection = connection
        self._decisions = decisions
        self.deletes = deletes or DeleteBudget()
        self._first = first
        self._anew = anew

    async def confirm(self) -> None:
        """See that the orders are this run's alone still; raises Held where they are not."""
        if self._first is not None:
            await self._first()

    def sink(self, terms: Terms, witness: TracosWitness | None = None) -> TracosSink:
        """Where the records of a client go; ``witness`` sees what was taken."""
        self._connection.read_too(terms.fields)
        witness = witness or self.witness(terms)
        return TracosSink(self._connection, terms, self._decisions, self.deletes, witness)

    def source(self, terms: Terms, numbers: Sequence[ExternalId] | None = None) -> TracosSource:
        """The orders that a client has not been told of; with ``numbers`` only those among them."""
        self._connection.read_too(terms.fields)
        return TracosSource(self._connection, terms, self._decisions, self.deletes, numbers)

    def witness(self, terms: Terms) -> TracosWitness:
        """What vouches that a client's delivered records are still here."""
        self._connection.read_too(terms.fields)
        return TracosWitness(self._connection, terms, anew=self._anew)

    async def restore(self, terms: Terms, conflict: Conflict) -> Change:
        """Set the value of ``conflict`` again, as a new edit; what was written. Raises as ``Restorer.restore`` does."""
        return await Restorer(self._connection, terms, self._decisions, conflict).restore()

    def comparer(self, terms: Terms, take: Callable[[Sequence[Seen]], None]) -> RecordComparer:
        """Where the records of a client are compared, and not written; ``take`` is told what they show."""
        self._connection.read_too(terms.fields)
        return RecordComparer(self._connection, terms, take)

    def documents(self, terms: Terms) -> AllDocuments:
        """All orders of a client, to be looked at."""
        self._connection.read_too(terms.fields)
        return AllDocuments(self._connection, terms)

    async def unmark(self, terms: Terms) -> int:
        """Mark each document that was edited, and is still marked as synced, as not synced; returns how many."""
        self._connection.read_too(terms.fields)
        return await unmark(self._connection, terms)

    async def examine(self) -> list[Finding]:
        """What a check-up finds; instead of opening it."""
        return await examine(self._connection)

    async def waiting(self) -> Waiting:
        """What waits to be told to the client, looked at once; instead of opening it. Raises Fatal."""
        async with self._connection:
            return await self._connection.ride_out(lambda: look_at_waiting(self._connection))

    async def present(self, terms: Terms, keys: Collection[ExternalId]) -> list[Present]:
        """What is there of an order now, looked at once; instead of opening it. Raises Fatal. See ``look_at``."""
        self._connection.read_too(terms.fields)
        async with self._connection:
            return await self._connection.ride_out(lambda: look_at(self._connection, terms, keys))

    @staticmethod
    def identify(raw: bytes) -> ExternalId | None:
        """The number of the order whose original bytes these are."""
        return identify(raw)

    async def open(self) -> None:
        """Connect, refuse twins, make the indexes where they are missing."""
        await self._connection.__aenter__()
        try:
            await self._connection.ride_out(self._connection.prepare)
            await self._decisions.__aenter__()
        except BaseException:
            await self._connection.__aexit__(None, None, None)
            raise

    async def close(self) -> None:
        """Give back what opening took."""
        await self._decisions.__aexit__(None, None, None)
        await self._connection.__aexit__(None, None, None)
