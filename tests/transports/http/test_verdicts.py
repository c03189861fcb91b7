"""A push is done only when the server says so; whose fault a refusal is, is told by what becomes of the others."""

import asyncio
import threading
from urllib.parse import urlsplit

import pytest

from pipeline.clients.connector import Outgoing
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Fatal, Outage, Rejected
from tests.asking import client_of, order, outgoing, pull, push
from tests.scripted import Reply

SENT = Outcome.SENT


async def batch(client, *orders):
    """The whole result of one batch."""
    async with client.sink() as sink:
        return await sink.write_batch([Envelope(one, Locator(one.id), raw=one.body) for one in orders])


def kinds(outcomes):
    return ["sent" if one is SENT else type(one).__name__ for one in outcomes]


def server_of(serve, refused, *, listed=True):
    """A server that answers the orders in ``refused`` so, takes the others, and shows its list where ``listed``."""

    def answer(asked):
        if asked.method == "GET":
            return {"items": []} if listed is True else listed
        number = asked.path.rpartition("/")[2]
        said = refused(number) if callable(refused) else refused.get(number)
        return {"id": int(number)} if said is None else said

    return serve(answer)


def port(client):
    return urlsplit(client.options.url).port


def pushes(server):
    return [asked.path.rpartition("/")[2] for asked in server.asked if asked.method != "GET"]


class TestDone:
    @pytest.mark.parametrize(
        "reply",
        [
            {"id": 1},
            Reply(status=204),
            Reply(b"", kind="text/html"),
            Reply(b"OK", kind="text/plain"),
            Reply(b"", 202),
            {"id": 1, "error": None, "errors": []},
            {"success": True, "error": ""},
            {"ok": 1, "error": {"code": 0, "message": "OK"}},
            {"status": "success", "data": {}},
            Reply(b'{"id": 1}', kind="text/html"),
            Reply({"results": [{"status": 200}, {"status": 201}]}, 207),
            [{"success": True, "errors": []}],
            Reply(b"<entry><id>1</id></entry>", kind="application/atom+xml"),
        ],
        ids=str,
    )
    async def test_what_says_so(self, serve, tmp_path, reply):
        server = server_of(serve, {"1": reply})
        assert await push(client_of(server, tmp_path), outgoing(1)) == [SENT]

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (
                {"error": {"message": "Order is locked by another user"}},
                "says that there was an error: Order is locked by",
            ),
            ({"errors": [{"field": "title", "message": "too long"}]}, "there was an error: title: too long"),
            ({"errors": {"title": ["too long"]}}, "there was an error: title: too long"),
            ({"success": False, "message": "locked"}, "there was an error: locked"),
            ({"success": "false"}, "there was an error: it gives no reason"),
            ({"ok": 0, "error": "not_authed"}, "there was an error: not_authed"),
            ({"jsonrpc": "2.0", "error": {"code": -32000, "message": "no such order"}}, "no such order"),
            ({"status": "fail", "message": "locked"}, "there was an error: locked"),
            ({"status": 409, "message": "locked"}, "there was an error: locked"),
            ([{"success": False, "errors": [{"message": "locked", "statusCode": "X"}]}], "there was an error: locked"),
            (Reply(b"false"), "there was an error: false"),
            (Reply(b'"Error: locked"'), "there was an error: .Error: locked"),
            (Reply(b"ERROR 17: locked", kind="text/plain"), "there was an error: ERROR 17: locked"),
            (Reply(b"<soap:Fault>locked</soap:Fault>", kind="text/xml"), "there was an error: .*locked"),
            (Reply({"results": [{"status": 409, "error": "locked"}]}, 207), "answers 207, and in it 409: locked"),
            (Reply({"items": [{"statusCode": 201}, {"statusCode": "400 no"}]}, 207), "answers 207, and in it 400"),
            (Reply({"results": []}, 207), "answers 207, and says of no part what became of it"),
            (Reply(b"", 207), "answers 207, and says of no part"),
            (Reply(b"{" + b" " * (9 * 2**20) + b"}"), "more than can be read: whether it was taken is not known"),
        ],
        ids=lambda one: str(one)[:60],
    )
    async def test_what_says_otherwise_is_that_orders_letter_and_no_others(self, serve, tmp_path, reply, why):
        server = server_of(serve, {"2": reply})
        one, two, three = await push(client_of(server, tmp_path), outgoing(1), outgoing(2), outgoing(3))
        assert kinds([one, two, three]) == ["sent", "Rejected", "sent"]
        with pytest.raises(Rejected, match=why):
            raise two

    async def test_where_answers_say_it_can_be_told(self, serve, tmp_path):
        server = server_of(serve, {"1": {"errors": 0, "result": {"rc": 7}, "msg": "locked"}, "2": {"error": "no"}})
        client = client_of(server, tmp_path, errors=["result.rc"], success=[])
        assert kinds(await push(client, outgoing(1), outgoing(2))) == ["Rejected", "sent"]

    async def test_a_page_of_html_is_left_for_the_next_run(self, serve, tmp_path):
        html = Reply(b"<!DOCTYPE html><title>Sign in</title>", kind="text/html")
        server = server_of(serve, {"2": html})
        results = await push(client_of(server, tmp_path), outgoing(1), outgoing(2), outgoing(3))
        assert kinds(results) == ["sent", "Deferred", "sent"]
        assert "answers 200 with an HTML page (Sign in), which does not say that it was taken" in str(results[1])


