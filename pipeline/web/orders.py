"""An order by its number: what happened to it, what both sides hold now; and a value that gave way, set again."""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pipeline.disk import in_thread
from pipeline.errors import Fatal
from pipeline.history.conflicts import Conflict, conflicts_in, newest_conflicts
from pipeline.history.decisions import Entry, read_order
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.looking import Both, look_at_both
from pipeline.service.session import Sessions
from pipeline.web.site import Site, told

__all__ = ["Orders"]

STORY: Final = 200
"""So many entries are shown, the newest."""
CONFLICTS: Final = 100
LONGEST: Final = 500
"""A number longer than this is none."""
ANSWER_SECONDS: Final = 3.0


class Orders:
    """The pages of orders, and of what gave way in them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """The form, and the order whose number it sent."""
        number = request.query_params.get("number", "").strip()[:LONGEST]
        if not number:
            return self._site.html("orders.html", place="orders", told=told(request))
        entries, keys = await in_thread(read_order, self._site.settings.data_decision_log, number)
        letters = [
            filed
            for filed in (await self._site.known.letters()).letters
            if filed.letter.id is not None and id_key(filed.letter.id) in keys
        ]
        is_asked = "now" in request.query_params
        both, why = await self._both(number, keys, is_asked=is_asked)
        return self._site.html(
            "order.html",
            place="orders",
            told=told(request),
            number=number,
            entries=entries[: -STORY - 1 : -1],
            total=len(entries),
            letters=letters,
            both=both,
            why=why,
            restorable=_restorable(entries),
        )

    async def _both(self, number: str, keys: set[ExternalId], *, is_asked: bool) -> tuple[Sequence[Both] | None, str]:
        """What both sides hold, or None, and why it is not known; without words where nobody has asked yet."""
        doors = self._site.doors
        try:
            if doors.uri:
                return await asyncio.wait_for(self._look(doors.uri, keys), ANSWER_SECONDS), ""
            return (await doors.look(number), "") if is_asked else (None, "")
        except (TimeoutError, Fatal) as error:
            return None, str(error) or "TracOS takes its time to answer: reload to ask it again"

    async def _look(self, uri: str, keys: set[ExternalId]) -> list[Both]:
        sessions = await in_thread(Sessions, self._site.settings)
        found = await asyncio.gather(*(look_at_both(session, uri, keys) for session in sessions))
        return [one for of_client in found for one in of_client]

    async def conflicts(self, request: Request) -> Response:
        """What gave way, newest first."""
        found, is_all = await in_thread(newest_conflicts, self._site.settings.data_decision_log, CONFLICTS)
        return self._site.html(
            "conflicts.html",
            place="conflicts",
            told=told(request),
            conflicts=found,
            is_all=is_all,
            restorable=_newest_of_each(found),
        )

    async def restore(self, request: Request) -> Response:
        """Set the value again that gave way last of an order's field."""
        form = await self._site.form(request)
        number, field = form.get("number", ""), form.get("field", "")
        said = await self._site.doors.restore(form.get("client", ""), number, field)
        where = "orders" if form.get("from") == "order" else "conflicts"
        more = {"number": number} if where == "orders" else {}
        return self._site.to(where, "told" if said.startswith("the next run tells") else "untold", **more)


def _restorable(entries: Sequence[Entry]) -> list[Conflict]:
    """The conflicts of an order that can be restored: of each field the one that gave way last."""
    found = conflicts_in(entries)
    places = _newest_of_each(found)
    return [one for at, one in enumerate(found) if at in places]


def _newest_of_each(found: Sequence[Conflict]) -> set[int]:
    """Where, in conflicts that are sorted newest first, those are that gave way last of their field, and stayed so."""
    seen, places = set(), set()
    for at, one in enumerate(found):
        what = (one.client, id_key(one.number), one.field)
        if what not in seen and one.restored is None:
            places.add(at)
        seen.add(what)
    return places
