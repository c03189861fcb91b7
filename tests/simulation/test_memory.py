"""TracOS in memory is what MongoDB is: the same histories end with the same documents."""

import asyncio

import pytest
from msgspec.structs import replace
from pymongo import MongoClient

from pipeline.tracos.connection import Connection
from tests.simulation.draw import draw
from tests.simulation.memory import MemoryConnection, SimulatedPorts
from tests.simulation.play import play
from tests.simulation.steps import Fault, History, Run, alone

SEEDS = range(40)


class MongoDocuments:
    """A collection of MongoDB, as the people of a history use it."""

    def __init__(self, uri: str, database: str) -> None:
        self.uri, self.database = uri, database
        self._client = MongoClient(uri, tz_aware=True)
        self._collection = self._client[database]["workorders"]
        self._collection.drop()

    def all(self):
        """All documents."""
        return list(self._collection.find().sort("_id"))

    def put(self, document) -> None:
        """As a person who replaces a document, or makes one."""
        self._collection.replace_one({"_id": document["_id"]}, document, upsert=True)

    def remove(self, document_id) -> None:
        """As a person who removes a document for good."""
        self._collection.delete_one({"_id": document_id})

    def copy(self):
        """All of it, to be restored."""
        return self.all()

    def restore(self, copy) -> None:
        """All is as it was."""
        self._collection.delete_many({})
        if copy:
            self._collection.insert_many(copy)

    def close(self) -> None:
        self._client.close()


class MongoConnection(SimulatedPorts, Connection):
    """A connection of one run to MongoDB itself."""

    def __init__(self, documents: MongoDocuments) -> None:
        super().__init__(documents.uri, documents.database, "workorders", 60)


def certain(history: History) -> History:
    """Without what depends on how long anything takes, and what a server does not do when it is asked to.

    Where a command is cancelled on its way, nobody knows whether MongoDB has done it: killed after it instead.
    """

    def killed(fault: Fault) -> Fault:
        return replace(fault, what="kill after") if fault.what == "cancel" else fault

    def sure(run: Run) -> Run:
        faults = (one for one in run.faults if one.what not in ("late", "rolled back", "pause") and one.port != "loop")
        return replace(run, faults=tuple(map(killed, faults)))

    steps = (alone(step) for step in history.steps)
    return replace(history, steps=tuple(sure(step) if isinstance(step, Run) else step for step in steps))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_history_ends_the_same_on_a_real_mongod(seed, mongo_uri, database_name):
    history = certain(draw(seed, lanes=False))
    documents = MongoDocuments(mongo_uri, database_name)
    try:
        with asyncio.Runner() as runner:
            real = runner.run(play(history, documents=documents, connect=MongoConnection, one_at_a_time=True))
            memory = runner.run(play(history, connect=MemoryConnection, one_at_a_time=True))
        assert real.ended == memory.ended
    finally:
        documents.close()
