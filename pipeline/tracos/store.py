"""TracOS's work orders in MongoDB: the connection and the two ends of the chains."""

from collections.abc import Mapping, Sequence

from pipeline.dataflow.ports import Resource
from pipeline.finding import Finding
from pipeline.history.decisions import Decisions
from pipeline.orders.merge import Project
from pipeline.orders.workorder import ExternalId
from pipeline.tracos.checkup import examine
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import identify
from pipeline.tracos.dry import Rehearsal
from pipeline.tracos.indexes import prepare, refuse_twins
from pipeline.tracos.sink import TracosSink
from pipeline.tracos.source import TracosSource
from pipeline.tracos.witness import TracosWitness

__all__ = ["Tracos"]


class Tracos(Resource):
    """The TracOS side of one run. Opening it connects and sees that numbers are unique.

    ``retry_seconds`` is how long an outage is ridden out, ``max_deletes`` how many live orders may become deleted in
    the run. Opening raises Outage, WrongSettings, or Fatal where twins exist already. With ``rehearse`` every write is
    kept in memory, where it is read back from, and MongoDB is not touched.
    """

    def __init__(
        self,
        *,
        uri: str,
        database: str,
        collection: str,
        decisions: Decisions,
        retry_seconds: float = 60,
        max_deletes: int = 1000,
        rehearse: bool = False,
    ) -> None:
        make = Rehearsal if rehearse else Connection
        self._connection = make(uri, database, collection, retry_seconds)
        self._rehearse = rehearse
        self._prepare = refuse_twins if rehearse else prepare
        self._decisions = decisions
        self._deletes = DeleteBudget(max_deletes)

    def sink(self, client: str, projections: Mapping[str, Project]) -> TracosSink:
        """Where ``client``'s records go; ``projections`` are its layouts', by name."""
        return TracosSink(self._connection, client, projections, self._decisions, self._deletes)

    def source(self, client: str, default_layout: str, numbers: Sequence[ExternalId] | None = None) -> TracosSource:
        """The orders that ``client`` has not been told of; those born in TracOS go out in ``default_layout``.

        With ``numbers`` only those among them.
        """
        return TracosSource(self._connection, client, default_layout, self._decisions, self._deletes, numbers)

    def witness(self, client: str) -> TracosWitness:
        """What vouches that ``client``'s delivered records are still here."""
        return TracosWitness(self._connection, client)

    async def examine(self) -> list[Finding]:
        """What a check-up finds; instead of opening it."""
        return await examine(self._connection)

    @staticmethod
    def identify(raw: bytes) -> ExternalId | None:
        """The number of the order whose original bytes these are."""
        return identify(raw)

    async def open(self) -> None:
        """Connect, refuse twins, make the indexes where they are missing."""
        await self._connection.__aenter__()
        try:
            if not self._rehearse:
                await self._connection.ride_out(self._connection.see_concern)
            await self._connection.ride_out(lambda: self._prepare(self._connection.collection))
            await self._decisions.__aenter__()
        except BaseException:
            await self._connection.__aexit__(None, None, None)
            raise

    async def close(self) -> None:
        """Give back what opening took."""
        await self._decisions.__aexit__(None, None, None)
        await self._connection.__aexit__(None, None, None)
