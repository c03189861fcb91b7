"""Play a history, and say what is wrong at its end."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import stamina
from bson import ObjectId

import pipeline.dataflow.messages
import pipeline.tracos.batch
import pipeline.tracos.clock
from pipeline.dataflow.run import run as run_chain
from pipeline.errors import Fatal
from pipeline.flows import FLOWS
from pipeline.history.decisions import Decisions, Entry, _key
from pipeline.orders.merge import Rule
from pipeline.orders.workorder import WorkOrder
from pipeline.testing.ends import MemoryDeadLetters
from pipeline.tracos.document import read_document
from pipeline.tracos.store import Tracos
from tests.simulation import check
from tests.simulation.erp import Erp, SimulatedClient
from tests.simulation.memory import Documents, MemoryConnection
from tests.simulation.people import Ours, People, Theirs
from tests.simulation.steps import Edit, History, Post, Run, Step, Wait
from tests.simulation.world import Clock, Killed, Ports, Wrong

QUIET = 8
"""How many runs without faults may pass until both sides are equal."""


class World:
    """Both sides, and all that a run leaves behind."""

    def __init__(
        self, history: History, documents: Any = None, connect: Any = MemoryConnection, *, one_at_a_time: bool = False
    ) -> None:
        self.setting = history.setting
        self.clock = Clock()
        self.documents = documents or Documents()
        self.erp = Erp(history.setting, self.clock)
        self.entries: list[Entry] = []
        self.dead = {flow: _Letters() for flow in FLOWS}
        self.people = People()
        self.ours = Ours(self.documents, history.setting, self.clock, self.people)
        self.theirs = Theirs(self.erp, self.ours, self.people)
        self.uses: Counter[str] = Counter()
        """Of the last run: how often each port was used."""
        self.is_unsure = False
        """The ERP was told of something in a run that went wrong, so that perhaps nobody noted it."""
        self._connect, self._one_at_a_time = connect, one_at_a_time

    def edit(self, edit: Edit) -> None:
        """Somebody edits something."""
        (self.ours if edit.side == "tracos" else self.theirs).edit(edit)

    async def step(self, step: Step) -> None:
        """Do one step of the history."""
        if isinstance(step, Edit):
            self.clock.tick(1)
            self.edit(step)
        elif isinstance(step, Wait):
            self.clock.tick(step.seconds)
        elif isinstance(step, Post):
            if step.what == "take":
                self.erp.take_files()
            self.erp.folders.post(step, self.clock)
        else:
            await self.run(step)

    async def run(self, run: Run) -> None:
        """The program runs; however it ends, nothing of it is left in memory."""
        self.clock.tick(1)
        task = asyncio.create_task(self._chains(run))
        await asyncio.wait([task])
        await _end_the_others()
        is_cut = any(fault.what != "edit" for fault in run.faults)
        self.is_unsure |= is_cut and self.uses["erp.push"] > 0
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Killed | Fatal):
            raise error
        if isinstance(error, Fatal) and not run.faults:
            raise Wrong(f"a run without faults stops: {error}")

    async def _chains(self, run: Run) -> None:
        ports = Ports(self.clock, run, self.edit, one_at_a_time=self._one_at_a_time)
        self.uses = ports.uses
        late = {one for slot in run.late if (one := self.theirs.id_of(slot)) is not None}
        client = SimulatedClient(self.erp, ports, late)
        connection = self._connect(self.documents)
        connection.ports = ports
        async with Tracos(connection, _Decisions(self.entries, ports)) as tracos:
            for flow, chain in FLOWS.items():
                self.dead[flow].ports = ports
                await run_chain(chain(client, tracos, self.dead[flow]))

    def client(self) -> SimulatedClient:
        """A client, to read with."""
        return SimulatedClient(self.erp, None, set())

    def understood(self, document: dict[str, Any]) -> WorkOrder:
        """What a document says."""
        return read_document(document, self.client().terms).order

    async def settle_down(self) -> None:
        """Nobody edits any more, a person retries all letters, and the program runs until nothing changes."""
        for _ in range(QUIET):
            self.clock.tick(3600 * 3)
            for letters in self.dead.values():
                letters.letters.clear()
            await self.step(Post("deliver"))
            await self.step(Post("take"))
            before = self.state()
            await self.run(Run())
            if self.state() == before:
                return
        raise Wrong(f"after {QUIET} runs without edits the program still writes")

    def end(self) -> tuple[Any, ...]:
        """How it ended, but for what is made up anew each time."""
        documents = [dict(one) for one in self.documents.all()]
        for one in documents:
            del one["_id"]
            if "intent" in one.get("sync", {}):
                one["sync"] = one["sync"] | {"intent": True}
        return sorted(documents, key=str), self.erp.records, [entry.rule for entry in self.entries]

    def state(self) -> tuple[Any, ...]:
        """All that a run could have changed."""
        letters = sum(len(one.letters) for one in self.dead.values())
        return (
            self.documents.all(),
            {**self.erp.records},
            {**self.erp.etags},
            len(self.entries),
            letters,
            {**self.erp.folders.outbound},
        )


class _Decisions(Decisions):
    def __init__(self, entries: list[Entry], ports: Ports) -> None:
        super().__init__("run")
        self.entries = entries
        self._ports = ports

    async def record(self, entries: Sequence[Entry]) -> None:
        """As the log on disk: that a record is stale is told once."""
        known = {_key(entry) for entry in self.entries}
        fresh = [entry for entry in entries if entry.rule != Rule.STALE or _key(entry) not in known]
        if fresh:
            async with self._ports.using("decisions"):
                self.entries.extend(fresh)


class _Letters(MemoryDeadLetters):
    ports: Ports

    async def write(self, letters):
        async with self.ports.using("letters"):
            await super().write(letters)


async def _end_the_others() -> None:
    """What a killed run leaves in the loop is thrown away."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    if others:
        await asyncio.wait(others)
    for one in others:
        if not one.cancelled():
            one.exception()


@contextmanager
def virtual(clock: Clock):
    """New documents get ids in order; the program's clock is ``clock``, and no retry waits."""
    numbers = itertools.count(1)
    with (
        mock.patch.object(pipeline.tracos.clock, "datetime", clock),
        mock.patch.object(pipeline.dataflow.messages, "datetime", clock),
        mock.patch.object(pipeline.tracos.batch, "new_ids", lambda: map(_document_id, numbers)),
        stamina.set_testing(True, attempts=8),
    ):
        stamina.instrumentation.set_on_retry_hooks([])
        yield


def _document_id(number: int) -> ObjectId:
    return ObjectId(f"ff{number:022x}")


async def play(history: History, **world: Any) -> World:
    """Play it to its end; raises Wrong for what must never be."""
    played = World(history, **world)
    with virtual(played.clock):
        for step in history.steps:
            await played.step(step)
            check.always(played)
        await played.settle_down()
        check.always(played)
        check.at_the_end(played)
    return played


async def failure(history: History, **world: Any) -> str | None:
    """What is wrong with a history; None where nothing is."""
    try:
        await play(history, **world)
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
