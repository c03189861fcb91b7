"""A list is read page by page until the server says that it is at its end."""

import json
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.errors import Fatal, Outage
from pipeline.transports.http import HttpOptions, loose
from pipeline.transports.http.addresses import followed
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.headers import links
from pipeline.transports.http.listing import Listing
from tests.asking import client_of, ids, order, pull
from tests.scripted import Reply

SOME = st.none() | st.integers() | st.text(max_size=5)
JSON = st.recursive(SOME, lambda some: st.lists(some) | st.dictionaries(st.text(max_size=5), some), max_leaves=8)


def dumps(data, **options):
    return json.dumps(data, **options).encode()


class TestPages:
    @pytest.mark.parametrize(
        "paging",
        [
            {"page": "page"},
            {"page": "offset"},
            {"page": "cursor", "next": "cursor"},
            {"page": "link", "next": "next"},
            {"page": "link"},
            {"page": "none", "params": {"limit": "100"}},
        ],
        ids=str,
    )
    async def test_every_order_is_read_once_by_each_way_of_paging(self, erp, tmp_path, paging):
        for number in range(23):
            erp.put(order(number))
        client = client_of(erp, tmp_path, page_size=5, **paging)
        assert ids(await pull(client)) == list(range(23))
        counted = paging["page"] in ("page", "offset")
        assert len(erp.requests) == (1 if paging["page"] == "none" else 6 if counted else 5)

    async def test_an_empty_list(self, erp, tmp_path):
        assert await pull(client_of(erp, tmp_path, page="page")) == []

    async def test_original_bytes_are_kept(self, erp, tmp_path):
        erp.put(order(1) | {"odd": 1.50})
        async with client_of(erp, tmp_path).source() as source:
            ((item,),) = [group async for group in source.read()]
        assert (item.locator, item.raw) == (Locator("1"), item.payload)
        assert b'"odd": 1.5' in item.raw

    async def test_orders_without_an_id_are_yielded_too_and_the_same_one_twice_has_two_places(self, erp, tmp_path):
        erp.put(order(1))
        erp.orders["x"] = {"status": "NEW"}
        erp.faults.once("none", "duplicate")
        async with client_of(erp, tmp_path, page="offset", page_size=1).source() as source:
            locators = [str(item.locator) async for group in source.read() for item in group]
        assert locators[0] == "1"
        assert locators[1] == "1#2"
        assert locators[2].startswith("without-an-id-")

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"items": "nothing.here"}, "has nothing at 'nothing.here': see items"),
            ({"items": ""}, "no array of orders at its top"),
            ({"page": "link", "next": "items"}, "no link and no cursor at items: see next"),
        ],
    )
    async def test_a_list_that_is_none_stops_with_what_to_do(self, erp, tmp_path, options, why):
        erp.put(order(1))
        with pytest.raises(Fatal, match=why):
            await pull(client_of(erp, tmp_path, **options))

    async def test_a_next_page_at_another_address_gets_nothing_of_ours(self, erp, tmp_path):
        erp.put(order(1) | {"next": "https://elsewhere.example/steal"})
        erp.page = lambda query, fault=None: ({"items": [], "next": "https://elsewhere.example/"}, {})
        with pytest.raises(Fatal, match="another address, which gets no credentials"):
            await pull(client_of(erp, tmp_path, page="link", next="next"))

    async def test_a_page_that_is_followed_by_itself(self, erp, tmp_path):
        erp.page = lambda query, fault=None: ({"items": [order(1)], "cursor": "same"}, {})
        with pytest.raises(Fatal, match="followed by itself"):
            await pull(client_of(erp, tmp_path, page="cursor", next="cursor"))


def listed(asked, orders, most=50, total=True):
    """A page of a server that gives ``most`` orders at a time, whatever it is asked for."""
    size = min(most, int(asked.query.get("limit", most)))
    start = int(asked.query.get("offset", 0)) or (int(asked.query.get("page", 1)) - 1) * size
    page = {"items": orders[start : start + size]}
    return page | ({"total": len(orders)} if total else {})


