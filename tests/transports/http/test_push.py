"""Orders are told one request each; what the API refuses is the order's own."""

from pipeline.clients.connector import Outgoing
from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Deferred, Rejected
from tests.asking import client_of, order, outgoing, pull, push


class TestPush:
    async def test_a_refusal_is_the_orders_own_and_tells_the_reason(self, erp, tmp_path):
        erp.refuse["2"] = "the asset 4711\nis\tretired" + "x" * 1000
        results = await push(client_of(erp, tmp_path), outgoing(1), outgoing(2), outgoing(3))
        assert [type(one) for one in results] == [Outcome, Rejected, Outcome]
        assert str(results[1]).startswith("127.0.0.1:")
        assert "refuses it (422): the asset 4711 is retired" in str(results[1])
        assert len(str(results[1])) < 400

    async def test_the_same_is_applied_once_and_another_edit_that_says_the_same_again(self, erp, tmp_path):
        client = client_of(erp, tmp_path)
        for raw in (b"rev 1", b"rev 1", b"rev 2"):
            async with client.sink() as sink:
                await sink.write_batch([Envelope(outgoing(1), "1", raw=raw)])
        assert erp.applied == 2

    async def test_an_order_that_was_changed_since_it_was_read_is_read_and_merged_first(self, erp, tmp_path):
        client = client_of(erp, tmp_path, etag="_etag", since_param="updated_since", overlap=0.0)
        erp.put(order(1))
        await pull(client)
        assert await push(client, outgoing(1)) == [Outcome.SENT]
        assert await push(client, outgoing(1, "again")) == [Outcome.SENT]
        erp.put(order(1, title="theirs"))  # its time is not newer: only the ETag tells
        (result,) = await push(client, outgoing(1, "ours"))
        assert isinstance(result, Deferred)
        assert "theirs" in [one["title"] for one in await pull(client)]
        assert await push(client, outgoing(1, "ours")) == [Outcome.SENT]

    async def test_what_is_new_is_created_by_its_own_request_and_never_over_another(self, erp, tmp_path):
        client = client_of(erp, tmp_path, etag="_etag", create="POST", push="PATCH")
        assert await push(client, outgoing(1, is_new=True)) == [Outcome.SENT]
        assert (erp.requests[-1].method, erp.requests[-1].path) == ("POST", "/orders")
        erp.put(order(2, title="theirs"))
        (result,) = await push(client, outgoing(2, is_new=True))
        assert isinstance(result, Deferred)
        assert erp.orders["2"]["title"] == "theirs"

    async def test_an_id_cannot_lead_to_another_address(self, erp, tmp_path):
        await push(client_of(erp, tmp_path), Outgoing("../token?x=/", b"{}"))
        assert erp.requests[-1].path == "/orders/..%2Ftoken%3Fx%3D%2F"