class TestWhoseFaultItIs:
    @pytest.mark.parametrize("status", [400, 409, 413, 422, 423, 451])
    async def test_one_order_refused_is_its_own_letter_with_the_whole_reason(self, serve, tmp_path, status):
        said = {"title": "Invalid", "errors": {"Title": ["At most 40."], "Asset": ["Retired."]}}
        server = server_of(serve, {"2": Reply(said, status)})
        results = await push(client_of(server, tmp_path), outgoing(1), outgoing(2), outgoing(3))
        assert kinds(results) == ["sent", "Rejected", "sent"]
        assert f"refuses it ({status}): Invalid: Title: At most 40.; Asset: Retired." in str(results[1])
        assert not [asked for asked in server.asked if asked.method == "GET"]

    @pytest.mark.parametrize("status", [401, 403, 405, 415])
    async def test_a_refusal_while_others_pass_is_the_orders_own(self, serve, tmp_path, status):
        server = server_of(serve, {"1": Reply({"error": {"message": "no privilege on this plant"}}, status)})
        results = await push(client_of(server, tmp_path, parallel=1), *(outgoing(number) for number in range(1, 5)))
        assert kinds(results) == ["Rejected", "sent", "sent", "sent"]
        assert f"refuses it ({status}): no privilege on this plant" in str(results[0])

    @pytest.mark.parametrize("count", [1, 3])
    async def test_what_is_forbidden_is_its_own_while_the_list_is_answered(self, serve, tmp_path, count):
        server = server_of(serve, lambda number: Reply({"message": "no privilege"}, 403))
        orders = [outgoing(number) for number in range(count)]
        assert kinds(await push(client_of(server, tmp_path), *orders)) == ["Rejected"] * count

    @pytest.mark.parametrize("status", [401, 405, 415])
    async def test_what_is_refused_otherwise_is_ours_where_no_order_was_told(self, serve, tmp_path, status):
        server = server_of(serve, {"1": Reply({}, status)})
        with pytest.raises(Fatal, match=rf"refuses us \({status}"):
            await push(client_of(server, tmp_path), outgoing(1))

    @pytest.mark.parametrize("status", [401, 405])
    async def test_and_its_own_where_one_was_and_the_list_is_answered(self, serve, tmp_path, status):
        server = server_of(serve, {"2": Reply({}, status)})
        results = await push(client_of(server, tmp_path, parallel=1), outgoing(1), outgoing(2))
        assert kinds(results) == ["sent", "Rejected"]

    @pytest.mark.parametrize(
        "listed", [Reply({}, 403), Reply({}, 503), Reply(b"<html>"), Reply({}, 302, {"Location": "/"})]
    )
    async def test_one_alone_is_ours_where_the_list_is_refused_too(self, serve, tmp_path, listed):
        server = server_of(serve, {"1": Reply({"message": "expired"}, 403)}, listed=listed)
        result = await batch(client_of(server, tmp_path, attempts=1), outgoing(1))
        assert kinds(result.outcomes) == ["Deferred"]
        with pytest.raises(
            Fatal, match=r"north: localhost:\d+ refuses us \(403: expired\): see auth, and the variables"
        ):
            raise result.stop

    async def test_all_refused_is_ours_and_is_not_asked_for_each(self, serve, tmp_path):
        server = server_of(serve, lambda number: Reply({"message": "no scope"}, 403))
        result = await batch(client_of(server, tmp_path, parallel=4), *(outgoing(number) for number in range(200)))
        assert set(kinds(result.outcomes)) == {"Deferred"}
        assert "refuses us (403: no scope)" in str(result.stop)
        assert len(server.asked) < 20

    async def test_many_refused_in_a_row_while_others_pass_are_their_own(self, serve, tmp_path):
        server = server_of(serve, lambda number: Reply({}, 403) if 10 <= int(number) < 60 else None)
        result = await batch(client_of(server, tmp_path, parallel=1), *(outgoing(number) for number in range(70)))
        assert result.stop is None
        assert kinds(result.outcomes) == ["sent"] * 10 + ["Rejected"] * 50 + ["sent"] * 10

    async def test_credentials_that_end_in_the_middle_are_ours_and_what_was_told_is_told(self, serve, tmp_path):
        def answer(asked):
            if len(server.asked) > 20:
                return Reply({"message": "expired"}, 401)
            return {"items": []} if asked.method == "GET" else {"id": int(asked.path.rpartition("/")[2])}

        server = serve(answer)
        result = await batch(client_of(server, tmp_path, parallel=1), *(outgoing(number) for number in range(100)))
        assert kinds(result.outcomes) == ["sent"] * 20 + ["Deferred"] * 80
        assert "refuses us (401: expired)" in str(result.stop)
        assert len(server.asked) < 40

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (Reply({}, 405, {"Allow": "GET, PUT"}), "takes no PATCH, but GET, PUT: see push, create and url"),
            (Reply(b"<html><title>Sign in</title>", kind="text/html"), r"an HTML page \(Sign in\): see auth and url"),
        ],
    )
    async def test_what_is_wrong_with_all_stops_the_client(self, serve, tmp_path, reply, why):
        server = server_of(serve, lambda number: reply)
        with pytest.raises(Fatal, match=why):
            await push(client_of(server, tmp_path), *(outgoing(number) for number in range(100)))
        assert len(server.asked) < 30

    async def test_a_redirect_in_the_middle_stops_and_what_was_told_is_told(self, serve, tmp_path):
        server = server_of(serve, {"5": Reply({}, 302, {"Location": "/login"})})
        result = await batch(client_of(server, tmp_path, parallel=1), *(outgoing(number) for number in range(10)))
        assert kinds(result.outcomes) == ["sent"] * 5 + ["Deferred"] * 5
        assert "answers 302, moved to /login" in str(result.stop)


