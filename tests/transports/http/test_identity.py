"""Orders that the client numbers itself: one there for one here, whatever becomes of the answers; and what is gone."""

import asyncio

import msgspec
import pytest

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Rejected, WrongSettings
from pipeline.testing import FakeErp, Faults, Habits
from pipeline.transports.http.creation import Linked
from tests.asking import Numbering, born, client_of, order, outgoing, pull, push, told
from tests.scripted import Reply

SENT = Outcome.SENT
FIND = "?externalRef={number}"
FIRST = 400001


def erp_that(**habits):
    faults = habits.pop("faults", None)
    ways = {"numbers": lambda count: FIRST + count - 1, "reference": "externalRef"} | habits
    return FakeErp(merges=True, habits=Habits(**ways), faults=faults)


def numbering(server, tmp_path, **options):
    return client_of(server, tmp_path, kind=Numbering, **options)


def references(erp):
    return sorted(one["externalRef"] for one in erp.orders.values())


def created(erp):
    return [asked for asked in erp.requests if asked.method == "POST"]


class TestTheIdThatItGives:
    @pytest.mark.parametrize("answers", ["body", "location"])
    async def test_it_is_learned_and_our_number_is_no_id_of_its(self, tmp_path, answers):
        with erp_that(answers=answers) as erp:
            client = numbering(erp, tmp_path)
            result = await told(client, born(777), born("T-1"))
            assert (client.ids, list(result.outcomes)) == ("client", [SENT, SENT])
            given = {position: str(one) for position, one in result.called.items()}
            assert {erp.orders[one]["externalRef"] for one in given.values()} == {"777", "T-1"}
            assert erp.orders[given[0]]["externalRef"] == "777"
            assert {asked.path for asked in created(erp)} == {"/orders"}
            assert {asked.headers["Idempotency-Key"] for asked in created(erp)} == {"key of 777", "key of T-1"}

    @pytest.mark.parametrize(
        ("reply", "options", "given"),
        [
            ({"id": 5}, {}, 5),
            ({"id": "A-5"}, {}, "A-5"),
            ({"data": {"id": 5}}, {}, 5),
            ({"result": {"ref": "5"}, "id": 9}, {"created_id": "result.ref"}, "5"),
            ({"result": {}, "id": 9}, {"created_id": "result.ref"}, None),
            (Reply(b"", 201, {"Location": "/orders/5"}), {}, "5"),
            (Reply(b"", 201, {"Location": "https://erp.example/api/v2/workorders/A%205/?x=1"}), {}, "A 5"),
            (Reply(b"", 201, {"Location": "/sap/MaintenanceOrder('4000')"}), {}, "4000"),
            (Reply(b"", 201, {"Location": "/sap/MaintenanceOrder(MaintenanceOrder='O''B')"}), {}, "O'B"),
            (Reply(b"", 204, {"OData-EntityId": "https://x.example/api/data/v9.2/orders(0-1)"}), {}, "0-1"),
            (Reply(status=204), {}, None),
            (Reply({"id": "job-1"}, 202, {"Location": "/jobs/1"}), {}, None),
            (Reply({"id": "#N/A"}, 201), {}, None),
            (Reply({"id": True}, 201), {}, None),
        ],
        ids=str,
    )
    async def test_wherever_the_answer_says_it(self, serve, tmp_path, log, reply, options, given):
        server = serve(lambda asked: reply)
        result = await told(numbering(server, tmp_path, **options), born(777))
        assert (list(result.outcomes), result.called) == ([SENT], {} if given is None else {0: given})
        (asked,) = server.asked
        assert (asked.method, asked.path, "if-none-match" in asked.headers) == ("POST", "/orders", False)
        assert sum("does not say under which id" in line for line in log) == (given is None)

    async def test_that_it_gives_none_is_said_once_a_run(self, tmp_path, log):
        with erp_that(answers="nothing") as erp:
            result = await told(numbering(erp, tmp_path), *(born(number) for number in range(5)))
            assert (set(result.outcomes), result.called) == ({SENT}, {})
            assert len(erp.orders) == 5
        assert sum("does not say under which id" in line for line in log) == 1

    async def test_one_id_for_two_orders_is_none(self, serve, tmp_path):
        result = await told(numbering(serve(lambda asked: {"id": 5}), tmp_path), born(1), born(2))
        assert result.called == {}
        for one in result.outcomes:
            with pytest.raises(Rejected, match="of several new orders that it keeps them as 5: see created_id"):
                raise one

    async def test_its_etag_and_its_address_are_remembered_under_the_id_that_it_gives(self, serve, tmp_path):
        def answer(asked):
            headers = {"ETag": '"9"', "Location": "/there/5"}
            return Reply({"id": 5}, 201, headers) if asked.path == "/orders" else {"id": 5}

        server = serve(answer)
        client = numbering(server, tmp_path, etag="_etag", href="href")
        await told(client, born(777))
        await told(client, outgoing(5), outgoing(777))
        one, other = sorted(server.asked[1:], key=lambda asked: asked.path, reverse=True)
        assert (one.path, one.headers["if-match"]) == ("/there/5", '"9"')
        assert (other.path, "if-match" in other.headers) == ("/orders/777", False)

    async def test_an_order_that_is_linked_is_never_made_whatever_is_known_of_it(self, tmp_path):
        with erp_that() as erp:
            (result,) = await push(numbering(erp, tmp_path), outgoing(5, is_new=True))
            assert isinstance(result, Rejected)
            assert not erp.orders

    async def test_a_refusal_is_that_orders_own(self, tmp_path):
        with erp_that() as erp:
            erp.refuse["2"] = "no such asset"
            result = await told(numbering(erp, tmp_path), born(1), born(2), born(3))
            assert [type(one) for one in result.outcomes] == [Outcome, Rejected, Outcome]
            assert set(result.called) == {0, 2}


