"""Restore what gave way: find the conflict that is meant, and have its value set again."""

import asyncio
from pathlib import Path

from pipeline.dataflow.run import Report
from pipeline.errors import WrongUsage
from pipeline.history.conflicts import Conflict, conflicts_in
from pipeline.history.decisions import Change, read_order
from pipeline.orders.terms import Authority
from pipeline.orders.workorder import id_key
from pipeline.service.run import Work
from pipeline.service.session import Session

__all__ = ["Restoring", "find_conflict"]


def find_conflict(path: Path, number: str, field: str, client: str | None = None) -> Conflict:
    """The conflict of an order's field that gave way last, in the decision log at ``path``.

    Raises WrongUsage where there is none, and where several clients have one and none of them is named.
    """
    key = id_key(number)
    found = [
        one
        for one in conflicts_in(read_order(path, number)[0])
        if id_key(one.number) == key and client in (None, one.client)
    ]
    meant = [one for one in found if one.field == field]
    if not meant:
        of_client = f" of the client {client}" if client else ""
        others = ", ".join(sorted({one.field for one in found}))
        instead = f"there is {others}" if others else "`conflicts list` shows what there is"
        raise WrongUsage(f"order {number}{of_client}: {path} tells of no {field} that gave way; {instead}")
    clients = sorted({one.client for one in meant})
    if len(clients) > 1:
        raise WrongUsage(f"order {number}: a {field} gave way in several clients: say --client {' or '.join(clients)}")
    return meant[0]


class Restoring(Work):
    """Has the value of ``conflict`` set again, as a new edit in TracOS."""

    def __init__(self, conflict: Conflict) -> None:
        self.conflict = conflict
        self.clients = {conflict.client}
        self.change: Change | None = None
        """What was written, once it is."""
        self.next = ""
        """What becomes of it then."""

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Set it; raises WrongUsage where the next run would only set it back."""
        terms, one = session.client.terms, self.conflict
        if terms.authority_of(one.field) == Authority.CLIENT:
            raise WrongUsage(
                f"order {one.number}: {one.client} has the say in {one.field}, and the next run would set it back: "
                "nothing was set; change it there, or change the client's `authority`"
            )
        async with session.tracos(uri) as tracos:
            self.change = await tracos.restore(terms, one)
        is_told = "outbound" in session.flows
        self.next = f"the next run tells {one.client}" if is_told else f"its direction leaves it untold to {one.client}"
