"""IBM Maximo: one site, the addresses that its list shows, its synonyms, its handshake for changes."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from pipeline.clients import maximo
from pipeline.dataflow.locators import Locator
from pipeline.errors import Fatal, Rejected, WrongSettings
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from tests.asking import client_of, pull, push, told
from tests.scripted import Reply

NOW = datetime(2026, 10, 1, tzinfo=UTC)


def record(number, **fields):
    return {
        "wonum": number,
        "siteid": "BEDFORD",
        "status": "WAPPR",
        "reportdate": "2026-10-01T08:00:00-03:00",
        "changedate": "2026-10-02T08:00:00-03:00",
    } | fields


def maximo_of(server, tmp_path, **options):
    options = {"url": server.url, "site": "BEDFORD"} | options
    return client_of(server, tmp_path, kind=maximo, items="member", **options)


def read(client, data):
    return client.to_record(client.validate(data))


def out(client, number, *, known=Status.CREATED, now=Status.CREATED, title="new"):
    order = WorkOrder(number=number, title=title, status=now, created_at=NOW)
    before = None if known is None else Values(title="t", status=known)
    return client.from_record(
        Record(order=order, external_id=number, layout="maximo", known=before, is_linked=before is not None)
    )


class TestOneSite:
    @pytest.mark.parametrize(
        ("options", "where"),
        [
            ({}, 'siteid="BEDFORD"'),
            ({"site": "bedford"}, 'siteid="BEDFORD"'),
            ({"params": {"oslc.where": 'status!="CLOSE"'}}, 'siteid="BEDFORD" and status!="CLOSE"'),
        ],
    )
    async def test_only_its_orders_are_asked_for(self, serve, tmp_path, options, where):
        server = serve(lambda asked: {"member": [record("1001")]})
        client = maximo_of(server, tmp_path, **options)
        await pull(client)
        await pull(client)
        first, second = (asked.query for asked in server.asked)
        assert first["oslc.where"] == where
        assert second["oslc.where"] == f'{where} and changedate>="2026-10-02T10:55:00.000Z"'
        assert (first["lean"], "siteid" in first["oslc.select"], "status_maxvalue" in first["oslc.select"]) == (
            "1",
            1,
            1,
        )

    async def test_a_users_parameters_are_added(self, serve, tmp_path):
        server = serve(lambda asked: {"member": []})
        await pull(maximo_of(server, tmp_path, params={"savedQuery": "MINE"}))
        assert {"savedQuery": "MINE", "lean": "1"}.items() <= server.asked[0].query.items()
        assert "oslc.select" in server.asked[0].query

    async def test_an_order_of_another_site_is_a_dead_letter_under_its_own_name(self, serve, tmp_path):
        nashua = record("1001", siteid="NASHUA", status="COMP")
        server = serve(lambda asked: {"member": [record("1001"), nashua]})
        client = maximo_of(server, tmp_path)
        async with client.source() as source:
            (group,) = [group async for group in source.read()]
        assert [item.locator for item in group] == [Locator("1001"), Locator("NASHUA/1001")]
        assert read(client, record("1001")).order.number == "1001"
        with pytest.raises(Rejected, match=r"\$\.siteid: an order of another site than BEDFORD"):
            read(client, nashua)

    async def test_a_new_order_belongs_to_it_and_a_change_says_nothing_of_it(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"wonum": "T-77"}, 201) if len(server.asked) == 1 else Reply(status=204))
        client = maximo_of(server, tmp_path)
        assert await push(client, out(client, "T-77", known=None), out(client, "T-78")) == ["sent"] * 2
        new, changed = sorted(server.asked, key=lambda asked: asked.path)
        assert (new.method, new.path, new.json["siteid"]) == ("POST", "/orders", "BEDFORD")
        assert "wonum" not in new.json
        assert "x-method-override" not in new.headers
        assert "siteid" not in changed.json
        said = [changed.headers[name] for name in ("x-method-override", "patchtype", "properties")]
        assert said == ["PATCH", "MERGE", "wonum,siteid"]
        assert new.query == changed.query == {"lean": "1"}

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"site": 'X" or "'}, "site: expected a SITEID"),
            ({"site": ""}, "site: expected a SITEID"),
            ({"words": {"DONE": "X"}}, "words: DONE: no status of Maximo's own; known: WAPPR"),
        ],
    )
    def test_what_cannot_work(self, erp, tmp_path, options, why):
        with pytest.raises(WrongSettings, match=why):
            maximo_of(erp, tmp_path, **options)


class TestAddresses:
    async def test_a_change_goes_where_the_list_shows_the_order(self, serve, tmp_path):
        shown = {"1001": "http://LOCALHOST:{port}/orders/_ABC==?x=1", "1002": "_DEF", "1003": None}

        def answer(asked):
            if asked.method == "GET":
                hrefs = {one: href and href.format(port=server.port) for one, href in shown.items()}
                return {"member": [record(one, href=href) for one, href in hrefs.items()]}
            return Reply(status=204)

        server = serve(answer)
        client = maximo_of(server, tmp_path)
        await pull(client)
        await push(client, *(out(client, number) for number in shown))
        told = [(asked.path, asked.query) for asked in server.asked if asked.method == "POST"]
        built = "/orders/_QkVERk9SRC8xMDAz"  # the base64 of BEDFORD/1003, where the list shows none
        assert sorted(told, key=str) == [
            ("/_DEF", {"lean": "1"}),
            ("/orders/_ABC==", {"x": "1", "lean": "1"}),
            (built, {"lean": "1"}),
        ]

    async def test_one_elsewhere_gets_nothing_of_ours(self, serve, tmp_path):
        href = "https://maximo.internal/orders/_ABC"
        server = serve(lambda asked: {"member": [record("1001", href=href)]} if asked.method == "GET" else {})
        client = maximo_of(server, tmp_path)
        await pull(client)
        with pytest.raises(
            Fatal, match=r"order 1001 lies at another address.*: https://maximo\.internal; set url so, or"
        ):
            await push(client, out(client, "1001"))
        assert await push(maximo_of(server, tmp_path, next_from="path"), out(client, "1001")) == ["sent"]
        assert server.asked[-1].path == "/orders/_ABC"

    async def test_the_address_of_a_new_order_is_learned(self, serve, tmp_path):
        new = Reply({"wonum": "1003"}, 201, {"Location": "/orders/_NEW"})
        server = serve(lambda asked: new if asked.path == "/orders" else Reply(status=204))
        client = maximo_of(server, tmp_path)
        await push(client, out(client, "T-77", known=None))
        await push(client, out(client, "1003"))
        assert [asked.path for asked in server.asked] == ["/orders", "/orders/_NEW"]

    @pytest.mark.parametrize(
        ("location", "called"),
        [("/orders/_QkVERk9SRC8xMDAz", {0: "1003"}), ("/orders/_NEW", {}), ("/orders/_TkFTSFVBLzEwMDM=", {})],
    )
    async def test_a_number_of_maximos_own_is_learned_from_an_address_of_its_site(
        self, serve, tmp_path, location, called
    ):
        client = maximo_of(serve(lambda asked: Reply(b"", 201, {"Location": location})), tmp_path)
        result = await told(client, out(client, "T-77", known=None))
        assert (list(result.outcomes), result.called) == (["sent"], called)

    async def test_a_search_keeps_to_the_site(self, serve, tmp_path):
        search = maximo_of(serve(dict), tmp_path).options
        search = replace(search, find='?oslc.where=externalrefid="{number}"').search("T-77")[1]
        assert search["oslc.where"] == 'siteid="BEDFORD" and externalrefid="T-77"'


class TestWords:
    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"status": "4COMP", "status_maxvalue": "COMP"}, Status.COMPLETED),
            ({"status": "WPLAN", "status_maxvalue": "WAPPR"}, Status.CREATED),
            ({"status": "INPRG", "status_maxvalue": "INPRG"}, Status.IN_PROGRESS),
            ({"status": "GESCHLOSSEN"}, Status.COMPLETED),
        ],
    )
    def test_a_sites_own_are_understood(self, erp, tmp_path, fields, status):
        client = maximo_of(erp, tmp_path, words={"CLOSE": "GESCHLOSSEN"})
        assert read(client, record("1", **fields)).order.status is status

    @pytest.mark.parametrize("fields", [{"status": "X"}, {"status": "X", "status_maxvalue": "Y"}, {"status": 5}])
    def test_what_nobody_knows_is_not(self, erp, tmp_path, fields):
        with pytest.raises(Rejected, match=r"\$\.status"):
            read(maximo_of(erp, tmp_path), record("1", **fields))

    def test_a_sites_own_are_told(self, erp, tmp_path):
        client = maximo_of(erp, tmp_path, words={"COMP": "4COMP"})
        assert b'"status": "4COMP"' in out(client, "1", known=Status.IN_PROGRESS, now=Status.COMPLETED).body
        assert b'"status": "INPRG"' in out(client, "1", known=Status.CREATED, now=Status.IN_PROGRESS).body

    def test_what_is_not_lean_says_so(self, erp, tmp_path):
        with pytest.raises(Rejected, match="its keys begin with spi:, so it is not lean: set lean=1"):
            read(maximo_of(erp, tmp_path), {f"spi:{key}": value for key, value in record("1").items()})

    def test_an_order_without_a_report_date(self, erp, tmp_path):
        assert read(maximo_of(erp, tmp_path), record("1", reportdate=None)).order.created_at is None


async def test_our_number_is_told_and_read_where_a_site_keeps_it(serve, tmp_path):
    server = serve(lambda asked: {"member": [record("1001", externalrefid="T-77")]})
    client = maximo_of(server, tmp_path, reference="externalrefid")
    (found,) = await pull(client)
    assert "externalrefid" in server.asked[0].query["oslc.select"]
    assert read(client, found).reference == "T-77"
    assert b'"externalrefid": "T-78"' in out(client, "T-78", known=None).body
    assert b"externalrefid" not in out(client, "T-78").body
