"""Hands dealt groups of orders to a client as a run does; read, marked and settled they are by the run."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

import msgspec
from aiostream import streamcontext

from pipeline.clients.records.drift import Tally
from pipeline.dataflow.ports import Resource
from pipeline.dataflow.stages import deliver
from pipeline.history.decisions import Decisions
from pipeline.orders.workorder import id_key
from pipeline.service.effects import Live
from pipeline.service.lanes.groups import Groups, MayWrite
from pipeline.service.lanes.wire import Deal, Done, Hello
from pipeline.service.session import session_of
from pipeline.translation.outgoing import Outgoing

__all__ = ["Giver"]

READ: Final = msgspec.msgpack.Decoder(Outgoing).decode


class Giver(Resource):
    """The stage that delivers, as ``hello`` says: for the groups of one run, each when ``may_write`` lets it.

    It is the one process that uses the client's sink meanwhile: the run has closed its own.
    """

    def __init__(self, hello: Hello, *, may_write: MayWrite) -> None:
        session = session_of(hello.settings, hello.customer, Decisions(hello.run), Live())
        self._groups = Groups(may_write)
        self._stage = deliver(self._groups.in_turn(session.client.sink(), lambda order: id_key(order.id)))

    async def take(self, deals: AsyncIterable[Deal]) -> AsyncIterator[Done]:
        """Deliver the groups, and say of each what became of it; raises the Fatal that stops it."""
        async with streamcontext(self._groups.through(self._stage, deals, READ)) as worked:
            async for _, done in worked:
                yield done

    def tallies(self) -> dict[str, Tally]:
        """Orders have no keys that anybody counts."""
        return {}
