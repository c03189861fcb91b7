"""Intents: before a client that numbers its orders itself is told of a new one, its document says so, durably.

The client may make the order and its answer be lost, or we be killed. Then the document still says that, and under
which key the client was asked, so that the next run finds the order instead of having another one made.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from pipeline.errors import Reason, Rejected
from pipeline.orders.memory import SyncState, said
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import Intent
from pipeline.tracos.clock import now
from pipeline.tracos.connection import Connection
from pipeline.tracos.document import guard, stored
from pipeline.tracos.found import Found
from pipeline.tracos.marks import understood
from pipeline.tracos.operations import Operation

__all__ = ["Intents"]

KEY_BYTES: Final = 16


class Intents:
    """Writes intents, and tells those of this run from older ones."""

    def __init__(self, connection: Connection, terms: Terms) -> None:
        self._connection = connection
        self._terms = terms
        self._ours: set[str] = set()

    def is_new(self, sync: SyncState | None) -> bool:
        """Whether the intent was made in this run, so that the client cannot have been told of it before."""
        return sync is not None and sync.intent is not None and sync.intent.key in self._ours

    async def made_known(self, found: Sequence[Found]) -> tuple[list[Found], Mapping[bytes, Reason]]:
        """These documents once each that is not linked has an intent, and, by key, why some cannot have one.

        Left out are those that somebody edited meanwhile: the next run tells of them.
        """
        operations: list[Operation] = []
        bare: list[bytes] = []
        for one in found:
            sync = self._intended(one)
            if sync is not None and sync.intent is not None:
                sets = {"sync": stored(sync)}
                operations.append(Operation.update(guard(one.readable, self._terms.fields), sets))
                bare.append(one.key)
                self._ours.add(sync.intent.key)
        if not operations:
            return list(found), {}
        written = await self._connection.ride_out(lambda: self._connection.write(operations))
        refused = {bare[position]: refusal.reason for position, refusal in written.refusals.items()}
        waiting = frozenset(bare)
        ids = [one.readable["_id"] for one in found if one.key in waiting]
        after = {one.key: one for one in await self._connection.ride_out(lambda: self._connection.find_ids(ids))}
        latest = [after.get(one.key) if one.key in waiting else one for one in found]
        kept = [one for one in latest if one is not None and (one.key in refused or self._is_told(one, waiting))]
        return kept, refused

    def _intended(self, found: Found) -> SyncState | None:
        """What its document is to remember; None where it is linked, or has an intent, or cannot be understood."""
        if found.linked_to is not None:  # nearly all are, and need not be understood for that
            return None
        try:
            current = understood(found, self._terms)
        except Rejected:
            return None
        sync = current.sync
        if sync is not None and (sync.id is not None or sync.intent is not None):
            return None
        sync = sync or SyncState(client=self._terms.client, id=None, layout=self._terms.default_layout)
        intent = Intent(secrets.token_hex(KEY_BYTES), now(), said(current.order.values))
        return replace(sync, rev=sync.rev + 1, intent=intent)

    def _is_told(self, found: Found, waiting: Collection[bytes]) -> bool:
        """Whether the client may be told of it now: where an intent had to be written, it is there."""
        if found.key not in waiting:
            return True
        if found.readable.get("isSynced") is True:
            return False
        try:
            return self.is_new(understood(found, self._terms).sync)
        except Rejected:
            return True
