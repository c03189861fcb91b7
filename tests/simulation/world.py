"""The world of a history: both sides, their people, the machines that the program runs on, and its runs."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import pipeline.transports.folder.options
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.run import run as run_chain
from pipeline.deadletters.letter import Letter
from pipeline.errors import Fatal, Held
from pipeline.flows import FLOWS
from pipeline.history.decisions import Entry
from pipeline.orders.workorder import Record, WorkOrder
from pipeline.service.lanes.driver import Driver
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import read_document
from pipeline.tracos.lease import Lease
from pipeline.tracos.store import Tracos
from pipeline.tracos.witness import TracosWitness
from pipeline.transports.http.limits import breaker_of
from tests.simulation.api import HttpApi, HttpClient
from tests.simulation.client import client_of
from tests.simulation.clock import Clock
from tests.simulation.erp import Erp
from tests.simulation.folders import FolderClient, Folders
from tests.simulation.lanes import Processes, Session
from tests.simulation.leases import SECONDS, Watched
from tests.simulation.listed import ListClient
from tests.simulation.machine import Machine, close_files_of
from tests.simulation.memory import Documents, MemoryConnection
from tests.simulation.ours import Ours
from tests.simulation.people import NUMBERS, People
from tests.simulation.ports import PAUSE, Killed, Ports, stepping
from tests.simulation.steps import (
    Api,
    Change,
    Edit,
    History,
    Leased,
    Lose,
    Post,
    Restore,
    Run,
    Setting,
    Step,
    Together,
    Wait,
)
from tests.simulation.theirs import Theirs
from tests.simulation.words import Wrong

QUIET = 8
"""How many runs without faults may pass until both sides are equal."""
HARMLESS = {"edit", "late"}


class World:
    """Both sides, and all that runs leave behind, in the folder ``root``."""

    def __init__(
        self,
        history: History,
        root: Path,
        clock: Clock,
        documents: Any = None,
        connect: Any = MemoryConnection,
        *,
        erp: Callable[[Setting, Clock], Erp] = Erp,
        api: Callable[[Erp, Api], HttpApi] = HttpApi,
        counts: Counter[str] | None = None,
        one_at_a_time: bool = False,
    ) -> None:
        self.setting = history.setting
        self.clock = clock
        self.documents = documents or Documents()
        self.erp = erp(history.setting, clock)
        self.folders = Folders(self.erp, root) if history.setting.transport == "folders" else None
        self.api = api(self.erp, history.setting.api)
        self.machines = [Machine(root / f"machine-{n}") for n in range(history.setting.machines)]
        self.people = People()
        self.ours = Ours(self.documents, history.setting, clock, self.people)
        self.theirs = Theirs(self.erp, self.ours, self.people)
        self.ours.know(self.theirs.id_of)
        self.counts: Counter[str] = Counter() if counts is None else counts
        """What happened, by kind."""
        self.counts[f"history: {self.setting.transport}, ids {self.setting.ids}"] += 1
        self.is_unsure = False
        """The ERP was told of something in a run that went wrong, so that perhaps nobody noted it."""
        self.ended: tuple[Any, ...] = ()
        """What ``end`` told when it had ended."""
        says = {one.value for one in history.steps if isinstance(one, Change)}
        says |= {who for _, who in history.setting.authority}
        self.tracos_had_a_say, self.erp_had_a_say = "tracos" in says, "client" in says
        self.is_restored = False
        """TracOS was restored to what it had been."""
        self.was_unread = False
        """A record of the ERP could not be understood for a while."""
        self._has_lost = False
        """A machine has lost what it remembered."""
        self._is_backed_up = any(isinstance(step, Restore) for step in history.steps)
        self._backups: list[Any] = []
        self._begun = 0
        """How many runs were."""
        self._etags: list[dict[str, int]] = [{} for _ in self.machines]
        self._connect, self._one_at_a_time = connect, one_at_a_time

    def edit(self, edit: Edit) -> None:
        """Somebody edits something."""
        self.counts["edits"] += 1
        (self.ours if edit.side == "tracos" else self.theirs).edit(edit)

    async def step(self, step: Step) -> None:
        """Do one step of the history."""
        self.counts[f"step: {type(step).__name__.lower()}"] += 1
        if self._is_backed_up:
            self._backups.append(self.documents.copy())
        match step:
            case Edit():
                self.clock.tick(1)
                self.edit(step)
            case Wait():
                self.clock.tick(step.seconds)
            case Post():
                if self.folders is not None:
                    self.folders.post(step)
            case Run():
                await self.run(step)
            case Together():
                await self.run(step.first, step.second)
            case Leased():
                await self.run(*step.runs, leased=step)
            case Change():
                self._change(step)
            case Lose():
                self._has_lost = True
                at = step.machine % len(self.machines)
                self.machines[at].lose(step.what)
                self._etags[at].clear()
            case Restore():
                self._restore(step)

    def _change(self, change: Change) -> None:
        match change.what:
            case "authority":
                self.setting = replace(self.setting, authority=((change.field, change.value),))
            case "after":
                self.setting = replace(self.setting, after=change.value)
            case "version":
                pipeline.transports.folder.options.VERSION = change.value

    def _restore(self, restore: Restore) -> None:
        """What people have typed into it since is lost, and nobody is to blame."""
        self.is_unsure = self.is_restored = True
        self.people.excuse(self.people.made)
        self.documents.restore(self._backups[max(0, len(self._backups) - 1 - restore.steps)])

    async def run(self, *runs: Run, leased: Leased | None = None) -> None:
        """The program runs, or several of it at once; however a run ends, nothing of it is left in memory.

        ``leased``: under leases, and how long each waits.
        """
        self.clock.tick(1)
        self.counts["runs"] += len(runs)
        self.counts["runs at once"] += len(runs) if len(runs) > 1 else 0
        ports = [Ports(self.clock, run, self.edit, one_at_a_time=self._one_at_a_time) for run in runs]
        tasks = [
            asyncio.create_task(self._chains(one) if leased is None else self._leased(one, leased, nth))
            for nth, one in enumerate(ports)
        ]
        with stepping(*ports):
            await asyncio.wait(tasks)
            await _end_the_others()
        for machine in self.machines:
            machine.note()
        for one, task in zip(ports, tasks, strict=True):
            self._see_how_it_ended(one, task, is_alone=len(runs) == 1)
            if leased is not None:
                self._see_how_its_lease_ended(leased, one.run, task)

    async def _leased(self, ports: Ports, leased: Leased, nth: int) -> None:
        """A run under the lease, which it waits for; its machine is its own."""
        ports.enter()
        await asyncio.sleep(leased.apart * nth)
        lease = Watched(self._connected(ports), f"run {self._begun + 1}", seconds=SECONDS, wait=leased.wait)
        async with lease:
            self.counts["leases taken over"] += lease.fence > 1 and nth > 0
            await self._chains(ports, lease)

    def _see_how_its_lease_ended(self, leased: Leased, run: Run, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self.counts["runs that found the lease taken, or lost it"] += isinstance(error, Held)
        longest = (len(leased.runs) - 1) * (SECONDS + PAUSE) * 2
        if isinstance(error, Held) and not run.faults and leased.wait >= longest:
            raise Wrong(f"a run waits {leased.wait} s for its lease, in vain: {error}")

    async def _chains(self, ports: Ports, lease: Lease | None = None) -> None:
        ports.enter()
        self._begun += 1
        name = f"run {self._begun}"
        at = ports.run.machine % len(self.machines)
        machine = self.machines[at]
        client = client_of(self.setting, machine)
        late = self._late(ports.run)
        if isinstance(client, ListClient):
            client.reach(self.erp, ports, late, self._etags[at])
        elif isinstance(client, HttpClient):
            refused = {
                one for slot in ports.run.refused for one in (self.theirs.id_of(slot), str(NUMBERS[slot])) if one
            }
            ports.answer = partial(self.api.answer, ports=ports, late=late, refused=refused)
            client.reach(ports)
        elif isinstance(client, FolderClient) and self.folders is not None:
            client.reach(self.folders, self.setting, self.erp, ports)
        breaker_of.cache_clear()  # it is a new process
        first = lease.confirm if lease is not None else None
        async with Tracos(self._connected(ports), machine.decisions(ports, name), first=first) as tracos:
            for flow, chain in FLOWS.items():
                identify = client.identify if flow == "inbound" else Tracos.identify
                more = {"lanes": self._lanes(ports, machine, first)} if ports.run.lanes and flow == "inbound" else {}
                await run_chain(chain(client, tracos, machine.dead(flow, identify, ports), **more))

    def _connected(self, ports: Ports) -> Any:
        """A connection to TracOS, to be opened."""
        connection = self._connect(self.documents)
        connection.ports = ports
        return connection

    def _lanes(self, ports: Ports, machine: Machine, first: Any) -> Callable[[TracosWitness], Driver]:
        """What makes the lanes of a run, for the witness of what they deliver."""
        self.counts["runs in lanes"] += 1

        def session(ports: Ports) -> Session:
            return Session(client_of(self.setting, machine), self._connected(ports), machine)

        def driver(witness: TracosWitness) -> Driver:
            of_run: Any = session(ports)
            of_run.confirm = first or of_run.confirm
            engine = Processes(ports.run.lanes, self.clock, self.edit, self.counts)
            return Driver(engine, of_run, "mongodb://memory", DeleteBudget(), witness)

        ports.session = session
        return driver

    def _late(self, run: Run) -> set[str]:
        """The orders that the list leaves out, where nobody need know them from there alone."""
        late = {one for slot in run.late if (one := self.theirs.id_of(slot)) is not None}
        return set() if self.needs_the_list() else late

    def needs_the_list(self) -> bool:
        """Whether TracOS, once it was restored, or a machine that knows no ETag of it, has to read an order there."""
        is_new_to_some = len(self.machines) > 1 or self._has_lost
        return self.is_restored or (self.setting.transport == "http" and is_new_to_some)

    def _see_how_it_ended(self, ports: Ports, task: asyncio.Task[None], *, is_alone: bool) -> None:
        run, left = ports.run, close_files_of(ports)
        error = None if task.cancelled() else task.exception()
        self.counts["kills"] += ports.is_dead
        self.counts["kills at any step"] += ports.uses["loop"]
        self.counts["runs cancelled"] += task.cancelled() and not ports.is_dead
        self.counts["runs that stopped"] += isinstance(error, Fatal)
        for fault in run.faults:
            if ports.uses[fault.port] >= (fault.nth if fault.port != "loop" else 1):
                self.counts[f"fault: {fault.port} {fault.what}"] += 1
        is_cut = any(fault.what not in HARMLESS for fault in run.faults)
        # Where the ERP numbers its orders, an intent that was written and not used does as much (see found/).
        self.is_unsure |= is_cut and (ports.uses["erp.push"] > 0 or self.setting.ids == "client")
        if error is not None and not isinstance(error, Killed | Fatal):
            raise error
        if isinstance(error, Fatal) and is_alone and not is_cut:
            raise Wrong(f"a run without faults stops: {error}")
        if left and not ports.is_dead:
            raise Wrong(f"a run leaves {len(left)} files open")

    def client(self) -> JsonConnector:
        """A client, to read with."""
        return client_of(self.setting, self.machines[0])

    def read(self, raw: bytes) -> Record:
        """A record in canonical words."""
        client = self.client()
        return client.to_record(client.validate(client.parse(raw)))

    def understood(self, document: dict[str, Any]) -> WorkOrder:
        """What a document says; raises Rejected for one that cannot be understood."""
        return read_document(document, self.client().terms).order

    async def settle_down(self) -> None:
        """Nobody edits any more, and the program runs until nothing changes; so again once all letters are retried."""
        for post in ("deliver", "whole", "take"):
            await self.step(Post(post))
        await self._until_quiet()
        if self.folders is not None:
            orders = {self.theirs.id_of(slot) for slot in self.people.spoiled}
            self.folders.bring_back(orders, [one for one in self.letters() if one.flow == "erp.inbound"])
        has_any = [machine.release_letters() for machine in self.machines]
        if any(has_any):
            await self._until_quiet()

    async def _until_quiet(self) -> None:
        for _ in range(QUIET):
            self.clock.tick(3600 * 3)
            before = self.state()
            for at in range(len(self.machines)):
                await self.run(Run(machine=at))
            if self.state() == before:
                return
            await self.step(Post("take"))
        raise Wrong(f"after {QUIET} runs without edits the program still writes: {_difference(before, self.state())}")

    def entries(self) -> list[Entry]:
        """What the decision logs tell."""
        return [entry for machine in self.machines for entry in machine.entries()]

    def letters(self) -> list[Letter]:
        """The letters that are open."""
        return [letter for machine in self.machines for letter in machine.open_letters()]

    def end(self) -> tuple[Any, ...]:
        """How it ended, but for what is made up anew each time."""
        documents = [dict(one) for one in self.documents.all()]
        for one in documents:
            del one["_id"]
            if "intent" in one.get("sync", {}):
                one["sync"] = one["sync"] | {"intent": True}
        return sorted(documents, key=str), self.erp.records, [entry.rule for entry in self.entries()]

    def state(self) -> dict[str, Any]:
        """All that a run could have changed."""
        state: dict[str, Any] = {f"document {one['_id']}": one for one in self.documents.all()}
        state |= {f"record {order_id}": dict(one) for order_id, one in self.erp.records.items()}
        state |= {f"etag of {order_id}": one for order_id, one in self.erp.etags.items()}
        for machine in self.machines:
            state |= machine.files()
        if self.folders is not None:
            state |= self.folders.state()
        return state


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first of what has changed, shortly."""
    key = next(key for key in {**before, **after} if before.get(key) != after.get(key))
    old, new = before.get(key), after.get(key)
    if isinstance(old, dict) and isinstance(new, dict):
        return f"{key}: {', '.join(field for field in {**old, **new} if old.get(field) != new.get(field))}"
    return f"{key}: {old} -> {new}"


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
