"""Whether MongoDB answers is asked over one connection, and told soon, whatever ails the server."""

import asyncio
import os
import signal
import time

import pytest
from pymongo import MongoClient

from pipeline.tracos import probe
from pipeline.tracos.probe import Probe
from tests.mongo import Mongod


@pytest.fixture
async def asked():
    probe = Probe()
    yield probe
    await probe.close()


async def test_many_questions_make_one_connection(asked, mongo_uri):
    with MongoClient(mongo_uri) as client:

        def made():
            return client.admin.command("serverStatus")["connections"]["totalCreated"]

        assert await asked.why_away(mongo_uri) is None
        before = made()
        for _ in range(20):
            assert await asyncio.gather(*(asked.why_away(mongo_uri) for _ in range(5))) == [None] * 5
        assert made() <= before + 1  # the driver's own, which looks at the server


async def test_another_address_is_asked_anew_and_one_that_is_away_says_why(asked, mongo_uri):
    away = "mongodb://127.0.0.1:1/"
    for _ in range(2):
        assert await asked.why_away(mongo_uri) is None
        assert "MongoDB did not answer" in await asked.why_away(away)
    assert "MONGO_URI" in await asked.why_away("nonsense://")


@pytest.mark.slow
async def test_a_server_that_hangs_is_told_soon_and_is_asked_again(asked, tmp_path, monkeypatch):
    server = Mongod(tmp_path).start()
    try:
        assert await asked.why_away(server.uri) is None
        monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0.3)
        os.kill(server._process.pid, signal.SIGSTOP)
        for _ in range(2):
            began = time.monotonic()
            assert "MongoDB" in await asked.why_away(server.uri)
            assert time.monotonic() - began < 3
        os.kill(server._process.pid, signal.SIGCONT)
        monkeypatch.undo()
        while await asked.why_away(server.uri) is not None:
            pass
    finally:
        os.kill(server._process.pid, signal.SIGCONT)
        await asked.close()
        server.stop()
