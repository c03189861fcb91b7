"""What all tests share: a real MongoDB, and a database of its own for each test that wants one."""

import signal
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from loguru import logger
from pymongo import MongoClient

from tests.mongo import Mongod, ReplicaSet
from tests.plant import Plant

logger.remove()
signal.signal(signal.SIGINT, signal.default_int_handler)
# A script that starts the tests with & has them, and the programs that they start and interrupt, ignore Ctrl-C.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("house", settings.get_profile("search"), derandomize=True)
settings.load_profile("house")
# The same examples each time, so that a green run stays green; --hypothesis-profile=search looks for new ones.


@pytest.fixture
def log():
    """The lines that are logged, from DEBUG on."""
    lines = []
    handler = logger.add(lambda message: lines.append(message.strip()), format="{level} {message}", level="DEBUG")
    yield lines
    logger.remove(handler)


@pytest.fixture(scope="session")
def mongo_uri():
    """The URI of a standalone mongod that lives as long as the tests."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        server = Mongod(Path(folder)).start()
        yield server.uri
        server.stop()


@pytest.fixture(scope="session")
def replica_set():
    """Three members that live as long as the tests; who stops or holds one back sets it right again."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        members = ReplicaSet(Path(folder))
        try:
            yield members.start()
        finally:
            members.kill()


@pytest.fixture
def database_name(mongo_uri):
    """A database that no other test uses; dropped afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    with MongoClient(mongo_uri) as client:
        client.drop_database(name)


@pytest.fixture
def mongod():
    """A mongod of the test's own, to kill and start again."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        server = Mongod(Path(folder)).start()
        yield server
        server.kill()


@pytest.fixture
def plant(tmp_path, mongo_uri, database_name):
    """A whole plant in a temporary folder, with a database of its own."""
    plant = Plant(tmp_path, mongo_uri, database_name)
    yield plant
    plant.client.close()
