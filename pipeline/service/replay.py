"""Run dead letters through the very chain that they failed in."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.dataflow.run import Report, run
from pipeline.deadletters import DeadLetterOffice, Filed
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.replay import AgainFolder, LetterSource, RetriedLetters
from pipeline.disk import in_thread
from pipeline.flows import FLOWS, inbound, outbound
from pipeline.orders.workorder import ExternalId
from pipeline.service.run import Work
from pipeline.service.session import Session
from pipeline.tracos.store import Tracos

__all__ = ["Retried", "Retry"]

STILL_DEAD: Final = 3


class Retried(Struct, kw_only=True):
    """What became of a retry."""

    tried: int = 0
    passed: int = 0
    failed: int = 0
    released: int = 0
    """Letters without bytes, or about orders without a number: the next run tries them where they came from."""
    gone: int = 0
    """Orders that are not waiting to be sent any more."""


class _Slip(Struct, frozen=True):
    """What is remembered of a letter while it is retried: not its bytes."""

    last_seen: datetime
    filed_name: str
    order: ExternalId | None


class Retry(Work):
    """Retries ``letters``, those of one place in the order in which they were last seen.

    Inbound letters run with the bytes that they hold; outbound ones with the orders as TracOS has them now. May be
    interrupted at any instant and done again.
    """

    def __init__(self, root: Path, letters: Iterable[Filed]) -> None:
        self._office = DeadLetterOffice(root)
        self._slips: dict[str, list[_Slip]] = defaultdict(list)
        self._without: dict[str, list[Filed]] = defaultdict(list)
        self._released = self._gone = 0
        clients = set()
        for filed in letters:
            letter = filed.letter
            clients.add(letter.client)
            if letter.raw if letter.flow.endswith(".inbound") else letter.id is not None:
                self._slips[letter.flow].append(_Slip(letter.last_seen, filed.path.name, letter.id))
            else:
                self._without[letter.flow].append(filed)
        self.clients = clients

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Retry this client's letters, flow by flow."""
        for name in FLOWS:
            flow = f"{session.client.name}.{name}"
            if without := self._without.get(flow):
                await in_thread(self._office.release, without)
                self._released += len(without)
            if (slips := self._slips.get(flow)) and not stop.is_set():
                slips.sort(key=lambda slip: slip.last_seen)
                reports.append(Report(flow=flow))
                async with session.tracos(uri) as tracos:
                    await self._retry(session, tracos, slips, reports[-1], stop)

    def exit_code(self, reports: Sequence[Report]) -> int:
        """3 where some failed again."""
        return STILL_DEAD if self.told(reports).failed else 0

    def told(self, reports: Iterable[Report]) -> Retried:
        """What became of the letters, as ``reports`` say."""
        reports = list(reports)
        return Retried(
            tried=sum(report.received for report in reports),
            passed=sum(report.outcomes.total() for report in reports),
            failed=sum(report.dead.total() for report in reports),
            released=self._released,
            gone=self._gone,
        )

    async def _retry(
        self, session: Session, tracos: Tracos, slips: list[_Slip], report: Report, stop: asyncio.Event
    ) -> None:
        if report.flow.endswith(".inbound"):
            drawer = Drawer(self._office.root / report.flow)
            letters = LetterSource(drawer, [slip.filed_name for slip in slips])
            dead = RetriedLetters(drawer, session.identify("inbound"))
            await run(inbound(session.client, tracos, dead, source=letters, stop=stop), report=report)
            return
        numbers = list({slip.order for slip in slips if slip.order is not None})
        orders = tracos.source(session.client.name, session.client.default_layout, numbers)
        again = AgainFolder(session.dead("outbound"))
        await run(outbound(session.client, tracos, again, source=orders, stop=stop), report=report)
        if not stop.is_set():
            self._gone += len(numbers) - report.received
