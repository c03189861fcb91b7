"""The one connection to MongoDB: made, told how durable writes are, ridden through outages, closed."""

import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from bson.raw_bson import RawBSONDocument
from loguru import logger
from motor.motor_asyncio import AsyncIOMotorClient
from msgspec import Struct
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import OperationFailure, PyMongoError, WriteConcernError, WTimeoutError
from pymongo.read_concern import ReadConcern

from pipeline.dataflow.ports import Resource
from pipeline.errors import WrongSettings
from pipeline.orders.workorder import ExternalId
from pipeline.tracos.address import Address, durable, read_address, wrong_names
from pipeline.tracos.document import READ
from pipeline.tracos.embedded import why_ended
from pipeline.tracos.found import CODEC, Found, Groups, StoredGroups, key_of, read_batch, split
from pipeline.tracos.indexes import IS_ID, SIMPLE, Collection, Validator, prepare
from pipeline.tracos.operations import Operation, commands, encode_all, join
from pipeline.tracos.outages import ride_out
from pipeline.tracos.verdicts import POISON, Refusal, Verdict, judge

__all__ = ["ATTEMPTS", "TOO_LARGE", "UNSYNCED", "Connection", "Written"]

T = TypeVar("T")

ATTEMPTS: Final = 6
"""An order that somebody edits each time between reading and writing is left for the next run after five misses."""

DEFAULTS: Final[dict[str, Any]] = {
    "appname": "workorder-sync",
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 30_000,
}
"""Where the URI says nothing: no wait without end, and short ones, so that retries and Ctrl-C are quick."""

LEAST_PATIENCE: Final = 6
"""Seconds that a write may take to be confirmed, however short an outage is ridden out: a loaded server is none."""

TOO_LARGE: Final = 10334
"""MongoDB's code for a document over 16 MB; here for whatever cannot be encoded."""

UNSYNCED: Final = {"isSynced": {"$ne": True}}


class Written(Struct, frozen=True):
    """What became of some writes."""

    matched: int
    """How many updates found their document as the guard says."""
    refusals: Mapping[int, Refusal]
    """What MongoDB does not take, by the operation's position."""
    inserted: Mapping[int, bytes] = {}
    """The documents that were inserted, as they are stored; also those that were refused."""