class TestTheEndOfAList:
    """A list is at its end only when the server says so."""

    @pytest.mark.parametrize("page", ["offset", "page"])
    @pytest.mark.parametrize(("options", "requests"), [({}, 4), ({"total": "total"}, 3), ({"page_size": 50}, 4)])
    async def test_a_server_that_gives_fewer_than_it_is_asked_for(self, serve, tmp_path, page, options, requests):
        orders = [order(number) for number in range(120)]
        server = serve(lambda asked: listed(asked, orders))
        assert ids(await pull(client_of(server, tmp_path, page=page, **options))) == list(range(120))
        assert len(server.asked) == requests

    @pytest.mark.parametrize("page", ["offset", "page"])
    async def test_a_page_that_is_short_in_the_middle(self, serve, tmp_path, page):
        pages = [[1, 2], [3], [4, 5]]

        def answer(asked):
            said = int(asked.query[page])
            starts = {0: 0, 2: 1, 3: 2} if page == "offset" else {1: 0, 2: 1, 3: 2}
            return {"items": [order(number) for number in pages[starts[said]]] if said in starts else []}

        assert ids(await pull(client_of(serve(answer), tmp_path, page=page, page_size=2))) == [1, 2, 3, 4, 5]

    async def test_a_total_that_is_not_shown_is_told(self, serve, tmp_path):
        server = serve(lambda asked: {"items": [order(1)] if asked.query["offset"] == "0" else [], "total": "7"})
        with pytest.raises(Fatal, match="says that it has 7 orders, and shows 1"):
            await pull(client_of(server, tmp_path, page="offset", total="total"))

    @pytest.mark.parametrize("options", [{"page": "none"}, {"page": "cursor", "next": "next"}, {"page": "link"}])
    async def test_nor_is_one_that_is_cut_short_by_other_ways_of_paging(self, serve, tmp_path, options):
        server = serve(lambda asked: {"items": [order(1)], "total": 120, "next": None})
        with pytest.raises(Fatal, match="says that it has 120 orders, and shows 1: see page and total"):
            await pull(client_of(server, tmp_path, total="total", **options))

    @pytest.mark.parametrize("status", [404, 416])
    async def test_no_page_of_that_number_is_the_end_if_the_api_itself_says_so(self, serve, tmp_path, status):
        def answer(asked):
            return {"items": [order(1)]} if asked.query["page"] == "1" else Reply({"detail": "Invalid page."}, status)

        assert ids(await pull(client_of(serve(answer), tmp_path, page="page"))) == [1]

    async def test_a_proxy_that_finds_nothing_is_no_end(self, serve, tmp_path):
        def answer(asked):
            missing = Reply(b"<html><title>404</title></html>", 404, kind="text/html")
            return {"items": [order(1)]} if asked.query["page"] == "1" else missing

        with pytest.raises(Fatal, match="answers 404"):
            await pull(client_of(serve(answer), tmp_path, page="page"))

    async def test_a_first_page_that_is_not_there_is_no_end(self, serve, tmp_path):
        with pytest.raises(Fatal, match=r"answers 404 \(Invalid page.\): see url"):
            await pull(client_of(serve(lambda asked: Reply({"detail": "Invalid page."}, 404)), tmp_path, page="page"))

    async def test_a_server_that_shows_its_last_page_for_any_number_after_it(self, serve, tmp_path):
        def answer(asked):
            return {"items": [order(min(int(asked.query["page"]), 3))]}

        assert ids(await pull(client_of(serve(answer), tmp_path, page="page"))) == [1, 2, 3, 3, 3]

    async def test_a_server_that_does_not_know_the_parameter(self, serve, tmp_path):
        server = serve(lambda asked: {"items": [order(1), order(2)]})
        with pytest.raises(
            Fatal, match=r"second page is its first one again, and so is the third: see page_param \(offset\)"
        ):
            await pull(client_of(server, tmp_path, page="offset"))

    async def test_a_server_that_does_not_know_the_parameter_and_never_says_the_same_twice(self, serve, tmp_path):
        server = serve(lambda asked: {"items": [order(1, title=str(len(server.asked))), order(2)]})
        with pytest.raises(Fatal, match="see page_param"):
            await pull(client_of(server, tmp_path, page="page"))

    async def test_a_page_that_comes_again_because_orders_were_added_before_it_is_no_end(self, serve, tmp_path):
        numbers = [3, 2, 1]

        def answer(asked):
            if len(server.asked) == 2:
                numbers.insert(0, 4)
            start = int(asked.query["offset"])
            return {"items": [order(number) for number in numbers[start : start + 1]]}

        server = serve(answer)
        assert ids(await pull(client_of(server, tmp_path, page="offset", page_size=1))) == [3, 3, 2, 1]

    @pytest.mark.parametrize("options", [{"page": "cursor", "next": "next"}, {"page": "link", "next": "next"}])
    async def test_empty_pages_with_a_next_one_are_followed(self, serve, tmp_path, options):
        pages = {"": ([order(1)], "?c=2"), "2": ([], "?c=3"), "3": ([order(2)], None)}

        def answer(asked):
            items, following = pages[asked.query.get("c", asked.query.get("cursor", "")).removeprefix("?c=")]
            return {"items": items, "next": following}

        assert ids(await pull(client_of(serve(answer), tmp_path, **options))) == [1, 2]

    @pytest.mark.parametrize("length", [1, 2, 5])
    async def test_pages_that_name_each_other(self, serve, tmp_path, length):
        def answer(asked):
            return {"items": [order(1)], "next": str((int(asked.query.get("cursor", 0)) + 1) % length)}

        server = serve(answer)
        with pytest.raises(Fatal, match="followed by itself, or by one that was read before: see page, next and more"):
            await pull(client_of(server, tmp_path, page="cursor", next="next"))
        assert len(server.asked) == length + 1

    async def test_a_cursor_that_stays_on_an_empty_last_page(self, serve, tmp_path):
        def answer(asked):
            return {"items": [] if "cursor" in asked.query else [order(1)], "cursor": "end", "has_more": False}

        server = serve(answer)
        assert ids(await pull(client_of(server, tmp_path, page="cursor", next="cursor"))) == [1]
        assert len(server.asked) == 2
        assert ids(await pull(client_of(server, tmp_path, page="cursor", next="cursor", more="has_more"))) == [1]
        assert len(server.asked) == 3

    @pytest.mark.parametrize(
        ("page", "said", "why"),
        [
            ("cursor", {"has_more": True}, "says at has_more that there are more: see page, next and more"),
            ("link", {"has_more": True}, "says at has_more that there are more: see page, next and more"),
            ("none", {"has_more": True}, "says at has_more that there are more, and page is not set: see page"),
            ("cursor", {"has_more": "maybe", "next": "2"}, "neither yes nor no at has_more: see more"),
        ],
    )
    async def test_more_that_cannot_be_followed(self, serve, tmp_path, page, said, why):
        server = serve(lambda asked: {"items": [order(1)], **said})
        with pytest.raises(Fatal, match=why):
            await pull(client_of(server, tmp_path, page=page, next="next", more="has_more"))

    @pytest.mark.parametrize("said", [True, 1, "true", "Y"])
    async def test_more_goes_on_over_an_empty_page_of_a_counted_list(self, serve, tmp_path, said):
        def answer(asked):
            number = int(asked.query["page"])
            return {"items": [] if number == 2 else [order(number)], "more": said if number < 3 else False}

        assert ids(await pull(client_of(serve(answer), tmp_path, page="page", more="more"))) == [1, 3]

    @pytest.mark.parametrize(
        "said",
        [
            {"next": "?page=2"},
            {"@odata.nextLink": "?page=2"},
            {"links": {"next": {"href": "?page=2"}}},
            {"d": {"__next": "?page=2"}},
            {"nextPageToken": "abc"},
            {"pagination": {"next": 2}},
            {"hasNextPage": True},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("options", [{}, {"page": "cursor", "next": "cursor"}, {"page": "link"}], ids=str)
    async def test_a_next_page_at_a_place_that_nobody_is_to_look_at_is_told(self, serve, tmp_path, said, options):
        server = serve(lambda asked: {"items": [order(1)], **said})
        (key,) = said
        with pytest.raises(Fatal, match=f"its page says at {key}.* that there are more.*: see page, next and more"):
            await pull(client_of(server, tmp_path, **options))

    @pytest.mark.parametrize(
        "said",
        [{"next": None}, {"next": ""}, {"links": {"next": None}}, {"hasMore": False}, {"next_page": 0}, {"meta": []}],
        ids=str,
    )
    async def test_one_that_is_not_there_is_none(self, serve, tmp_path, said):
        server = serve(lambda asked: {"items": [order(1)], **said})
        assert ids(await pull(client_of(server, tmp_path))) == [1]

    async def test_a_next_page_in_the_header_that_nobody_is_to_ask_for_is_told(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"items": []}, headers={"Link": "<?page=2>; rel=next"}))
        with pytest.raises(Fatal, match="says at the header Link that there are more, and page is not set"):
            await pull(client_of(server, tmp_path))


