"""The one connection to MongoDB: made, told how durable writes are, ridden through outages, closed."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeVar

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from msgspec import Struct
from pymongo import WriteConcern
from pymongo.errors import PyMongoError, WTimeoutError

from pipeline.dataflow.ports import Resource
from pipeline.errors import WrongSettings
from pipeline.orders.workorder import ExternalId
from pipeline.tracos.document import READ
from pipeline.tracos.indexes import Collection, prepare
from pipeline.tracos.outages import ride_out

__all__ = ["ATTEMPTS", "Connection", "Cursor", "Operation", "Written"]

T = TypeVar("T")

ATTEMPTS: Final = 6
"""An order that somebody edits each time between reading and writing is left for the next run after five misses."""

DEFAULTS: Final[dict[str, Any]] = {
    "appname": "workorder-sync",
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 30_000,
}
"""Where the URI says nothing: no wait without end, and short ones, so that retries and Ctrl-C are quick."""

DURABLE: Final[dict[str, Any]] = {"w": "majority", "j": True, "wtimeout": 30_000}
"""Where the URI says nothing: with less, acknowledged writes are lost when a server is killed."""


TOO_LARGE: Final = 10334
"""MongoDB's code for a document over 16 MB; here for whatever cannot be encoded."""

UNFIT: Final = (InvalidDocument, OverflowError, UnicodeEncodeError)
"""What encoding a document raises."""

COMMAND_BYTES: Final = 16 * 1024 * 1024
"""What the statements of one raw command may have in all; the server allows 16 KB more."""


UNSYNCED: Final = {"isSynced": {"$ne": True}}


class Cursor(Protocol):
    """What is left of a query, in groups."""

    def to_list(self, length: int, /) -> Awaitable[list[dict[str, Any]]]:
        """At most ``length`` documents more; none at the end."""

    def close(self) -> Awaitable[None]:
        """Give back what the server holds."""


class Operation(Struct, frozen=True, gc=False):
    """One write: a document to insert, or a statement ``{"q": guard, "u": changes}``."""

    verb: Literal["insert", "update"]
    statement: Mapping[str, Any]

    @classmethod
    def insert(cls, document: Mapping[str, Any]) -> "Operation":
        """Insert ``document``."""
        return cls("insert", document)

    @classmethod
    def update(cls, guard: Mapping[str, Any], sets: Mapping[str, Any]) -> "Operation":
        """Set fields of the one document that still is as ``guard`` says."""
        return cls("update", {"q": guard, "u": {"$set": sets}})


class Written(Struct, frozen=True):
    """What became of some writes."""

    matched: int
    """How many updates found their document as the guard says."""
    codes: dict[int, int]
    """MongoDB's error codes, by the operation's position."""


