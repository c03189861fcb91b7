"""A dry run: the very same two chains, over ends that read everything and write nothing."""

from collections.abc import Sequence

from msgspec import Struct, field

from pipeline.dataflow.messages import DeadLetter
from pipeline.dataflow.run import Report, run
from pipeline.flows import FLOWS
from pipeline.history.decisions import Entry
from pipeline.orders.merge import Rule
from pipeline.service.effects import NotedLetters
from pipeline.service.session import Session

__all__ = ["Plan", "make_plan"]


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
            dead = session.dead(name)
            plan.reports.append(await run(flow(session.client, tracos, dead)))
            plan.dead_letters += dead.noted if isinstance(dead, NotedLetters) else ()
    plan.entries = session.decisions.entries
    return plan
