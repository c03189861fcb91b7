"""TracOS in memory, for tests of clients: the very rules of the merge, without a database."""

from collections.abc import Sequence

from pipeline.clients.connector import Connector, Outgoing
from pipeline.dataflow.aside import dead_letters, hold_known, hold_repeats
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.dataflow.run import Report, run
from pipeline.dataflow.stages import deliver, filter_items, parse, read, settle, translate, validate
from pipeline.orders.merge import Current, Rule, decide
from pipeline.orders.workorder import ExternalId, Record, Values, id_key
from pipeline.testing.ends import MemoryDeadLetters

__all__ = ["Model"]

OUTCOMES = {Rule.REPEAT: Outcome.REPEAT, Rule.STALE: Outcome.STALE, Rule.INSERT: Outcome.CREATED}


class Model:
    """Takes what a client shows, and tells it of orders."""

    def __init__(self) -> None:
        self.dead = MemoryDeadLetters()
        self._held: dict[ExternalId, Current] = {}

    @property
    def orders(self) -> dict[ExternalId, Values]:
        """What it holds, by number."""
        return {number: held.order.values for number, held in self._held.items()}

    async def pull(self, client: Connector) -> Report:
        """Run the inbound chain of ``client``."""
        source = client.source()
        parsed = (
            read(source, flow=f"{client.name}.inbound") | hold_known(self.dead, but=("deliver",)) | parse(client.parse)
        )
        ours = parsed | filter_items(client.is_ours, name="where") if client.is_choosy else parsed
        return await run(
            ours
            | validate(client.validate)
            | translate(client.to_record)
            | deliver(_ModelSink(self._held, client))
            | hold_repeats(self.dead)
            | dead_letters(self.dead)
            | settle(source)
        )

    @staticmethod
    async def tell(client: Connector, orders: Sequence[Outgoing]) -> BatchResult:
        """Hand ``orders`` to ``client``, in one batch."""
        async with client.sink() as sink:
            return await sink.write_batch([Envelope(one, Locator(one.id), one.body) for one in orders])

    @classmethod
    async def push(cls, client: Connector, orders: Sequence[Outgoing]) -> Sequence[Outcome | Exception]:
        """The same, and what became of each."""
        return (await cls.tell(client, orders)).outcomes


class _ModelSink(BatchSink[Record]):
    def __init__(self, held: dict[ExternalId, Current], client: Connector) -> None:
        self._held = held
        self._client = client

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        return BatchResult([self._write(item) for item in items])

    def _write(self, item: Envelope[Record]) -> Outcome:
        record, number = item.payload, id_key(item.payload.external_id)
        before = self._held.get(number)
        decision = decide(record, str(item.locator), before, terms=self._client.terms, arrival=item.arrival)
        self._held[number] = Current(order=decision.order, sync=decision.sync)
        return OUTCOMES.get(decision.rule, Outcome.UPDATED)
