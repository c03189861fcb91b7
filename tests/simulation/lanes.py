"""Lanes of a history: other processes that take groups of a run's records, and that may be lost with what they have."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import msgspec

from pipeline.clients.json_connector import JsonConnector
from pipeline.history.decisions import DecisionLog, Decisions
from pipeline.service.customers import Customer
from pipeline.service.effects import Effects
from pipeline.service.lanes import taker
from pipeline.service.lanes.engine import Engine, Lost
from pipeline.service.lanes.errand import Bench, Errand
from pipeline.service.settings import Settings
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.store import Tracos
from tests.simulation.clock import Clock
from tests.simulation.machine import Machine, PortedLog, close_files_of
from tests.simulation.ports import Killed, Ports, current
from tests.simulation.steps import Fault, Run

MOST_LOST = 2
"""Of one run: whoever has the same group and is lost three times stops it."""
FROZEN = 20
"""Seconds for which a process does nothing that the run has given up by then."""
PORTS = ("tracos.find", "tracos.write", "decisions")
"""What a lane uses."""
CUSTOMER = Customer(
    name="erp", kind="erp_json", timezone=ZoneInfo("UTC"), layout=None, database="memory", collection="workorders"
)


class Session:
    """What a session has for lanes, and for the run that has them; each process makes its own."""

    keys = None
    customer = CUSTOMER

    def __init__(self, client: JsonConnector, connection: Any, machine: Machine) -> None:
        self.client, self._connection, self.decisions = client, connection, Decisions()
        self.settings = Settings(data_decision_log=machine.log, data_state_dir=machine.state)
        self.confirm: Callable[[], Awaitable[None]] = _sure

    def tracos(self, uri: str, *, deletes: DeleteBudget) -> Tracos:
        """TracOS, as this process reaches it."""
        return Tracos(self._connection, self.decisions, deletes=deletes)


async def _sure() -> None:
    """Nobody else works on these orders, as far as a lane knows: it is the run that has the lease."""


class Processes(Engine):
    """Processes that take groups: most in the run's own fate; some are killed, or freeze, or their answer is lost."""

    slots = 3

    def __init__(self, seed: int, clock: Clock, edit: Callable, counts: Counter[str]) -> None:
        self._rng = random.Random(f"processes {seed}")
        self._clock, self._edit, self._counts = clock, edit, counts
        self._left = MOST_LOST
        self._free: deque[Bench] = deque()
        self._frozen: list[asyncio.Task[bytes]] = []

    async def close(self) -> None:
        """They end; one that is frozen may wake before, and does what it has in hand."""
        if self._frozen and self._rng.random() < 0.5:
            await asyncio.wait(self._frozen)
        while self._free:
            await self._free.pop().close()

    async def submit(self, errand: bytes) -> bytes:
        """What one of them makes of it."""
        self._counts["groups taken in lanes"] += 1
        what = self._rng.choices(("well", "unsent", "killed", "frozen", "unsaid"), (12, 1, 2, 1, 1))[0]
        if what == "well" or not self._left:
            return await self._taken(errand)
        self._left -= 1
        self._counts[f"lanes: {what}"] += 1
        if what == "killed":
            await self._killed(errand)
        elif what == "frozen":
            self._frozen.append(asyncio.create_task(self._late(errand)))
        elif what == "unsaid":
            await self._taken(errand)
        raise Lost("a process")

    async def _taken(self, errand: bytes) -> bytes:
        bench = self._free.popleft() if self._free else Bench()
        answer = await bench.run(msgspec.msgpack.decode(errand, type=Errand))
        self._free.append(bench)
        return msgspec.msgpack.encode(answer)

    async def _late(self, errand: bytes) -> bytes:
        await asyncio.sleep(FROZEN)
        return await self._taken(errand)

    async def _killed(self, errand: bytes) -> None:
        """It is killed with the group in its hands; or it was quicker, and is killed with its answer."""
        when = self._rng.choice(("kill before", "kill after"))
        fault = Fault(self._rng.choice(PORTS), self._rng.choice((1, 1, 2)), when)
        ports = Ports(self._clock, Run((fault,), jitter=self._rng.randrange(1 << 30)), self._edit)
        ports.session = current().session

        async def alone() -> None:
            ports.enter()
            bench = Bench()
            await bench.run(msgspec.msgpack.decode(errand, type=Errand))
            await bench.close()

        task = asyncio.create_task(alone())
        await asyncio.wait([task])
        close_files_of(ports)
        if not task.cancelled() and task.exception() is not None and not isinstance(task.exception(), Killed):
            raise task.exception()


@contextmanager
def possible() -> Iterator[None]:
    """Inside of this a lane has the session of the run that it is of."""

    def session_of(settings: Settings, customer: Customer, decisions: Decisions, effects: Effects) -> Session:
        session = current().session(current())
        session.decisions = decisions
        return session

    def log(path: Path, run: str) -> DecisionLog:
        return PortedLog(path, run, current())

    with mock.patch.object(taker, "session_of", session_of), mock.patch.object(taker, "DecisionLog", log):
        yield
