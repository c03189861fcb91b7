"""The one connection to MongoDB: made, told how durable writes are, ridden through outages, closed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidDocument
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from msgspec import Struct
from pymongo import InsertOne, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, PyMongoError, WTimeoutError

from pipeline.dataflow.ports import Resource
from pipeline.errors import WrongSettings
from pipeline.tracos.retry import ride_out

__all__ = ["ATTEMPTS", "Collection", "Connection", "Operation", "Written"]

T = TypeVar("T")
Collection: TypeAlias = AsyncIOMotorCollection[dict[str, Any]]
Operation: TypeAlias = InsertOne[dict[str, Any]] | UpdateOne

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

UNFIT: Final = (InvalidDocument, DocumentTooLarge, OverflowError, UnicodeEncodeError)
"""What the driver raises, for a whole command, when one of its documents cannot be encoded."""


class Written(Struct, frozen=True):
    """What became of a bulk write."""

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

    async def bulk_write(self, operations: Sequence[Operation]) -> Written:
        """Do all of ``operations`` that can be done; one that cannot be encoded does not hold up the others."""
        try:
            result = await self.collection.bulk_write(list(operations), ordered=False)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"]:
                raise WTimeoutError("not confirmed in time") from error
            codes = {failed["index"]: failed["code"] for failed in error.details["writeErrors"]}
            return Written(error.details["nMatched"], codes)
        except (*UNFIT, OperationFailure) as error:
            code = error.code if isinstance(error, OperationFailure) else TOO_LARGE
            if code != TOO_LARGE:
                raise
            if len(operations) == 1:
                return Written(0, {0: TOO_LARGE})
            half = len(operations) // 2
            first, second = await self.bulk_write(operations[:half]), await self.bulk_write(operations[half:])
            codes = first.codes | {half + position: code for position, code in second.codes.items()}
            return Written(first.matched + second.matched, codes)
        return Written(result.matched_count, {})

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
