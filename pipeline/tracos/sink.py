"""The inbound end: client records into TracOS, a batch at a time: looked up, decided, written under a guard."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.dataflow.messages import BatchResult, Envelope
from pipeline.dataflow.ports import BatchSink
from pipeline.errors import Fatal
from pipeline.history.decisions import Decisions, Entry
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record
from pipeline.tracos.batch import BatchMerge, Documents, Plan
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS, Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.found import see_confirmed
from pipeline.tracos.matching import Wanted
from pipeline.tracos.turns import Turns
from pipeline.tracos.witness import TracosWitness

__all__ = ["TracosSink", "look_up"]


class TracosSink(BatchSink[Record]):
    """Merges records into the collection: one look-up and one write of each kind a batch, whatever the batch holds.

    All of it is idempotent: where a reply was lost, or somebody edited an order between the look-up and the write, the
    orders in question are looked up and decided again, and what was written already shows as a repeat.
    """

    in_flight = 2

    def __init__(
        self,
        connection: Connection,
        terms: Terms,
        decisions: Decisions,
        deletes: DeleteBudget,
        witness: TracosWitness,
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._decisions = decisions
        self._deletes = deletes
        self._witness = witness
        self._turns = Turns()

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        """Merge a batch; several records of one order are merged one after the other, and written once."""
        merge = BatchMerge(items, self._terms, self._decisions.run, self._witness)
        stop: Fatal | None = None
        async with self._turns.take(merge.open):
            try:
                for _ in range(ATTEMPTS):
                    if merge.open:
                        await self._connection.ride_out(lambda: self._attempt(merge))
                await self._decisions.record(merge.taken_back())
            except Fatal as error:
                stop = error
        return BatchResult(merge.results(), stop)

    async def _attempt(self, merge: BatchMerge) -> None:
        found = await self._look_up(merge, merge.open)
        if unmoved := merge.unmoved(found):
            latest = await self._look_up(merge, unmoved, confirmed=False)
            for key in unmoved:
                see_confirmed(found.get(key, ()), latest.get(key, ()))
            merge.miss(unmoved)
        plans, entries = merge.plan(found, now())
        await self._deletes.spend(plan.key for plan in plans if plan.deletes)
        await self._decisions.record(entries)
        if plans:
            await self._write(merge, plans)

    async def _look_up(self, merge: BatchMerge, keys: Iterable[ExternalId], *, confirmed: bool = True) -> Documents:
        records = {key: merge.records(key) for key in keys}
        return await look_up(self._connection, self._terms, records, confirmed=confirmed)

    async def _write(self, merge: BatchMerge, plans: Sequence[Plan]) -> None:
        written = await self._connection.write([plan.operation for plan in plans])
        entries: list[Entry] = []
        updates: list[Plan] = []
        for position, plan in enumerate(plans):
            if position in written.refusals:
                continue
            if plan.operation.verb == "insert":
                entries += merge.settle(plan, written.inserted.get(position))
            else:
                updates.append(plan)
        # The server does not say which guard missed: then all updates are looked up again.
        if written.matched == len(updates):
            for plan in updates:
                entries += merge.settle(plan)
        else:
            merge.unmet.update(plan.key for plan in updates)
        for position, refusal in written.refusals.items():
            if refusal.is_number_taken:  # somebody was here first, so that the order is merged again
                merge.take_number(plans[position].key, refusal)
            else:
                merge.refuse(plans[position].key, refusal.reason)
        await self._decisions.record(entries)


async def look_up(
    connection: Connection,
    terms: Terms,
    records: Mapping[ExternalId, Iterable[Record]],
    *,
    confirmed: bool = True,
) -> Documents:
    """By order, the documents that its records are about: found by the client's id, else by ours."""
    wanted = Wanted(terms, records)
    if terms.ids == "client":
        found = await connection.find_linked(wanted.ids, wanted.numbers, confirmed=confirmed)
    else:
        found = await connection.find_numbers(wanted.numbers, confirmed=confirmed)
    return wanted.of(found)
