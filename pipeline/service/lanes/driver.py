"""The run's end of an engine: sends groups of records to it as errands, each in its turn and with what it may do."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from loguru import logger
from msgspec.structs import replace

from pipeline.dataflow.lanes import Lanes
from pipeline.dataflow.messages import Batch
from pipeline.disk import in_thread
from pipeline.errors import BudgetExceeded, Fatal, See
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.lanes.desk import Desk
from pipeline.service.lanes.engine import Engine, Lost
from pipeline.service.lanes.errand import Answer, packed, unpacked
from pipeline.service.lanes.order import Order
from pipeline.service.lanes.room import Room
from pipeline.service.lanes.wire import Deal, Done, Hello, Problem
from pipeline.service.session import Session
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.witness import TracosWitness

__all__ = ["Driver"]

LOSSES: Final = 3
"""So often whoever has one group may be lost."""


class Driver(Lanes):
    """The lanes of one flow, wherever ``engine`` has them: for the rest as the Dealer.

    No group is sent before it may be written: the orders that it is about are read here. One that has to delete asks
    for it, and is sent again with what it may. One that whoever had it is lost with is sent again when all others are
    back, alone: so only it is to blame if that happens again.
    """

    def __init__(
        self, engine: Engine, session: Session, uri: str, deletes: DeleteBudget, witness: TracosWitness
    ) -> None:
        self._engine = engine
        self._session = session
        self._deletes = deletes
        self._desk = Desk(session, uri, witness)
        self._order = Order()
        self._let: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._room = Room()
        self._hello: Hello
        self._needs: Sequence[Path]

    async def open(self) -> None:
        """See that the engine is there, and what whoever works for it needs."""
        settings = self._session.settings
        log, state = settings.data_decision_log.absolute(), settings.data_state_dir.absolute()
        self._hello = replace(self._desk.hello, settings=replace(settings, data_decision_log=log, data_state_dir=state))
        known = self._session.keys
        # That the log is there is how a worker tells that the folder is the same: it does not make one.
        self._needs = [log, *([known.path.absolute()] if known is not None and known.path.exists() else [])]
        await in_thread(self._made_sure_of, log)
        await self._engine.__aenter__()
        self.in_flight = self._engine.slots

    async def close(self) -> None:
        """Let the engine go; what is under way there may go on until its group is done."""
        await self._engine.__aexit__(None, None, None)

    async def work(self, batch: Batch[Any]) -> Batch[Any]:
        """What somebody makes of ``batch``."""
        if not batch.items:
            return batch
        deal = self._desk.deal(batch)
        keys = self._keys(batch)
        self._order.deal(deal.number)
        self._allow(self._order.announce(deal.number, keys))
        await self._let[deal.number].wait()
        done = await self._done(deal, keys)
        del self._let[deal.number]
        self._allow(self._order.done(deal.number))
        return self._desk.made(batch, done)

    def _keys(self, batch: Batch[Any]) -> Sequence[ExternalId]:
        """The orders that a batch is about, as far as they can be read: what cannot is dead."""
        identify = self._session.client.identify
        found = {identify(item.payload) for item in batch.items}
        return [id_key(one) for one in found if one is not None]

    def _allow(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._let[number].set()

    async def _done(self, deal: Deal, keys: Sequence[ExternalId]) -> Done:
        """What became of a group, sent as often as that takes; raises the Fatal that stopped it."""
        losses, alone = 0, False
        permit: set[ExternalId] = set()
        while True:
            errand = packed(self._hello, self._needs, deal, keys, permit)
            try:
                async with self._room.entered(alone=alone):
                    await self._session.confirm()
                    answer = unpacked(await self._engine.submit(errand))
            except Lost as lost:
                losses, alone = losses + 1, True
                self._lose(deal, lost, losses)
                continue
            done = answer.done
            if done is not None and answer.asks:
                try:
                    await self._deletes.spend(answer.asks)
                except BudgetExceeded as error:
                    return self._told(answer, replace(done, stop=Problem.of(error)))
                permit.update(answer.asks)
            elif done is not None:
                return self._told(answer, done)
            elif answer.problem is not None:
                self._log(answer)
                raise answer.problem.error
            else:
                raise Fatal(
                    f"{self._session.client.name}: a record in the group that begins with {deal.places[0]} is about "
                    "another order than this kind of client tells beforehand: an engine cannot keep the order of its "
                    "records so; run again without ENGINE",
                    see=See.WORKERS,
                )

    def _lose(self, deal: Deal, lost: Lost, losses: int) -> None:
        """Whoever had a group is gone."""
        what = f"{lost} was lost with the group that begins with {deal.places[0]}"
        if losses >= LOSSES:
            raise Fatal(
                f"{what}, {losses} times now; nothing is lost: look at that, or run again without ENGINE",
                see=See.WORKERS,
            )
        logger.warning("{}: it is sent again when the others are back", what)
        self._desk.note(None)

    def _told(self, answer: Answer, done: Done) -> Done:
        """What was done, once the rest of the answer is told."""
        self._log(answer)
        self._desk.note(answer.tallies)
        return done

    def _log(self, answer: Answer) -> None:
        for line in answer.said:
            self._desk.log(line)

    @staticmethod
    def _made_sure_of(log: Path) -> None:
        """See that the log is there: raises Fatal where it cannot be."""
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600))
        except OSError as error:
            raise Fatal(
                f"the decision log {log} cannot be written ({error.strerror}): set DATA_DECISION_LOG to a place that "
                "can be written, and that all machines see",
                see=See.FILES,
            ) from error