class TestLinks:
    """The same origin is followed however it is spelt; nothing of ours goes to another."""

    @pytest.mark.parametrize(
        "link",
        [
            "http://LOCALHOST:{port}/orders?page=2",
            "HTTP://localhost:{port}/orders?page=2",
            "http://localhost.:{port}/orders?page=2",
            "http://127.0.0.1:{port}/orders?page=2",
            "http://user:password@localhost:{port}/orders?page=2",
            "//localhost:{port}/orders?page=2",
            "/orders?page=2",
            "orders?page=2",
            "./orders?page=2",
            "?page=2",
            " ?page=2#part ",
        ],
    )
    @pytest.mark.parametrize("where", ["page", "header"])
    async def test_one_origin_in_all_spellings(self, serve, tmp_path, link, where):
        def answer(asked):
            if "page" in asked.query:
                return {"items": [order(2)]}
            said = link.format(port=server.port)
            if where == "page":
                return {"items": [order(1)], "next": said}
            return Reply({"items": [order(1)]}, headers={"Link": f'<{said}>; rel="next"'})

        server = serve(answer)
        auth = {"type": "bearer", "token_env": "TOKEN"}
        client = client_of(server, tmp_path, {"TOKEN": "abcd"}, page="link", auth=auth)
        client.options = replace(client.options, next="next" if where == "page" else "")
        assert ids(await pull(client)) == [1, 2]
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer abcd"] * 2

    @pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
    def test_a_schemes_own_port_may_be_left_out(self, scheme, port):
        options = HttpOptions(url=f"{scheme}://erp.example/orders")
        base = options.url
        assert followed(f"{scheme}://ERP.example:{port}/x?y", base, options, "it") == f"{scheme}://erp.example/x?y"
        options = HttpOptions(url=f"{scheme}://erp.example:{port}/orders")
        assert followed(f"{scheme}://erp.example/x", base, options, "it") == f"{scheme}://erp.example:{port}/x"

    @pytest.mark.parametrize(
        ("url", "link", "told"),
        [
            ("http://erp.example/o", "https://erp.example/o?page=2", "https://erp.example"),
            ("https://erp.example/o", "http://erp.example/o?page=2", "http://erp.example"),
            ("https://erp.example/o", "https://other.example/o?page=2", "https://other.example"),
            ("https://erp.example/o", "//other.example/o?page=2", "https://other.example"),
            ("https://erp.example/o", "https://erp.example:8443/o?page=2", "https://erp.example:8443"),
            ("https://erp.example/o", "https://erp.example@other.example/?page=2", "https://other.example"),
            ("https://erp.example/o", "https://erp.example.other.example/?page=2", "https://erp.example.other.example"),
        ],
    )
    def test_another_origin_is_told_and_its_path_may_be_followed(self, url, link, told):
        options = HttpOptions(url=url)
        with pytest.raises(Fatal, match=r"another address, which gets no credentials") as caught:
            followed(link, url, options, "its next page")
        assert f": {told}; set url so, or next_from" in str(caught.value)
        path = urlsplit(link).path or "/"
        assert followed(link, url, HttpOptions(url=url, next_from="path"), "it") == f"{url[:-2]}{path}?page=2"

    def test_a_name_of_other_letters_in_both_spellings(self):
        options = HttpOptions(url="https://xn--mller-kva.example/o")
        assert followed("https://MÜLLER.example/o?p", options.url, options, "it") == "https://xn--mller-kva.example/o?p"

    async def test_a_server_that_knows_itself_by_another_name(self, serve, tmp_path):
        def answer(asked):
            inside = "https://erp.internal/orders?page=2"
            return {
                "items": [order(2 if "page" in asked.query else 1)],
                "next": None if "page" in asked.query else inside,
            }

        server = serve(answer)
        options = {"page": "link", "next": "next"}
        with pytest.raises(Fatal, match=r"https://erp\.internal; set url so, or next_from = \"path\""):
            await pull(client_of(server, tmp_path, **options))
        assert ids(await pull(client_of(server, tmp_path, **options, next_from="path"))) == [1, 2]

    @pytest.mark.parametrize("link", ["http://[", "http://[::1", "http://erp:port/"])
    async def test_what_is_no_address(self, serve, tmp_path, link):
        server = serve(lambda asked: {"items": [order(1)], "next": link})
        with pytest.raises(Fatal, match="its next page is no address"):
            await pull(client_of(server, tmp_path, page="link", next="next"))

    @pytest.mark.parametrize("said", [2, True, 1.5, {"href": "?page=2"}, ["?page=2"]])
    async def test_what_is_no_link(self, serve, tmp_path, said):
        server = serve(lambda asked: {"items": [order(1)], "next": said})
        with pytest.raises(Fatal, match="has no link and no cursor at next: see next"):
            await pull(client_of(server, tmp_path, page="link", next="next"))

    async def test_a_header_that_cannot_be_read_is_no_end(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"items": []}, headers={"Link": "/orders?page=2; rel=next"}))
        with pytest.raises(Fatal, match="its header Link cannot be read: see next"):
            await pull(client_of(server, tmp_path, page="link"))

    @pytest.mark.parametrize(
        ("values", "following"),
        [
            (['<a>; rel="next"'], "a"),
            (["<a>; rel=next"], "a"),
            (["<a>;REL=NEXT"], "a"),
            (["<a>; rel='next'"], "a"),
            (['<a>; rel="last next"'], "a"),
            (['<a>; rel="Next"; title="x, <b>; rel=last"'], "a"),
            (['<a>; title="a \\"b\\", c"; rel="next"'], "a"),
            (['<p>; rel="prev", <a?x=1,2;3>; rel="next", <l>; rel="last"'], "a?x=1,2;3"),
            (['<p>; rel="prev"', '<a>; rel="next"'], "a"),
            (['<p>; rel="prev"; rel="next"'], None),
            (['<a>; rel="next"; anchor="#other"'], None),
            (["<a>; rel=nextish, <b>; rel=next"], "b"),
            (["< a >; crossorigin; rel = next ;"], "a"),
            (["", "<a>;rel=next,"], "a"),
            ([], None),
        ],
        ids=str,
    )
    def test_links_as_rfc_8288_has_them(self, values, following):
        assert links(values).get("next") == following

    @given(st.lists(st.text(max_size=40), max_size=3))
    def test_any_header_is_links_or_none(self, values):
        with suppress(ValueError):
            links(values)


