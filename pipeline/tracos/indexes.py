"""Keep numbers unique: refuse a collection that has twins or keeps no promise, make the indexes that are missing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from loguru import logger
from motor.motor_asyncio import AsyncIOMotorCollection
from msgspec import Struct
from pymongo import IndexModel
from pymongo.collation import Collation
from pymongo.errors import DuplicateKeyError, NetworkTimeout, OperationFailure, WTimeoutError

from pipeline.errors import Fatal, See
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.tracos.found import UNCONFIRMED

__all__ = [
    "IS_ID",
    "SIMPLE",
    "Collection",
    "Validator",
    "find_twins",
    "missing",
    "prepare",
    "refuse_twins",
    "refuse_unfit",
]

Collection: TypeAlias = AsyncIOMotorCollection[dict[str, Any]]

IS_ID: Final = {"$type": ["int", "long", "double", "decimal", "string", "symbol"]}
"""What a number is that may equal an id; look-ups say so, because the index holds nothing else."""

SIMPLE: Final = Collation(locale="simple")
"""For whatever is looked up or guarded: a collection's own collation may take orders that differ for equal."""

NUMBER: Final = {"number": 1}
LINK: Final = {"sync.id": 1}
"""Keeps two documents from being one order of the client's, and finds them by it."""

UNSYNCED: Final = {"isSynced": 1, "_id": 1}
"""Serves the outbound query: ``$ne: true`` reads only the unsynced part of it."""

IDS: Final = {"number": IS_ID}
"""What the unique index holds: null is no number, and drafts may have it."""

LINKS: Final = {"sync.id": IS_ID}
"""What the unique index of the client's ids holds."""

OLD: Final = {"number": {"$exists": True}}
"""What the unique index of version 1 holds: with it, only one document may have the number null."""

IN_THE_WAY: Final = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict."""

UNAUTHORIZED: Final = 13
NO_COLLECTION: Final = 26
NO_INDEX: Final = 27
UNKNOWN_FIELD: Final = frozenset({9, 40415})

SHOWN: Final = 10
CHUNK: Final = 1000


class Index(Struct, frozen=True):
    """One index, as far as it matters here."""

    name: str
    key: Mapping[str, Any]
    filter: Mapping[str, Any] | None
    is_unique: bool
    is_usable: bool
    """Built, not hidden, and of the simple collation."""
    is_being_built: bool = False

    @property
    def keeps_ids_unique(self) -> bool:
        """Whether it keeps every number unique that is an id."""
        return self._serves(NUMBER) and self.is_unique and self.filter in (None, IDS, OLD)

    @property
    def keeps_links_unique(self) -> bool:
        """Whether it keeps every id of the client's unique."""
        return self._serves(LINK) and self.is_unique and self.filter in (None, LINKS)

    @property
    def finds_unsynced(self) -> bool:
        """Whether the outbound query can go along it."""
        return self._serves(UNSYNCED) and self.filter is None

    def _serves(self, key: Mapping[str, Any]) -> bool:
        return self.is_usable and list(self.key.items()) == list(key.items())


class Validator(Struct, frozen=True):
    """What a collection demands of its documents."""

    rules: Mapping[str, Any]
    spares_misfits: bool
    """Documents that break them already may do so for ever."""


async def prepare(collection: Collection) -> Validator | None:
    """Make the three indexes; raises Fatal for several documents of one number, and for a collection of another kind.

    An index counts once it is built. One that version 1 made is replaced once the new one is built. Returns the
    collection's validator.
    """
    validator = await refuse_unfit(collection)
    before = await _indexes(collection)
    good = [index for index in before if index.keeps_ids_unique]
    old = [index for index in good if index.filter == OLD and index.name == "number_1"]
    if len(good) == len(old):
        await _make_unique(collection, before, replaced=old)
    mixed = await _text_and_integer(collection)
    if mixed:
        raise _twins(mixed)
    if not any(index.keeps_links_unique for index in before):
        await _keep_links_unique(collection, before)
    if not any(index.finds_unsynced for index in before):
        name = _free("isSynced_1__id_1", before)
        model = IndexModel(list(UNSYNCED.items()), name=name, collation=SIMPLE)
        if not await _create(collection, model):
            raise _in_the_way("isSynced, _id", "hidden")
    if len(good) == len(old) and "number" in await missing(collection):
        raise _in_the_way("number", "hidden")
    return validator


