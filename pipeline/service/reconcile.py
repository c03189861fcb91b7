"""Both sides compared: what a run would not see, or not mend by itself; and with a fix the run that mends it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.aside import dead_letters, hold_known
from pipeline.dataflow.messages import BatchResult, DeadLetter, Empty, Envelope, Outcome, Spared, Unreadable
from pipeline.dataflow.ports import BatchSink, DeadLetters, Source
from pipeline.dataflow.run import Report, run
from pipeline.dataflow.stage import Chain
from pipeline.dataflow.stages import deliver, read, settle, validate
from pipeline.dataflow.wrapped import WrappedSource
from pipeline.deadletters import Drawer, Identify
from pipeline.errors import BudgetExceeded, See
from pipeline.flows import FLOWS, inbound
from pipeline.orders.compare import Alone, Gap, GapKind, Seen, absent, untold
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.effects import Dry, NotedLetters
from pipeline.service.gaps import Gaps
from pipeline.service.run import Work
from pipeline.service.session import Session, Sessions, new_report
from pipeline.service.settings import Settings
from pipeline.service.sync import Sync, Watch
from pipeline.tracos.store import Tracos

__all__ = ["Comparison", "Fixing", "Looking", "Reconciling"]

SOMETHING_TO_DO: Final = 4

LINES: Final = 20
"""How many of the items that fail are told of one by one."""

Item: TypeAlias = Envelope[bytes] | Unreadable | Empty | Spared


class Comparison(Struct, frozen=True, kw_only=True):
    """What one client and TracOS say of the same orders."""

    client: str
    gaps: Gaps
    counts: Mapping[str, int]
    """Orders by the kind of gap; ``waits`` and ``unsure`` documents; ``dead`` and ``still_dead`` items."""
    notes: Sequence[str]
    """What was not looked for, and why; and the first of the items that fail, in each direction."""

    @property
    def has_something(self) -> bool:
        """Whether the sides differ, or a run would do something. Letters that are there already are known."""
        return any(count for kind, count in self.counts.items() if kind not in {"unsure", "still_dead"})


class Looking(Dry):
    """The ends that look, and of dead letters note only how many there would be."""

    def dead(self, root: Path, flow: str, client: str, identify: Identify) -> NotedLetters:
        """What a run would hold back is held back."""
        return _Counted(Drawer(root / flow))


class Reconciling(Work):
    """Compares; the sessions have the effects Looking, and no journal tells of it."""

    def __init__(self) -> None:
        self.comparisons: list[Comparison] = []

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Compare all of it, or tell nothing."""
        compared = await _compare(session, uri, reports, stop)
        if compared is not None:
            self.comparisons.append(compared)

    def exit_code(self, reports: Sequence[Report]) -> int:
        """4 where the sides differ."""
        return SOMETHING_TO_DO if any(one.has_something for one in self.comparisons) else 0


