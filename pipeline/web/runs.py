"""The last runs, one run, and the run that is under way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.history.journal import FlowCounts, Run
from pipeline.web.charts import Chart, Column, chart
from pipeline.web.site import Site, told
from pipeline.web.words import NONE, number, took

__all__ = ["Counted", "Progress", "Runs", "counted", "progress"]

SHOWN: Final = 50
CHARTED: Final = 40
WIDE: Final = 960.0
"""How wide the chart of the runs is drawn."""


class Counted(Struct, frozen=True, kw_only=True):
    """A run, and what it did in all of its flows."""

    run: Run
    read: int
    dead: int
    outcomes: Mapping[str, int]
    is_under_way: bool

    @property
    def ending(self) -> str:
        """How it ended, for a person."""
        return self.run.ending or ("under way" if self.is_under_way else "killed, or held up")

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look at how it ended."""
        return self.run.ending != "finished" and not self.is_under_way


class Flow(Struct, frozen=True, kw_only=True):
    """How far one flow of a run has come, where it is known how far it is to go."""

    flow: str
    done: int
    total: int
    said: str


class Progress(Struct, frozen=True, kw_only=True):
    """A run that is under way."""

    run: str
    command: str
    began: datetime
    texts: Mapping[str, str]
    """What changes while it is, by name."""
    flows: Sequence[Flow]


class Runs:
    """The pages of the runs."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """The last of them."""
        now = datetime.now(UTC)
        runs, is_all = await self._site.known.runs()
        last = [counted(run, now) for run in runs[-SHOWN:]]
        return self._site.html(
            "runs.html",
            is_live=True,
            place="runs",
            told=told(request),
            runs=last[::-1],
            chart=_chart(last[-CHARTED:]),
            under_way=[progress(run, now) for run in runs if run.is_under_way(now)],
            is_all=is_all and len(runs) <= SHOWN,
        )

    async def one(self, request: Request) -> Response:
        """One of them."""
        now, wanted = datetime.now(UTC), request.path_params["id"]
        runs, _ = await self._site.known.runs()
        run = next((run for run in runs if run.run == wanted), None)
        if run is None:
            raise HTTPException(
                404, "this run is not among the newest ones; `workorder-sync history --last 1000` may tell"
            )
        return self._site.html(
            "run.html",
            is_live=run.is_under_way(now),
            place="runs",
            one=counted(run, now),
            under_way=[progress(run, now)] if run.is_under_way(now) else [],
        )


def counted(run: Run, now: datetime) -> Counted:
    """What a run did, in all of its flows."""
    outcomes = Counter[str]()
    for flow in run.flows:
        outcomes.update(flow.outcomes)
    return Counted(
        run=run, read=_read(run.flows), dead=_dead(run.flows), outcomes=outcomes, is_under_way=run.is_under_way(now)
    )


def progress(run: Run, now: datetime) -> Progress:
    """How far a run is, as it told last."""
    told = run.told or run.began
    read, seconds = _read(run.flows), (told - run.began).total_seconds()
    texts = {
        "read": number(read),
        "dead": number(_dead(run.flows)),
        "rate": f"{read / seconds:,.0f}" if seconds > 0 else NONE,
        "since": took(now - run.began),
        "told": took(now - told),
        "flow": run.flows[-1].flow if run.flows else "starting",
    }
    flows = [_flow(flow) for flow in run.flows if flow.total]
    texts |= {one.flow: one.said for one in flows}
    return Progress(run=run.run, command=run.command, began=run.began, texts=texts, flows=flows)


def _flow(flow: FlowCounts) -> Flow:
    total = max(flow.total or 0, flow.done)
    said = f"{flow.done:,} of {total:,} {flow.unit}"
    return Flow(flow=flow.flow, done=flow.done, total=total, said=said)


def _read(flows: Sequence[FlowCounts]) -> int:
    return sum(flow.read for flow in flows)


def _dead(flows: Sequence[FlowCounts]) -> int:
    return sum(sum(flow.dead.values()) for flow in flows)


def _chart(runs: Sequence[Counted]) -> Chart:
    """A bar a run, oldest first: what it read, and how much of that died."""
    columns = [
        Column(
            f"{one.run.began:%H:%M}" if at % 5 == 0 else "",
            one.read,
            f"{one.run.began:%d %b %H:%M} {one.read:,} read, {one.dead:,} dead",
            bad=min(one.dead, one.read),
        )
        for at, one in enumerate(runs)
    ]
    return chart("Records read by run", columns, width=WIDE)