class TestWhatIsNoList:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(status=204),
            {"items": None, "total": 0},
            {"items": ""},
            {"items": []},
            Reply(b" [] "),
            Reply(b"null"),
        ],
        ids=str,
    )
    async def test_lists_of_nothing(self, serve, tmp_path, reply):
        assert await pull(client_of(serve(lambda asked: reply), tmp_path)) == []

    async def test_nothing_at_all_is_asked_for_again(self, serve, tmp_path):
        server = serve(lambda asked: Reply(b""))
        with pytest.raises(Outage, match="answers with nothing, where a list was asked for"):
            await pull(client_of(server, tmp_path, attempts=2))
        assert len(server.asked) == 2

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            ({"total": 0}, "its page has nothing at 'items': see items"),
            ({"items": {"id": 1}}, "no array of orders at 'items', but an object: see items"),
            ({"items": "soon"}, "no array of orders at 'items', but a text: see items"),
            (Reply(b'"Session expired"'), "nothing at 'items'"),
            (Reply(b"<html><title>Sign in</title>", kind="text/html"), r"an HTML page \(Sign in\): see auth and url"),
            (Reply(b"\xef\xbb\xbf\n<!doctype html><body>"), "answers with an HTML page: see auth and url"),
            (Reply(b"<?xml version='1.0'?><feed/>", kind="application/atom+xml"), "answers with XML: see params"),
            (
                {"error": {"code": "SESSION_EXPIRED", "message": "Your session has expired"}},
                "its page has nothing at 'items', but says: Your session has expired",
            ),
            ({"items": [], "error": "locked"}, "says that there was an error: locked"),
            ({"items": None, "success": False, "message": "no licence"}, "says that there was an error: no licence"),
            (Reply({}, 301, {"Location": "/orders/"}), "answers 301, moved to /orders/: set url so"),
            (
                Reply(b"", 302, {"Location": "https://sso.example/login?token=abc"}),
                "answers 302, moved to https://sso.example/login: set url so, or see auth",
            ),
            (Reply({"message": "no such plant"}, 404), r"answers 404 \(no such plant\): see url and params"),
        ],
        ids=str,
    )
    async def test_says_what_came_instead_and_is_not_tried_again(self, serve, tmp_path, reply, why):
        server = serve(lambda asked: reply)
        with pytest.raises(Fatal, match=why) as caught:
            await pull(client_of(server, tmp_path))
        assert "token=abc" not in str(caught.value)
        assert len(server.asked) == 1

    async def test_the_orders_of_a_page_are_no_reason(self, serve, tmp_path):
        server = serve(lambda asked: {"orders": [{"title": "secret"}], "results": [{"message": "secret"}]})
        with pytest.raises(Fatal, match="nothing at 'items'") as caught:
            await pull(client_of(server, tmp_path))
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "said", [{"error": None}, {"errors": []}, {"error": {"code": 0, "message": "OK"}}, {"ok": 1}]
    )
    async def test_what_means_no_error(self, serve, tmp_path, said):
        assert ids(await pull(client_of(serve(lambda asked: {"items": [order(1)], **said}), tmp_path))) == [1]

    async def test_keys_of_ones_own_can_be_left_out(self, serve, tmp_path):
        server = serve(lambda asked: {"items": [order(1)], "errors": 3})
        assert ids(await pull(client_of(server, tmp_path, errors=[]))) == [1]

    async def test_a_list_that_lies_one_level_higher(self, serve, tmp_path):
        assert ids(await pull(client_of(serve(lambda asked: {"d": [order(1)]}), tmp_path, items="d.results"))) == [1]


