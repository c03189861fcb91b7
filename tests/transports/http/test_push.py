"""Orders are told one request each; what the API refuses is the order's own."""

import pytest

from pipeline.clients.connector import Outgoing
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Outcome
from pipeline.errors import Deferred, Fatal, Rejected, WrongSettings
from tests.asking import client_of, order, outgoing, pull, push
from tests.scripted import Reply


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
                await sink.write_batch([Envelope(outgoing(1), Locator("1"), raw=raw)])
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

    @pytest.mark.parametrize("etag", ["_etag", ""])
    @pytest.mark.parametrize("fate", [Fate.DEAD, Fate.HELD, Fate.DEFERRED])
    async def test_an_order_that_was_shown_and_never_taken_is_not_told_over(self, erp, tmp_path, fate, etag):
        client = client_of(erp, tmp_path, etag=etag)
        erp.put(order(1, title="theirs"))
        await pull(client, fate=fate)
        (result,) = await push(client, outgoing(1, "ours"))
        assert isinstance(result, Deferred)
        assert (erp.orders["1"]["title"], {asked.method for asked in erp.requests}) == ("theirs", {"GET"})
        await pull(client)
        assert await push(client, outgoing(1, "ours")) == [Outcome.SENT]

    async def test_what_is_known_of_an_order_is_not_known_to_another_document(self, erp, tmp_path):
        client = client_of(erp, tmp_path, etag="_etag")
        erp.put(order(1, title="theirs"))
        await pull(client)
        (result,) = await push(client, outgoing(1, "made anew", is_new=True))
        assert isinstance(result, Deferred)
        assert erp.orders["1"]["title"] == "theirs"

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


class TestHowItIsTold:
    @pytest.mark.parametrize(
        ("options", "requests"),
        [
            ({}, [("PATCH", "/orders/7"), ("PUT", "/orders/7")]),
            ({"push": "PUT"}, [("GET", "/orders/7"), ("PUT", "/orders/7"), ("PUT", "/orders/7")]),
            ({"push": "POST"}, [("POST", "/orders/7"), ("POST", "/orders/7")]),
            ({"create": "POST"}, [("PATCH", "/orders/7"), ("POST", "/orders")]),
            ({"create": "PATCH", "push_path": "({id})"}, [("PATCH", "/orders(7)"), ("PATCH", "/orders(7)")]),
            ({"create": "POST", "create_path": "/new/{id}"}, [("PATCH", "/orders/7"), ("POST", "/orders/new/7")]),
        ],
        ids=str,
    )
    async def test_a_change_and_a_new_order(self, serve, tmp_path, options, requests):
        server = serve(lambda asked: {"id": 7})
        client = client_of(server, tmp_path, **options)
        await push(client, outgoing(7))
        await push(client, outgoing(7, is_new=True))
        assert [(asked.method, asked.path) for asked in server.asked] == requests

    async def test_what_an_order_does_not_name_is_not_erased(self, erp, tmp_path):
        erp.put(order(1, asset="4711"))
        await push(client_of(erp, tmp_path), outgoing(1))
        assert (erp.orders["1"]["title"], erp.orders["1"]["asset"]) == ("new", "4711")

    async def test_a_new_order_never_goes_over_one_that_is_there(self, erp, tmp_path):
        erp.put(order(1, title="theirs", asset="4711"))
        client = client_of(erp, tmp_path)
        (result,) = await push(client, outgoing(1, is_new=True))
        assert isinstance(result, Deferred)
        assert (erp.orders["1"]["title"], erp.orders["1"]["asset"]) == ("theirs", "4711")

    async def test_headers_and_parameters_of_its_own(self, serve, tmp_path):
        server = serve(lambda asked: {"id": 7})
        options = {"push_headers": {"X-A": "a"}, "update_headers": {"X-B": "b"}, "order_params": {"lean": "1"}}
        client = client_of(server, tmp_path, **options, params={"only": "lists"})
        await push(client, outgoing(7))
        await push(client, outgoing(7, is_new=True))
        one, other = server.asked
        assert (one.headers["x-a"], one.headers["x-b"], one.query) == ("a", "b", {"lean": "1"})
        assert (other.headers["x-a"], other.query, "x-b" in other.headers) == ("a", {"lean": "1"}, False)

    @pytest.mark.parametrize("order_id", [".", "..", "...", "x" * 100_000])
    async def test_an_id_that_no_address_can_hold_is_its_own_dead_letter(self, serve, tmp_path, order_id):
        server = serve(lambda asked: {})
        results = await push(client_of(server, tmp_path), Outgoing(order_id, b"{}"), outgoing(1))
        assert [type(one) for one in results] == [Rejected, Outcome]
        assert [asked.path for asked in server.asked] == ["/orders/1"]

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_stops_and_says_where_to(self, serve, tmp_path, status):
        server = serve(lambda asked: Reply({}, status, {"Location": "/orders/1/?sid=abc"}))
        with pytest.raises(
            Fatal, match=f"answers {status}, moved to /orders/1/: set url so, or see auth; nothing is lost"
        ):
            await push(client_of(server, tmp_path), outgoing(1))
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"headers": {"X": "a\nb"}}, "north: headers: 'X': a header holds letters"),
            ({"push_headers": {"X": "Köln"}}, "north: push_headers: 'X'"),
            ({"update_headers": {"X Y": "a"}}, "north: update_headers: 'X Y'"),
            ({"since_param": "where", "params": {"where": "a=1"}}, "params: where is since_param: set since_and"),
            ({"since_and": "{params}"}, r"since_and: expected a text with \{params\} and \{since\}"),
            ({"next_from": "x"}, "next_from"),
        ],
        ids=str,
    )
    def test_options_that_cannot_work(self, erp, tmp_path, options, why):
        with pytest.raises(WrongSettings, match=why):
            client_of(erp, tmp_path, **options)