class Connection(Resource):
    """A connection to one collection, whose outages are ridden out for ``retry_seconds``."""

    def __init__(self, uri: str, database: str, collection: str, retry_seconds: float) -> None:
        self._uri = uri
        self._database = database
        self._name = collection
        self._retry_seconds = retry_seconds
        self._client: AsyncIOMotorClient[dict[str, Any]] | None = None
        self._collection: Collection | None = None
        self._validator: Validator | None = None
        self._read: tuple[str, ...] = READ

    def read_too(self, fields: Iterable[str]) -> None:
        """From now on, read these fields of a document too."""
        self._read = tuple(dict.fromkeys((*self._read, *fields)))

    @property
    def collection(self) -> Collection:
        """The collection; only while this is open."""
        if self._collection is None:
            raise RuntimeError("the connection is not open")
        return self._collection

    async def ride_out(self, operation: Callable[[], Awaitable[T]]) -> T:
        """The result of ``operation``, which must be idempotent: it is tried again while MongoDB is away."""
        ended = partial(why_ended, self._uri)
        return await ride_out(operation, seconds=self._retry_seconds, topology=self._topology, ended=ended)

    def _topology(self) -> Any:
        return None if self._client is None else self._client.topology_description

    async def find_numbers(self, numbers: Sequence[ExternalId], *, confirmed: bool = True) -> list[Found]:
        """The documents with these numbers, each exactly as given; also those that cannot be decoded.

        Where they are not ``confirmed``, as the primary has them, and may yet lose them.
        """
        query = {"number": {"$in": numbers, **IS_ID}}
        return await self._find(query, confirmed=confirmed, batch_size=len(numbers))

    async def find_linked(
        self, ids: Sequence[ExternalId], numbers: Sequence[ExternalId], *, confirmed: bool = True
    ) -> list[Found]:
        """The same of the documents that the client calls by these ``ids``, and of those with these numbers."""
        linked: list[Mapping[str, Any]] = [{"sync.id": {"$in": ids, **IS_ID}}]
        numbered = [{"number": {"$in": numbers, **IS_ID}}] if numbers else []
        return await self._find({"$or": [*linked, *numbered]}, confirmed=confirmed)

    async def find_ids(self, ids: Sequence[Any], *, confirmed: bool = True) -> list[Found]:
        """The same of the documents with these ``_id`` s."""
        return await self._find({"_id": {"$in": ids}}, confirmed=confirmed)

    async def raw(self, ids: Sequence[Any]) -> list[bytes]:
        """What we read of the documents with these ``_id`` s, not decoded."""
        found: Any = self.collection.find_raw_batches({"_id": {"$in": ids}}, self._read, collation=SIMPLE)
        return [document async for batch in found for document in split(batch)]

    async def _find(self, query: Mapping[str, Any], *, confirmed: bool, **options: Any) -> list[Found]:
        collection = self.collection if confirmed else self.collection.with_options(read_concern=ReadConcern("local"))
        batches: Any = collection.find_raw_batches(query, self._read, collation=SIMPLE, **options)
        return [found async for batch in batches for found in read_batch(batch)]

    def find_unsynced(self, group: int, numbers: Sequence[ExternalId] | None = None) -> Groups:
        """What the client has not been told of, at most ``group`` documents or 8 MB at a time.

        With ``numbers``, those documents of it alone. Also those that cannot be decoded.
        """
        query = UNSYNCED if numbers is None else {"number": {"$in": numbers, **IS_ID}, **UNSYNCED}
        return StoredGroups(self.collection.find_raw_batches(query, self._read, batch_size=group, collation=SIMPLE))

    def find_all(self, group: int, *, start: Sequence[Any] = ()) -> Groups:
        """All documents along their ``_id`` s, of whatever types, from the one ``start`` on, where there is one.

        Groups as those of ``find_unsynced``. ``{"_id": {"$gt": ...}}`` would find those of one type alone.
        """
        cursor: Any = self.collection.find_raw_batches({}, self._read, batch_size=group).hint([("_id", 1)])
        return StoredGroups(cursor.min([("_id", start[0])]) if start else cursor)

    async def prepare(self) -> None:
        """See that writes can be relied on, refuse twins, and make the indexes where they are missing."""
        await self.see_concern()
        self._validator = await prepare(self.collection)

    @property
    def has_validator(self) -> bool:
        """Whether the collection refuses some documents; known once this is prepared."""
        return self._validator is not None

    async def refused(self, ids: Sequence[Any], sets: Mapping[str, Any]) -> set[bytes]:
        """The keys of those of these documents that the collection's validator would refuse with these fields set."""
        if self._validator is None:
            return set()
        stages: list[dict[str, Any]] = [
            {"$match": {"_id": {"$in": ids}}},
            *([{"$match": self._validator.rules}] if self._validator.spares_misfits else []),
            {"$set": {field: {"$literal": value} for field, value in sets.items()}},
            {"$match": {"$nor": [self._validator.rules]}},
            {"$project": {"_id": 1}},
        ]
        return {key_of(one["_id"]) async for one in self.collection.aggregate(stages, collation=SIMPLE)}

    async def count_unsynced(self) -> int:
        """How many documents the client has not been told of."""
        count: int = await self.collection.count_documents(UNSYNCED, collation=SIMPLE)
        return count

    async def write(self, operations: Sequence[Operation]) -> Written:
        """Do all of ``operations`` that can be done; one that cannot does not hold up the others.

        Raw commands of encoded statements: the driver's bulk writes cost twice the time, and fail as a whole when one
        document cannot be encoded. Updates are joined, because to the server a statement costs more than what it does;
        where one of those is refused, which may have done a part of it, its updates are sent one by one: what is done
        already misses then, as an edit by somebody else would make it miss.
        """
        inserts = {at: one.values for at, one in enumerate(operations) if one.verb == "insert"}
        updates = {at: one for at, one in enumerate(operations) if one.verb == "update"}
        _, refusals, inserted = await self._send("insert", inserts)
        joined = join(updates)
        matched, failed, _ = await self._send("update", {at: one.statement for at, one in enumerate(joined)})
        done = {position for at, one in enumerate(joined) if at not in failed for position in one.positions}
        alone = {position: update.statement for position, update in updates.items() if position not in done}
        more, refused, _ = await self._send("update", alone)
        return Written(matched + more, refusals | refused, inserted)

    async def _send(
        self, verb: str, statements: Mapping[int, Mapping[str, Any]]
    ) -> tuple[int, dict[int, Refusal], dict[int, bytes]]:
        """How many documents were met, what was refused, and the statements as they were sent; all by position."""
        count, refusals, sent = 0, dict[int, Refusal](), dict[int, bytes]()
        for position, encoded in zip(statements, encode_all(list(statements.values())), strict=True):
            if encoded is None:
                refusals[position] = Refusal(TOO_LARGE)
            else:
                sent[position] = encoded
        for part in commands(sent):
            met, refused = await self._command(verb, part)
            count, refusals = count + met, refusals | refused
        return count, refusals, sent

    async def _command(self, verb: str, statements: Mapping[int, bytes]) -> tuple[int, dict[int, Refusal]]:
        """How many documents were met, and what was refused.

        One that is refused as a whole, for what only one of its statements can be at fault for, is halved until
        that is found.
        """
        collection = self.collection
        command = {
            verb: collection.name,
            "documents" if verb == "insert" else "updates": list(map(RawBSONDocument, statements.values())),
            "ordered": False,
            "writeConcern": collection.write_concern.document,
        }
        try:
            reply = await collection.database.command(command)
        except OperationFailure as error:
            if error.code not in POISON:
                raise
            return await self._halves(verb, statements, error)
        if unconfirmed := reply.get("writeConcernError"):
            late = unconfirmed.get("errInfo", {}).get("wtimeout")
            kind = WTimeoutError if late else WriteConcernError
            raise kind(unconfirmed.get("errmsg", ""), unconfirmed["code"], unconfirmed)
        positions = list(statements)
        refusals = {positions[failed["index"]]: Refusal.of(failed) for failed in reply.get("writeErrors", ())}
        for failed in reply.get("writeErrors", ()):
            if judge(failed["code"], labels=failed.get("errorLabels", ()), alone=True) is not Verdict.ORDER:
                raise OperationFailure(failed["errmsg"], failed["code"], failed)
        return reply["n"], refusals

    async def _halves(
        self, verb: str, statements: Mapping[int, bytes], error: OperationFailure
    ) -> tuple[int, dict[int, Refusal]]:
        positions = list(statements)
        if len(positions) == 1:
            return 0, {positions[0]: Refusal.of(error.details or {})}
        done, refusals = 0, dict[int, Refusal]()
        for half in (positions[: len(positions) // 2], positions[len(positions) // 2 :]):
            more, refused = await self._command(verb, {position: statements[position] for position in half})
            done, refusals = done + more, refusals | refused
        return done, refusals

    async def open(self) -> None:
        """Make the client; raises WrongSettings for a URI or names that cannot work. Nothing is sent yet.

        What must be fresh is read from the primary, as a majority has it, whatever the URI says.
        """
        address = read_address(self._uri)
        if wrong := wrong_names(self._database, self._name):
            raise WrongSettings(wrong)
        patience = {"serverSelectionTimeoutMS": min(5_000, max(250, int(self._retry_seconds * 1000)))}
        defaults = {name: value for name, value in (DEFAULTS | patience).items() if name.lower() not in address.options}
        concern, _ = durable(address.options, _patience(address, self._retry_seconds))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they tell of options is told by us, or harmless
                client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(address.uri, **defaults)
        except (PyMongoError, ValueError, TypeError, OSError) as error:
            raise WrongSettings([f"MONGO_URI: the driver cannot work with it ({type(error).__name__})"]) from error
        self._client = client
        self._collection = client[self._database].get_collection(
            self._name,
            codec_options=CODEC,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern(**concern),
        )

    async def see_concern(self) -> None:
        """See that writes wait for a majority, where the URI says otherwise; to be called before the first write."""
        address = read_address(self._uri)
        members = 1
        if isinstance(address.options.get("w"), int):
            hello = await self.collection.database.client.admin.command("hello")
            members = sum(len(hello.get(kind, ())) for kind in ("hosts", "passives", "arbiters"))
        concern, raised = durable(address.options, _patience(address, self._retry_seconds), members)
        if raised:
            logger.warning(
                "MONGO_URI: {} would lose orders when a server fails: writes wait for a majority and the journal",
                " and ".join(raised),
            )
        self._collection = self.collection.with_options(write_concern=WriteConcern(**concern))

    async def close(self) -> None:
        """Give the sockets back."""
        if self._client is not None:
            self._client.close()
        self._client = self._collection = None


def _patience(address: Address, retry_seconds: float) -> float:
    """How long a reply is waited for, in seconds: no longer than the driver does, and than an outage is ridden out."""
    said = {"sockettimeoutms": DEFAULTS["socketTimeoutMS"] / 1000, **address.options}
    drivers: list[float] = [said[name] for name in ("sockettimeoutms", "timeoutms") if said.get(name)]
    return min([*drivers, max(retry_seconds, LEAST_PATIENCE)])