async def refuse_unfit(collection: Collection) -> Validator | None:
    """The collection's validator; raises Fatal for what is no plain collection: a view, time series, a capped one."""
    try:
        kinds = await collection.database.list_collections(filter={"name": collection.name})
        found: list[Mapping[str, Any]] = await kinds.to_list(1)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return None
    validator = None
    for kind in found:
        what = {"view": "a view", "timeseries": "a time series"}.get(kind.get("type", ""))
        if kind.get("options", {}).get("capped"):
            what = "capped, and drops its oldest documents"
        if what:
            name = f"{collection.database.name}.{collection.name}"
            raise Fatal(
                f"the collection {name} is {what}: work orders need a plain one; name it in MONGO_COLLECTION",
                see=See.COLLECTION,
            )
        options = kind.get("options", {})
        if options.get("validator") and options.get("validationAction", "error") != "warn":
            validator = Validator(options["validator"], options.get("validationLevel") == "moderate")
    return validator


async def refuse_twins(collection: Collection) -> Validator | None:
    """What ``prepare`` refuses and returns, without making anything."""
    validator = await refuse_unfit(collection)
    twins = await find_twins(collection)
    if twins:
        raise _twins(twins)
    return validator


async def find_twins(collection: Collection) -> list[ExternalId]:
    """The numbers that several documents have; at most a dozen of each kind."""
    return await _same(collection) + await _text_and_integer(collection)


async def missing(collection: Collection) -> list[str]:
    """The fields of the indexes that are not there, not built, or hidden."""
    indexes = await _indexes(collection)
    lacking = []
    if not any(index.keeps_ids_unique for index in indexes):
        lacking.append(", ".join(NUMBER))
    if not any(index.keeps_links_unique for index in indexes):
        lacking.append(", ".join(LINK))
    if not any(index.finds_unsynced for index in indexes):
        lacking.append(", ".join(UNSYNCED))
    return lacking


async def _make_unique(collection: Collection, before: Sequence[Index], *, replaced: Sequence[Index]) -> None:
    name = _free("number_1", before)
    model = IndexModel(list(NUMBER.items()), name=name, unique=True, partialFilterExpression=IDS, collation=SIMPLE)
    try:
        is_made = await _create(collection, model)
    except DuplicateKeyError as error:
        raise _twins(await _same(collection) or [(error.details or {}).get("keyValue", {}).get("number")]) from None
    if not is_made and not replaced:
        raise _in_the_way("number", "hidden, or not unique")
    if not is_made:
        return  # a server before 5.0 takes both for one index in two forms; the old one keeps ids unique, too
    for index in replaced:
        try:
            await collection.drop_index(index.name)
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                logger.warning("the index {} lets only one document have the number null: drop it", index.name)
            elif error.code != NO_INDEX:  # another run was quicker
                raise
        else:
            logger.info("the index {} let only one document have the number null: {} replaces it", index.name, name)


async def _keep_links_unique(collection: Collection, before: Sequence[Index]) -> None:
    name = _free("sync.id_1", before)
    model = IndexModel(list(LINK.items()), name=name, unique=True, partialFilterExpression=LINKS, collation=SIMPLE)
    try:
        is_made = await _create(collection, model)
    except DuplicateKeyError as error:
        shown = (error.details or {}).get("keyValue", {}).get("sync.id")
        raise Fatal(
            f"several documents in TracOS are linked to one order of the client's: sync.id {shown!r}, and perhaps "
            "others; nothing was changed; take `sync` away from all but one of them, then run again",
            see=See.TWINS,
        ) from None
    if not is_made:
        raise _in_the_way("sync.id", "hidden, or not unique")