class TestALostAnswer:
    async def test_in_one_run_it_is_told_again_under_the_same_key(self, tmp_path):
        with erp_that(faults=Faults(0.3, ("lost", "503", "drop"), seed=3)) as erp:
            result = await told(numbering(erp, tmp_path), *(born(number) for number in range(60)))
            assert set(result.outcomes) == {SENT}
            assert len(result.called) == 60
            assert references(erp) == sorted(str(number) for number in range(60))
            assert len(created(erp)) > 60

    async def test_where_keys_mean_nothing_it_is_asked_whether_it_is_there(self, tmp_path):
        with erp_that(honours_keys=False, faults=Faults(0.3, ("lost", "drop"), seed=3)) as erp:
            client = numbering(erp, tmp_path, find=FIND)
            waiting, called = [born(number) for number in range(60)], {}
            for _ in range(5):
                result = await told(client, *waiting)
                called |= {waiting[position].id: given for position, given in result.called.items()}
                waiting = [
                    born(one.number, again=True)
                    for one, outcome in zip(waiting, result.outcomes, strict=True)
                    if isinstance(outcome, Deferred) and one.id not in called
                ]
                if not waiting:
                    break
            assert references(erp) == sorted(str(number) for number in range(60))
            assert {key: erp.orders[str(given)]["externalRef"] for key, given in called.items()} == {
                str(number): str(number) for number in range(60)
            }

    async def test_lost_answers_are_no_outage_while_it_can_be_asked(self, tmp_path):
        with erp_that(honours_keys=False) as erp:
            client = numbering(erp, tmp_path, find=FIND, parallel=12)
            erp.faults.once(*("lost",) * 12)
            result = await told(client, *(born(number) for number in range(12)))
            assert (set(result.outcomes), len(result.called), len(erp.orders)) == ({SENT}, 12, 12)

    async def test_in_the_next_run_it_is_found_and_told_no_more(self, tmp_path, log):
        with erp_that(honours_keys=False) as erp:
            client = numbering(erp, tmp_path, find=FIND)
            await told(client, born(777))  # and the program is killed
            result = await told(client, born(777, again=True))
            assert (list(result.outcomes), result.called) == ([SENT], {0: FIRST})
            assert len(created(erp)) == len(erp.orders) == 1
        assert not [line for line in log if "told again" in line]

    async def test_one_that_was_edited_meanwhile_is_linked_and_told_by_the_next_run(self, tmp_path):
        with erp_that() as erp:
            for find in ("", FIND):
                client = numbering(erp, tmp_path, find=find)
                await told(client, born(777))
                result = await told(client, born(777, "edited", again=True))
                (outcome,) = result.outcomes
                assert (type(outcome), result.called) == (Linked, {0: FIRST})
                assert len(erp.orders) == 1
            assert await push(client, outgoing(FIRST, "edited")) == [SENT]
            assert erp.orders[str(FIRST)]["title"] == "edited"

    @pytest.mark.parametrize(("find", "why"), [(FIND, "it was not found there"), ("", "set find, to ask for it first")])
    async def test_one_that_is_not_there_is_told_again_and_that_is_said(self, tmp_path, log, find, why):
        with erp_that() as erp:
            result = await told(numbering(erp, tmp_path, find=find), born(777, again=True))
            assert (list(result.outcomes), result.called) == ([SENT], {0: FIRST})
            (asked,) = created(erp)
            assert asked.headers["Idempotency-Key"] == "key of 777"
        (line,) = [line for line in log if "told again" in line]
        assert f"order 777 may have been told before, and the answer lost ({why}): told again" in line

    async def test_several_that_are_found_are_named_and_nothing_is_told(self, tmp_path):
        with erp_that(honours_keys=False) as erp:
            client = numbering(erp, tmp_path, find=FIND)
            await told(client, born(777))
            await told(client, born(777))
            before = len(created(erp))
            result = await told(client, born(777, again=True))
            assert result.called == {}
            with pytest.raises(
                Rejected, match=f"2 orders whose reference is this number: {FIRST}, {FIRST + 1}: nothing"
            ):
                raise result.outcomes[0]
            assert len(created(erp)) == before

    async def test_one_that_was_told_and_never_named_is_not_made_again(self, tmp_path):
        with erp_that(answers="nothing", honours_keys=False) as erp:
            result = await told(numbering(erp, tmp_path), born(777, "edited", is_new=False))
            assert isinstance(result.outcomes[0], Deferred)
            assert "has not said under which id it keeps it" in str(result.outcomes[0])
            await told(numbering(erp, tmp_path), born(777))
            result = await told(numbering(erp, tmp_path, find=FIND), born(777, "edited", is_new=False))
            assert (type(result.outcomes[0]), result.called) == (Linked, {0: FIRST})
            assert len(erp.orders) == 1