PAGES = st.fixed_dictionaries(
    {},
    optional={
        "items": JSON | st.lists(st.just({"id": 1})),
        "next": JSON,
        "more": JSON,
        "total": JSON,
        "error": JSON,
        "success": JSON,
        "data": JSON,
    },
)


@given(
    page=PAGES | JSON,
    kind=st.sampled_from(["none", "link", "cursor", "page", "offset"]),
    items=st.sampled_from(["", "items", "data.items", "items.x"]),
    cut=st.none() | st.integers(0, 40),
)
def test_any_page_is_one_or_says_why_not(page, kind, items, cut):
    options = HttpOptions(url="http://erp.example/o", page=kind, next="next", items=items, more="more", total="total")
    body = json.dumps(page).encode(errors="replace")[:cut]
    listing = Listing(options)
    with suppress(Fatal, ValueError):
        found = listing.read(Answer(200, httpx.Headers(), body))
        assert all(isinstance(item, bytes) for item in found.items)
        listing.follow(found, [str(hash(item)) for item in found.items])


class TestOddPages:
    """One odd order costs itself, not its page; JSON is UTF-8, and is made so where it is not."""

    @pytest.mark.parametrize(
        "odd",
        [
            b'{"id": 2, "x": NaN}',
            b'{"id": 2, "title": "a\tb"}',
            b'{"id": 2, "t": "\\ud800"}',
            b'{"id": 2, "t": "\xff"}',
            b'{"id": 2, "x": ' + b"[" * 3000 + b"]" * 3000 + b"}",
            b'{"id": 2,}',
            b'{"id": 02}',
        ],
        ids=range(7),
    )
    async def test_one_of_three(self, serve, tmp_path, odd):
        body = b'{"next": null, "items": [%s, %s, %s]}' % (dumps(order(1)), odd, dumps(order(3)))
        client = client_of(serve(lambda asked: Reply(body)), tmp_path, page="link", next="next")
        async with client.source() as source:
            raw = [item.raw async for group in source.read() for item in group]
        assert raw == [dumps(order(1)), odd, dumps(order(3))]

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (lambda text: b"\xef\xbb\xbf" + text.encode(), "application/json"),
            (lambda text: text.encode("utf-16"), "application/json"),
            (lambda text: text.encode("utf-16-le"), "application/json"),
            (lambda text: text.encode("utf-16-be"), "application/json; charset=utf-16"),
            (lambda text: text.encode("utf-32"), "application/json"),
            (lambda text: text.encode("latin-1"), 'application/json; charset="ISO-8859-1"'),
            (lambda text: text.encode("cp1252"), "application/json;charset=windows-1252"),
            (lambda text: text.encode(), "application/json; charset=ISO-8859-1"),
            (lambda text: text.encode(), "application/json; charset=nobody-knows"),
        ],
    )
    async def test_charsets(self, serve, tmp_path, body, kind):
        text = dumps({"items": [order(1, title="Käfig")]}, ensure_ascii=False).decode()
        (found,) = await pull(client_of(serve(lambda asked: Reply(body(text), kind=kind)), tmp_path))
        assert found["title"] == "Käfig"

    async def test_a_charset_that_is_not_named_is_told_where_it_matters(self, serve, tmp_path):
        server = serve(lambda asked: Reply("Störung".encode("latin-1")))
        with pytest.raises(Outage, match="no JSON, but text that is no UTF-8, and names no other charset"):
            await pull(client_of(server, tmp_path, attempts=1))

    @given(data=JSON, share=st.floats(0, 0.999))
    def test_by_its_brackets_alone_json_is_taken_apart_as_by_the_book(self, data, share):
        raw = json.dumps({"a": data, "b": [data, data]}, ensure_ascii=False).encode(errors="replace")
        data = json.loads(raw)["a"]
        found = loose.object_of(raw)
        assert json.loads(found["a"]) == data
        assert [json.loads(one) for one in loose.array_of(found["b"])] == [data, data]
        with pytest.raises(ValueError, match=r"."):
            loose.object_of(raw[: int(len(raw) * share)])
