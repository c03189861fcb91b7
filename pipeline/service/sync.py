"""The sync of a client: its flows, one after the other, under its lease."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Final

from loguru import logger

from pipeline.dataflow.budget import Budget
from pipeline.dataflow.lanes import Lanes
from pipeline.dataflow.messages import Outcome
from pipeline.dataflow.run import Report
from pipeline.dataflow.run import run as run_chain
from pipeline.dataflow.stage import Chain
from pipeline.service.run import Work
from pipeline.service.session import Session, new_report
from pipeline.service.settings import Settings

__all__ = ["HaveLanes", "Sync", "Watch"]

DEAD_LETTERS: Final = 3


@contextmanager
def _remembered(session: Session, flow: str, stop: asyncio.Event) -> Iterator[None]:
    """Inside of this a flow runs: afterwards the keys of the records that came in are remembered, however it ends."""
    is_whole = False
    try:
        yield
        is_whole = not stop.is_set()
    finally:
        if session.keys is not None and flow == "inbound":
            session.drift = session.keys.remember(is_whole=is_whole)


Watch = Callable[[Chain[Outcome], Report], AbstractContextManager[Any]]
"""What looks on while a chain runs: entered in the event loop, with the report that is being filled."""

HaveLanes = Callable[..., Lanes]
"""Has lanes for one client: from its Session, TracOS's address, the DeleteBudget, and inbound the TracosWitness."""


class Sync(Work):
    """Both flows of a client, or some of them, one after the other; with ``anew`` whatever is known is read again."""

    is_side_by_side = True

    def __init__(
        self,
        settings: Settings,
        flows: Mapping[str, Callable[..., Chain[Outcome]]],
        *,
        is_strict: bool = False,
        anew: bool = False,
        lanes: Mapping[str, HaveLanes] | None = None,
        watch: Watch = lambda chain, report: nullcontext(),
    ) -> None:
        self._settings = settings
        self._flows = flows
        self._is_strict = is_strict
        self._anew = anew
        self._lanes = lanes or {}
        self._watch = watch

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Run its flows."""
        budget = Budget(self._settings.max_dead_letters)
        tracos = session.tracos(uri, anew=self._anew)
        async with AsyncExitStack() as opened:
            for name, flow in self._flows.items():
                if name not in session.flows:
                    logger.info("{}: its direction leaves out {}", session.client.name, name)
                    continue
                ends: dict[str, Any] = {"budget": budget, "stop": stop}
                if name in self._lanes:
                    ends["lanes"] = partial(self._lanes[name], session, uri, tracos.deletes)
                chain = flow(session.client, tracos, session.dead(name), **ends)
                reports.append(new_report(session, name, chain))
                if not reports[1:]:
                    await opened.enter_async_context(session.alone(uri, stop))
                    await opened.enter_async_context(tracos)
                with logger.contextualize(flow=name), self._watch(chain, reports[-1]), _remembered(session, name, stop):
                    await run_chain(chain, report=reports[-1])
                if stop.is_set():
                    break

    def exit_code(self, reports: Sequence[Report]) -> int:
        """3 where it is strict and something is dead."""
        return DEAD_LETTERS if self._is_strict and any(report.dead or report.held for report in reports) else 0