class TestTheSearch:
    @pytest.fixture
    def ask(self, serve, tmp_path):
        """What becomes of order 777, which may be there, when the search is answered so; and the server."""

        async def ask(answer, **options):
            server = serve(lambda asked: answer if asked.method == "GET" else Reply({"id": 5}, 201))
            result = await told(numbering(server, tmp_path, **({"find": FIND} | options)), born(777, again=True))
            return result, server

        return ask

    @pytest.mark.parametrize(
        ("answer", "options"),
        [
            ({"items": [order(9, externalRef="777")]}, {}),
            ({"items": [order(8, externalRef="7777"), order(9, externalRef="777"), order(7)]}, {}),
            (order(9, externalRef="777"), {}),
            ({"order": order(9, externalRef="777")}, {"item": "order"}),
            ({"items": [order(9, externalRef="777"), order(9, externalRef="777")]}, {}),
            ([order(9, externalRef="777")], {"items": ""}),
        ],
        ids=str,
    )
    async def test_what_is_found(self, ask, answer, options):
        result, server = await ask(answer, **options)
        assert result.called == {0: 9}
        assert [asked.method for asked in server.asked] == ["GET"]

    @pytest.mark.parametrize(
        "answer",
        [
            {"items": []},
            {"items": [order(9, externalRef="7777"), order(8), {"id": 1}]},
            Reply({"detail": "none"}, 404),
            Reply(b"", 404),
            Reply(status=204),
        ],
        ids=str,
    )
    async def test_what_is_not(self, ask, answer):
        result, server = await ask(answer)
        assert result.called == {0: 5}
        assert [asked.method for asked in server.asked] == ["GET", "POST"]

    @pytest.mark.parametrize(
        ("answer", "kind", "why"),
        [
            ({"items": [order(9, externalRef=" T-1")]}, Rejected, "order 9 has a reference that differs"),
            ({"items": [order(9, externalRef="T-1", status="?")]}, Rejected, "names this number, and cannot be read"),
            (Reply(b"<html><title>Sign in</title>", kind="text/html"), Deferred, "cannot be asked: .*HTML.*see find"),
            (Reply(b"<html>", 404, kind="text/html"), Deferred, "cannot be asked: .*404.*see find"),
            ({"orders": []}, Deferred, "cannot be asked: .*see find"),
            (Reply({}, 403), Deferred, "cannot be asked: .*refuses us"),
            (Reply({}, 500), Deferred, "answers 500"),
        ],
        ids=str,
    )
    async def test_where_that_cannot_be_told_nothing_is_told(self, serve, tmp_path, answer, kind, why):
        server = serve(lambda asked: answer if asked.method == "GET" else Reply({"id": 5}, 201))
        result = await told(numbering(server, tmp_path, find=FIND, attempts=1), born("t-1", again=True))
        assert result.called == {}
        with pytest.raises(kind, match=why):
            raise result.outcomes[0]
        assert {asked.method for asked in server.asked} == {"GET"}

    async def test_it_is_read_to_its_end_where_the_server_knows_no_such_parameter(self, tmp_path):
        with erp_that(reference="theirs", cap=2) as erp:
            for number in range(9):
                erp.put(order(number, externalRef="777" if number == 7 else None))
            paging = {"page": "cursor", "next": "cursor"}
            result = await told(numbering(erp, tmp_path, find=FIND, **paging), born(777, again=True))
            assert result.called == {0: 7}

    async def test_a_list_without_end_is_none(self, serve, tmp_path):
        count = iter(range(1, 1000))
        server = serve(lambda asked: {"items": [order(next(count))], "cursor": str(next(count))})
        paging = {"page": "cursor", "next": "cursor"}
        (result,) = await push(numbering(server, tmp_path, find=FIND, **paging), born(777, again=True))
        assert "more than 20 pages" in str(result)
        assert {asked.method for asked in server.asked} == {"GET"}

    @pytest.mark.parametrize(
        ("find", "number", "path", "query"),
        [
            ("?externalRef={number}&lean=1", "A B&c", "/orders", {"externalRef": "A B&c", "lean": "1", "site": "X"}),
            ("/by-ref/{number}", "a/b", "/orders/by-ref/a/b", {"site": "X"}),
            ("?$filter=Ref eq '{number}'", "O'B", "/orders", {"$filter": "Ref eq 'O''B'", "site": "X"}),
            ("?where=ref%3D{number}", "7", "/orders", {"where": "(a=1) and ref=7", "site": "X"}),
        ],
    )
    async def test_how_it_is_asked(self, serve, tmp_path, find, number, path, query):
        server = serve(lambda asked: {"items": [order(9, externalRef=number)]})
        joined = {"since_param": "where", "since": "t>{time}", "since_and": "({params}) and {since}"}
        params = {"site": "X"} | ({"where": "a=1"} if "where" in find else {})
        client = numbering(server, tmp_path, find=find, params=params, size_param="", **joined)
        assert (await told(client, born(number, again=True))).called == {0: 9}
        (asked,) = server.asked
        assert (asked.path, asked.query) == (path, query)

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"find": "?ref=7"}, r"north: find: expected a text with \{number\}"),
            ({"create_path": "/{id}"}, r'create_path: expected no \{id\} in it: with ids = "client"'),
            ({"ids": "both"}, "ids"),
            ({"absent": "x"}, "absent"),
        ],
    )
    def test_options_that_cannot_work(self, serve, tmp_path, options, why):
        server = serve(lambda asked: {})
        with pytest.raises(WrongSettings, match=why):
            numbering(server, tmp_path, **options)

    def test_a_layout_without_a_reference_finds_nothing(self, erp, tmp_path):
        with pytest.raises(WrongSettings, match="north: find: its layout has no reference"):
            client_of(erp, tmp_path, find=FIND)


