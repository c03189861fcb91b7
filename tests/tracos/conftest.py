"""A TracOS on the real MongoDB of the tests, in a database of its own."""

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from pipeline.history.decisions import DecisionLog
from pipeline.tracos.connection import Connection
from pipeline.tracos.store import Tracos
from tests.tracos.orders import TERMS


@pytest.fixture
async def database(mongo_uri, database_name):
    client = AsyncIOMotorClient(mongo_uri, tz_aware=True, datetime_conversion="DATETIME_AUTO")
    yield client[database_name]
    client.close()


@pytest.fixture
def orders(database):
    return database["workorders"]


@pytest.fixture
def decision_file(tmp_path):
    return tmp_path / "decisions.jsonl"


@pytest.fixture
def make_tracos(mongo_uri, database_name, decision_file):
    def make(uri=mongo_uri, kind=Connection, retry_seconds=60, database=database_name, **settings):
        connection = kind(uri, database, "workorders", retry_seconds)
        return Tracos(connection, DecisionLog(decision_file), **settings)

    return make


@pytest.fixture
async def tracos(make_tracos):
    async with make_tracos() as tracos:
        yield tracos


@pytest.fixture
def sink(tracos):
    return tracos.sink(TERMS)