class Fixing(Reconciling):
    """Compares, has what differs sent or taken by a run that reads everything anew, and compares again.

    The sessions that it is given act; ``looking`` are the same with the ``effects`` Looking. ``comparisons`` are of
    what is left.
    """

    def __init__(self, settings: Settings, looking: Sessions, effects: Looking, watch: Watch) -> None:
        super().__init__()
        self.before: list[Mapping[str, int]] = []
        """What there was to mend, by client, counted."""
        self._settings = settings
        self._looking = looking
        self._effects = effects
        self._sync = Sync(settings, FLOWS, anew=True, watch=watch)

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Mend one client; raises BudgetExceeded, before anything is marked, where that would delete too much."""
        async with session.alone(uri, stop):
            await self._mend(session, uri, reports, stop)

    async def _mend(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        compared = await self._look(session, uri, stop)
        if compared is None:
            return
        self.before.append(compared.counts)
        if compared.has_something:
            if "outbound" in session.flows:
                self._see_budget(compared)
                async with session.tracos(uri) as tracos:
                    await tracos.unmark(session.client.terms)
            compared.gaps.close()
            await self._sync.serve(session, uri, reports, stop)
            compared = None if stop.is_set() else await self._look(session, uri, stop)
        if compared is not None:
            self.comparisons.append(compared)

    async def _look(self, session: Session, uri: str, stop: asyncio.Event) -> Comparison | None:
        with self._effects.begun(self._settings.data_mongo_dir):
            return await _compare(self._looking.get(session.client.name), uri, [], stop)

    def _see_budget(self, compared: Comparison) -> None:
        limit = self._settings.sync_max_deletes
        unmarked = (gap for gap in compared.gaps if gap.kind is GapKind.UNMARKED and gap.field == "deleted")
        if (deletions := sum(bool(gap.ours) for gap in unmarked)) > limit:
            raise BudgetExceeded(
                f"this would tell {compared.client} of {deletions:,} deletions that nobody has marked, more than "
                f"{limit} (SYNC_MAX_DELETES): nothing was marked; see that so many are meant, then raise the limit",
                see=See.TOO_MANY_DELETIONS,
            )


async def _compare(session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> Comparison | None:
    """Both sides of one client; None where it was stopped before the end."""
    gaps = Gaps()
    try:
        async with session.tracos(uri) as tracos:
            one = _Comparing(session, tracos, gaps, stop)
            notes = [*await one.records(reports), *await one.documents(reports)]
        if stop.is_set():
            gaps.close()
            return None
        dead = {"dead": sum(one.dead.total() for one in reports), "still_dead": sum(one.held for one in reports)}
        return Comparison(client=session.client.name, gaps=gaps, counts={**gaps.counts(), **dead}, notes=notes)
    except BaseException:
        gaps.close()
        raise


class _Comparing:
    """Two chains, over what the client shows and over all documents, that write nothing but ``gaps``."""

    def __init__(self, session: Session, tracos: Tracos, gaps: Gaps, stop: asyncio.Event) -> None:
        self._session = session
        self._client = session.client
        self._tracos = tracos
        self._gaps = gaps
        self._stop = stop
        self._is_told = "outbound" in session.flows
        self._shows_all = False

    async def records(self, reports: list[Report]) -> Sequence[str]:
        """Compare what the client shows; returns what cannot be said by that, and why, and what of it fails."""
        if "inbound" not in self._session.flows:
            return ["its direction leaves out inbound: what the client shows was not read"]
        client, dead = self._client, self._session.dead("inbound")
        source = _Watched(client.source(), client.identify, self._gaps.saw)
        sink = self._tracos.comparer(client.terms, self._take)
        chain = inbound(client, self._tracos, dead, source=source, sink=sink, stop=self._stop)
        await self._run("inbound", chain, reports)
        self._shows_all = source.shows_all
        return [*source.notes(), *_lines(dead)]

    async def documents(self, reports: list[Report]) -> Sequence[str]:
        """Look at all documents, but for what an outbound run has put aside; returns what of them fails."""
        client, dead = self._client, self._session.dead("outbound")
        source = self._tracos.documents(client.terms)
        sink = _Documents(self._gaps, client.terms, is_told=self._is_told, shows_all=self._shows_all)
        chain = (
            read(source, flow=f"{client.name}.outbound", stop=self._stop)
            | hold_known(dead)
            | validate(source.look_at)
            | deliver(sink)
            | dead_letters(dead)
            | settle(source)
        )
        await self._run("outbound", chain, reports)
        return _lines(dead)

    async def _run(self, flow: str, chain: Chain[Outcome], reports: list[Report]) -> None:
        reports.append(new_report(self._session, flow, chain))
        await run(chain, report=reports[-1])

    def _take(self, seen: Sequence[Seen]) -> None:
        self._gaps.compared(seen if self._is_told else [replace(one, gaps=untold(one.gaps)) for one in seen])


class _Watched(WrappedSource[bytes]):
    """A client's source; ``saw`` is told of which orders its items are."""

    def __init__(self, source: Source[bytes], identify: Identify, saw: Callable[[list[ExternalId]], None]) -> None:
        super().__init__(source)
        self._identify = identify
        self._saw = saw
        self._unnamed = 0
        self._is_at_end = False

    @property
    def shows_all(self) -> bool:
        return self._is_at_end and super().shows_all and not self._unnamed

    async def read(self) -> AsyncGenerator[Sequence[Item], None]:
        async with aclosing(super().read()) as groups:
            async for group in groups:
                self._note(group)
                yield group
        self._is_at_end = True

    def notes(self) -> list[str]:
        """Why what the client does not show is not said to be missing there."""
        if self.shows_all:
            return []
        why = f"{self._unnamed:,} of its records have no id that can be read"
        if not self._unnamed:
            why = "it need not show every order"
        return [f"{self.title}: {why}: none is taken to be missing at the client"]

    def _note(self, group: Sequence[Item]) -> None:
        ids = [self._identify(item.raw) for item in group if isinstance(item, Envelope | Unreadable) and item.raw]
        known = [id_key(one) for one in ids if one is not None]
        self._unnamed += len(ids) - len(known)
        self._saw(known)


class _Documents(BatchSink[Alone]):
    """Notes the gaps that documents have by themselves, and those whose orders the client does not show."""

    def __init__(self, gaps: Gaps, terms: Terms, *, is_told: bool, shows_all: bool) -> None:
        self._gaps = gaps
        self._terms = terms
        self._is_told = is_told
        self._shows_all = shows_all

    @property
    def title(self) -> str:
        return "nothing"

    async def write_batch(self, items: Sequence[Envelope[Alone]]) -> BatchResult:
        documents = [item.payload for item in items]
        shown = self._gaps.shown([one.key for one in documents if one.key is not None])
        self._gaps.looked_at([self._with_gaps(one, shown) for one in documents])
        return BatchResult([Outcome.UNCHANGED] * len(items))

    def _with_gaps(self, one: Alone, shown: Mapping[str, Sequence[Gap]]) -> tuple[Alone, Sequence[Gap]]:
        """A run that takes a record of the order's sees an unmarked edit too: such a field is told of there."""
        fields = {gap.field for gap in shown.get(str(one.key), ())}
        gaps = [gap for gap in one.gaps if gap.field not in fields]
        if self._shows_all and one.is_expected and str(one.key) not in shown:
            gaps.append(absent(one, self._terms))
        return (one, gaps) if self._is_told else (replace(one, waits=False), untold(gaps))


class _Counted(NotedLetters):
    """Keeps no letter, which would be as large as its item, but a line about each of the first."""

    def __init__(self, drawer: Drawer) -> None:
        super().__init__(drawer)
        self.lines: list[str] = []

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """How many there are is in the report."""
        for letter in letters[: LINES - len(self.lines)]:
            self.lines.append(f"{letter.locator} fails at {letter.stage}: {letter.loggable}")


def _lines(dead: DeadLetters) -> Sequence[str]:
    return dead.lines if isinstance(dead, _Counted) else ()