async def _create(collection: Collection, model: IndexModel) -> bool:
    """Whether the index could be made; waits until it is built, on a majority of the members that vote."""
    hello = await collection.database.client.admin.command("hello")
    quorum: Any = {"commitQuorum": "majority"} if "setName" in hello else {}
    try:
        await collection.create_indexes([model], **quorum)
    except OperationFailure as error:
        if error.code not in IN_THE_WAY:
            raise
        if any(index.is_being_built for index in await _indexes(collection)):  # a run that gave up began it
            raise WTimeoutError("an index is not built", UNCONFIRMED, {"index": model.document["name"]}) from error
        return False
    except NetworkTimeout as error:
        raise WTimeoutError("an index is not built", UNCONFIRMED, {"index": model.document["name"]}) from error
    return True


def _in_the_way(fields: str, what: str) -> Fatal:
    return Fatal(
        f"TracOS's collection has an index on `{fields}` that is {what}: unhide it, or drop it: the next run makes one",
        see=See.COLLECTION,
    )


async def _indexes(collection: Collection) -> list[Index]:
    command = {"listIndexes": collection.name, "cursor": {"batchSize": CHUNK}}
    try:
        reply = await collection.database.command({**command, "includeBuildUUIDs": True})
    except OperationFailure as error:
        if error.code == NO_COLLECTION:
            return []
        if error.code not in UNKNOWN_FIELD:
            raise
        reply = await collection.database.command(command)
    return list(_read(reply["cursor"]["firstBatch"]))


def _read(listed: Sequence[Mapping[str, Any]]) -> Iterator[Index]:
    for entry in listed:
        spec = entry.get("spec", entry)  # with a spec inside where it is being built
        yield Index(
            name=spec["name"],
            key=spec["key"],
            filter=spec.get("partialFilterExpression") or ({"sparse": True} if _leaves_out(spec) else None),
            is_unique=bool(spec.get("unique")),
            is_usable="buildUUID" not in entry and not spec.get("hidden") and "collation" not in spec,
            is_being_built="buildUUID" in entry,
        )


def _leaves_out(spec: Mapping[str, Any]) -> bool:
    """Whether a sparse index leaves out what is asked for; documents without a number are not."""
    return bool(spec.get("sparse")) and "number" not in spec["key"]


def _free(name: str, indexes: Sequence[Index]) -> str:
    """``name``, or a longer one where an index that cannot be used has it."""
    taken = {index.name for index in indexes}
    return name if name not in taken else f"{name}_simple" if name.startswith("isSynced") else f"{name}_ids"


async def _same(collection: Collection) -> list[ExternalId]:
    groups = collection.aggregate(
        [
            {"$match": IDS},
            {"$group": {"_id": "$number", "count": {"$sum": 1}}},
            {"$match": {"count": {"$gt": 1}}},
            {"$sort": {"_id": 1}},
            {"$limit": SHOWN + 1},
        ],
        allowDiskUse=True,
        collation=SIMPLE,
    )
    return [group["_id"] async for group in groups]


async def _text_and_integer(collection: Collection) -> list[ExternalId]:
    """Numbers that are an integer in one document and its decimal text in another."""
    found: list[ExternalId] = []
    texts = collection.find(
        {"number": {"$regex": "^(0|-?[1-9][0-9]*)$", **IS_ID}},
        {"_id": 0, "number": 1},
        collation=SIMPLE,
    )
    while chunk := await texts.to_list(CHUNK):
        keys = [id_key(text["number"]) for text in chunk if isinstance(text["number"], str)]
        integers = [key for key in keys if isinstance(key, int)]
        twins = collection.find({"number": {"$in": integers, **IS_ID}}, {"number": 1}, collation=SIMPLE)
        found += [twin["number"] async for twin in twins]
    return found


def _twins(numbers: Sequence[ExternalId]) -> Fatal:
    names = ", ".join(repr(number) for number in numbers[:SHOWN]) + (" and more" if len(numbers) > SHOWN else "")
    return Fatal(
        f"several documents in TracOS have the same number: {names}; nothing was changed; merge or remove the twins, "
        "then run again",
        see=See.TWINS,
    )