LOCKED = {"message": "BMXAA4211E order has a bad GL account"}


class TestOrdersThatFail:
    async def test_a_500_that_speaks_of_an_order_does_not_open_the_breaker(self, serve, tmp_path):
        server = server_of(serve, {number: Reply(LOCKED, 500) for number in "123"})
        client = client_of(server, tmp_path, attempts=2, retry_seconds=3.0, parallel=1)
        result = await batch(client, *(outgoing(number) for number in range(1, 9)))
        assert kinds(result.outcomes) == ["Deferred"] * 3 + ["sent"] * 5
        assert str(result.outcomes[0]).endswith("answers 500")
        assert result.outcomes[0].quote == "BMXAA4211E order has a bad GL account"
        assert result.stop is None

    async def test_a_host_that_says_nothing_opens_it(self, serve, tmp_path):
        server = server_of(serve, lambda number: Reply(b"", 500))
        result = await batch(
            client_of(server, tmp_path, attempts=1, parallel=1), *(outgoing(number) for number in range(9))
        )
        assert isinstance(result.stop, Outage)
        assert len(server.asked) == 3

    async def test_many_that_fail_are_each_tried_once(self, serve, tmp_path):
        server = server_of(serve, lambda number: Reply(LOCKED, 500))
        client = client_of(server, tmp_path, attempts=2, parallel=1)
        await push(client, *(outgoing(number) for number in range(1, 13)))
        assert len(server.asked) == 3 * 2 + 9

    async def test_one_that_fails_in_five_runs_while_others_pass_becomes_a_letter(self, serve, tmp_path):
        server = server_of(serve, {"1": Reply(LOCKED, 500)})
        client = client_of(server, tmp_path, attempts=1, parallel=1)
        for run in range(1, 5):
            assert kinds(await push(client, outgoing(1), outgoing(2))) == ["Deferred", "sent"], run
            assert pushes(server)[-2:] == (["1", "2"] if run == 1 else ["2", "1"])  # in nobody's way
        one, _ = await push(client, outgoing(1), outgoing(2))
        with pytest.raises(Rejected, match=r"answers 500; so it was in 5 runs, while others were taken: BMXAA4211E"):
            raise one

    async def test_runs_in_which_nothing_passes_do_not_count(self, serve, tmp_path):
        server = server_of(serve, {"1": Reply(LOCKED, 500)})
        client = client_of(server, tmp_path, attempts=1)
        for _ in range(8):
            assert kinds(await push(client, outgoing(1))) == ["Deferred"]

    async def test_one_that_passes_in_between_begins_anew(self, serve, tmp_path):
        refused = {"1": Reply(LOCKED, 500)}
        server = server_of(serve, refused)
        client = client_of(server, tmp_path, attempts=1, parallel=1)
        for _ in range(4):
            await push(client, outgoing(1), outgoing(2))
        refused.clear()
        assert kinds(await push(client, outgoing(1), outgoing(2))) == ["sent", "sent"]
        refused["1"] = Reply(LOCKED, 500)
        assert kinds(await push(client, outgoing(1), outgoing(2))) == ["Deferred", "sent"]

    async def test_two_batches_of_one_run_are_one_run(self, serve, tmp_path):
        server = server_of(serve, {"1": Reply(LOCKED, 500)})
        async with client_of(server, tmp_path, attempts=1).sink() as sink:
            for _ in range(8):
                one, two = (Envelope(outgoing(number), Locator(str(number))) for number in (2, 1))
                assert kinds((await sink.write_batch([one, two])).outcomes) == ["sent", "Deferred"]

    async def test_an_order_that_is_changed_there_time_and_again_becomes_a_letter(self, serve, tmp_path):
        server = server_of(serve, {"1": Reply({}, 412)})
        client = client_of(server, tmp_path, attempts=1)
        results = [await push(client, outgoing(1), outgoing(2)) for _ in range(5)]
        assert [kinds(one)[0] for one in results] == ["Changed"] * 4 + ["Rejected"]


