"""Whether TracOS still holds what was delivered to it: told from a token and two counts, not from the documents."""

import secrets
from typing import Final

from bson import ObjectId
from bson.errors import InvalidId
from loguru import logger

from pipeline.dataflow.ports import Witness
from pipeline.errors import Fatal, TracosOutage
from pipeline.tracos.connection import Collection, Connection

__all__ = ["TracosWitness"]

OLDEST: Final = ObjectId(bytes(12))


class TracosWitness(Witness):
    """Notices a database that is another one or was restored from a backup, and documents that were removed.

    A seal has a random token, which is also kept in the collection ``<collection>.sync`` under the client's name: a
    restored database has an older one. It has the newest ``_id``, too, and how many documents are not newer than that:
    documents that come later are, so when one that was there goes, the number falls. Not noticed is that somebody
    removes a document and makes another with an older ``_id``, as one whose clock is behind does.
    """

    def __init__(self, connection: Connection, client: str) -> None:
        self._connection = connection
        self._client = client

    async def seal(self) -> str | None:
        """A text that stands for all documents of now; None where the token may not be kept."""
        token = secrets.token_hex(8)
        try:
            await self._connection.ride_out(lambda: self._keep(token))
            bound = await self._connection.ride_out(self._newest)
            count = await self._connection.ride_out(lambda: self._count(bound))
        except TracosOutage:
            raise
        except Fatal as error:
            logger.info(
                "the collection {} cannot be used, so that all files are read each run: {}", self._tokens.name, error
            )
            return None
        return f"{token} {bound} {count}"

    async def holds(self, seal: str) -> bool:
        """Whether the token is still the one of ``seal``, and none of the documents of then is gone."""
        try:
            token, bound, count = seal.split()
            return await self._connection.ride_out(lambda: self._is_as(token, ObjectId(bound), int(count)))
        except (ValueError, InvalidId):
            return False

    async def _is_as(self, token: str, bound: ObjectId, count: int) -> bool:
        kept = await self._tokens.find_one({"_id": self._client})
        return kept is not None and kept.get("token") == token and await self._count(bound) == count

    async def _keep(self, token: str) -> None:
        await self._tokens.update_one({"_id": self._client}, {"$set": {"token": token}}, upsert=True)

    async def _newest(self) -> ObjectId:
        ids = self._connection.collection.find({"_id": {"$type": "objectId"}}, {"_id": 1}).sort("_id", -1).limit(1)
        found: list[dict[str, ObjectId]] = await ids.to_list(1)
        return found[0]["_id"] if found else OLDEST

    async def _count(self, bound: ObjectId) -> int:
        """How many documents are not newer than ``bound``; from the collection's own count, so that none is read."""
        documents = self._connection.collection
        total: int = await documents.estimated_document_count()
        newer: int = await documents.count_documents({"_id": {"$gt": bound}})
        return total - newer

    @property
    def _tokens(self) -> Collection:
        documents = self._connection.collection
        name, concern = f"{documents.name}.sync", documents.write_concern
        tokens: Collection = documents.database.get_collection(name, write_concern=concern)
        return tokens
