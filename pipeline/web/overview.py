"""The first page: whether it is running, who succeeded when, what waits, what failed, what gave way, and the week."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.deadletters.shelf import OnShelf
from pipeline.disk import in_thread
from pipeline.history.conflicts import newest_conflicts
from pipeline.history.journal import Run
from pipeline.service.serve import State
from pipeline.web.charts import Chart, Column, chart
from pipeline.web.known import ClientSeen, Seen
from pipeline.web.runs import counted, progress
from pipeline.web.site import Site, told
from pipeline.web.words import counted as so_many

__all__ = ["Overview"]

WEEK: Final = 7
GROUPS, CONFLICTS, RUNS = 6, 5, 5
"""How many of each are shown here; all are a page away."""
SYNCS: Final = ("run", "serve")
"""The commands that sync a client as a whole."""


class ClientNow(Struct, kw_only=True):
    """One client, in one line."""

    name: str
    succeeded: datetime | None = None
    """When it last went through to its end."""
    run: str = ""
    """The id of that run."""
    failure: str = ""
    """What stopped it since; empty: nothing."""
    letters: int = 0
    left: int | None = None
    """Orders that its last run did not tell it; None: no run is known, or none that tells."""
    seen: ClientSeen

    @property
    def waiting(self) -> int | None:
        """Orders that wait to be told, as far as that is known: nobody edits in a TracOS that is at rest."""
        if self.seen.waiting is not None:
            return self.seen.waiting.count
        return self.left if self.seen.is_at_rest else None


class Standing(Struct, frozen=True, kw_only=True):
    """The whole in one sentence."""

    kind: str
    """good, bad or odd."""
    said: str


class Overview:
    """The first page, and what keeps it up to date."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """All of it."""
        known, now = self._site.known, datetime.now(UTC)
        (runs, is_all, syncs, seen), letters, (conflicts, _) = await asyncio.gather(
            self._clients(),
            known.letters(),
            in_thread(newest_conflicts, self._site.settings.data_decision_log, CONFLICTS),
        )
        states = self._site.doors.states
        clients = list(_clients(syncs, seen, letters, states))
        week = [run for run in runs if run.began >= _midnight(now) - timedelta(days=WEEK - 1)]
        return self._site.html(
            "overview.html",
            is_live=True,
            place="overview",
            told=told(request),
            standing=_standing(clients, seen, letters, runs, now),
            under_way=[progress(run, now) for run in runs if run.is_under_way(now)],
            is_service=states is not None,
            clients=clients,
            seen=seen,
            letters=letters,
            groups=letters.groups[:GROUPS],
            conflicts=conflicts,
            gave_way=_gave_way(week),
            waits=_waits(clients),
            charts=_charts(week, now),
            runs=[counted(run, now) for run in runs[: -RUNS - 1 : -1]],
            is_all=is_all,
        )

    async def _clients(self) -> tuple[list[Run], bool, list[Run], Seen]:
        """The newest runs, whether these are all, those that sync, and what is seen of the clients."""
        runs, is_all = await self._site.known.runs()
        syncs = [run for run in runs if run.command in SYNCS]
        seen = await self._site.known.clients({name: run.began for name, run in _read_last(syncs).items()})
        return runs, is_all, syncs, seen

    async def live(self, _: Request) -> Response:
        """The runs under way as data, for the script: which they are, and what is to stand where."""
        now = datetime.now(UTC)
        under_way = [progress(run, now) for run in await self._site.known.under_way(now)]
        texts = {f"{one.run}.{name}": text for one in under_way for name, text in one.texts.items()}
        bars = {f"{one.run}.{flow.flow}": [flow.done, flow.total] for one in under_way for flow in one.flows}
        return JSONResponse({"runs": " ".join(one.run for one in under_way), "texts": texts, "bars": bars})


def _read_last(syncs: Sequence[Run]) -> Mapping[str, Run]:
    """By client, the last run that read it to its end."""
    found: dict[str, Run] = {}
    for run in syncs:
        for name in {flow.client for flow in run.flows if flow.flow.endswith(".inbound")}:
            if _went_through(run, name):
                found[name] = run
    return found


def _went_through(run: Run, client: str) -> bool:
    return run.ending in ("finished", "incomplete") and client not in run.befell


def _clients(
    syncs: Sequence[Run], seen: Seen, letters: OnShelf, states: Mapping[str, State] | None
) -> Iterator[ClientNow]:
    """All that the settings name, else all that the runs do."""
    names = seen.clients or dict.fromkeys(flow.client for run in syncs for flow in run.flows)
    for name in sorted(names):
        one = ClientNow(name=name, letters=letters.clients.get(name, 0), seen=seen.clients.get(name, ClientSeen()))
        for run in syncs:
            is_of = name in run.befell or any(flow.client == name for flow in run.flows)
            if is_of and run.ended is not None:
                told = [flow for flow in run.flows if flow.flow == f"{name}.outbound"]
                one.left = sum(flow.left + flow.still_dead + sum(flow.dead.values()) for flow in told) if told else None
                if _went_through(run, name):
                    one.succeeded, one.run, one.failure = run.ended, run.run, ""
                else:
                    one.failure = run.error or run.ending
        state = (states or {}).get(name)
        if state is not None:  # of a pass that did nothing no journal tells
            one.failure = state.why
            if state.succeeded is not None:
                one.succeeded = max(state.succeeded, one.succeeded or state.succeeded)
        yield one


def _standing(
    clients: Sequence[ClientNow], seen: Seen, letters: OnShelf, runs: Sequence[Run], now: datetime
) -> Standing:
    if seen.problem:
        return Standing(kind="bad", said="The settings cannot work")
    for names, what in (
        ([one.name for one in clients if one.failure], "not served to the end"),
        ([one.name for one in clients if one.seen.problems], "left out"),
    ):
        if names:
            who = f"{names[0]} was" if len(names) == 1 else f"{so_many(len(names), 'client')} were"
            return Standing(kind="bad", said=f"{who} {what}")
    if runs and runs[-1].ended is None and not runs[-1].is_under_way(now):
        return Standing(kind="bad", said="The last run was killed")
    if letters.total:
        waits = "waits" if letters.total == 1 else "wait"
        return Standing(kind="odd", said=f"{so_many(letters.total, 'dead letter')} {waits} for a person")
    if not runs:
        return Standing(kind="odd", said="Nothing has run yet")
    return Standing(kind="good", said="All is well")


def _waits(clients: Sequence[ClientNow]) -> tuple[int | None, str]:
    """How many orders wait to be told to all clients, None where that cannot be seen; and in which sense."""
    counts = [one.waiting for one in clients if one.waiting is not None]
    if any(one.seen.why for one in clients):
        said = "orders to be told: TracOS does not answer"
    elif any(one.seen.is_at_rest for one in clients):
        said = "orders that the last run did not tell"
    else:
        said = "orders to be told to clients"
    return (sum(counts) if counts else None), said


def _gave_way(runs: Sequence[Run]) -> int:
    return sum(sum(run.gave_way.values()) for run in runs)


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _charts(runs: Sequence[Run], now: datetime) -> list[Chart]:
    """What was done on each of the last seven days (UTC)."""
    days = [(_midnight(now) - timedelta(days=back)).date() for back in range(WEEK - 1, -1, -1)]
    totals: dict[str, defaultdict[date, int]] = {name: defaultdict(int) for name in ("read", "done", "dead", "lost")}
    for run in runs:
        day = run.began.astimezone(UTC).date()
        for flow in run.flows:
            totals["read"][day] += flow.read
            totals["done"][day] += sum(
                count for name, count in flow.outcomes.items() if name not in ("repeat", "stale")
            )
            totals["dead"][day] += sum(flow.dead.values())
        totals["lost"][day] += sum(run.gave_way.values())
    return [
        _week("Read", totals["read"], days),
        _week("Written or sent", totals["done"], days),
        _week("Failed", totals["dead"], days, kind="bad"),
        _week("Gave way", totals["lost"], days),
    ]


def _week(name: str, counts: Mapping[date, int], days: Sequence[date], kind: str = "") -> Chart:
    columns = [Column(f"{day:%a}", counts.get(day, 0), f"{day:%A %d %B} {counts.get(day, 0):,}") for day in days]
    return chart(name, columns, kind=kind)
