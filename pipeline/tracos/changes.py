"""What happens to orders in TracOS, as MongoDB tells it: a reason to look, and never more than that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from loguru import logger
from pymongo.errors import OperationFailure, PyMongoError

from pipeline.errors import Fatal
from pipeline.tracos.connection import Connection

__all__ = ["changes"]

PAUSES: Final = (1.0, 5.0, 30.0)
"""Seconds until MongoDB is listened to again, once it was away."""

NO_CHANGE_STREAMS: Final = frozenset({40573, 136, 59})
"""Codes of a server that has none: only replica sets do."""
NO_RIGHT: Final = 13

_TO_BE_TOLD: Final[list[dict[str, Any]]] = [
    {"$match": {"operationType": {"$in": ["insert", "update", "replace"]}, "fullDocument.isSynced": {"$ne": True}}},
    {"$project": {"_id": 1}},
]


async def changes(connection: Connection) -> AsyncIterator[str]:
    """Yield a word each time that an order is written which the client has not been told of; never raises.

    After an outage, or where the server's memory of changes ran out, it yields too: anything may have happened. A
    server that cannot tell is told of once, and the stream ends: whoever listens looks from time to time all the same.
    """
    failures = 0
    async with connection:
        while True:
            try:
                stream = connection.collection.watch(_TO_BE_TOLD, full_document="updateLookup")
                async with stream:
                    if failures:
                        yield "MongoDB is there again"
                    failures = 0
                    async for _ in stream:
                        yield "an edit in TracOS"
            except OperationFailure as error:
                if error.code in NO_CHANGE_STREAMS or error.code == NO_RIGHT:
                    what = "has no change streams" if error.code != NO_RIGHT else "does not let us listen to changes"
                    logger.info("MongoDB {}: edits in TracOS are seen when it is looked at next", what)
                    return
                logger.debug("listening to MongoDB failed ({}): it is begun anew", error.code)
            except (PyMongoError, Fatal) as error:
                logger.debug("listening to MongoDB failed ({}): it is begun anew", type(error).__name__)
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1
