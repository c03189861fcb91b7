"""Documents that are put into TracOS as if other programs had: sample orders, for a demo."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from pipeline.errors import Fatal, See

__all__ = ["plant"]

AT_ONCE: Final = 5_000


def plant(uri: str, database: str, collection: str, documents: Iterable[Mapping[str, Any]]) -> int:
    """Insert those documents whose number is not there yet; how many were inserted. Raises Fatal."""
    waiting = iter(documents)
    inserted = 0
    try:
        with MongoClient[dict[str, Any]](uri, tz_aware=True, serverSelectionTimeoutMS=5_000) as client:
            orders = client[database][collection]
            while chunk := list(islice(waiting, AT_ONCE)):
                numbers = [document["number"] for document in chunk]
                known = set(orders.distinct("number", {"number": {"$in": numbers}}))
                if missing := [dict(document) for document in chunk if document["number"] not in known]:
                    inserted += len(orders.insert_many(missing).inserted_ids)
    except PyMongoError as error:
        told = f"MongoDB does not take the samples ({type(error).__name__}); see MONGO_URI"
        raise Fatal(told, see=See.MONGODB_AWAY) from error
    return inserted
