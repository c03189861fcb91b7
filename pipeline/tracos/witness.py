"""Whether TracOS still knows the records that were delivered to it: told from the documents that took them."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import bson
import msgspec
from bson import ObjectId
from bson.regex import Regex
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope
from pipeline.dataflow.ports import Witness
from pipeline.errors import Rejected
from pipeline.orders.memory import Arrival, SyncState
from pipeline.orders.merge import known_by
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import Moment, Record
from pipeline.tracos.connection import Connection
from pipeline.tracos.document import read_document
from pipeline.tracos.found import CODEC

__all__ = ["TracosWitness"]

GROUP: Final = 2000

OBJECT_ID: Final = b"\x07\0"
"""How the key of an ObjectId begins: its BSON type, and an empty name."""
OBJECT_ID_BYTES: Final = len(OBJECT_ID) + 12


class _Proof(Struct, frozen=True, array_like=True, gc=False):
    """Which document took a record, and what the rules of the merge know the record by."""

    id: bytes
    """The document's key."""
    locator: str
    hash: str
    version: Moment | None = None
    arrival: Arrival | None = None
    print: bytes = b""
    """Of the document, as it was when it last was seen to know the record: the same document still does."""

    def holds(self, sync: SyncState | None) -> bool:
        """Whether a document with this ``sync`` part finds the record to be a repeat, or stale."""
        known = sync.received if sync is not None else None
        return known is not None and known_by(known, self.locator, self.hash, self.version, self.arrival) is not None


_PROOFS: Final = msgspec.msgpack.Decoder(_Proof)
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class TracosWitness(Witness):
    """Looks at the documents themselves, so that it is never wrong, however the database was changed or exchanged.

    A proof holds as long as the merge would find its record to be a repeat or stale, and write nothing. With ``anew``
    none holds, so that everything is read again.
    """

    def __init__(self, connection: Connection, terms: Terms, *, anew: bool = False) -> None:
        self.vouches = not anew
        self._connection = connection
        self._terms = terms
        self._is_asked = False
        self._proofs: dict[Locator, bytes] = {}

    def attend(self) -> None:
        """From now on, keep a proof of each record that is delivered until it is taken."""
        self._is_asked = True

    @property
    def is_attended(self) -> bool:
        """Whether somebody takes the proofs."""
        return self._is_asked

    def keep(self, proofs: Mapping[Locator, bytes]) -> None:
        """These were delivered elsewhere, where these proofs were made."""
        self._proofs.update(proofs)

    def note(
        self, item: Envelope[Record], document_id: Any, digest: str, sync: SyncState, encoded: bytes | None = None
    ) -> None:
        """The record was taken by the document, which has this ``sync`` part now; ``encoded``: and is all of this."""
        known = sync.received if self._is_asked else None
        if known is None:
            return
        version = item.payload.order.version
        if known_by(known, str(item.locator), digest, version, item.arrival) is not None:
            self.note_known(item, document_id, digest, encoded)

    def note_known(self, item: Envelope[Record], document_id: Any, digest: str, encoded: bytes | None = None) -> None:
        """The same where the record is the newest that the document has taken from its place: it is known then."""
        if self._is_asked:
            locator, version = item.locator, item.payload.order.version
            mark = b"" if encoded is None else _print(encoded)
            proof = (_key_of(document_id), str(locator), digest, version, item.arrival, mark)
            self._proofs[locator] = _ENCODE(proof)

    def take(self, locators: Sequence[Locator]) -> Sequence[bytes | None]:
        """The proofs of these records; each is given once."""
        return [self._proofs.pop(locator, None) for locator in locators]

    async def hold(self, proofs: Sequence[bytes]) -> Sequence[bytes | None]:
        """By position, the proof to keep from now on; None where the record is not known now as it was then."""
        if not self.vouches:
            return [None] * len(proofs)
        answers: list[bytes | None] = []
        groups = [proofs[start : start + GROUP] for start in range(0, len(proofs), GROUP)]
        looking = [asyncio.ensure_future(self._look(group)) for group in groups[:1]]
        try:
            for number, group in enumerate(groups):
                looking += [asyncio.ensure_future(self._look(after)) for after in groups[number + 1 : number + 2]]
                known, found = await looking.pop(0)
                answers += map(self._answer, group, known, [found.get(one.id) for one in known])
        finally:
            for look in looking:
                look.cancel()
        return answers

    async def _look(self, proofs: Iterable[bytes]) -> tuple[Sequence[_Proof], Mapping[bytes, bytes]]:
        """The proofs, and the documents that they name, by key."""
        known = [_proof(proof) for proof in proofs]
        ids = [_id_of(key) for key in dict.fromkeys(proof.id for proof in known) if key]
        return known, {_key(raw): raw for raw in await self._connection.ride_out(lambda: self._connection.raw(ids))}

    def _answer(self, kept: bytes, proof: _Proof, raw: bytes | None) -> bytes | None:
        if raw is None:
            return None
        now = _print(raw)
        if now == proof.print:
            return kept
        try:
            document: dict[str, Any] = bson.decode(raw, CODEC)
            sync = read_document(document, self._terms).sync
        except (Rejected, bson.InvalidBSON):
            return None
        return _ENCODE(replace(proof, print=now)) if proof.holds(sync) else None


def _proof(proof: bytes) -> _Proof:
    """One of no document for what is no proof of ours."""
    try:
        return _PROOFS.decode(proof)
    except (ValueError, RecursionError):
        return _Proof(b"", "", "")


def _print(raw: bytes) -> bytes:
    return hashlib.sha1(raw, usedforsecurity=False).digest()[:8]


def _key_of(document_id: Any) -> bytes:
    """The ``_id`` with its type."""
    if type(document_id) is ObjectId:
        return OBJECT_ID + document_id.binary
    return bson.encode({"": document_id})[4:-1]


def _key(raw: bytes) -> bytes:
    """The key of a document, whose ``_id`` is nearly always the first of it and an ObjectId."""
    if raw[4:9] == b"\x07_id\0":
        return OBJECT_ID + raw[9:21]
    return _key_of(bson.decode(raw, CODEC.with_options(unicode_decode_error_handler="ignore"))["_id"])


def _id_of(key: bytes) -> Any:
    if key[:2] == OBJECT_ID and len(key) == OBJECT_ID_BYTES:
        return ObjectId(key[2:])
    try:
        document_id = bson.decode((len(key) + 5).to_bytes(4, "little") + key + b"\0", CODEC)[""]
    except (bson.InvalidBSON, KeyError):
        return None
    return document_id if _is_name(document_id) else None


def _is_name(document_id: Any) -> bool:
    """Whether a document can be called so: else a look-up would take it for a condition, and refuse all with it."""
    if isinstance(document_id, Mapping):
        return not any(key.startswith("$") for key in document_id)
    return not isinstance(document_id, Regex | list)
