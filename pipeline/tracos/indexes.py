"""Keep numbers unique: refuse a collection that has twins, make the indexes where they are missing."""

from typing import Any, Final, TypeAlias

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError, OperationFailure

from pipeline.errors import Fatal
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["UNSYNCED", "Collection", "find_twins", "missing", "prepare", "refuse_twins"]

Collection: TypeAlias = AsyncIOMotorCollection[dict[str, Any]]

UNSYNCED: Final = [("isSynced", 1), ("_id", 1)]
"""Serves the outbound query: ``$ne: true`` reads only the unsynced part of it."""

IN_THE_WAY: Final = frozenset({85, 86})
"""IndexOptionsConflict, IndexKeySpecsConflict."""

SHOWN: Final = 10
CHUNK: Final = 1000


async def prepare(collection: Collection) -> None:
    """Make the two indexes; raises Fatal, naming the numbers, where several documents have one number."""
    indexes = (await collection.index_information()).values()
    if not any(index["key"] == [("number", 1)] and index.get("unique") for index in indexes):
        try:
            await collection.create_index("number", unique=True, partialFilterExpression={"number": {"$exists": True}})
        except DuplicateKeyError:
            raise _twins(await _same(collection)) from None
        except OperationFailure as error:
            if error.code not in IN_THE_WAY:
                raise
            raise Fatal(
                "TracOS's collection has an index on `number` that is not unique: nothing was changed; drop it, the "
                "next run makes a unique one"
            ) from error
    mixed = await _text_and_integer(collection)
    if mixed:
        raise _twins(mixed)
    if not any(index["key"] == UNSYNCED for index in indexes):
        await collection.create_index(UNSYNCED)


async def refuse_twins(collection: Collection) -> None:
    """What ``prepare`` refuses, without making anything."""
    twins = await find_twins(collection)
    if twins:
        raise _twins(twins)


async def find_twins(collection: Collection) -> list[ExternalId]:
    """The numbers that several documents have; at most a dozen of each kind."""
    return await _same(collection) + await _text_and_integer(collection)


async def missing(collection: Collection) -> list[str]:
    """The fields of the indexes that are not there."""
    keys = [index["key"] for index in (await collection.index_information()).values()]
    return [", ".join(name for name, _ in key) for key in ([("number", 1)], UNSYNCED) if key not in keys]


async def _same(collection: Collection) -> list[ExternalId]:
    groups = collection.aggregate(
        [
            {"$match": {"number": {"$exists": True}}},
            {"$group": {"_id": "$number", "count": {"$sum": 1}}},
            {"$match": {"count": {"$gt": 1}}},
            {"$sort": {"_id": 1}},
            {"$limit": SHOWN + 1},
        ],
        allowDiskUse=True,
    )
    return [group["_id"] async for group in groups]


async def _text_and_integer(collection: Collection) -> list[ExternalId]:
    """Numbers that are an integer in one document and its decimal text in another."""
    found: list[ExternalId] = []
    texts = collection.find({"number": {"$type": "string", "$regex": "^(0|-?[1-9][0-9]*)$"}}, {"_id": 0, "number": 1})
    while chunk := await texts.to_list(CHUNK):
        integers = [key for key in (id_key(text["number"]) for text in chunk) if isinstance(key, int)]
        found += [twin["number"] async for twin in collection.find({"number": {"$in": integers}}, {"number": 1})]
    return found


def _twins(numbers: list[ExternalId]) -> Fatal:
    names = ", ".join(repr(number) for number in numbers[:SHOWN]) + (" and more" if len(numbers) > SHOWN else "")
    return Fatal(
        f"several documents in TracOS have the same number: {names}; nothing was changed; merge or remove the twins, "
        "then run again"
    )
