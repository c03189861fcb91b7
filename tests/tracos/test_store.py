"""Opening TracOS: the URI, the indexes, twins; and riding out outages, on a real MongoDB."""

import tempfile
from pathlib import Path

import pytest

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Outage, WrongSettings
from tests.mongo import Mongod
from tests.tracos.orders import TERMS, envelope, order, taken

AWAY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb://u:secret@host:port/", "mongodb://h/?w=0"])
async def test_a_uri_that_cannot_work_is_a_wrong_setting_and_stays_secret(make_tracos, uri):
    with pytest.raises(WrongSettings, match="MONGO_URI") as caught:
        await make_tracos(uri).open()
    assert "secret" not in str(caught.value)


async def test_a_server_that_stays_away_is_an_outage_in_one_line(make_tracos):
    with pytest.raises(Outage, match=r"did not answer for 0\.5 s.*MONGO_URI") as caught:
        await make_tracos(AWAY, retry_seconds=0.5).open()
    assert "\n" not in str(caught.value)


async def test_a_lost_reply_counts_what_was_written_once(make_tracos, orders, monkeypatch):
    """A standalone server never retries writes: the reply is lost, the write was applied."""
    async with make_tracos(retry_seconds=30) as tracos:
        sink = tracos.sink(TERMS)
        connection, lost = tracos._connection, []
        write = connection.write

        async def lossy(operations):
            result = await write(operations)
            if not lost:
                from pymongo.errors import AutoReconnect

                lost.append(result)
                raise AutoReconnect("connection closed")
            return result

        monkeypatch.setattr(connection, "write", lossy)
        results = await taken(sink, [envelope(order(number), str(number)) for number in range(3)])
        assert results == [Outcome.CREATED] * 3
        assert len(lost) == 1
        assert await orders.count_documents({}) == 3


async def test_on_a_replica_set_writes_wait_for_the_majority_and_repeats_are_known(make_tracos):
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        server = Mongod(Path(folder), replica_set=True).start()
        async with make_tracos(server.uri, retry_seconds=20) as tracos:
            sink = tracos.sink(TERMS)
            batch = [envelope(order(1)), envelope(order(2), "b.json")]
            assert await taken(sink, batch) == [Outcome.CREATED] * 2
            assert await taken(sink, batch) == [Outcome.REPEAT] * 2
        server.kill()


async def test_with_no_patience_an_outage_is_told_at_once(make_tracos, log):
    with pytest.raises(Outage):
        await make_tracos(AWAY, retry_seconds=0).open()
    assert log == []
