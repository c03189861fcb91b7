"""Run a chain to its end and count what became of every item."""

from collections import Counter
from collections.abc import AsyncIterable, Callable
from typing import Any

from aiostream import streamcontext
from msgspec import Struct, field

from pipeline.dataflow.messages import Batch, Outcome
from pipeline.dataflow.ports import Progress
from pipeline.dataflow.stages import unhandled
from pipeline.dataflow.timing import StageTime, timed

__all__ = ["Report", "run"]


class Report(Struct, kw_only=True):
    """What became of every item that a chain read; received = the sum of all the others."""

    flow: str = ""
    source: str = ""
    """Where it reads, as a person calls it."""
    sink: str = ""
    """Where it writes."""
    received: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Delivered items by Outcome; payloads of another kind count under their type's name."""
    skipped: int = 0
    held: int = 0
    closed: int = 0
    deferred: int = 0
    spared: int = 0
    """Places left unread, because nothing has changed there since all was delivered; not among the received."""
    empty: int = 0
    """Places that hold no item; not among the received."""
    dead: Counter[str] = field(default_factory=Counter)
    """Dead-lettered items by the stage where they failed."""
    stages: dict[str, StageTime] = field(default_factory=dict)
    """By name: when each stage worked, and how long."""
    progress: Callable[[], Progress | None] = lambda: None
    """How far its source has come, as far as that can be told."""

    def add(self, batch: Batch[Any]) -> None:
        """Count one batch that has left the chain."""
        self.flow = batch.flow
        self.received += len(batch.received)
        self.outcomes.update([_kind(item.payload) for item in batch.items])
        self.skipped += len(batch.skipped)
        self.held += len(batch.held)
        self.closed += len(batch.closed)
        self.deferred += len(batch.deferred)
        self.spared += batch.spared
        self.empty += len(batch.empty)
        self.dead.update(letter.stage for letter in batch.dead_lettered)


async def run(chain: AsyncIterable[Batch[Any]], *, report: Report | None = None) -> Report:
    """Run ``chain`` to its end and report.

    A ``report`` handed in is filled as the run goes, so that it tells the truth after a Fatal too. Raises what stopped
    the chain; Unhandled when items failed and nothing put them aside. Every source and sink is closed, however it ends.
    """
    report = Report() if report is None else report
    with timed(report.stages):
        async with streamcontext(chain) as batches:
            async for batch in batches:
                if batch.failed:
                    raise unhandled(batch)
                report.add(batch)
                if batch.stop is not None:
                    raise batch.stop
    return report


def _kind(payload: object) -> str:
    return str(payload) if isinstance(payload, Outcome) else type(payload).__name__
