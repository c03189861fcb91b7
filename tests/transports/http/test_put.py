"""A PUT replaces all of an order: it says what is there too, as it was read; and what is not there any more."""

import pytest

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Gone, Rejected
from pipeline.testing import FakeErp
from pipeline.transports.http.verdicts import Changed
from tests.asking import client_of, order, outgoing, pull, push
from tests.scripted import Reply

SENT = Outcome.SENT
PUT = {"push": "PUT"}


@pytest.fixture
def plain():
    """An ERP whose PUT replaces all of an order."""
    with FakeErp() as erp:
        yield erp


def methods(server):
    return [asked.method for asked in (server.asked if hasattr(server, "asked") else server.requests)]


class TestPut:
    async def test_what_an_order_does_not_name_stays(self, plain, tmp_path):
        plain.put(order(1, asset={"id": "4711", "tags": ["a", "b"]}, priority=3))
        assert await push(client_of(plain, tmp_path, **PUT), outgoing(1)) == [SENT]
        held = plain.orders["1"]
        assert (held["title"], held["asset"], held["priority"]) == ("new", {"id": "4711", "tags": ["a", "b"]}, 3)
        assert methods(plain) == ["GET", "PUT"]

    async def test_ours_goes_over_theirs_at_every_depth(self, serve, tmp_path):
        held = {"id": 1, "_etag": '"1"', "a": {"x": 1, "y": {"z": 1, "w": [1]}}, "b": {"x": 1}, "c": [1, 2]}
        server = serve(lambda asked: held)
        body = b'{"id": 1, "a": {"y": {"w": [2]}, "n": null}, "b": 2, "c": {"x": 1}}'
        told = outgoing(1)
        assert await push(client_of(server, tmp_path, etag="_etag", **PUT), type(told)("1", body)) == [SENT]
        assert server.asked[-1].json == {
            "id": 1,
            "a": {"x": 1, "y": {"z": 1, "w": [2]}, "n": None},
            "b": 2,
            "c": {"x": 1},
        }

    async def test_an_order_in_an_envelope(self, serve, tmp_path):
        server = serve(lambda asked: {"data": order(1, asset="4711")})
        await push(client_of(server, tmp_path, **PUT), outgoing(1))
        assert (server.asked[-1].json["asset"], server.asked[-1].json["title"]) == ("4711", "new")

    @pytest.mark.parametrize("options", [{}, {"etag": "_etag"}], ids=str)
    async def test_it_goes_under_the_etag_that_was_read_with_it(self, plain, tmp_path, options):
        plain.put(order(1))
        page = plain.one
        changed = []

        def read(order_id):
            answer = page(order_id)
            if not changed:
                changed.append(plain.edit(1, title="theirs"))
            return answer

        plain.one = read
        client = client_of(plain, tmp_path, **PUT, **options)
        (result,) = await push(client, outgoing(1))
        assert isinstance(result, Changed)
        assert plain.orders["1"]["title"] == "theirs"

    async def test_an_edit_since_the_order_was_last_taken_is_not_overwritten(self, plain, tmp_path):
        plain.put(order(1))
        client = client_of(plain, tmp_path, etag="_etag", **PUT)
        await pull(client)
        plain.edit(1, title="theirs")
        (result,) = await push(client, outgoing(1))
        assert isinstance(result, Changed)
        await pull(client)
        assert await push(client, outgoing(1)) == [SENT]

    @pytest.mark.parametrize(
        ("shown", "kind", "why"),
        [
            ({"id": 2, "status": "NEW"}, Rejected, "its own address shows another order, 2, which PUT would replace"),
            ([], Rejected, "shows no order, so that PUT would erase what it has: see push and item"),
            (Reply(b""), Rejected, "shows no order"),
            (Reply(b"OK", kind="text/plain"), Rejected, "shows no order"),
            (Reply({}, 404), Rejected, r"does not have it \(404\)"),
            (Reply({"message": "locked"}, 423), Rejected, r"refuses it \(423\): locked"),
            (Reply({"message": "down"}, 500), Deferred, "answers 500"),
        ],
        ids=str,
    )
    async def test_where_the_order_cannot_be_read_it_is_not_replaced(self, serve, tmp_path, shown, kind, why):
        server = serve(lambda asked: {"items": []} if asked.path == "/orders" else shown)
        (result,) = await push(client_of(server, tmp_path, attempts=1, **PUT), outgoing(1))
        with pytest.raises(kind, match=why):
            raise result
        assert "PUT" not in methods(server)

    async def test_a_new_order_is_read_by_nobody_first(self, plain, tmp_path):
        assert await push(client_of(plain, tmp_path, **PUT), outgoing(1, is_new=True)) == [SENT]
        assert methods(plain) == ["PUT"]


class TestWhatIsGone:
    @pytest.mark.parametrize("status", [404, 410])
    async def test_it_is_that_orders_letter_with_the_whole_reason(self, serve, tmp_path, status):
        server = serve(lambda asked: Reply({"detail": "purged"}, status) if asked.path == "/orders/1" else {"id": 2})
        one, two = await push(client_of(server, tmp_path), outgoing(1), outgoing(2))
        with pytest.raises(Rejected, match=rf"does not have it \({status}\): it was removed there, or .*: purged"):
            raise one
        assert two == SENT
        assert methods(server) == ["PATCH", "PATCH"]

    @pytest.mark.parametrize("status", [404, 410])
    async def test_with_delete_it_is_a_deletion_once_its_address_says_so_too(self, serve, tmp_path, status):
        server = serve(lambda asked: Reply({"detail": "purged"}, status))
        (result,) = await push(client_of(server, tmp_path, absent="delete"), outgoing(1))
        assert (type(result), result.quote) == (Gone, "purged")
        assert str(result).endswith(f"does not have it any more ({status})")
        assert methods(server) == ["PATCH", "GET"]

    @pytest.mark.parametrize(
        ("reply", "kind", "why"),
        [
            ({"id": 1}, Rejected, r"takes no PATCH of it \(404\), and has it: see push"),
            (
                Reply(b"<!doctype html><title>404</title>", 404, kind="text/html"),
                Deferred,
                "asked for it, it answers 404",
            ),
            (Reply({}, 403), Deferred, "asked for it, it answers 403"),
            (Reply({}, 500), Deferred, "answers 500"),
        ],
        ids=str,
    )
    async def test_what_is_not_sure_deletes_nothing(self, serve, tmp_path, reply, kind, why):
        server = serve(lambda asked: reply if asked.method == "GET" else Reply({}, 404))
        (result,) = await push(client_of(server, tmp_path, absent="delete", attempts=1), outgoing(1))
        assert not isinstance(result, Gone)
        with pytest.raises(kind, match=why):
            raise result

    async def test_a_page_of_html_is_no_word_of_the_api(self, serve, tmp_path):
        server = serve(lambda asked: Reply(b"<!doctype html><title>404</title>", 404, kind="text/html"))
        (result,) = await push(client_of(server, tmp_path, absent="delete"), outgoing(1))
        assert "refuses it (404)" in str(result)

    async def test_a_creation_that_finds_nothing_there_is_refused(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"detail": "no such asset"}, 404))
        (result,) = await push(client_of(server, tmp_path, absent="delete"), outgoing(1, is_new=True))
        assert "refuses it (404): no such asset" in str(result)
