"""A dry run: the very same two chains, over ends that read everything and write nothing."""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from pipeline.dataflow.messages import DeadLetter
from pipeline.dataflow.run import Report, run
from pipeline.flows import FLOWS
from pipeline.history.decisions import Entry
from pipeline.orders.merge import Rule
from pipeline.service.effects import NotedLetters
from pipeline.service.run import Work
from pipeline.service.session import Session

__all__ = ["Plan", "Planning", "make_plan"]

SOMETHING_TO_DO: Final = 4


class Plan(Struct, kw_only=True):
    """What a run would do."""

    entries: Sequence[Entry] = ()
    """What the decision log would say: every write to TracOS, every order handed to the client, every stale record."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def writes(self) -> list[Entry]:
        """The entries that write something."""
        return [entry for entry in self.entries if entry.rule != Rule.STALE]


async def make_plan(session: Session, uri: str) -> Plan:
    """What a run would do now, found by a run that writes nothing; ``session`` has the effects Dry.

    Raises what would stop the run. What a sink refuses only when it writes (a full disk, an edit in between) cannot be
    known before.
    """
    plan = Plan()
    async with session.tracos(uri) as tracos:
        for name, flow in FLOWS.items():
            if name not in session.flows:
                continue
            dead = session.dead(name)
            plan.reports.append(await run(flow(session.client, tracos, dead)))
            plan.dead_letters += dead.noted if isinstance(dead, NotedLetters) else ()
    plan.entries = session.decisions.entries
    return plan


class Planning(Work):
    """A plan for each client; the sessions have the effects Dry, and no journal tells of it."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Make the client's plan, all of it or none."""
        plan = await make_plan(session, uri)
        reports += plan.reports
        self.plans.append(plan)

    def exit_code(self, reports: Sequence[Report]) -> int:
        """4 where there is something to do."""
        return SOMETHING_TO_DO if any(plan.writes or plan.dead_letters for plan in self.plans) else 0