class Connection(Resource):
    """A connection to one collection, whose outages are ridden out for ``retry_seconds``."""

    def __init__(self, uri: str, database: str, collection: str, retry_seconds: float) -> None:
        self._uri = uri
        self._database = database
        self._name = collection
        self._retry_seconds = retry_seconds
        self._client: AsyncIOMotorClient[dict[str, Any]] | None = None
        self._collection: Collection | None = None

    @property
    def collection(self) -> Collection:
        """The collection; only while this is open."""
        if self._collection is None:
            raise RuntimeError("the connection is not open")
        return self._collection

    async def ride_out(self, operation: Callable[[], Awaitable[T]]) -> T:
        """The result of ``operation``, which must be idempotent: it is tried again while MongoDB is away."""
        return await ride_out(operation, seconds=self._retry_seconds)

    async def prepare(self) -> None:
        """Refuse twins, and make the indexes where they are missing."""
        await prepare(self.collection)

    async def with_numbers(self, numbers: Sequence[ExternalId]) -> list[dict[str, Any]]:
        """The documents with these numbers, each exactly as given."""
        query = {"number": {"$in": numbers}}
        documents: list[dict[str, Any]]
        documents = await self.collection.find(query, READ, batch_size=len(numbers)).to_list(None)
        return documents

    async def with_ids(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """The documents with these ``_id`` s."""
        documents: list[dict[str, Any]] = await self.collection.find({"_id": {"$in": ids}}, READ).to_list(None)
        return documents

    def unsynced(self, group: int, numbers: Sequence[ExternalId] | None = None) -> "Cursor":
        """A cursor over what the client has not been told of; with ``numbers``, over those documents of it alone."""
        query = UNSYNCED if numbers is None else {"number": {"$in": numbers}, **UNSYNCED}
        return self.collection.find(query, READ, batch_size=group)

    async def count_unsynced(self) -> int:
        """How many documents the client has not been told of."""
        count: int = await self.collection.count_documents(UNSYNCED)
        return count

    async def write(self, operations: Sequence[Operation]) -> Written:
        """Do all of ``operations`` that can be done; one that cannot does not hold up the others.

        Raw commands of statements encoded one by one: the driver's bulk writes cost twice the time, and fail as a whole
        when one document cannot be encoded.
        """
        matched, codes = 0, {}
        encoded: dict[str, dict[int, bytes]] = {"insert": {}, "update": {}}
        for position, operation in enumerate(operations):
            try:
                statement = bson.encode(operation.statement)
            except UNFIT:
                codes[position] = TOO_LARGE
                continue
            if len(statement) > COMMAND_BYTES:
                codes[position] = TOO_LARGE
            else:
                encoded[operation.verb][position] = statement
        for verb, statements in encoded.items():
            for chunk in _chunks(statements):
                done, failed = await self._command(verb, [RawBSONDocument(statements[position]) for position in chunk])
                matched += done if verb == "update" else 0
                codes |= {chunk[index]: code for index, code in failed.items()}
        return Written(matched, codes)

    async def _command(self, verb: str, statements: list[RawBSONDocument]) -> tuple[int, dict[int, int]]:
        """How many documents were met, and the codes of the statements that failed."""
        collection = self.collection
        command = {
            verb: collection.name,
            "documents" if verb == "insert" else "updates": statements,
            "ordered": False,
            "writeConcern": collection.write_concern.document,
        }
        reply = await collection.database.command(command)
        if "writeConcernError" in reply:
            raise WTimeoutError("not confirmed in time")
        return reply["n"], {failed["index"]: failed["code"] for failed in reply.get("writeErrors", ())}

    async def open(self) -> None:
        """Make the client; raises WrongSettings for a URI that cannot work. Nothing is sent yet."""
        said = self._uri.partition("?")[2].lower()
        patience = {"serverSelectionTimeoutMS": min(5_000, max(250, int(self._retry_seconds * 1000)))}
        defaults = {option: value for option, value in (DEFAULTS | patience).items() if option.lower() not in said}
        try:
            client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(self._uri, **defaults)
            concern = WriteConcern(**(client.write_concern.document or DURABLE))
        except (PyMongoError, ValueError, TypeError) as error:
            raise WrongSettings(
                [f"MONGO_URI: not a MongoDB URI such as mongodb://host:27017 ({type(error).__name__})"]
            ) from error
        if not concern.acknowledged:
            client.close()
            raise WrongSettings(["MONGO_URI: w=0 leaves writes unacknowledged, so that no edit is safe; leave it out"])
        codec: CodecOptions[dict[str, Any]] = CodecOptions(
            tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
        )
        self._client = client
        self._collection = client[self._database].get_collection(self._name, codec_options=codec, write_concern=concern)

    async def close(self) -> None:
        """Give the sockets back."""
        if self._client is not None:
            self._client.close()
        self._client = self._collection = None


def _chunks(encoded: Mapping[int, bytes]) -> Iterator[list[int]]:
    """The positions, in lists that one command can hold."""
    chunk: list[int] = []
    size = 0
    for position, statement in encoded.items():
        if chunk and size + len(statement) > COMMAND_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(position)
        size += len(statement)
    if chunk:
        yield chunk