class TestIdempotencyKeys:
    async def test_each_edit_has_its_own_and_a_retry_the_same(self, serve, tmp_path):
        server = server_of(serve, {})
        client = client_of(server, tmp_path)
        for edit in (1, 1, 2, 3):
            await push(client, outgoing(1, "A" if edit != 2 else "B", edit=edit))
        keys = [asked.headers["idempotency-key"] for asked in server.asked]
        assert keys[0] == keys[1]
        assert len(set(keys)) == 3

    async def test_it_stays_the_same_while_a_reply_is_lost(self, serve, tmp_path):
        later = iter([Reply({}, 503), Reply({}, 502), {"id": 1}])
        server = serve(lambda asked: next(later))
        assert await push(client_of(server, tmp_path), outgoing(1)) == [SENT]
        assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1


class TestOneIdOrTwo:
    """An order that the client makes under an id of its own is not made twice, and is no second order here."""

    @pytest.fixture
    def erp(self, serve):
        """A server that numbers orders itself, and tells so in its answer, in a header, or not at all."""

        def answer(asked):
            if asked.method == "GET":
                return {"items": list(server.orders.values())}
            if asked.method == "POST":
                number = 400001 + len(server.orders)
                server.orders[number] = asked.json | order(number)
                return server.says(number)
            return {"id": int(asked.path.rpartition("/")[2])}

        server = serve(answer)
        server.orders = {}
        return server

    @pytest.mark.parametrize(
        "says",
        [
            lambda number: Reply({"id": number}, 201),
            lambda number: Reply({"data": {"id": str(number)}}, 200),
            lambda number: Reply({"orderNo": number}, 201),
            lambda number: Reply(b"", 201, {"Location": f"/orders/{number}"}),
            lambda number: Reply(b"", 201, {"Location": f"http://erp.example/orders/{number}?x=1"}),
        ],
    )
    async def test_the_clients_own_number_is_told_and_no_twin_is_made(self, erp, tmp_path, says):
        erp.says = says
        client = client_of(erp, tmp_path, create="POST")
        (result,) = await push(client, outgoing(777, is_new=True))
        with pytest.raises(Rejected, match="the client calls it 400001"):
            raise result
        async with client.source() as source:
            ((unreadable,),) = [group async for group in source.read()]
        assert str(unreadable.reasons[0]).startswith("the client made this order of ours, 777, and calls it 400001")
        assert (str(unreadable.locator), b"400001" in unreadable.raw) == ("400001", True)
        (again,) = await push(client, outgoing(777, "edited", is_new=True))
        assert "the client calls it 400001" in str(again)
        assert len(pushes(erp)) == 1

    @pytest.mark.parametrize(
        "says",
        [
            lambda number: Reply({"id": 777}, 201),
            lambda number: Reply({"id": "777"}, 201),
            lambda number: Reply({"id": 5, "orderNo": 777}, 201),
            lambda number: Reply(b"", 201, {"Location": "/orders/777"}),
            lambda number: Reply(b"", 201, {"Location": "/somewhere/else"}),
            lambda number: Reply(status=204),
            lambda number: Reply({"id": "job-1", "state": "queued"}, 202),
        ],
    )
    async def test_the_same_number_or_none_is_sent(self, erp, tmp_path, says):
        erp.says = says
        assert await push(client_of(erp, tmp_path, create="POST"), outgoing(777, is_new=True)) == [SENT]


