"""Takes dealt groups of records into TracOS as a run does, wherever that is; what only a run can do it asks for."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import TYPE_CHECKING

from aiostream import streamcontext
from msgspec.structs import replace

from pipeline.clients.records.drift import Tally
from pipeline.dataflow.messages import Batch, Outcome
from pipeline.dataflow.ports import Resource
from pipeline.flows import taking
from pipeline.history.decisions import DecisionLog
from pipeline.orders.workorder import id_key
from pipeline.service.effects import Live
from pipeline.service.lanes.groups import Groups, MayWrite
from pipeline.service.lanes.wire import Deal, Done, Hello, Said
from pipeline.service.session import session_of
from pipeline.service.telling import event_of
from pipeline.tracos.deletes import DeleteBudget

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["Taker", "said"]


class Taker(Resource):
    """The stages from parsing to delivering, as ``hello`` says: for the groups of one run, until it is closed.

    It has nothing that there is one of: letters, budgets, what is known of files, and the order in which groups are
    written are the run's.
    """

    def __init__(self, hello: Hello, *, deletes: DeleteBudget, may_write: MayWrite) -> None:
        self._is_attended = hello.is_attended
        self._decisions = DecisionLog(hello.settings.data_decision_log, hello.run)
        self._session = session_of(hello.settings, hello.customer, self._decisions, Live())
        self._tracos = self._session.tracos(hello.uri, deletes=deletes)
        terms = self._session.client.terms
        self._witness = self._tracos.witness(terms)
        if hello.is_attended:
            self._witness.attend()
        self._groups = Groups(may_write)
        sink = self._groups.in_turn(self._tracos.sink(terms, self._witness), lambda record: id_key(record.external_id))
        self._stage = taking(self._session.client, sink)
        self._rules = _Told()
        self._gave_way = _Told()

    async def open(self) -> None:
        """Connect to TracOS."""
        await self._tracos.__aenter__()

    async def close(self) -> None:
        """Give the connection back."""
        await self._tracos.__aexit__(None, None, None)

    async def take(self, deals: AsyncIterable[Deal]) -> AsyncIterator[Done]:
        """Work the groups, and say of each what became of it; raises the Fatal that stops it."""
        async with streamcontext(self._groups.through(self._stage, deals)) as worked:
            async for batch, done in worked:
                yield self._counted(batch, done)

    def tallies(self) -> dict[str, Tally]:
        """Which keys the records had since this was asked last."""
        return self._session.keys.take_tallies() if self._session.keys is not None else {}

    def _counted(self, batch: Batch[Outcome], done: Done) -> Done:
        """The answer with its proofs, and with what it adds to the run's counts."""
        delivered = [item.locator for item in batch.items]
        proofs = zip(done.outcomes, self._witness.take(delivered), strict=True) if self._is_attended else ()
        return replace(
            done,
            proofs={position: proof for position, proof in proofs if proof is not None},
            rules=self._rules.more(self._decisions.rules),
            gave_way=self._gave_way.more(self._decisions.gave_way),
        )


def said(message: "Message") -> Said:
    """A line of the log, for the run to log it."""
    record = message.record
    kind = record["extra"].get("kind", f"{record['file'].path}:{record['line']}")
    return Said(record["level"].name, kind or "", event_of(record), record["message"])


class _Told:
    """How much of some counts was told."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def more(self, counts: Mapping[str, int]) -> dict[str, int]:
        """What ``counts`` has become more, or less, since the last time."""
        before, self._before = self._before, dict(counts)
        return {name: more for name, count in self._before.items() if (more := count - before.get(name, 0))}
