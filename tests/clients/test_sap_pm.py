"""SAP plant maintenance: OData 4 and 2, their times, keys and envelopes; the CSRF token; the language."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients import sap_pm
from pipeline.errors import Rejected
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from pipeline.translation import sap_pm as layout
from tests.asking import client_of, pull, push, told
from tests.scripted import Reply

TICKS = 1793450205000
MOMENT = datetime(2026, 10, 31, 12, 36, 45, tzinfo=UTC)


def record(number="4000123", **fields):
    times = {"CreationDateTime": "2026-10-01T08:00:00Z", "LastChangeDateTime": "2026-10-02T08:00:00Z"}
    return {"MaintenanceOrder": number, "MaintenanceOrderDesc": "Pump", "SystemStatus": "REL", **times} | fields


def sap_of(server, tmp_path, **options):
    return client_of(server, tmp_path, kind=sap_pm, **({"items": "value"} | options))


def out(client, number="4000123", *, known=Status.PENDING, title="new"):
    order = WorkOrder(number=number, title=title, status=Status.PENDING, created_at=MOMENT)
    before = None if known is None else Values(title="t", status=known)
    return client.from_record(
        Record(order=order, external_id=number, layout="sap_pm", known=before, is_linked=before is not None)
    )


class TestOData2:
    @pytest.fixture
    def service(self, serve):
        """A service of OData 2 with one order, an ETag, a CSRF token and its cookie."""
        held = record(CreationDateTime=f"/Date({TICKS}+0000)/", LastChangeDateTime=f"/Date({TICKS})/")
        held["__metadata"] = {"etag": "W/\"datetimeoffset'2026-10-31T12%3A16%3A45Z'\""}

        def answer(asked):
            if asked.headers.get("x-csrf-token") == "Fetch":
                return Reply({"d": {"results": []}}, headers={"X-CSRF-Token": "T", "Set-Cookie": "sap-XSRF=1; path=/"})
            if asked.method == "GET":
                if "(" in asked.path:
                    return {"d": held}
                return {"d": {"results": [] if 'W/"2"' in held["__metadata"]["etag"] else [held]}}
            if asked.headers.get("x-csrf-token") != "T" or "sap-XSRF=1" not in asked.headers.get("cookie", ""):
                return Reply(b"CSRF token validation failed", 403, {"X-CSRF-Token": "Required"}, "text/plain")
            if asked.method == "POST":
                return Reply({"d": asked.json}, 201)
            matches = asked.headers.get("if-match") == held["__metadata"]["etag"]
            held.update(asked.json if matches else {})
            return Reply(status=204 if matches else 412)

        server = serve(answer)
        server.held = held
        return server

    @pytest.mark.parametrize(
        "options", [{"items": "d.results", "next": "d.__next"}, {"odata": 2, "items": "d.results"}]
    )
    async def test_it_is_read_asked_since_and_told(self, service, tmp_path, options):
        client = sap_of(service, tmp_path, **options)
        (found,) = await pull(client)
        read = client.to_record(client.validate(found)).order
        assert (read.created_at, read.updated_at) == (MOMENT, MOMENT)
        await pull(client)
        asked = service.asked[-1].query
        assert asked == {
            "sap-language": "EN",
            "$filter": "LastChangeDateTime ge datetimeoffset'2026-10-31T12:31:45.000Z'",
        }
        assert await push(client, out(client)) == ["sent"]
        assert service.held["MaintenanceOrderDesc"] == "new"
        told = service.asked[-1]
        assert (told.method, told.path, told.query) == ("PATCH", "/orders('4000123')", {"sap-language": "EN"})

    async def test_an_order_that_was_changed_is_read_from_its_envelope(self, service, tmp_path):
        client = sap_of(service, tmp_path, items="d.results", next="d.__next")
        await pull(client)
        service.held["__metadata"] = {"etag": 'W/"2"'}
        await push(client, out(client))
        await pull(client)
        assert "/orders('4000123')" in [asked.path for asked in service.asked if asked.method == "GET"]
        assert await push(client, out(client)) == ["sent"]

    async def test_a_new_order_has_its_times_in_the_services_form(self, service, tmp_path):
        client = sap_of(service, tmp_path, items="d.results")
        assert await push(client, out(client, known=None)) == ["sent"]
        told = service.asked[-1]
        assert (told.method, told.path, told.json["CreationDateTime"]) == ("POST", "/orders", f"/Date({TICKS}+0000)/")
        assert "MaintenanceOrder" not in told.json
        shown = told.json | {"MaintenanceOrder": "4000999"}
        assert client.to_record(client.validate(shown)).order.created_at == MOMENT

    async def test_a_list_without_results(self, serve, tmp_path):
        server = serve(lambda asked: {"d": [record()]})
        assert len(await pull(sap_of(server, tmp_path, items="d.results"))) == 1

    async def test_pages(self, serve, tmp_path):
        def answer(asked):
            last = "$skiptoken" in asked.query
            following = {} if last else {"__next": f"{server.url}?$skiptoken=2"}
            return {"d": {"results": [record("2" if last else "1")], **following}}

        server = serve(answer)
        found = await pull(sap_of(server, tmp_path, items="d.results", next="d.__next"))
        assert [one["MaintenanceOrder"] for one in found] == ["1", "2"]


class TestTimes:
    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            (f"/Date({TICKS})/", MOMENT),
            (f"/Date({TICKS}+0000)/", MOMENT),
            (f"/Date({TICKS}+0120)/", MOMENT),
            (f"/Date({TICKS}-0480)/", MOMENT),
            (f"/Date({TICKS}+60)/", MOMENT),
            ("2026-10-31T12:36:45Z", MOMENT),
            ("2026-10-31T12:36:45", MOMENT),
            ("", None),
            (" ", None),
            ("0000-00-00", None),
            ("00000000", None),
            ("0000-00-00T00:00:00", None),
            ("00000000000000", None),
            (None, None),
        ],
    )
    def test_both_forms_and_none(self, said, meant):
        assert layout.LAYOUT.validate(record(LastChangeDateTime=said), UTC).order.updated_at == meant

    @pytest.mark.parametrize(
        "said", ["/Date()/", "/Date(x)/", "/Date(99999999999999999)/", "/Date(5)", "31.10.2026", 5]
    )
    def test_what_is_none(self, said):
        with pytest.raises(Rejected, match=r"\$\.LastChangeDateTime: (not a|no such) date"):
            layout.LAYOUT.validate(record(LastChangeDateTime=said), UTC)


class TestHandshakes:
    async def test_quotes_in_a_key_are_doubled(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"value": []}, headers={"X-CSRF-Token": "T"}))
        client = sap_of(server, tmp_path)
        await push(client, out(client, "O'B-1"))
        assert server.asked[-1].target == "/orders('O%27%27B-1')?sap-language=EN"

    async def test_a_token_is_fetched_before_the_first_write(self, serve, tmp_path):
        def answer(asked):
            if asked.method == "GET":
                return Reply({"value": []}, headers={"x-csrf-token": "T"})
            return Reply({}, 204 if asked.headers.get("x-csrf-token") == "T" else 403)

        client = sap_of(serve(answer), tmp_path)
        assert await push(client, out(client)) == ["sent"]

    async def test_the_language_is_asked_for_each_time_and_a_users_own_wins(self, serve, tmp_path):
        server = serve(lambda asked: {"value": [record()]})
        await pull(sap_of(server, tmp_path))
        assert (server.asked[-1].query["sap-language"], server.asked[-1].headers["accept-language"]) == ("EN", "en")
        options = {"params": {"sap-language": "DE", "sap-client": "100"}, "headers": {"accept-language": "de"}}
        await pull(sap_of(server, tmp_path, **options))
        asked = server.asked[-1]
        assert (asked.query["sap-language"], asked.query["sap-client"]) == ("DE", "100")
        assert asked.headers["accept-language"] == "de"

    async def test_a_users_filter_is_joined_with_since(self, serve, tmp_path):
        server = serve(lambda asked: {"value": [record()]})
        client = sap_of(server, tmp_path, params={"$filter": "Plant eq '1' or Plant eq '2'"})
        await pull(client)
        await pull(client)
        first, second = (asked.query["$filter"] for asked in server.asked)
        assert first == "Plant eq '1' or Plant eq '2'"
        assert second == f"({first}) and LastChangeDateTime ge 2026-10-02T07:55:00.000Z"

    @pytest.mark.parametrize("codes", ["FREI VOKL", "TABG", "EROF", "TABG LOVM"])
    def test_codes_of_another_language_say_what_to_do(self, codes):
        why = r"codes depend on the language of the user: log on in EN \(sap-language=EN\)"
        with pytest.raises(Rejected, match=why):
            layout.LAYOUT.validate(record(SystemStatus=codes), UTC)

    async def test_a_number_that_sap_gives_itself_is_learned(self, serve, tmp_path):
        def answer(asked):
            if asked.method == "GET":
                return Reply({"value": []}, headers={"x-csrf-token": "T"})
            return Reply(msgspec.json.encode({"MaintenanceOrder": "000004000999"}), 201)

        server = serve(answer)
        client = sap_of(server, tmp_path)
        result = await told(client, out(client, "T-1", known=None))
        assert (list(result.outcomes), result.called) == (["sent"], {0: "000004000999"})
        assert (server.asked[-1].method, server.asked[-1].path) == ("POST", "/orders")

    async def test_with_shared_ids_it_is_a_dead_letter_that_says_what_to_set(self, serve, tmp_path):
        def answer(asked):
            if asked.method == "GET":
                return Reply({"value": []}, headers={"x-csrf-token": "T"})
            return Reply(msgspec.json.encode({"MaintenanceOrder": "000004000999"}), 201)

        client = sap_of(serve(answer), tmp_path, ids="shared")
        (result,) = await push(client, replace(out(client, "T-1", known=None), number=None))
        assert "the client calls it 000004000999" in str(result)
        assert 'set ids = "client"' in str(result)
