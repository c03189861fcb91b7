"""The run's end of its lanes: starts the processes, deals groups to them, and does for them what only one can do."""

import asyncio
import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from pipeline.dataflow.lanes import Lanes
from pipeline.dataflow.messages import Batch
from pipeline.errors import Fatal
from pipeline.orders.workorder import ExternalId
from pipeline.service.lanes.desk import Desk
from pipeline.service.lanes.order import Order
from pipeline.service.lanes.process import Lane
from pipeline.service.lanes.wire import Allowed, Deal, Done, FromLane, Hello, Keys, Over, Problem, Said, Spend
from pipeline.service.session import Session
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.witness import TracosWitness

__all__ = ["Dealer", "Workers"]

DEPTH: Final = 3
"""Groups that a lane may have in hand: one that is parsed, two that are written."""


class Workers(Struct, frozen=True, kw_only=True):
    """How the lanes of a run are had."""

    count: int
    after: int = 0
    """So many records are taken without lanes."""
    command: Sequence[str]
    """Starts a process that is one; the number of its socket is added."""
    environment: Mapping[str, str]


class Dealer(Lanes):
    """The lanes of one flow: processes that take the records of ``session``'s client into the TracOS at ``uri``.

    ``deletes`` is the run's budget of them, ``witness`` keeps the proofs of what is delivered; without one they hand
    orders to the client. A lane that ends before it is told to loses nothing: another takes its place, and its groups
    are dealt to that one again.
    """

    def __init__(
        self, workers: Workers, session: Session, uri: str, deletes: DeleteBudget, witness: TracosWitness | None = None
    ) -> None:
        self.in_flight = DEPTH * workers.count
        self.after = workers.after
        self._workers = workers
        self._desk = Desk(session, uri, witness)
        self._deletes = deletes
        self._session = session
        self._order = Order()
        self._lanes: list[Lane] = []
        self._error: Fatal | None = None

    async def open(self) -> None:
        """Start the lanes."""
        self._lanes = [Lane(self) for _ in range(self._workers.count)]

    async def close(self) -> None:
        """End the lanes; what one still has in hand is broken off, as a run that stops breaks it off."""
        await asyncio.gather(*(lane.end() for lane in self._lanes))

    async def work(self, batch: Batch[Any]) -> Batch[Any]:
        """What a lane makes of ``batch``."""
        if not batch.items:
            return batch
        if self._error is not None:
            raise self._error
        deal = self._desk.deal(batch)
        self._order.deal(deal.number)
        done = await min(self._lanes, key=len).deal(deal)
        return self._desk.made(batch, done)

    @property
    def hello(self) -> Hello:
        """What a lane is for."""
        return self._desk.hello

    def start(self, end: socket.socket) -> "subprocess.Popen[bytes]":
        """A process that is a lane, with this end of its wire."""
        return subprocess.Popen(  # noqa: S603 - this very program
            [*self._workers.command, str(end.fileno())],
            env=dict(self._workers.environment),
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is meant for the run, which ends its lanes
        )

    async def heard(self, message: FromLane) -> Allowed | None:
        """Do what only one can do; returns what the lane is to be answered."""
        match message:
            case Keys(number, keys):
                await self._announced(number, keys)
            case Done(number):
                self._let(self._order.done(number))
            case Spend(numbers):
                return await self._allowed(numbers)
            case Said():
                self._desk.log(message)
            case Over(tallies):
                self._desk.note(tallies)
        return None

    def died(self, dealt: Sequence[Deal]) -> None:
        """A lane has ended before it was told to; another begins with what it had in hand."""
        self._desk.note(None)
        for deal in dealt:
            self._order.deal(deal.number)

    def fail(self, error: Fatal) -> None:
        """Something stopped a lane, and so stops the run."""
        self._error = self._error or error
        for lane in self._lanes:
            lane.give_up(self._error)

    async def _announced(self, number: int, keys: Sequence[ExternalId]) -> None:
        """A group is about these orders, and would be written."""
        try:
            await self._session.confirm()
        except Fatal as error:
            self.fail(error)
        else:
            self._let(self._order.announce(number, keys))

    def _let(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            next(lane for lane in self._lanes if lane.has(number)).let(number)

    async def _allowed(self, numbers: Sequence[ExternalId]) -> Allowed:
        try:
            await self._deletes.spend(numbers)
        except Fatal as error:
            return Allowed(Problem.of(error))
        return Allowed(None)
