"""Whether TracOS still knows the records that were delivered to it: told from the documents that took them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import bson
import msgspec
from msgspec import Struct

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope
from pipeline.dataflow.ports import Witness
from pipeline.errors import Rejected
from pipeline.orders.memory import Arrival, SyncState
from pipeline.orders.merge import known_by
from pipeline.orders.workorder import Record
from pipeline.tracos.connection import Connection
from pipeline.tracos.document import read_document
from pipeline.tracos.found import CODEC

__all__ = ["TracosWitness"]

GROUP: Final = 1000


class _Proof(Struct, frozen=True, array_like=True, gc=False):
    """Which document took a record, and what the rules of the merge know the record by."""

    id: bytes
    """The document's ``_id`` as BSON."""
    locator: str
    hash: str
    version: datetime | None = None
    arrival: Arrival | None = None

    def holds(self, sync: SyncState | None) -> bool:
        """Whether a document with this ``sync`` part finds the record to be a repeat, or stale."""
        known = sync.received if sync is not None else None
        return known is not None and known_by(known, self.locator, self.hash, self.version, self.arrival) is not None


_PROOFS: Final = msgspec.msgpack.Decoder(_Proof)
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class TracosWitness(Witness):
    """Looks at the documents themselves, so that it is never wrong, however the database was changed or exchanged.

    A proof holds as long as the merge would find its record to be a repeat or stale, and write nothing.
    """

    def __init__(self, connection: Connection, client: str) -> None:
        self._connection = connection
        self._client = client
        self._is_asked = False
        self._proofs: dict[Locator, bytes] = {}

    def attend(self) -> None:
        """From now on, keep a proof of each record that is delivered until it is taken."""
        self._is_asked = True

    def note(self, item: Envelope[Record], document_id: Any, digest: str, sync: SyncState) -> None:
        """The record was taken by the document, which has this ``sync`` part now."""
        if self._is_asked:
            number = bson.encode({"": document_id})
            proof = _Proof(number, str(item.locator), digest, item.payload.order.version, item.arrival)
            if proof.holds(sync):
                self._proofs[item.locator] = _ENCODE(proof)

    def take(self, locators: Sequence[Locator]) -> Sequence[bytes | None]:
        """The proofs of these records; each is given once."""
        return [self._proofs.pop(locator, None) for locator in locators]

    async def hold(self, proofs: Sequence[bytes]) -> Sequence[bool]:
        """By position, whether the record is known now as it was then."""
        answers: list[bool] = []
        for start in range(0, len(proofs), GROUP):
            group = [_proof(proof) for proof in proofs[start : start + GROUP]]
            found = await self._look({proof.id for proof in group if proof is not None})
            answers += [proof is not None and proof.holds(found.get(proof.id)) for proof in group]
        return answers

    async def _look(self, ids: set[bytes]) -> Mapping[bytes, SyncState | None]:
        """What the documents of these ids remember, by id, as far as they can be understood."""
        wanted = [bson.decode(one, CODEC)[""] for one in ids]
        found: dict[bytes, SyncState | None] = {}
        for one in await self._connection.ride_out(lambda: self._connection.find_ids(wanted)):
            try:
                if one.document is not None:
                    found[bson.encode({"": one.document["_id"]})] = read_document(one.document, self._client).sync
            except Rejected:
                continue
        return found


def _proof(proof: bytes) -> _Proof | None:
    """None for what is no proof of ours."""
    try:
        return _PROOFS.decode(proof)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
