"""Run dead letters through the very chain that they failed in."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.dataflow.messages import Outcome
from pipeline.dataflow.run import Report, run
from pipeline.dataflow.stage import Chain
from pipeline.deadletters import DeadLetterOffice, Filed
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.replay import AgainFolder, LetterSource, RetriedLetters
from pipeline.disk import in_thread
from pipeline.flows import FLOWS, inbound, outbound
from pipeline.orders.workorder import ExternalId
from pipeline.service.run import Work
from pipeline.service.session import Session, new_report
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
    closed: int = 0
    """Letters that were closed by somebody else meanwhile."""


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
        self._released = self._gone = self._closed = 0
        clients = set()
        for filed in letters:
            letter = filed.letter
            client, _, name = letter.flow.rpartition(".")
            clients.add(client if name in FLOWS else letter.flow)
            if letter.raw if name == "inbound" else letter.id is not None:
                self._slips[letter.flow].append(_Slip(letter.last_seen, filed.path.name, letter.id))
            else:
                self._without[letter.flow].append(filed)
        self.clients = clients

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Retry this client's letters, flow by flow."""
        for name in FLOWS:
            flow = f"{session.client.name}.{name}"
            if without := self._without.get(flow):
                released = await in_thread(self._office.release, without)
                self._released += released
                self._closed += len(without) - released
            if (slips := self._slips.get(flow)) and not stop.is_set():
                slips.sort(key=lambda slip: slip.last_seen)
                tracos = session.tracos(uri)
                chain = self._chain(session, tracos, name, slips, stop)
                reports.append(new_report(session, name, chain))
                async with session.alone(uri, stop), tracos:
                    await run(chain, report=reports[-1])
                if name == "inbound" and not stop.is_set():
                    self._closed += len(slips) - reports[-1].received
                elif not stop.is_set():
                    self._gone += len({slip.order for slip in slips}) - reports[-1].received

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
            closed=self._closed,
        )

    def _chain(
        self, session: Session, tracos: Tracos, name: str, slips: list[_Slip], stop: asyncio.Event
    ) -> Chain[Outcome]:
        """The very chain that they failed in, over the letters themselves or over the orders that they are about."""
        if name == "inbound":
            drawer = Drawer(self._office.root / f"{session.client.name}.{name}")
            letters = LetterSource(drawer, [slip.filed_name for slip in slips])
            dead = RetriedLetters(drawer, session.identify(name), session.decisions.by)
            return inbound(session.client, tracos, dead, source=letters, stop=stop)
        numbers = list({slip.order for slip in slips if slip.order is not None})
        orders = tracos.source(session.client.terms, numbers)
        return outbound(session.client, tracos, AgainFolder(session.dead(name)), source=orders, stop=stop)