class TestADoubledOrderOfBefore:
    async def test_it_is_linked_once_the_settings_say_who_numbers(self, tmp_path):
        with erp_that() as erp:
            (result,) = await push(client_of(erp, tmp_path, create="POST"), outgoing(777, is_new=True))
            assert f"the client calls it {FIRST}" in str(result)
            assert 'set ids = "client"' in str(result)
            client = numbering(erp, tmp_path)
            result = await told(client, born(777))
            assert (type(result.outcomes[0]), result.called) == (Linked, {0: str(FIRST)})
            assert len(erp.orders) == 1
            async with client.source() as source:
                ((held,),) = [group async for group in source.read()]
            assert "the client made this order of ours, 777" in str(held.reasons[0])
            assert await push(client, outgoing(FIRST, "edited")) == [SENT]
            assert [one["title"] for one in await pull(client)] == ["edited"]


class TestWhatIsGone:
    @pytest.mark.parametrize("gone", [404, 410])
    async def test_it_is_that_orders_letter_and_no_others(self, tmp_path, gone):
        with erp_that(gone=gone) as erp:
            erp.put(order(1))
            erp.put(order(2))
            erp.remove(1)
            one, two = await push(numbering(erp, tmp_path), outgoing(1), outgoing(2))
            with pytest.raises(Rejected, match=rf"does not have it \({gone}\): it was removed there, or its address"):
                raise one
            assert two == SENT
            assert [asked.method for asked in erp.requests] == ["PATCH", "PATCH"]


async def test_two_runs_at_once_of_hundreds_of_orders_make_each_once(tmp_path):
    """Whatever answers are lost, and whoever asks: the keys are the orders' own."""
    with erp_that(faults=Faults(0.1, ("lost", "drop"), seed=5)) as erp:
        orders = [born(number) for number in range(200)]
        both = await asyncio.gather(
            told(numbering(erp, tmp_path / "a"), *orders), told(numbering(erp, tmp_path / "b"), *orders)
        )
        assert len(erp.orders) == 200
        assert both[0].called == both[1].called
        bodies = {one["externalRef"] for one in erp.orders.values()}
        assert bodies == {msgspec.json.decode(one.body)["externalRef"] for one in orders}
