"""An order that was removed there is told once; a list that does not show all says nothing of what it leaves out."""

import pytest

from pipeline.dataflow.messages import Envelope, Fate, Unreadable
from pipeline.testing import FakeErp, Habits
from tests.asking import client_of, order
from tests.places import Vouching
from tests.scripted import Reply

PAGING = {"page": "cursor", "next": "cursor", "page_size": 2}


async def pull(client, fate=Fate.DELIVERED, lost=Fate.DEAD):
    """What one pull gives: the ids of orders, and of those that are gone with why."""
    given, gone = [], {}
    async with client.source(Vouching()) as source:
        async for group in source.read():
            given += [item.locator.place for item in group if isinstance(item, Envelope)]
            gone |= {item.locator.place: str(item.reasons[0]) for item in group if isinstance(item, Unreadable)}
            await source.settle({one.locator: fate if isinstance(one, Envelope) else lost for one in group})
    return given, gone


@pytest.fixture(params=[404, 410])
def erp(request):
    with FakeErp(habits=Habits(gone=request.param)) as erp:
        for number in range(5):
            erp.put(order(number))
        yield erp


class TestGone:
    async def test_it_is_told_once_with_why(self, erp, tmp_path):
        client = client_of(erp, tmp_path, **PAGING)
        assert (await pull(client))[1] == {}
        erp.remove(3)
        given, gone = await pull(client)
        assert given == ["0", "1", "2", "4"]
        (why,) = gone.values()
        assert f"does not show it any more, and its own address answers {erp.habits.gone}: it was removed there" in why
        before = len(erp.requests)
        assert (await pull(client))[1] == {}
        assert len(erp.requests) - before == 2

    @pytest.mark.parametrize("lost", [Fate.DEFERRED, Fate.SKIPPED])
    async def test_until_it_has_a_letter_it_is_told_again(self, erp, tmp_path, lost):
        client = client_of(erp, tmp_path, **PAGING)
        await pull(client)
        erp.remove(3)
        for _ in range(2):
            assert list((await pull(client, lost=lost))[1]) == ["3"]

    async def test_one_that_comes_again_and_goes_again_is_told_again(self, erp, tmp_path):
        client = client_of(erp, tmp_path, **PAGING)
        await pull(client)
        erp.remove(3)
        await pull(client)
        erp._removed.clear()
        erp.put(order(3))
        assert "3" in (await pull(client))[0]
        erp.remove(3)
        assert list((await pull(client))[1]) == ["3"]

    async def test_one_that_was_never_taken_is_nobodys(self, erp, tmp_path):
        client = client_of(erp, tmp_path, **PAGING)
        await pull(client, fate=Fate.DEAD)
        erp.remove(3)
        assert (await pull(client))[1] == {}


class TestWhatSaysNothing:
    async def test_a_list_that_leaves_out_what_is_there(self, serve, tmp_path):
        shown = [order(1), order(2)]
        server = serve(lambda asked: {"items": shown} if asked.path == "/orders" else order(1))
        client = client_of(server, tmp_path)
        await pull(client)
        shown.pop(0)
        for _ in range(3):
            assert (await pull(client))[1] == {}
        assert [asked.path for asked in server.asked].count("/orders/1") == 1

    @pytest.mark.parametrize(
        "answer",
        [
            Reply(b"<!doctype html><title>x</title>", 404, kind="text/html"),
            Reply({}, 403),
            Reply({}, 500),
            Reply({}, 302),
        ],
        ids=lambda one: str(one.status),
    )
    async def test_an_address_that_says_something_else(self, serve, tmp_path, answer):
        shown = [order(1), order(2)]
        server = serve(lambda asked: {"items": shown} if asked.path == "/orders" else answer)
        client = client_of(server, tmp_path, attempts=1)
        await pull(client)
        shown.pop(0)
        assert (await pull(client))[1] == {}

    async def test_a_list_of_what_has_changed(self, erp, tmp_path):
        client = client_of(erp, tmp_path, since_param="updated_since", **PAGING)
        await pull(client)
        erp.remove(3)
        assert (await pull(client))[1] == {}
        assert not [asked for asked in erp.requests if asked.path != "/orders"]

    async def test_a_list_that_is_not_read_to_its_end(self, erp, tmp_path):
        client = client_of(erp, tmp_path, **PAGING)
        await pull(client)
        erp.remove(0)
        async with client.source(Vouching()) as source:
            groups = source.read()
            group = await anext(groups)
            await source.settle({item.locator: Fate.DELIVERED for item in group})
            await groups.aclose()
        assert not [asked for asked in erp.requests if asked.path != "/orders"]

    async def test_a_list_with_an_order_whose_id_cannot_be_read(self, serve, tmp_path):
        shown = [order(1), order(2)]
        server = serve(lambda asked: {"items": shown} if asked.path == "/orders" else Reply({}, 404))
        client = client_of(server, tmp_path)
        await pull(client)
        shown[0] = {"id": None, "title": "t1"}
        assert (await pull(client))[1] == {}
