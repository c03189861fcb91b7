"""A lane: works the groups that a run deals to it, in a process of its own, and tells what became of each.

What only a run can do it asks for. A run that is gone ends it.
"""

import asyncio
import socket
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING

from loguru import logger

from pipeline.orders.workorder import ExternalId
from pipeline.service.lanes.giver import Giver
from pipeline.service.lanes.taker import Taker, said
from pipeline.service.lanes.wire import Allowed, Deal, End, Failed, Go, Hello, Keys, Over, Problem, Spend, Wire
from pipeline.service.telling import as_fatal
from pipeline.tracos.deletes import DeleteBudget

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["work"]


async def work(end: socket.socket) -> None:
    """Be a lane of the run at the other end of the socket, until it wants no more, or is gone."""
    wire = await Wire.over(end)
    try:
        hello = await wire.greeted()
        if hello is not None:
            lane = _Lane(wire, hello)
            tasks = [asyncio.ensure_future(lane.hear()), asyncio.ensure_future(lane.work())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await wire.close()


class _Lane:
    def __init__(self, wire: Wire, hello: Hello) -> None:
        self._wire = wire
        self._hello = hello
        self._loop = asyncio.get_running_loop()
        self._dealt: asyncio.Queue[Deal | None] = asyncio.Queue()
        self._let: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._asked: deque[asyncio.Future[Allowed]] = deque()

    async def hear(self) -> None:
        """Take what the run says, until it is gone."""
        while (message := await self._wire.to_lane()) is not None:
            match message:
                case Deal():
                    self._dealt.put_nowait(message)
                case Go(number):
                    self._let[number].set()
                case Allowed():
                    self._asked.popleft().set_result(message)
                case End():
                    self._dealt.put_nowait(None)

    async def work(self) -> None:
        """Work all that is dealt, and say what became of it."""
        logger.remove()
        logger.add(self._pass_on, level=self._hello.settings.log_level, format="{message}", catch=False)
        try:
            tallies = await self._worked()
        except Exception as error:
            self._wire.say(Failed(Problem.of(as_fatal(error))))
        else:
            self._wire.say(tallies)
        await asyncio.sleep(0)  # what was logged until now is said too
        await self._wire.flushed()

    async def _worked(self) -> Over:
        async with self._worker() as worker:
            async for done in worker.take(self._deals()):
                self._let.pop(done.number, None)
                self._wire.say(done)
                await self._wire.flushed()
            return Over(worker.tallies())

    def _worker(self) -> Taker | Giver:
        if self._hello.flow == "outbound":
            return Giver(self._hello, may_write=self.may_write)
        return Taker(self._hello, deletes=_Asking(self), may_write=self.may_write)

    async def _deals(self) -> AsyncIterator[Deal]:
        while (deal := await self._dealt.get()) is not None:
            yield deal

    async def may_write(self, number: int, keys: Sequence[ExternalId]) -> None:
        """Say which orders the group is about, and wait until it may be written."""
        self._wire.say(Keys(number, list(keys)))
        await self._let[number].wait()

    async def may_delete(self, numbers: Sequence[ExternalId]) -> None:
        """Ask the run; raises BudgetExceeded where these are too many."""
        answer: asyncio.Future[Allowed] = self._loop.create_future()
        self._asked.append(answer)
        self._wire.say(Spend(list(numbers)))
        if (problem := (await answer).problem) is not None:
            raise problem.error

    def _pass_on(self, message: "Message") -> None:
        self._loop.call_soon_threadsafe(self._wire.say, said(message))


class _Asking(DeleteBudget):
    """The run's own budget."""

    def __init__(self, lane: _Lane) -> None:
        super().__init__()
        self._lane = lane

    async def spend(self, numbers: Iterable[ExternalId]) -> None:
        """Count these orders; raises BudgetExceeded, before any of them is touched, when they are too many."""
        if deleted := list(numbers):
            await self._lane.may_delete(deleted)