class TestAnEnvelopeAroundOneOrder:
    @pytest.mark.parametrize(
        ("wrap", "options"),
        [
            (lambda one: one, {}),
            (lambda one: {"data": one}, {}),
            (lambda one: {"meta": {"x": 1}, "order": one}, {}),
            (lambda one: {"value": [one]}, {}),
            (lambda one: [one], {}),
            (lambda one: {"id": "request 7", "result": {"order": one}}, {"item": "result.order"}),
        ],
    )
    async def test_an_order_that_was_changed_is_read_again_merged_and_told(self, serve, tmp_path, wrap, options):
        held = order(1) | {"_etag": '"1"'}

        def answer(asked):
            if asked.method == "GET" and asked.path == "/orders":
                return {"items": [] if "since" in asked.query else [held]}
            if asked.method == "GET":
                return wrap(held)
            if asked.headers.get("if-match") != held["_etag"]:
                return Reply({}, 412)
            held.update(asked.json, _etag='"3"')
            return wrap(held)

        server = serve(answer)
        client = client_of(server, tmp_path, etag="_etag", since_param="since", **options)
        await pull(client)
        held |= {"title": "theirs", "_etag": '"2"'}
        assert kinds(await push(client, outgoing(1, "ours"))) == ["Changed"]
        (found,) = await pull(client)
        assert found["title"] == "theirs"
        assert await push(client, outgoing(1, "ours")) == [SENT]
        assert held["title"] == "ours"
        assert await push(client, outgoing(1, "more")) == [SENT]

    async def test_one_that_is_gone_is_asked_for_no_more(self, serve, tmp_path):
        def answer(asked):
            if asked.method == "GET":
                return {"items": []} if asked.path == "/orders" else Reply({}, 404)
            return Reply({}, 412 if "if-match" in asked.headers or len(server.asked) < 3 else 404)

        server = serve(answer)
        client = client_of(server, tmp_path, etag="_etag")
        assert kinds(await push(client, outgoing(1))) == ["Changed"]
        assert await pull(client) == []
        before = len(server.asked)
        assert await pull(client) == []
        assert len(server.asked) == before + 1

    @pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
    async def test_one_that_cannot_be_read_stops_nothing(self, serve, tmp_path, log, status):
        def answer(asked):
            if asked.method == "GET":
                return {"items": [order(2)]} if asked.path == "/orders" else Reply({}, status)
            return Reply({}, 412)

        client = client_of(serve(answer), tmp_path, etag="_etag", attempts=1)
        await push(client, outgoing(1))
        assert len(await pull(client)) == 1
        assert any(f"order 1 cannot be read again: localhost:{port(client)} answers {status}" in line for line in log)

    async def test_a_server_that_wants_the_etag_first(self, serve, tmp_path):
        def answer(asked):
            if asked.method == "GET":
                return {"items": []} if asked.path == "/orders" else order(1) | {"_etag": '"1"'}
            return {"id": 1} if "if-match" in asked.headers else Reply({}, 428)

        client = client_of(serve(answer), tmp_path, etag="_etag")
        assert kinds(await push(client, outgoing(1))) == ["Changed"]
        await pull(client)
        assert await push(client, outgoing(1)) == [SENT]

    async def test_without_etags_it_is_told_what_to_set(self, serve, tmp_path):
        server = server_of(serve, {"1": Reply({"message": "If-Match is missing"}, 428)})
        (result,) = await push(client_of(server, tmp_path), outgoing(1))
        assert "refuses it (428); see etag: If-Match is missing" in str(result)

    @pytest.mark.parametrize("etag", ['"a\nb"', "ä", "", 5])
    async def test_an_etag_that_no_header_may_hold_is_none(self, serve, tmp_path, etag):
        held = order(1) | {"_etag": etag}
        server = serve(lambda asked: {"items": [held]} if asked.method == "GET" else {"id": 1})
        client = client_of(server, tmp_path, etag="_etag")
        await pull(client)
        assert await push(client, outgoing(1)) == [SENT]


async def test_cancelling_leaves_nothing_under_way(serve, tmp_path):
    begun, release = threading.Event(), threading.Event()

    def answer(asked):
        begun.set()
        release.wait(5)
        return {"id": 1}

    async with client_of(serve(answer), tmp_path).sink() as sink:
        pushing = asyncio.ensure_future(sink.write_batch([Envelope(Outgoing("1", b"{}"), Locator("1"))]))
        await asyncio.to_thread(begun.wait, 5)
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        release.set()
