"""A client in memory that shows all its orders each time; its ends stand for those of any transport, and are quick."""

import json
from collections.abc import Mapping, Sequence

from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, Envelope, Fate, Outcome
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import Deferred, PipelineError
from pipeline.translation.outgoing import Outgoing
from tests.simulation.erp import Erp
from tests.simulation.ports import Ports
from tests.simulation.words import token

GROUP = 2


class ListClient(JsonConnector):
    """Its ends are in memory."""

    def reach(self, erp: Erp, ports: Ports, late: set[str], etags: dict[str, int]) -> None:
        """The ends of a run; ``etags`` is what is remembered from run to run."""
        self._ends = erp, ports, late, etags

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The list."""
        return ListSource(*self._ends)

    def sink(self) -> BatchSink[Outgoing]:
        """One order after the other."""
        erp, ports, _, etags = self._ends
        return ListSink(erp, ports, etags)


class ListSource(Source[bytes]):
    """The whole list, in small groups."""

    def __init__(self, erp: Erp, ports: Ports, late: set[str], etags: dict[str, int]) -> None:
        self._erp, self._ports, self._late, self._etags = erp, ports, late, etags
        self._given: dict[Locator, int] = {}

    async def read(self):
        ids = list(self._erp.records)
        for start in range(0, max(len(ids), 1), GROUP):
            async with self._ports.using("erp.list"):
                group = [self._shown(one) for one in ids[start : start + GROUP] if one not in self._late]
            if group:
                yield group

    def _shown(self, order_id: str) -> Envelope[bytes]:
        raw, locator = json.dumps(self._erp.records[order_id]).encode(), Locator(order_id)
        self._given[locator] = self._erp.etags[order_id]
        return Envelope(raw, locator, raw)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        async with self._ports.using("erp.settle"):
            for locator, fate in fates.items():
                etag = self._given.pop(locator)
                if fate is Fate.DELIVERED:
                    self._etags[locator.place] = etag


class ListSink(BatchSink[Outgoing]):
    """Tells the ERP of one order after the other."""

    def __init__(self, erp: Erp, ports: Ports, etags: dict[str, int]) -> None:
        self._erp, self._ports, self._etags = erp, ports, etags

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        outcomes, called = [], {}
        for position, item in enumerate(items):
            try:
                given = await self._one(item.payload)
            except PipelineError as error:
                outcomes.append(error)
                if isinstance(error, _Linked):
                    called[position] = error.given
            else:
                outcomes.append(Outcome.SENT)
                if given is not None:
                    called[position] = given
        return BatchResult(outcomes, None, called)

    async def _one(self, order: Outgoing) -> str | None:
        async with self._ports.using("erp.push"):
            return self._told(order)

    def _told(self, order: Outgoing) -> str | None:
        erp, body = self._erp, json.loads(order.body)
        title = token(body.get(erp.form.title))
        if order.number is None:
            known = self._etags.get(order.id)
            if known is not None and erp.etags.get(order.id) != known:
                raise Deferred("it was changed there")
            if (known is None or order.is_new) and order.id in erp.records:
                raise Deferred("it is there, and was never read")
            erp.take(body, order.id)
            self._etags[order.id] = erp.etags[order.id]
            erp.handed.add(title)
            return None
        is_old = order.intent is not None and order.intent.is_old
        if is_old or not order.is_new:
            there = erp.by_reference(str(order.number))
            if there is not None:
                raise _Linked(there)
            if not order.is_new:
                raise Deferred("it has no name yet")
        given = erp.make(body)
        self._etags[given] = erp.etags[given]
        erp.handed.add(title)
        return given


class _Linked(Deferred):
    def __init__(self, given: str) -> None:
        super().__init__("it was made before")
        self.given = given
